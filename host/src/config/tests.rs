//! What the settings come to: sources over each other, faults, what is shown.

use super::*;

/// The settings from a file's text, overrides and variables; faults as `key: message` lines.
fn load(file: &str, overrides: Overrides, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, file).unwrap();
    let overrides = Overrides { config: Some(path.clone()), ..overrides };
    let environment = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
    Config::resolve(&overrides, &environment).map_err(|error| {
        let path = path.display().to_string();
        error.faults.iter().map(|fault| fault.to_string().replace(&path, "FILE")).collect()
    })
}

const HOME: &[(&str, &str)] = &[("HOME", "/home/ada")];

#[test]
fn later_sources_win() {
    let file = "listen = '127.0.0.1:1'\ndata = '/a'\nkey = 'filekey'\npublic = ['docs']\n[egress]\nallow = ['10.0.0.0/8', '::1']\nhttp = true\n";
    let config = load(file, Overrides::default(), HOME).unwrap();
    assert_eq!((config.data, config.listen.port(), config.egress.http), ("/a".into(), 1, true));
    assert_eq!(config.egress.allow, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(config.public, Public { docs: true, metrics: false });
    assert!(matches!(config.key, KeySource::Given(_)));

    let overrides = Overrides {
        listen: Some("[::1]:0".into()),
        key_file: Some("/k".into()),
        egress_http: Some("false".into()),
        data: Some(String::new()),
        ..Overrides::default()
    };
    let config = load(file, overrides, HOME).unwrap();
    assert_eq!((config.data, config.listen.port(), config.egress.http), ("/a".into(), 0, false));
    assert_eq!(config.public_url, None);
    assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/k")));

    let config = load("public_url = 'https://tokens.example/th/'", Overrides::default(), HOME).unwrap();
    assert_eq!(config.public_url.as_deref(), Some("https://tokens.example/th"));

    let config = load("key_file = '/k'", Overrides::default(), &[("TOKENHOST_KEY", "abc"), HOME[0]]).unwrap();
    assert!(matches!(config.key, KeySource::Given(_)));
    assert!(!format!("{config:?}").contains("abc"));
}

#[test]
fn backups_are_scheduled_where_a_folder_is_set() {
    type Schedule = Option<(u64, u32, Option<u32>)>;
    let check = |file: &str, expected: Result<Schedule, &str>| {
        let found = load(file, Overrides::default(), HOME).map(|config| config.backup);
        let found = found.map(|backup| backup.map(|backup| (backup.every.as_secs(), backup.keep, backup.keep_days)));
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{file}"),
            Err(part) => assert!(found.is_err_and(|faults| faults.concat().contains(part)), "{file}"),
        }
    };
    check("", Ok(None));
    check("[backup]\nfolder = '/b'", Ok(Some((86_400, 7, None))));
    check("[backup]\nfolder = '/b'\nevery = '6h'\nkeep = 3\nkeep_days = 30", Ok(Some((21_600, 3, Some(30)))));
    check("[backup]\nevery = '6h'", Err("backup.folder: must be set"));
    check("[backup]\nfolder = '/b'\nkeep = 0", Err("backup.keep (FILE:3:8): must be a number from 1"));
    check("[backup]\nfolder = '/b'\nevery = '6'", Err("e.g. 24h"));
}

#[test]
fn defaults_follow_the_home() {
    let config = load("", Overrides::default(), HOME).unwrap();
    // As a text, which people are shown: paths are equal with and without a slash at their end.
    assert_eq!(config.data.as_os_str(), "/home/ada/.local/share/tokenhost");
    assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/home/ada/.config/tokenhost/master.key")));
    let config = load("", Overrides::default(), &[("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")]).unwrap();
    assert_eq!(config.data, Path::new("/d/tokenhost"));
    assert!(matches!(config.key, KeySource::File(path) if path == Path::new("/c/tokenhost/master.key")));
}

#[test]
fn every_default_in_the_catalog_is_the_one_that_is_used() {
    // Nothing else of [backup] may be set without its folder.
    let folder = "backup.folder = '/b'\n";
    let mut file = folder.to_owned();
    let mut told = String::new();
    for setting in catalog::SETTINGS.iter().filter(|setting| !setting.secret) {
        let Some(default) = setting.fixed_default().filter(|default| !default.is_empty()) else { continue };
        // As each type of TOML, until one is taken: which it is, isn't the catalog's business.
        let list = |quote: &str| {
            let items: Vec<String> = default.split(',').map(|item| format!("{quote}{item}{quote}")).collect();
            format!("[{}]", items.join(", "))
        };
        let forms = [format!("'{default}'"), list("'"), default.to_owned(), list("")];
        let taken = forms.iter().map(|form| format!("{} = {form}\n", setting.key));
        let line = taken.into_iter().find(|line| load(&format!("{folder}{line}"), Overrides::default(), HOME).is_ok());
        file += &line.unwrap_or_else(|| panic!("{} takes no {default}", setting.key));
        told += setting.key;
    }
    assert!(told.contains("log.level") && told.contains("events.personal_token_days"), "{told}");
    let shown = |config: Config| format!("{:?}", Config { resolved: Vec::new(), ..config });
    let (set, unset) = (load(&file, Overrides::default(), HOME), load(folder, Overrides::default(), HOME));
    assert_eq!(shown(set.unwrap()), shown(unset.unwrap()));
}

#[test]
fn the_reference_of_settings_is_in_step() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, catalog::reference()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == catalog::reference(), "docs/settings.md is out of step; run the tests with UPDATE=1");
}

