//! Finds a Rust toolchain that can compile for `wasm32-unknown-unknown`, or says what to install.
//!
//! There are two ways: the target's standard library is installed (`rustup target add`, or a distribution's package),
//! or its source is, and cargo compiles it too (Debian's `rust-web-src`). Installs nothing itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// What flows are compiled for.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// What to do where there is neither way.
const ADVICE: &str = "no Rust toolchain here can compile for wasm32-unknown-unknown. Install the target:\n  \
    rustup target add wasm32-unknown-unknown\n\
    or, without rustup, on Debian, the compiler with the source of its standard library, and a linker:\n  \
    apt-get install rustc-web cargo-web rust-web-src lld";

/// A toolchain that can make a flow's WebAssembly module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// The cargo to run.
    cargo: PathBuf,
    /// The compiler that it shall use.
    rustc: PathBuf,
    /// Whether cargo has to compile the standard library.
    build_std: bool,
    /// The linker to name, where the toolchain doesn't bring its own.
    linker: Option<PathBuf>,
    /// Where the toolchain is installed.
    sysroot: PathBuf,
}

impl Toolchain {
    /// The first toolchain that works: the one that `PATH` finds, as it is chosen in `dir`, before the system's in
    /// `/usr/bin`; an installed target before one that must be compiled.
    ///
    /// # Errors
    /// There is none; the text says what to install.
    pub(super) fn find(dir: &Path) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in std::env::split_paths(&path).chain([PathBuf::from("/usr/bin")]) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        let pairs: Vec<(PathBuf, PathBuf)> = folders
            .iter()
            .map(|folder| (folder.join("cargo"), folder.join("rustc")))
            .filter(|(cargo, rustc)| cargo.is_file() && rustc.is_file())
            .collect();
        let linker = ["wasm-ld", "rust-lld"]
            .iter()
            .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
        Self::choose(&pairs, linker.as_deref(), |rustc| sysroot(rustc, dir))
    }

    /// The choice itself, apart from the machine: pairs of cargo and rustc in order, a linker for WebAssembly, and
    /// where a rustc says it is installed.
    fn choose(
        pairs: &[(PathBuf, PathBuf)],
        linker: Option<&Path>,
        sysroot: impl Fn(&Path) -> Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        let mut without_linker = false;
        for (cargo, rustc) in pairs {
            let Some(sysroot) = sysroot(rustc) else { continue };
            let libraries = sysroot.join("lib/rustlib");
            let build_std = !libraries.join(TARGET).join("lib").is_dir();
            if build_std && !libraries.join("src/rust/library/std").is_dir() {
                continue;
            }
            let linker = match (brings_linker(&libraries), linker) {
                (true, _) => None,
                (false, Some(linker)) => Some(linker.to_owned()),
                (false, None) => {
                    without_linker = true;
                    continue;
                }
            };
            found.push(Self { cargo: cargo.clone(), rustc: rustc.clone(), build_std, linker, sysroot });
        }
        // The sort is stable: among equals the first of `PATH` stays first.
        found.sort_by_key(|toolchain| toolchain.build_std);
        match found.into_iter().next() {
            Some(toolchain) => Ok(toolchain),
            None if without_linker => {
                bail!("there is no linker for WebAssembly. Install one, e.g.:\n  apt-get install lld")
            }
            None => bail!(ADVICE),
        }
    }

    /// A command that runs this toolchain's cargo in `dir`, in a cleaned environment.
    pub(super) fn cargo(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(dir);
        clean(&mut command);
        command.env("RUSTC", &self.rustc).env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
        command
    }

    /// The arguments and variables by which `cargo build` makes a small module, the same on every machine.
    pub(super) fn configure(&self, command: &mut Command) {
        command.args(["build", "--release", "--lib", "--target", TARGET]);
        for setting in [
            "opt-level=\"s\"",
            "lto=true",
            "codegen-units=1",
            "panic=\"abort\"",
            "strip=true",
            "debug=false",
            "incremental=false",
        ] {
            command.arg("--config").arg(format!("profile.release.{setting}"));
        }
        if self.build_std {
            command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags());
    }

    /// The name of the sub-folder for what this toolchain makes, so that two toolchains don't undo each other's work.
    pub(super) fn folder(&self) -> &'static str {
        if self.build_std { "build-std" } else { "installed" }
    }

    /// Compiler flags that keep this machine's paths out of the component, so that its digest depends less on where
    /// it was built. The workspace's own paths are relative already.
    fn flags(&self) -> OsString {
        let home = |variable: &str, folder: &str| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(folder)))
        };
        let mut flags = OsString::new();
        let folders = [
            (home("CARGO_HOME", ".cargo"), "/cargo"),
            (Some(self.sysroot.join("lib/rustlib/src/rust")), "/rust"),
            // Debian's source folder is a link to this.
            (std::fs::canonicalize(self.sysroot.join("lib/rustlib/src/rust")).ok(), "/rust"),
        ];
        for (folder, name) in folders.into_iter().filter_map(|(folder, name)| Some((folder?, name))) {
            if !flags.is_empty() {
                flags.push("\u{1f}");
            }
            flags.push("--remap-path-prefix=");
            flags.push(folder);
            flags.push("=");
            flags.push(name);
        }
        flags
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.build_std { ", compiling the standard library" } else { "" };
        write!(f, "{}{how}", self.cargo.display())
    }
}

