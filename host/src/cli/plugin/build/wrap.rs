//! Makes a component of a core module by the contract that its custom section tells, and holds components against the
//! contract's world.

use anyhow::{Context, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};

/// The interface that a flow exports and the only one of the contract that it imports, both less their version.
const EXPORT: &str = "tokenhost:flow/flow";
const IMPORT: &str = "tokenhost:flow/types";

/// Whether these bytes are a component and no core module.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    wasmparser::Parser::is_component(bytes)
}

/// Wraps a module, and holds the component against the world.
///
/// # Errors
/// It is no module, doesn't export the contract, or imports something.
pub(super) fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let foreign = foreign_imports(module)?;
    if !foreign.is_empty() {
        bail!(
            "it imports {}, and a flow can import nothing. A dependency expects a JavaScript or WASI host: turn off its \
             feature for that, or do without it; time and random bytes are in the context",
            foreign.join(", ")
        );
    }
    let component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    hold_against_world(&component)?;
    Ok(component)
}

/// What a module imports that is not of the contract, as `module.name`: at most ten, sorted.
fn foreign_imports(module: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ImportSection(section) = payload.context("the compiler made no valid module")? {
            for import in section.into_imports() {
                let import = import.context("the compiler made no valid module")?;
                if !import.module.starts_with("tokenhost:flow/") {
                    found.push(format!("{}.{}", import.module, import.name));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(10);
    Ok(found)
}

/// A flow exports the contract's one interface and imports at most its types. WASI may be imported too: many toolchains drag
/// it in, and the host has one in which there is nothing.
///
/// # Errors
/// It is otherwise.
pub(super) fn hold_against_world(component: &[u8]) -> anyhow::Result<()> {
    let decoded = wit_component::decode(component).context("it is no valid component")?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        bail!("it is an interface definition, and no component");
    };
    let world = &resolve.worlds[world];
    let is = |name: &str, expected: &str| name.split_once('@').is_some_and(|(name, _)| name == expected);
    let exports: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    let imports: Vec<String> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    ensure!(
        exports.iter().any(|name| is(name, EXPORT)),
        "it exports no {EXPORT}: a Rust flow calls tokenhost_flow::export!(YourFlow) once, in src/lib.rs; a flow in \
         JavaScript exports a const named flow; one in Python says Flow = export(YourFlow)"
    );
    let foreign: Vec<String> =
        imports.into_iter().filter(|name| !is(name, IMPORT) && !name.starts_with("wasi:")).collect();
    ensure!(foreign.is_empty(), "it imports {}, and a flow can import nothing", foreign.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module without anything.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    /// A module that imports one function without parameters.
    fn importing(module: &str, name: &str) -> Vec<u8> {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let mut import = vec![1, length(module)];
        import.extend(module.bytes());
        import.push(length(name));
        import.extend(name.bytes());
        import.extend([0, 0]);
        let types = [1, 4, 1, 0x60, 0, 0];
        [EMPTY, &types, &[2, u8::try_from(import.len()).unwrap()], &import].concat()
    }

    #[track_caller]
    fn refused(module: &[u8], expected: &str) {
        let error = format!("{:#}", encode(module).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn refuses_what_is_no_flow() {
        refused(b"not wasm", "no valid module");
        refused(EMPTY, "calls tokenhost_flow::export!(YourFlow)");
        refused(
            &importing("wasi_snapshot_preview1", "fd_write"),
            "it imports wasi_snapshot_preview1.fd_write, and a flow",
        );
        refused(&importing("__wbindgen_placeholder__", "now"), "it imports __wbindgen_placeholder__.now");
    }
}
