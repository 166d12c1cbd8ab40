//! A file that always holds a whole token: replaced in one step, readable by its owner only.
//!
//! Doesn't make folders, and doesn't follow a link at the place: the link itself is replaced.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::super::exit::Failure;

/// Replaces the file by one with this text (mode 0600). A reader sees the old one or the new one, also after a power cut.
///
/// # Errors
/// The folder doesn't exist or can't be written, or the disk is full; the old file stays then.
pub(in super::super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        // In the same folder, since only within a file system a rename is one step. `tempfile` makes it 0600.
        let mut file = tempfile::Builder::new().prefix(".tokenhost-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The rename itself is on disk when the folder is.
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| {
        Failure::failed(format!("{} can't be written: {error}", path.display()))
            .hint("The file is made anew beside the old one, so its folder must exist and be writable.")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let old = File::open(&path).unwrap();
        replace(&path, "new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // Who had it open still reads the old one, whole.
        assert_eq!(std::io::read_to_string(old).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");

        let refusal = replace(&folder.path().join("no/token"), "x").unwrap_err().text();
        assert!(refusal.contains("no/token can't be written"), "{refusal}");
        // A folder at the place can't be replaced, and what was begun is taken away.
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(replace(&folder.path().join("folder"), "x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
