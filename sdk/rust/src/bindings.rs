//! What wit-bindgen makes of `wit/flow.wit`. Nothing here is written by hand.

#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/flow.wit",
    world: "flow-plugin",
    pub_export_macro: true,
    additional_derives: [PartialEq, Eq],
});
