//! `spin.toml`, manifest version 2: read whole, every fault reported.

use super::fault::Faults;
use super::names;
use super::outbound::AllowedHost;
use super::route::Pattern;
use super::template::Template;
use super::tree::{Document, Placed, Table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// The manifest as written, before variables have values.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The application's name.
    pub name: String,
    /// Declared variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// `[[trigger.http]]`; a private route has no pattern.
    pub http: Vec<HttpTrigger>,
    /// `[[trigger.cron]]`.
    pub cron: Vec<CronTrigger>,
    /// `[component.NAME]` by name.
    pub components: BTreeMap<String, Component>,
}

/// A declared variable.
#[derive(Debug)]
pub struct Variable {
    /// The value when nothing else gives one.
    pub default: Option<String>,
    /// Whether the application cannot start without a value.
    pub required: bool,
    /// Whether the value must not be shown.
    pub secret: bool,
    /// `file:line`.
    pub place: String,
}

/// An HTTP trigger.
#[derive(Debug)]
pub struct HttpTrigger {
    /// The component that answers.
    pub component: Placed<String>,
    /// The public route; `None` for `{ private = true }`.
    pub route: Option<Pattern>,
}

/// A schedule.
#[derive(Debug)]
pub struct CronTrigger {
    /// The component that ticks.
    pub component: Placed<String>,
    /// When, seconds first.
    pub schedule: cron::Schedule,
}

/// A component as written.
#[derive(Debug)]
pub struct Component {
    /// The wasm file, relative to the manifest.
    pub source: Placed<PathBuf>,
    /// Environment variables of the guest.
    pub environment: Vec<(String, String)>,
    /// SQLite labels it may open.
    pub sqlite: Vec<String>,
    /// Key-value labels it may open.
    pub key_value: Vec<String>,
    /// Its own variables, as templates over the application's.
    pub variables: Vec<(String, Placed<Template>)>,
    /// Hosts it may talk to, as templates.
    pub outbound: Vec<Placed<Template>>,
}

/// Reads the manifest at `path`; what is wrong with it goes to `faults`.
pub fn read(path: &Path, faults: &mut Faults) -> Manifest {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text, faults),
        Err(error) => {
            let fix = "run from the application's folder, or pass --manifest PATH";
            faults.add(name, format!("the manifest cannot be read: {error}"), fix);
            Manifest::default()
        }
    }
}

/// Reads a manifest's text; `name` is how faults call it.
pub fn parse(name: &str, text: &str, faults: &mut Faults) -> Manifest {
    let document = Document::new(name, text);
    let parsed = document.parse(faults);
    if !faults.is_empty() {
        return Manifest::default();
    }
    let mut root = Table::new(document, parsed.get_ref(), "", 0);
    version(&mut root, faults);
    let manifest = Manifest {
        name: application(&mut root, faults),
        variables: variables(&mut root, faults),
        components: components(&mut root, faults),
        ..triggers(&mut root, faults)
    };
    root.finish(faults);
    references(&manifest, faults);
    manifest
}

fn version(root: &mut Table, faults: &mut Faults) {
    let fix = "write `spin_manifest_version = 2` on top";
    match root.value("spin_manifest_version") {
        Some((DeValue::Integer(version), _)) if version.as_str() == "2" => {}
        Some((_, place)) => faults.add(place, "only manifest version 2 is understood", fix),
        None => faults.add(root.place(), "`spin_manifest_version` is missing", fix),
    }
}

fn application(root: &mut Table, faults: &mut Faults) -> String {
    let Some(mut table) = root.table("application", faults) else {
        faults.add(
            root.place(),
            "`[application]` is missing",
            "add it with a `name`",
        );
        return String::new();
    };
    let name = table
        .required_string("name", faults)
        .map(|name| name.value)
        .unwrap_or_default();
    table.ignore(&["version", "description", "authors", "tool"]);
    table.unsupported("trigger", "remove it: routes are served from `/`", faults);
    table.finish(faults);
    name
}

fn variables(root: &mut Table, faults: &mut Faults) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
    for (name, mut table) in root.tables("variables", faults) {
        if !names::is_variable(&name) {
            let what = format!("`{name}` is not a variable name");
            faults.add(table.place(), what, "use lower-case words joined by `_`");
        }
        let variable = Variable {
            default: table.string("default", faults).map(|default| default.value),
            required: table.boolean("required", faults),
            secret: table.boolean("secret", faults),
            place: table.place(),
        };
        if variable.default.is_some() == variable.required {
            let what = format!("the variable `{name}` needs one of `default` and `required`");
            faults.add(
                table.place(),
                what,
                "give it a default, or say `required = true`",
            );
        }
        table.ignore(&["description"]);
        table.finish(faults);
        variables.insert(name, variable);
    }
    variables
}

fn triggers(root: &mut Table, faults: &mut Faults) -> Manifest {
    let mut manifest = Manifest::default();
    let Some(mut table) = root.table("trigger", faults) else {
        return manifest;
    };
    for trigger in table.table_list("http", faults) {
        manifest.http.extend(http_trigger(trigger, faults));
    }
    for trigger in table.table_list("cron", faults) {
        manifest.cron.extend(cron_trigger(trigger, faults));
    }
    for kind in ["redis", "mqtt", "sqs", "command", "kinesis"] {
        table.unsupported(kind, "use an HTTP or a cron trigger", faults);
    }
    table.finish(faults);
    manifest
}

