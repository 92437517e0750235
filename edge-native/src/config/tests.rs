use super::fault::Faults;
use super::manifest::{self, Manifest};
use super::variables::{Sources, resolve};
use std::collections::BTreeMap;

const GOOD: &str = r#"spin_manifest_version = 2
[application]
name = "x"
[variables]
node_secret = { required = true, secret = true }
api = { default = "https://api.example.org" }
public_url = { default = "" }
[[trigger.http]]
route = "/..."
component = "web"
[[trigger.http]]
route = { private = true }
component = "tick"
[[trigger.cron]]
component = "tick"
cron_expression = "1/2 * * * * *"
[component.web]
source = "web.wasm"
allowed_outbound_hosts = ["{{ api }}", "http://tick.spin.internal"]
sqlite_databases = ["master", "slot001"]
[component.web.variables]
secret = "{{ node_secret }}"
[component.web.build]
command = "x"
[component.tick]
source = "tick.wasm"
"#;

fn read(text: &str) -> (Manifest, Vec<String>) {
    let mut faults = Faults::default();
    let manifest = manifest::parse("spin.toml", text, &mut faults);
    let lines = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.place, fault.what))
        .collect();
    (manifest, lines)
}

#[test]
fn a_good_manifest_is_read_whole() {
    let (manifest, faults) = read(GOOD);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(manifest.http.len(), 2);
    assert!(manifest.http[1].route.is_none());
    assert_eq!(manifest.cron.len(), 1);
    assert_eq!(manifest.components["web"].sqlite, ["master", "slot001"]);
}

#[test]
fn all_faults_are_reported_at_once_with_their_lines() {
    let text = GOOD
        .replace("\"slot001\"", "\"slot-001\"")
        .replace(
            "source = \"tick.wasm\"",
            "sauce = \"tick.wasm\"\nfiles = [\"a\"]",
        )
        .replace("1/2 * * * * *", "*/2 * * * * *")
        .replace("component = \"web\"", "component = \"wob\"")
        .replace("{{ node_secret }}", "{{ nope }}");
    let (_, faults) = read(&text);
    let expected = [
        "spin.toml:20: `slot-001` is not a label in `sqlite_databases`",
        "spin.toml:25: [component.tick] has no `source`",
        "spin.toml:27: [component.tick]: this host does not implement `files`",
        "spin.toml:26: [component.tick]: unknown key `sauce`",
        "spin.toml:16: Spin does not read `*/` in the cron expression \"*/2 * * * * *\"",
        "spin.toml:10: there is no component `wob`",
        "spin.toml:22: there is no variable `nope`",
    ];
    for line in expected {
        assert!(
            faults.iter().any(|fault| fault == line),
            "{line}\nin {faults:#?}"
        );
    }
}

#[test]
fn a_syntax_error_names_its_line() {
    let (_, faults) = read("spin_manifest_version = 2\nname = = 3\n");
    assert!(faults[0].starts_with("spin.toml:2: "), "{faults:?}");
}

#[test]
fn the_same_route_twice_is_refused() {
    let (_, faults) = read(&GOOD.replace("{ private = true }", "\"/...\""));
    assert_eq!(faults, ["spin.toml:13: the route `/...` is taken twice"]);
}

#[test]
fn a_scheduled_component_calls_no_other_one() {
    let hosts = "allowed_outbound_hosts = [\"http://web.spin.internal\"]\n";
    let (_, faults) = read(&format!("{GOOD}{hosts}"));
    assert_eq!(
        faults,
        ["spin.toml:27: `tick` has a schedule and calls components; Spin refuses it"]
    );
}

#[test]
fn other_versions_and_triggers_are_refused() {
    let (_, faults) = read(
        &GOOD
            .replace("= 2\n", "= 1\n")
            .replace("trigger.cron", "trigger.redis"),
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("only manifest version 2")),
        "{faults:?}"
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("does not implement `redis`")),
        "{faults:?}"
    );
}

fn values(
    environment: &[(&str, &str)],
    options: &[(String, String)],
) -> (BTreeMap<String, String>, Vec<String>) {
    let (manifest, _) = read(GOOD);
    let mut faults = Faults::default();
    let lookup = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_string())
    };
    let mut sources = Sources {
        environment: &lookup,
        options,
        host: &[("public_url", "http://h".to_owned())],
        secret: &mut |name| Ok(format!("generated-{name}")),
    };
    let values = resolve(&manifest, &mut sources, &mut faults);
    (
        values,
        faults.iter().map(|fault| fault.what.clone()).collect(),
    )
}

#[test]
fn values_come_from_environment_options_host_secrets_and_defaults() {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (found, faults) = values(&[], &[]);
    assert!(faults.is_empty());
    assert_eq!(found["node_secret"], "generated-node_secret");
    assert_eq!(found["api"], "https://api.example.org");
    assert_eq!(found["public_url"], "http://h");
    let (found, _) = values(
        &[("SPIN_VARIABLE_NODE_SECRET", "env")],
        &[option("node_secret", "opt"), option("public_url", "opt")],
    );
    assert_eq!(found["node_secret"], "env");
    assert_eq!(found["public_url"], "opt");
    let (_, faults) = values(&[], &[option("typo", "x")]);
    assert_eq!(faults, ["there is no variable `typo`"]);
}
