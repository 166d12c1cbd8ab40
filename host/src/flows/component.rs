//! What a component is, read before it is compiled: which version of the contract it implements, and what it imports.
//!
//! The version is in the name of the exported interface (`tokenhost:flow/flow@0.1.0`). Nothing is run here.

use std::fmt;

use sha2::{Digest as _, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use super::sandbox;
use super::text::printable;

/// How big a component may be. The biggest known one (CPython with its standard library) has 18 MB.
pub const SIZE_LIMIT: usize = 64 << 20;

/// The interface that a flow exports, without its version.
const FLOW: &str = "tokenhost:flow/flow";

/// The interface with the contract's types, which a flow may import: it has no functions.
const TYPES: &str = "tokenhost:flow/types";

/// How many faults of one kind are listed.
const LISTED: usize = 20;

/// How many names at a component's border are shown.
const MOST: usize = 100;

/// A version of the contract that this host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `tokenhost:flow@0.1.0`
    V0_1,
    /// A later one, which only tests know.
    #[cfg(test)]
    Next,
}

impl Version {
    /// All that are known, the newest first.
    pub const ALL: &[Self] = &[
        #[cfg(test)]
        Self::Next,
        Self::V0_1,
    ];

    /// As it stands in an interface's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
            #[cfg(test)]
            Self::Next => "0.2.0",
        }
    }
}

/// Something about a component that isn't as the contract says, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, and where.
    pub problem: String,
    /// What its author can do.
    pub remedy: String,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem, self.remedy)
    }
}

/// Lower-case hexadecimal SHA-256 of a component.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A digest as people see it.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// What a component says of itself in its names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outside {
    /// The contract's version that it implements, the newest of those known.
    pub(super) version: Version,
    /// The WASI interfaces that it imports.
    pub(super) wasi: Vec<String>,
}

/// Reads a component's imports and exports.
///
/// # Errors
/// All that keeps it from being a flow.
pub(super) fn inspect(bytes: &[u8]) -> Result<Outside, Vec<Fault>> {
    let names = names(bytes).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let version = match version(&names.exports) {
        Ok(version) => Some(version),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let (mut wasi, mut refused) = (Vec::new(), Vec::new());
    for import in names.imports {
        if is_granted_wasi(&import) {
            wasi.push(import);
        } else if version.is_none_or(|version| import != format!("{TYPES}@{}", version.as_str())) {
            refused.push(import);
        }
    }
    // Without a version of its own the contract's types can't be judged.
    refused.retain(|import| version.is_some() || !import.starts_with(TYPES));
    let more = refused.len().saturating_sub(LISTED);
    faults.extend(refused.iter().take(LISTED).map(|import| {
        Fault::new(
            format!("it imports `{}`, which no flow is given", printable(import, 120)),
            "a flow is a pure function: time and random bytes are in its context, and it sends a request by answering \
             `send`; leave out the code or library that needs this import",
        )
    }));
    if more > 0 {
        faults
            .push(Fault::new(format!("it imports {more} more interfaces that no flow is given"), "leave them out too"));
    }
    match version {
        Some(version) if faults.is_empty() => Ok(Outside { version, wasi }),
        _ => Err(faults),
    }
}

/// The names at a component's border.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// What it needs.
    pub(super) imports: Vec<String>,
    /// What it offers.
    pub(super) exports: Vec<String>,
}

/// The names at a component's border, as people may see them; none where it can't be read.
pub(super) fn border(bytes: &[u8]) -> Names {
    let shown = |names: Vec<String>| names.iter().take(MOST).map(|name| printable(name, 120)).collect();
    let Names { imports, exports } = names(bytes).unwrap_or_default();
    Names { imports: shown(imports), exports: shown(exports) }
}

