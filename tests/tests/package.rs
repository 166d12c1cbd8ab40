//! The Debian package: made as `make deb` makes it, looked at by Debian's own tools, and lived through on this machine,
//! of which nothing is left (`tests/package/life.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, whose helpers clippy takes for other code")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokenhost_tests::{Provider, executable};

/// The most that `systemd-analyze security` may say of the unit: 0 is a service that can do nothing, 10 one that may do all.
const EXPOSURE: f64 = 1.2;

/// The clone.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Makes the package of this version in a folder.
fn package(folder: &Path, version: &str) -> PathBuf {
    let mut command = Command::new(repository().join("packaging/deb.sh"));
    // As quick as may be; lintian wants some compression.
    command.arg(executable()).arg(folder).env("DEB_VERSION", version).env("DEB_COMPRESSION", "gzip -z1");
    let path = PathBuf::from(printed(&mut command).trim());
    assert!(path.is_file(), "{}", path.display());
    path
}

/// What a command printed; the test fails where it does.
fn printed(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make tools`"));
    let (out, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{out}{error}", done.status);
    out.into_owned()
}

/// How to become root in a mount namespace of its own, where that can be done here.
fn unshare() -> Option<Vec<&'static str>> {
    let ways = [
        vec!["unshare", "--mount", "--propagation", "private"],
        vec!["sudo", "-n", "unshare", "--mount", "--propagation", "private"],
        vec!["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--propagation", "private"],
    ];
    // Whether a layer over the root can be mounted is the question: containers often may not.
    let tried = "d=$(mktemp -d) && mount -t tmpfs t $d && mkdir $d/u $d/w $d/r && \
                 mount -t overlay o -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/r";
    let works = |way: &Vec<&str>| {
        Command::new(way[0]).args(&way[1..]).args(["sh", "-c", tried]).output().is_ok_and(|done| done.status.success())
    };
    ways.into_iter().find(works)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_lives_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (package(folder.path(), "0.1.0-1"), package(folder.path(), "99.0.0-1"));
    // Its own word on running as root isn't of interest.
    printed(Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(&old));

    let Some(way) = unshare() else {
        // Past the harness, which would keep it to itself.
        let note =
            "\nSKIPPED: the package wasn't installed: this user can't mount a layer over the root; run it as root\n";
        return std::io::stderr().write_all(note.as_bytes()).unwrap();
    };
    let provider = Provider::oidc(&["--access-ttl", "3600"]).await;
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).arg("/usr/bin/python3").arg(repository().join("tests/package/life.py")).args([&old, &new]);
    command.arg(provider.text("/issuer"));
    let told = tokio::task::spawn_blocking(move || printed(&mut command)).await.unwrap();
    assert!(told.ends_with("package: done\n"), "{told}");
}

#[test]
fn the_unit_is_confined() {
    for unit in ["tokenhost.service", "tokenhost-agent.service"] {
        let path = repository().join("packaging").join(unit);
        let judged = printed(Command::new("systemd-analyze").args(["security", "--offline=true"]).arg(&path));
        let figure = judged.rsplit_once("Overall exposure level for").unwrap().1;
        let figure: f64 = figure.split_once(": ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        assert!(figure <= EXPOSURE, "{unit}: {figure}\n{judged}");
    }
}

#[test]
fn manual_pages_are_set_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    printed(Command::new(executable()).args(["man", "--date", "2026-11-22", "--out"]).arg(folder.path()));
    let mut pages: Vec<PathBuf> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 100, "{}", pages.len());
    printed(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).args(&pages));
    for page in pages.iter().filter(|page| page.ends_with("tokenhost.1") || page.ends_with("tokenhost-serve.1")) {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l", "-Tutf8"]).arg(page).env("LC_ALL", "C.UTF-8").env("MANPAGER", "cat");
        let set = man.output().unwrap();
        assert!(set.status.success() && set.stderr.is_empty(), "{}", String::from_utf8_lossy(&set.stderr));
        assert!(set.stdout.len() > 1000, "{}", String::from_utf8_lossy(&set.stdout));
    }
}
