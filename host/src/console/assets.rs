//! What pages load beside themselves: built into the daemon, and kept by browsers for as long as its bytes are the same.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::Console;
use super::templates::from_folder;

/// A file that pages load.
struct Asset {
    /// Its name in the address.
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("../../console/assets/console.css"),
    },
    Asset {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("../../console/assets/console.js"),
    },
    // From npm: `make tools` puts it there.
    Asset {
        name: "htmx.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("../../console/node_modules/htmx.org/dist/htmx.min.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("../../console/assets/icon.svg") },
];

/// Changes with any of the files: pages name it in their addresses.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = ASSETS.iter().fold(Sha256::new(), |hash, asset| hash.chain_update(asset.content));
    hex::encode(&hash.finalize()[..6])
});

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/assets/{name}", get(show))
}

async fn show(Path(name): Path<String>, uri: Uri) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // An address without this version is asked for anew each time.
    let is_versioned = uri.query().is_some_and(|query| query.strip_prefix("v=") == Some(VERSION.as_str()));
    let kept = if is_versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
    ];
    match from_folder("assets", asset.name) {
        Some(content) => (headers, content).into_response(),
        None => (headers, asset.content).into_response(),
    }
}