fn names(bytes: &[u8]) -> Result<Names, Fault> {
    if bytes.len() > SIZE_LIMIT {
        return Err(Fault::new(
            format!("it has {} MB, and a flow may have {} MB", bytes.len() >> 20, SIZE_LIMIT >> 20),
            "leave out what it doesn't need",
        ));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Fault::new(
            "it isn't WebAssembly (it doesn't begin with `\\0asm`)",
            "give the `.wasm` file that `tokenhost plugin build` or your toolchain made",
        ));
    }
    let broken = |error: wasmparser::Error| {
        Fault::new(
            format!("it isn't a valid component: {}", printable(&error.to_string(), 200)),
            "build it again; was the file copied in full?",
        )
    };
    let mut names = Names::default();
    // How many components and modules are open: only the outermost one's names count.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(Fault::new(
                    "it is a core module and not a component",
                    "`tokenhost plugin build` makes a component from a Rust flow; `wasm-tools component new` from a module \
                     that was made with wit-bindgen",
                ));
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    names.imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    names.exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The newest known version among the exported interfaces.
fn version(exports: &[String]) -> Result<Version, Fault> {
    let offered: Vec<&str> =
        exports.iter().filter_map(|export| export.strip_prefix(FLOW)?.strip_prefix('@')).take(LISTED).collect();
    if let Some(version) = Version::ALL.iter().find(|version| offered.contains(&version.as_str())) {
        return Ok(*version);
    }
    let known: Vec<&str> = Version::ALL.iter().map(|version| version.as_str()).collect();
    let known = known.join(", ");
    if offered.is_empty() {
        return Err(Fault::new(
            format!("it doesn't export `{FLOW}`, so it isn't a flow"),
            format!("build it for the world `tokenhost:flow/flow-plugin`, version {known}"),
        ));
    }
    Err(Fault::new(
        format!(
            "it is made for version {} of the contract, and this host knows {known}",
            printable(&offered.join(", "), 60)
        ),
        "build it for a version that this host knows, or install a newer tokenhost",
    ))
}

/// Whether an import is an interface of WASI 0.2 that has a place in the empty world.
fn is_granted_wasi(import: &str) -> bool {
    import
        .split_once('@')
        .is_some_and(|(name, version)| version.starts_with("0.2.") && sandbox::GRANTED.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds a component in text form against what is found in it.
    fn check(component: &str, expected: Result<&[&str], &[&str]>) {
        let found = inspect(&wat::parse_str(component).unwrap());
        match (found, expected) {
            (Ok(outside), Ok(wasi)) => assert_eq!(outside.wasi, wasi, "{component}"),
            (Err(faults), Err(expected)) => {
                let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
                assert_eq!(faults.len(), expected.len(), "{faults:#?}");
                for (fault, part) in faults.iter().zip(expected) {
                    assert!(fault.contains(part), "{fault} should say {part}");
                }
            }
            (found, expected) => panic!("{component}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_border_is_read_before_anything_is_compiled() {
        let flow = r#"(instance $i) (export "tokenhost:flow/flow@0.1.0" (instance $i))"#;
        let types = r#"(import "tokenhost:flow/types@0.1.0" (instance))"#;
        check(&format!("(component {types} {flow})"), Ok(&[]));
        check(
            &format!(r#"(component (import "wasi:io/poll@0.2.6" (instance)) {types} {flow})"#),
            Ok(&["wasi:io/poll@0.2.6"]),
        );
        // Names inside of nested components are nobody's business.
        check(&format!(r#"(component (component (import "a:b/c" (instance))) {flow})"#), Ok(&[]));
        check("(module)", Err(&["is a core module and not a component: `tokenhost plugin build`"]));
        check("(component)", Err(&["doesn't export `tokenhost:flow/flow`"]));
        check(
            r#"(component (instance $i) (export "tokenhost:flow/flow@0.9.0" (instance $i)))"#,
            Err(&["version 0.9.0 of the contract, and this host knows 0.2.0, 0.1.0"]),
        );
        check(
            &format!(
                r#"(component (import "wasi:http/types@0.2.0" (instance)) (import "host" (func))
                   (import "wasi:io/poll@0.3.0" (instance)) (import "tokenhost:flow/types@0.2.0" (instance)) {flow})"#
            ),
            Err(&["`wasi:http/types@0.2.0`", "`host`", "`wasi:io/poll@0.3.0`", "`tokenhost:flow/types@0.2.0`"]),
        );
        check(
            r#"(component (import "wasi:http/types@0.2.0" (instance)) (import "tokenhost:flow/types@0.9.0" (instance)))"#,
            Err(&["doesn't export `tokenhost:flow/flow`", "`wasi:http/types@0.2.0`"]),
        );
    }

    #[test]
    fn what_is_no_component_is_told_so() {
        let whole = wat::parse_str(r#"(component (instance $i) (export "tokenhost:flow/flow@0.1.0" (instance $i)))"#);
        let whole = whole.unwrap();
        for (bytes, part) in [
            (&b""[..], "isn't WebAssembly"),
            (b"(component)", "isn't WebAssembly"),
            (b"\0asm", "isn't a valid component"),
            (b"\0asm\x63\0\x01\0", "isn't a valid component"),
            (&whole[..whole.len() - 3], "isn't a valid component"),
        ] {
            let faults = inspect(bytes).unwrap_err();
            assert!(faults[0].to_string().contains(part), "{bytes:?}: {faults:?}");
        }
        assert!(inspect(&vec![0; SIZE_LIMIT + 1]).unwrap_err()[0].problem.contains("64 MB"));
    }
}
