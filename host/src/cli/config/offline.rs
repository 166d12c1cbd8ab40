//! What settings point to, looked at without a daemon and without changing anything: is it there, and may it be used.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::config::{Config, ConfigFault, KeySource, LoginType};
use crate::seal::MasterKey;

/// What is wrong, and what is worth knowing though it isn't.
pub(super) fn look(config: &Config) -> (Vec<ConfigFault>, Vec<ConfigFault>) {
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    let about = |key: &str, message: String| {
        let known = config.resolved.iter().find(|one| one.setting.key == key);
        ConfigFault { key: key.to_owned(), origin: known.map(|one| one.origin.clone()), message }
    };
    let runs = match data(&config.data) {
        Data::Usable { in_use } => in_use,
        Data::Missing => {
            notes.push(about("data", format!("{} isn't there yet; `tokenhost init` makes it", config.data.display())));
            false
        }
        Data::Fault(message) => {
            faults.push(about("data", message));
            false
        }
    };
    if let KeySource::File(path) = &config.key {
        match key_file(path, &config.data) {
            Ok(()) => {}
            Err((true, message)) => notes.push(about("key_file", message)),
            Err((false, message)) => faults.push(about("key_file", message)),
        }
    }
    if let Err(message) = flows(&config.flows) {
        faults.push(about("flows", message));
    }
    if let Some(backup) = &config.backup {
        match backups(&backup.folder) {
            Ok(true) => {}
            Ok(false) => {
                let message = format!("{} isn't there yet; the daemon makes it", backup.folder.display());
                notes.push(about("backup.folder", message));
            }
            Err(message) => faults.push(about("backup.folder", message)),
        }
    }
    let external = &config.access.external;
    if config.access.allowed_login_types.contains(&LoginType::External)
        && (external.secret.is_none() || external.proxies.is_empty())
    {
        let message =
            "nobody can sign in by `external` before access.external.secret and access.external.proxies are set";
        notes.push(about("access.allowed_login_types", message.to_owned()));
    }
    let (most, usual) = (config.access.max_lifetime, config.access.default_lifetime);
    if usual > most {
        let message = format!(
            "{} days are more than access.personal_token.max_lifetime allows: {} count",
            usual.as_secs() / 86_400,
            most.as_secs() / 86_400
        );
        notes.push(about("access.personal_token.default_lifetime", message));
    }
    match bindable(config.listen) {
        Ok(()) => {}
        // Most likely by the daemon that has the data folder open.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && runs => {
            notes.push(about("listen", format!("{} is in use, as is the data folder: the daemon runs", config.listen)));
        }
        Err(error) => faults.push(about("listen", format!("can't listen on {}: {error}", config.listen))),
    }
    (faults, notes)
}

/// Whether the folder of backups is there and can be written to; what isn't there can be made.
fn backups(folder: &Path) -> Result<bool, String> {
    let shown = folder.display();
    match folder.metadata() {
        Ok(metadata) if !metadata.is_dir() => Err(format!("{shown} is no folder")),
        Ok(_) if !may_write(folder) => Err(format!("{shown} can't be written by this user")),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = folder.ancestors().skip(1).find(|above| !above.as_os_str().is_empty() && above.exists());
            let above = above.unwrap_or(Path::new("."));
            match above.is_dir() && may_write(above) {
                true => Ok(false),
                false => Err(format!("{shown} isn't there, and {} can't be written by this user", above.display())),
            }
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// How the data folder is.
enum Data {
    /// It can be used; whether a daemon has it open.
    Usable { in_use: bool },
    /// It isn't there.
    Missing,
    /// It can't be used.
    Fault(String),
}

fn data(path: &Path) -> Data {
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Data::Missing,
        Err(error) => Data::Fault(format!("{}: {error}", path.display())),
        Ok(metadata) if !metadata.is_dir() => Data::Fault(format!("{} is no folder", path.display())),
        Ok(_) if !may_write(path) => Data::Fault(format!("{} can't be written by this user", path.display())),
        Ok(_) => Data::Usable { in_use: is_open(&path.join("store/LOCK")) },
    }
}

/// Whether a process has the store open: it holds a lock on this file.
fn is_open(lock: &Path) -> bool {
    let Ok(file) = std::fs::File::options().write(true).open(lock) else { return false };
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err()
}

/// Whether files can be made in a folder.
fn may_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

/// `true` beside what is only worth knowing.
fn key_file(path: &Path, data: &Path) -> Result<(), (bool, String)> {
    let shown = path.display();
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err((true, format!("{shown} isn't there yet; `tokenhost init` makes it")));
        }
        Err(error) => return Err((false, format!("{shown}: {error}"))),
    };
    if !metadata.is_file() {
        return Err((false, format!("{shown} is no file")));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err((false, format!("others may use {shown} (mode {mode:03o}); run `chmod 600 {shown}`")));
    }
    if std::fs::File::open(path).is_err() {
        let owner = metadata.uid();
        return Err((false, format!("{shown} can't be read by this user; it belongs to user {owner}")));
    }
    MasterKey::from_file(path, data).map(drop).map_err(|error| (false, error.to_string()))
}