#[test]
fn what_was_given_is_told_with_where_and_secrets_are_not() {
    let file = "listen = '127.0.0.1:1'\n[access.external]\nsecret = 'hunter2-hunter2-hunter2'\n";
    let overrides = Overrides { log_level: Some("warn".into()), public: Some("docs".into()), ..Overrides::default() };
    let variables = [HOME[0], ("TOKENHOST_PUBLIC", "docs"), ("TOKENHOST_KEY", "hunter2")];
    let config = load(file, overrides, &variables).unwrap();
    let check = |key: &str, shown: &str, kind: &str, origin: &str| {
        let one = config.resolved.iter().find(|one| one.setting.key == key).unwrap();
        assert_eq!((one.shown(), one.origin.kind()), (shown, kind), "{key}");
        assert!(one.origin.to_string().ends_with(origin), "{key}: {}", one.origin);
    };
    check("listen", "127.0.0.1:1", "file", "c.toml:1:10");
    check("access.external.secret", "(set)", "file", "c.toml:3:10");
    check("log.level", "warn", "flag", "--log-level");
    check("public", "docs", "environment", "TOKENHOST_PUBLIC");
    check("key", "(set)", "environment", "TOKENHOST_KEY");
    check("data", "/home/ada/.local/share/tokenhost", "default", "default");
    check("public_url", "http://127.0.0.1:1", "default", "default");
    check("key_next_file", "", "default", "default");
    check("connections", "16384", "default", "default");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");

    let other = load(&file.replace("hunter2-", "hunter3-"), Overrides::default(), &variables).unwrap();
    let different = differences(&config.resolved, &other.resolved);
    let different: Vec<_> = different.iter().map(|one| (one.setting.key, one.is_live(), &*one.to)).collect();
    assert_eq!(
        different,
        [("public", true, ""), ("access.external.secret", true, "(set)"), ("log.level", true, "info")]
    );
}

#[test]
fn all_faults_are_told_at_once_and_without_secrets() {
    let check = |file: &str, overrides: Overrides, variables: &[(&str, &str)], expected: &[&str]| {
        let faults = load(file, overrides, variables).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}\n  expected {expected}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    };
    check(
        "listn = 1\nlisten = 'here'\nkey = 5\n[egress]\nhttp = 'yes'\nallow = ['10.0.0.0/8', 'lan']\n[log]\n",
        Overrides { log_format: Some("xml".into()), log_level: Some("a=b=c".into()), ..Overrides::default() },
        &[HOME[0], ("TOKENHOST_LOG_FORMAT", "xml")],
        &[
            "listn (FILE:1:1): no such setting; `listen` is one",
            "listen (FILE:2:10): must be an IP address",
            "key (FILE:3:7): must be a string",
            "egress.http (FILE:5:8): must be true or false",
            "egress.allow (FILE:6:9): lan is no network",
            "log.format (TOKENHOST_LOG_FORMAT): must be text or json",
            "log.level (--log-level): \"c\" is no level; must be",
        ],
    );
    let none = Overrides::default;
    check("key = 'hunter2", none(), HOME, &["line 1 (FILE:1:15): no valid TOML: invalid literal string, expected `'`"]);
    check("data = '/a'\nkey = 'hunter2\n", none(), HOME, &["line 2 (FILE:2:15): no valid TOML: invalid"]);
    for broken in [
        "key = hunter2",
        "key hunter2",
        "hunter2",
        "key = 'a' hunter2",
        "[hunter2",
        "key = \"\\hunter2\"",
        "a = 1\na = 'hunter2'",
        "key = hunter2-5",
        "key = 2026-hunter2",
        "key = {hunter2",
        "key = [hunter2",
        "a.b = 1\na.b.hunter2 = 2",
    ] {
        let faults = load(broken, none(), HOME).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains("no valid TOML: ")), "{broken}: {faults:?}");
        assert!(!faults.concat().contains("hunter2"), "{broken}: {faults:?}");
    }
    check("key = 'hunter2'\nkey_file = '/k'", none(), HOME, &["key and key_file in FILE: give one"]);
    check(
        "egress.nope = 1\n[nope]\na = 1",
        none(),
        HOME,
        &["egress.nope (FILE:1:8): no such", "nope (FILE:2:2): no such"],
    );
    check("egress = 1", none(), HOME, &["egress (FILE:1:1): no such"]);
    check("log = 'x'", none(), HOME, &["log (FILE:1:1): no such setting"]);
    check("", none(), &[], &["data: no HOME", "key_file: no HOME"]);
    check("public_url = 'tokens.example'", none(), HOME, &["public_url (FILE:1:14): must be an http or https URL"]);
    check("public_url = 'https://a@b'", none(), HOME, &["public_url (FILE:1:14): must be an http"]);
    check("data = ''", none(), HOME, &["data (FILE:1:8): is empty; give a path"]);
    check("public = ['metric']", none(), HOME, &["public (FILE:1:10): \"metric\" is none of them"]);
    check("connections = 0", none(), HOME, &["connections (FILE:1:15): must be a number from 1"]);
    let both = Overrides { key_file: Some("/k".into()), ..none() };
    check("", both, &[("TOKENHOST_KEY", "hunter2"), HOME[0]], &["key and key_file in the environment"]);
    let missing = Overrides { config: Some("/nowhere/c.toml".into()), ..none() };
    assert!(
        Config::resolve(&missing, &|_| Some("/h".into()))
            .unwrap_err()
            .to_string()
            .contains("/nowhere/c.toml: can't be read")
    );
}
