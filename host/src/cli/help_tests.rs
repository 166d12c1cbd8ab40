//! The command line as a whole: what it is, held against a golden file, and what it understands.

use std::fmt::Write as _;

use super::{Cli, command};
use clap::FromArgMatches;

/// The long help of every command, the hidden ones apart.
fn help() -> String {
    fn add(text: &mut String, command: &mut clap::Command, path: &str) {
        let help = command.clone().bin_name(path).term_width(100).render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        writeln!(text, "$ {path} --help\n{}\n", help.join("\n").trim_end()).unwrap();
        let below: Vec<String> = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help")
            .map(|command| command.get_name().to_owned())
            .collect();
        for name in below {
            let command = command.find_subcommand_mut(&name).unwrap();
            add(text, command, &format!("{path} {name}"));
        }
    }
    let mut command = command();
    command.build();
    let mut text = String::new();
    add(&mut text, &mut command, "tokenhost");
    text
}

#[test]
fn the_help_is_as_agreed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help.txt");
    let help = help();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, help).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let differs = help.lines().zip(golden.lines()).find(|(new, old)| new != old);
    assert!(help == golden, "the help changed, first at {differs:?}; if it is meant, run this test with UPDATE=1");
}

#[test]
fn the_definition_holds_and_every_command_has_examples() {
    fn check(command: &clap::Command, path: &str) {
        let mut below = command.get_subcommands().filter(|command| command.get_name() != "help").peekable();
        if below.peek().is_none() && !command.is_hide_set() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:") && help.contains(path), "{path} has no examples:\n{help}");
        }
        for command in below {
            check(command, &format!("{path} {}", command.get_name()));
        }
    }
    let command = command();
    command.clone().debug_assert();
    check(&command, "tokenhost");
}

#[test]
fn arguments_are_understood_or_refused() {
    let check = |line: &str, expected: Result<(), i32>| {
        let words = std::iter::once("tokenhost").chain(line.split_whitespace());
        let got = command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
        assert_eq!(got.map(|_| ()).map_err(|error| error.exit_code()), expected, "{line}");
    };
    check("init --json", Ok(()));
    check("--json init", Ok(()));
    check("serve --listen 127.0.0.1:0 --egress-http --egress-allow 127.0.0.0/8", Ok(()));
    check("model import crm crm.yaml", Ok(()));
    check("model import crm.yaml --replace", Ok(()));
    check("model import crm -", Ok(()));
    check("model import crm --url https://a.example/openapi.json", Ok(()));
    check("model import crm crm.yaml --organization north", Ok(()));
    check("model import a b c", Err(2));
    check("model import", Err(2));
    check("model list --json --daemon http://127.0.0.1:1", Ok(()));
    check("integration create a --model m --field client_id=x --field scope=a=b --secret s=-", Ok(()));
    check("integration create a --model m --secret s=@f --scheme o --flow f --server https://a.example", Ok(()));
    check("integration create a --model m --organization north", Ok(()));
    check("integration create a", Err(2));
    check("integration set a --unset scope --default-lifetime 60 --uncertain retry", Ok(()));
    check("integration set a --organization north", Ok(()));
    check("integration set a --uncertain perhaps", Err(2));
    check("integration test a --json", Ok(()));
    check("integration attempt a 01JD3Q5Z8Y0000000000000000", Ok(()));
    check("integration attempt a", Err(2));
    check("token get a --raw --min-ttl 60", Ok(()));
    check("token get a --raw --header", Err(2));
    check("token get a --min-ttl -1", Err(2));
    check("token get a --format exec-credential --write f", Ok(()));
    check("token get a --format netrc --login me", Ok(()));
    check("token get a --format env --raw", Err(2));
    check("token get a --format yaml", Err(2));
    check("agent a=b c=d --format env --min-ttl 60 --every 5", Ok(()));
    check("agent --config agent.toml", Ok(()));
    check("agent a=b --every 0", Err(2));
    check("token get a --token secret", Err(2));
    check("token reject a --generation 3", Ok(()));
    check("token reject a", Err(2));
    check("token set a --access-token - --expires-in 60", Ok(()));
    check("token set a --access-token - --expires-in 60 --expires-at 2026-11-22T10:00:00Z", Err(2));
    check("user create ada --profile A --profile B --external --email a@b --password -", Ok(()));
    check("user create ada --external false --status disabled", Ok(()));
    check("user create ada --status perhaps", Err(2));
    check("user create", Err(2));
    check("user change ada --unset contact.email --json", Ok(()));
    check("user set-password ada", Ok(()));
    check("user set-password ada hunter2", Err(2));
    check("organization create north --parent acme", Ok(()));
    check("profile create P --right read_models --grant a,b:organization=o", Ok(()));
    check("application-token create a --scope REST/JSON --ends 2027-01-01 --console false", Ok(()));
    check("application-token list --state valid", Ok(()));
    check("application-token list --state good", Err(2));
    check("application-token rebuild a --grace 60", Ok(()));
    check("application-token disable a", Ok(()));
    check("personal-token create --application nightly --user ada --scope Export", Ok(()));
    check("personal-token --mine list", Ok(()));
    check("personal-token list --mine", Ok(()));
    check("me --json", Ok(()));
    check("verify-token --scope Export", Ok(()));
    check("verify-token tha_x", Err(2));
    check("audit list --action session. --since 2026-11-22 --limit 5", Ok(()));
    check("audit find -", Ok(()));
    check("audit explain -a_b", Ok(()));
    check("audit verify --noted 5:ab", Ok(()));
    check("pepper rotate --accept-until 2027-01-01", Ok(()));
    check("pepper rotate --refuse-old", Ok(()));
    check("pepper rotate", Err(2));
    check("pepper rotate --refuse-old --accept-until 2027-01-01", Err(2));
    check("flow install a.wasm", Ok(()));
    check("plugin build . --out flow.wasm", Ok(()));
    check("plugin build", Ok(()));
    check("plugin new my-flow --lang js --dir x", Ok(()));
    check("plugin new my-flow", Err(2));
    check("plugin new my-flow --lang cobol", Err(2));
    check("plugin check a.wasm --json", Ok(()));
    check("plugin try a.wasm --set a=b --secret c=@d --allow 127.0.0.0/8 --allow ::1 --http --purpose refresh", Ok(()));
    check("plugin try a.wasm --allow lan", Err(2));
    check("plugin try a.wasm --purpose revoke", Err(2));
    check("plugin try a.wasm --refresh --record r.json --callback-port 9000", Ok(()));
    check("plugin try a.wasm --callback-port 99999", Err(2));
    check("plugin test", Ok(()));
    check("plugin test a.wasm --only gzip --only slow --no-native --set a=b --secret c=@d", Ok(()));
    check("plugin test --list --cases dir --config c.json --json", Ok(()));
    check("plugin replay r.json --flow a.wasm", Ok(()));
    check("plugin replay crm/01JD3Q5Z8Y0000000000000000 --flow . --daemon http://127.0.0.1:1", Ok(()));
    check("plugin replay", Err(2));
    check("plugin dev my-flow --port 9000", Ok(()));
    check("plugin precompile in out", Ok(()));
    check("completion bash", Ok(()));
    check("completion elvish", Ok(()));
    check("completion cmd", Err(2));
    check("--help", Err(0));
    check("token --help", Err(0));
    check("--version", Err(0));
    check("", Err(2));
    check("frobnicate", Err(2));
}
