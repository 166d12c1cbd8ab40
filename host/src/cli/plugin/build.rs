//! Makes a component of a flow, whatever it is written in, and holds it against the contract's world.
//!
//! The languages have a file each: `rust`, `js`, `python`; `tool` runs their tools, and `wrap` makes a component of a core
//! module. Doesn't check further, or run what it made. Where a project's own tools are missing they are installed into
//! the project's folder, at the versions that the project pins; nothing else is installed, and nothing fetched.

mod js;
mod python;
mod rust;
mod tool;
mod wrap;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// The contract, for the tools that make bindings of it.
pub(super) const CONTRACT: &str = include_str!("../../../../wit/flow.wit");

/// A component that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Built {
    /// Where it is.
    pub(super) component: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whether it differs from what was there before.
    pub(super) changed: bool,
}

/// What a flow is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// Rust, compiled for `wasm32-unknown-unknown`
    Rust,
    /// JavaScript or TypeScript, run by QuickJS
    #[value(alias = "javascript", alias = "typescript", alias = "ts")]
    Js,
    /// Python, run by CPython
    #[value(alias = "py")]
    Python,
}

impl Language {
    /// Each language.
    pub(super) const ALL: [Self; 3] = [Self::Rust, Self::Js, Self::Python];

    /// The file by which a project of this language is known.
    pub(super) fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Js => "package.json",
            Self::Python => "pyproject.toml",
        }
    }

    /// The language of the project in a folder.
    ///
    /// # Errors
    /// There is no project, or there are several; the text says what to do.
    pub(super) fn of(dir: &Path) -> anyhow::Result<Self> {
        ensure!(dir.is_dir(), "{} is no folder: name the folder of a flow, or a .wasm file", dir.display());
        let found: Vec<Self> =
            Self::ALL.into_iter().filter(|language| dir.join(language.manifest()).is_file()).collect();
        match found[..] {
            [language] => Ok(language),
            [] => bail!(
                "{} has no Cargo.toml, package.json or pyproject.toml: name the folder of a flow, or make one with\n  \
                 tokenhost plugin new my-flow --lang rust (or js, python)",
                dir.display()
            ),
            [..] => {
                let names: Vec<&str> = found.iter().map(|language| language.manifest()).collect();
                bail!(
                    "{} has {}, so its language can't be told. Keep the one of the flow in this folder, and the other \
                     project in a folder of its own",
                    dir.display(),
                    names.join(" and ")
                )
            }
        }
    }
}

/// A component, before it is written.
struct Made {
    /// The flow's name as the project has it, less `flow-`.
    name: String,
    /// Where it goes if nobody says otherwise.
    folder: PathBuf,
    /// The component.
    component: Vec<u8>,
}

/// Makes the component of the flow in the folder `path`, or of the module or component in the file `path`.
///
/// It is written to `out`, or into it if that is a folder, or else into the project's own folder for what is built. The
/// file is replaced at once, and left alone if nothing changed. `progress` gets the lines that the tools print.
///
/// # Errors
/// A tool is missing, the project is no flow or can't be built, or the component imports what nobody grants; each says
/// what to do.
pub(super) fn build(path: &Path, out: Option<&Path>, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Built> {
    if path.is_file() {
        return of_file(path, out);
    }
    let language = Language::of(path)?;
    let dir = &path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
    let made = match language {
        Language::Rust => rust::make(dir, progress)?,
        Language::Js => js::make(dir, progress)?,
        Language::Python => python::make(dir, progress)?,
    };
    place(&made.component, out, &made.folder, &made.name)
}

/// Wraps a core module that some tool made, or validates a component.
fn of_file(path: &Path, out: Option<&Path>) -> anyhow::Result<Built> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let no_flow = || format!("{} makes no flow plugin", path.display());
    let stem = path.file_stem().map_or_else(|| "flow".into(), |stem| stem.to_string_lossy().into_owned());
    ensure!(
        bytes.starts_with(b"\0asm"),
        "{} is no WebAssembly: a module or a component is wanted, or the folder of a flow",
        path.display()
    );
    if wrap::is_component(&bytes) {
        wrap::hold_against_world(&bytes).with_context(no_flow)?;
        return match out {
            Some(out) => place(&bytes, Some(out), Path::new("."), &stem),
            None => Ok(Built { component: path.to_owned(), size: bytes.len() as u64, changed: false }),
        };
    }
    let component = wrap::encode(&bytes).with_context(no_flow)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    place(&component, out, folder, &format!("{stem}.component"))
}

/// Writes a component to `out`, or into it, or into the folder.
fn place(component: &[u8], out: Option<&Path>, folder: &Path, name: &str) -> anyhow::Result<Built> {
    let file = format!("{name}.wasm");
    let path = match out {
        Some(out) if out.is_dir() => out.join(file),
        Some(out) => out.to_owned(),
        // As the author would write it, and not from the root.
        None => match std::env::current_dir().ok().and_then(|here| Some(folder.strip_prefix(here).ok()?.to_owned())) {
            Some(folder) => folder.join(file),
            None => folder.join(file),
        },
    };
    let changed = write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Built { component: path, size: component.len() as u64, changed })
}

/// Replaces a file by rename, unless it has these bytes already. Says whether it did.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // A temporary file is private; a component is for the daemon's user to read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told_by_its_manifest() {
        for (files, expected) in [
            (&["Cargo.toml", "README.md"][..], Ok(Language::Rust)),
            (&["package.json"], Ok(Language::Js)),
            (&["pyproject.toml"], Ok(Language::Python)),
            (&[], Err("tokenhost plugin new my-flow --lang rust")),
            (&["Cargo.toml", "package.json"], Err("has Cargo.toml and package.json, so its language can't be told")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                std::fs::write(folder.path().join(file), "").unwrap();
            }
            match (Language::of(folder.path()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (found, expected) => panic!("{files:?}: {found:?}, not {expected:?}"),
            }
        }
        let error = build(Path::new("/nowhere/at/all"), None, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("is no folder"), "{error}");
    }

    #[test]
    fn files_of_other_tools_are_wrapped_or_validated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.wasm");
        let component = crate::flows::tests::guest::Guest::good("mine").build();
        std::fs::write(&file, &component).unwrap();
        let built = build(&file, None, &mut |_| {}).unwrap();
        assert_eq!((built.component.as_path(), built.changed), (file.as_path(), false));
        let built = build(&file, Some(&folder.path().join("there.wasm")), &mut |_| {}).unwrap();
        assert!(built.changed && std::fs::read(built.component).unwrap() == component);

        std::fs::write(&file, "(module)").unwrap();
        let error = format!("{:#}", build(&file, None, &mut |_| {}).unwrap_err());
        assert!(
            error.ends_with("is no WebAssembly: a module or a component is wanted, or the folder of a flow"),
            "{error}"
        );

        let module = crate::flows::tests::guest::Guest::good("mine").core();
        std::fs::write(&file, module).unwrap();
        let built = build(&file, None, &mut |_| {}).unwrap();
        assert_eq!(built.component, folder.path().join("mine.component.wasm"));
        assert!(std::fs::read(built.component).unwrap() == component);
    }

    #[test]
    fn writes_only_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/flow.wasm");
        assert!(write(&path, b"one").unwrap());
        assert!(!write(&path, b"one").unwrap());
        assert!(write(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "nothing is left beside it");
    }
}