fn flows(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{shown}: {error}"))?;
    let is_flow = |path: &Path| path.extension().is_some_and(|extension| extension == "wasm");
    match entries.flatten().any(|entry| is_flow(&entry.path())) {
        true => Ok(()),
        false => Err(format!("there are no flows (*.wasm) in {shown}")),
    }
}

/// Whether the address can be listened on: tried, and given back at once.
fn bindable(address: SocketAddr) -> std::io::Result<()> {
    TcpListener::bind(address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn settings_that_come_to_nothing_together_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = "listen = '127.0.0.1:0'\n[access]\nallowed_login_types = ['external']\n\
                    [access.personal_token]\nmax_lifetime = 30\n";
        std::fs::write(&path, text).unwrap();
        let (_, notes) = look(&Config::load(&Overrides { config: Some(path), ..Overrides::default() }).unwrap());
        let told = notes.iter().map(|note| format!("{note}\n")).collect::<String>();
        for part in ["c.toml:3:23): nobody can sign in by `external`", "90 days are more than", "allows: 30 count"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_folder_of_backups_must_be_one_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let check = |name: &str, expected: Result<bool, &str>| match (backups(&folder.path().join(name)), expected) {
            (Err(found), Err(part)) => assert!(found.contains(part), "{name}: {found}"),
            (found, expected) => assert_eq!(found.ok(), expected.ok(), "{name}"),
        };
        check("", Ok(true));
        check("new/within", Ok(false));
        check("file", Err("is no folder"));
        check("file/within", Err("file/within"));
    }

    #[test]
    fn what_settings_point_to_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (data, flows, key) = (path("data"), path("flows"), path("key"));
        let load = |listen: &str| {
            let overrides = Overrides {
                data: Some(data.clone()),
                flows: Some(flows.clone()),
                key_file: Some(key.clone()),
                listen: Some(listen.to_owned()),
                ..Overrides::default()
            };
            Config::load(&overrides).unwrap()
        };
        let keys = |list: &[ConfigFault]| list.iter().map(|one| one.key.clone()).collect::<Vec<_>>();
        let (faults, notes) = look(&load("127.0.0.1:0"));
        assert_eq!(
            (keys(&faults), keys(&notes)),
            (vec!["flows".to_owned()], vec!["data".to_owned(), "key_file".to_owned()])
        );

        std::fs::create_dir(&flows).unwrap();
        std::fs::write(&data, "").unwrap();
        std::fs::write(&key, "").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let (faults, notes) = look(&load(&taken.local_addr().unwrap().to_string()));
        assert_eq!(
            (keys(&faults), keys(&notes)),
            (["data", "key_file", "flows", "listen"].map(str::to_owned).to_vec(), vec![])
        );
        let told = format!("{faults:?}");
        assert!(told.contains("mode 640") && told.contains("is no folder") && told.contains("no flows"), "{told}");

        std::fs::write(folder.path().join("flows/x.wasm"), "").unwrap();
        std::fs::remove_file(&data).unwrap();
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let told = format!("{:?}", look(&load("127.0.0.1:0")));
        assert!(told.contains("key_file") && told.contains("can't be used"), "what is in it is looked at: {told}");
        std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
        assert_eq!(look(&load("127.0.0.1:0")), (vec![], vec![]));
    }
}