fn http_trigger(mut table: Table, faults: &mut Faults) -> Option<HttpTrigger> {
    table.ignore(&["id"]);
    table.unsupported(
        "executor",
        "remove it: components are WASI HTTP handlers",
        faults,
    );
    table.unsupported("static_response", "answer from a component", faults);
    let component = table.required_string("component", faults);
    let route = http_route(&mut table, faults);
    table.finish(faults);
    Some(HttpTrigger {
        component: component?,
        route: route?,
    })
}

/// The outer `Option` is whether the route could be read, the inner one whether it is public.
fn http_route(table: &mut Table, faults: &mut Faults) -> Option<Option<Pattern>> {
    let fix = "write `route = \"/path/...\"` or `route = { private = true }`";
    let Some((value, place)) = table.value("route") else {
        faults.add(
            table.place(),
            format!("{} has no `route`", table.title()),
            fix,
        );
        return None;
    };
    match value {
        DeValue::String(raw) => match Pattern::parse(raw) {
            Ok(pattern) => return Some(Some(pattern)),
            Err(what) => faults.add(place, what, fix),
        },
        DeValue::Table(inner) => match inner.get("private").map(|value| value.get_ref()) {
            Some(DeValue::Boolean(true)) if inner.len() == 1 => return Some(None),
            _ => faults.add(
                place,
                "the route is neither a path nor `{ private = true }`",
                fix,
            ),
        },
        _ => faults.add(
            place,
            "the route is neither a path nor `{ private = true }`",
            fix,
        ),
    }
    None
}

fn cron_trigger(mut table: Table, faults: &mut Faults) -> Option<CronTrigger> {
    table.ignore(&["id"]);
    let component = table.required_string("component", faults);
    let expression = table.required_string("cron_expression", faults);
    table.finish(faults);
    let expression = expression?;
    match parse_schedule(&expression.value) {
        Ok(schedule) => Some(CronTrigger {
            component: component?,
            schedule,
        }),
        Err(what) => {
            let fix = "write six fields, seconds first: `1/2 * * * * *` is every two seconds";
            faults.add(expression.place, what, fix);
            None
        }
    }
}

/// Reads a cron expression as Spin does: six or seven fields, seconds first, no `*/n`.
pub fn parse_schedule(expression: &str) -> Result<cron::Schedule, String> {
    if expression.contains("*/") {
        return Err(format!(
            "Spin does not read `*/` in the cron expression {expression:?}"
        ));
    }
    let fields = expression.split_whitespace().count();
    if !(6..=7).contains(&fields) {
        return Err(format!(
            "the cron expression {expression:?} has {fields} fields"
        ));
    }
    let error = |error| format!("the cron expression {expression:?} does not parse: {error}");
    expression.parse().map_err(error)
}

fn components(root: &mut Table, faults: &mut Faults) -> BTreeMap<String, Component> {
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

/// Everything named must exist, and no two routes may match the same paths.
fn references(manifest: &Manifest, faults: &mut Faults) {
    let http = manifest.http.iter().map(|trigger| &trigger.component);
    for component in http.chain(manifest.cron.iter().map(|trigger| &trigger.component)) {
        if !manifest.components.contains_key(&component.value) {
            let what = format!("there is no component `{}`", component.value);
            let fix = format!("add `[component.{}]`, or correct the name", component.value);
            faults.add(component.place.clone(), what, fix);
        }
    }
    for (position, trigger) in manifest.http.iter().enumerate() {
        let Some(route) = &trigger.route else {
            continue;
        };
        let earlier = manifest.http[..position]
            .iter()
            .filter_map(|other| other.route.as_ref());
        if earlier.into_iter().any(|other| other.same_as(route)) {
            let what = format!("the route `{}` is taken twice", route.raw());
            faults.add(
                trigger.component.place.clone(),
                what,
                "remove one of the two triggers",
            );
        }
    }
    for trigger in &manifest.cron {
        let component = manifest.components.get(&trigger.component.value);
        for host in component
            .into_iter()
            .flat_map(|component| &component.outbound)
        {
            if host.value.names_internal_host() {
                let name = &trigger.component.value;
                let what = format!("`{name}` has a schedule and calls components; Spin refuses it");
                let fix = "drop the `.spin.internal` host, or tick it through a route";
                faults.add(host.place.clone(), what, fix);
            }
        }
    }
    for component in manifest.components.values() {
        let own = component.variables.iter().map(|(_, template)| template);
        for template in own.chain(&component.outbound) {
            for name in template.value.variables() {
                if !manifest.variables.contains_key(name) {
                    let what = format!("there is no variable `{name}`");
                    let fix = format!("declare it: `[variables] {name} = {{ default = \"\" }}`");
                    faults.add(template.place.clone(), what, fix);
                }
            }
        }
    }
}
