//! `spin.toml`, manifest version 2: read whole, every fault reported.

mod components;
mod references;
mod triggers;

use super::fault::Faults;
use super::names;
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
        components: components::read(&mut root, faults),
        ..triggers::read(&mut root, faults)
    };
    root.finish(faults);
    references::check(&manifest, faults);
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
