//! The configuration: manifest, variables and options in, one checked [`App`] out.

pub mod fault;
pub mod manifest;
pub mod names;
pub mod outbound;
pub mod route;
pub mod template;
pub mod tree;
pub mod variables;

use fault::Faults;
use manifest::Manifest;
use outbound::AllowedHost;
use route::{Pattern, Routes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A checked application: every name resolves, every variable has a value.
#[derive(Debug)]
pub struct App {
    /// The application's name.
    pub name: String,
    /// Public routes to component names.
    pub routes: Routes<String>,
    /// Components that answer HTTP: publicly, or only to other components.
    pub http_components: BTreeSet<String>,
    /// Schedules with the component that ticks.
    pub crons: Vec<(String, cron::Schedule)>,
    /// Components by name.
    pub components: BTreeMap<String, ComponentConfig>,
    /// Values of the application's variables.
    pub variables: BTreeMap<String, String>,
}

/// What one component is and may do.
#[derive(Debug, Clone)]
pub struct ComponentConfig {
    /// Its name.
    pub name: String,
    /// The wasm file.
    pub source: PathBuf,
    /// Environment variables of the guest.
    pub environment: Vec<(String, String)>,
    /// SQLite labels it may open.
    pub sqlite: BTreeSet<String>,
    /// Key-value labels it may open.
    pub key_value: BTreeSet<String>,
    /// Its variables with their values.
    pub variables: BTreeMap<String, String>,
    /// Hosts it may talk to.
    pub outbound: Vec<AllowedHost>,
}

/// Reads and checks the whole configuration. `values` gives the application's variables.
pub fn load(
    manifest_path: &Path,
    values: impl FnOnce(&Manifest, &mut Faults) -> BTreeMap<String, String>,
    faults: &mut Faults,
) -> App {
    let manifest = manifest::read(manifest_path, faults);
    let variables = values(&manifest, faults);
    let folder = manifest_path.parent().unwrap_or(Path::new("."));
    let mut components = BTreeMap::new();
    for (name, written) in &manifest.components {
        let config = component(name, written, folder, &variables, faults);
        components.insert(name.clone(), config);
    }
    let Manifest {
        name, http, cron, ..
    } = manifest;
    let http_components = http
        .iter()
        .map(|trigger| trigger.component.value.clone())
        .collect();
    let public = http.into_iter().filter_map(|trigger| {
        let route: Option<Pattern> = trigger.route;
        Some((route?, trigger.component.value))
    });
    App {
        name,
        routes: Routes::new(public.collect()),
        http_components,
        crons: cron
            .into_iter()
            .map(|cron| (cron.component.value, cron.schedule))
            .collect(),
        components,
        variables,
    }
}

fn component(
    name: &str,
    written: &manifest::Component,
    folder: &Path,
    variables: &BTreeMap<String, String>,
    faults: &mut Faults,
) -> ComponentConfig {
    let source = folder.join(&written.source.value);
    if !source.is_file() {
        let what = format!(
            "component `{name}` is not built: {} is missing",
            source.display()
        );
        let fix = "build the components with `scripts/build`";
        faults.add(written.source.place.clone(), what, fix);
    }
    let mut outbound = Vec::new();
    for host in &written.outbound {
        match AllowedHost::parse(&host.value.render(variables)) {
            Ok(host) => outbound.push(host),
            Err(what) => {
                let fix = "write scheme, host and port; check the variables it names";
                faults.add(host.place.clone(), what, fix);
            }
        }
    }
    let own = written.variables.iter();
    ComponentConfig {
        name: name.to_owned(),
        source,
        environment: written.environment.clone(),
        sqlite: written.sqlite.iter().cloned().collect(),
        key_value: written.key_value.iter().cloned().collect(),
        variables: own
            .map(|(name, text)| (name.clone(), text.value.render(variables)))
            .collect(),
        outbound,
    }
}

#[cfg(test)]
mod tests;
