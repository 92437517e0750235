//! `[component.NAME]`.

use super::Component;
use crate::config::fault::Faults;
use crate::config::names;
use crate::config::outbound::AllowedHost;
use crate::config::template::Template;
use crate::config::tree::{Placed, Table};
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::de::DeValue;

/// Reads every component.
pub fn read(root: &mut Table, faults: &mut Faults) -> BTreeMap<String, Component> {
    let mut components = BTreeMap::new();
    for (name, table) in root.tables("component", faults) {
        if !names::is_component(&name) {
            let what = format!("`{name}` is not a component name");
            faults.add(
                table.place(),
                what,
                "use words joined by `-` that begin with a letter",
            );
        }
        if let Some(component) = component(table, faults) {
            components.insert(name, component);
        }
    }
    components
}

fn component(mut table: Table, faults: &mut Faults) -> Option<Component> {
    let source = source(&mut table, faults);
    let environment = table.string_map("environment", faults);
    let outbound = table.strings("allowed_outbound_hosts", faults);
    let component = Component {
        source: source.unwrap_or(Placed {
            value: PathBuf::new(),
            place: String::new(),
        }),
        environment: environment
            .into_iter()
            .map(|(name, value)| (name, value.value))
            .collect(),
        sqlite: labels(&mut table, "sqlite_databases", faults),
        key_value: labels(&mut table, "key_value_stores", faults),
        variables: component_variables(&mut table, faults),
        outbound: outbound
            .into_iter()
            .filter_map(|host| outbound_host(host, faults))
            .collect(),
    };
    table.ignore(&["description", "build", "tool", "targets"]);
    table.unsupported("files", "build the files into the component", faults);
    table.unsupported(
        "exclude_files",
        "build the files into the component",
        faults,
    );
    table.unsupported(
        "dependencies",
        "compose the component before it is listed here",
        faults,
    );
    table.unsupported("dependencies_inherit_configuration", "remove it", faults);
    table.unsupported(
        "ai_models",
        "remove it: there is no inferencing here",
        faults,
    );
    table.unsupported(
        "allowed_http_hosts",
        "write `allowed_outbound_hosts`",
        faults,
    );
    table.unsupported(
        "profile",
        "write the built component's path as `source`",
        faults,
    );
    let known = !component.source.place.is_empty();
    table.finish(faults);
    known.then_some(component)
}

fn source(table: &mut Table, faults: &mut Faults) -> Option<Placed<PathBuf>> {
    let fix = "write the path of a built component: `source = \"build/name.wasm\"`";
    match table.value("source") {
        Some((DeValue::String(path), place)) => Some(Placed {
            value: PathBuf::from(&**path),
            place,
        }),
        Some((_, place)) => {
            faults.add(
                place,
                "this host loads components from local files only",
                fix,
            );
            None
        }
        None => {
            faults.add(
                table.place(),
                format!("{} has no `source`", table.title()),
                fix,
            );
            None
        }
    }
}

fn labels(table: &mut Table, key: &'static str, faults: &mut Faults) -> Vec<String> {
    let mut labels = Vec::new();
    for label in table.strings(key, faults) {
        if names::is_label(&label.value) {
            labels.push(label.value);
        } else {
            let what = format!("`{}` is not a label in `{key}`", label.value);
            faults.add(
                label.place,
                what,
                "use words that begin with a letter: `slot001`",
            );
        }
    }
    labels
}

fn component_variables(table: &mut Table, faults: &mut Faults) -> Vec<(String, Placed<Template>)> {
    let mut variables = Vec::new();
    for (name, text) in table.string_map("variables", faults) {
        if !names::is_variable(&name) {
            let what = format!("`{name}` is not a variable name");
            faults.add(
                text.place.clone(),
                what,
                "use lower-case words joined by `_`",
            );
        }
        variables.extend(template(text, faults).map(|template| (name, template)));
    }
    variables
}

fn outbound_host(host: Placed<String>, faults: &mut Faults) -> Option<Placed<Template>> {
    let place = host.place.clone();
    let literal = !host.value.contains("{{");
    if literal && let Err(what) = AllowedHost::parse(&host.value) {
        faults.add(
            place,
            what,
            "write scheme, host and port: `https://api.example.org`",
        );
        return None;
    }
    template(host, faults)
}

fn template(text: Placed<String>, faults: &mut Faults) -> Option<Placed<Template>> {
    match Template::parse(&text.value) {
        Ok(value) => Some(Placed {
            value,
            place: text.place,
        }),
        Err(what) => {
            faults.add(text.place, what, "write `{{ variable_name }}`");
            None
        }
    }
}