/// Where a compiler is installed, as it says itself. `None`: it doesn't run.
fn sysroot(rustc: &Path, dir: &Path) -> Option<PathBuf> {
    let mut command = Command::new(rustc);
    command.args(["--print", "sysroot"]).current_dir(dir);
    clean(&mut command);
    let output = command.output().context("rustc").ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Whether a toolchain has its own linker for WebAssembly, as rustup's have.
fn brings_linker(libraries: &Path) -> bool {
    let Ok(targets) = std::fs::read_dir(libraries) else { return false };
    targets.flatten().any(|target| target.path().join("bin/rust-lld").is_file())
}

/// Takes from a child's environment what would change the build, and the daemon's settings and secrets: cargo runs
/// build scripts and macros of anybody.
pub(super) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(unwanted) {
            command.env_remove(name);
        }
    }
}

/// Whether a variable is one of those. What cargo needs to fetch crates (proxies, registries, homes) stays.
fn unwanted(name: &str) -> bool {
    const EXACT: [&str; 9] = [
        "CARGO",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_TOOLCHAIN_SOURCE",
    ];
    const PREFIXES: [&str; 9] = [
        "TOKENHOST_",
        "CARGO_BIN_",
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_CRATE_",
        "CARGO_FEATURE_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "RUSTC",
    ];
    let of_target = name.starts_with("CARGO_TARGET_") && name != "CARGO_TARGET_DIR";
    EXACT.contains(&name) || of_target || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A machine in a folder: toolchains `a` and `b`, with what is named.
    fn machine(has: &[&str], linker: bool) -> (tempfile::TempDir, Result<Toolchain, String>) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in has {
            let path = root.join(path);
            if path.ends_with("rust-lld") {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            } else {
                fs::create_dir_all(path).unwrap();
            }
        }
        let pairs = ["a", "b"].map(|name| (root.join(name).join("cargo"), root.join(name).join("rustc")));
        let linker = linker.then(|| PathBuf::from("/bin/wasm-ld"));
        let found = Toolchain::choose(&pairs, linker.as_deref(), |rustc| {
            Some(rustc.parent()?.to_owned()).filter(|sysroot| sysroot.is_dir())
        });
        (folder, found.map_err(|error| error.to_string()))
    }

    #[test]
    fn chooses() {
        const INSTALLED: &str = "lib/rustlib/wasm32-unknown-unknown/lib";
        const SOURCE: &str = "lib/rustlib/src/rust/library/std";
        const LLD: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
        for (has, linker, expected) in [
            (vec![format!("a/{INSTALLED}"), format!("a/{LLD}")], false, Ok(("a", false, false))),
            (vec![format!("a/{INSTALLED}")], true, Ok(("a", false, true))),
            (vec!["a".into(), format!("b/{SOURCE}")], true, Ok(("b", true, true))),
            (vec![format!("a/{SOURCE}"), format!("b/{INSTALLED}")], true, Ok(("b", false, true))),
            (vec![format!("a/{SOURCE}"), format!("b/{SOURCE}")], true, Ok(("a", true, true))),
            (vec![format!("a/{SOURCE}"), format!("b/{SOURCE}"), format!("b/{LLD}")], false, Ok(("b", true, false))),
            (vec![format!("a/{SOURCE}")], false, Err("there is no linker")),
            (vec!["a".into()], true, Err("rustup target add wasm32-unknown-unknown")),
            (vec![], true, Err("apt-get install rustc-web")),
        ] {
            let has: Vec<&str> = has.iter().map(String::as_str).collect();
            let (folder, found) = machine(&has, linker);
            match (found, expected) {
                (Ok(found), Ok((name, build_std, linker))) => {
                    assert_eq!(found.cargo, folder.path().join(name).join("cargo"), "{has:?}");
                    assert_eq!((found.build_std, found.linker.is_some()), (build_std, linker), "{has:?}");
                }
                (Err(message), Err(expected)) => assert!(message.contains(expected), "{has:?}: {message}"),
                (found, expected) => panic!("{has:?}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn cleans_the_environment() {
        for name in [
            "TOKENHOST_KEY",
            "TOKENHOST_TOKEN",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "RUSTC",
            "RUSTC_WRAPPER",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
        ] {
            assert!(unwanted(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "RUSTUP_HOME",
            "HTTPS_PROXY",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_X_INDEX",
        ] {
            assert!(!unwanted(name), "{name}");
        }
    }
}
