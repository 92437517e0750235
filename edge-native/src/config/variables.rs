//! Where the values of variables come from: the environment, `--variable`, what the host itself
//! knows, secrets it generated once, and defaults, in this order.

use super::fault::Faults;
use super::manifest::Manifest;
use std::collections::BTreeMap;

/// The places that give values, besides the manifest's defaults.
pub struct Sources<'s> {
    /// Looks up an environment variable.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    /// `--variable name=value`.
    pub options: &'s [(String, String)],
    /// What the host knows: `public_url`, `slave_url`, `host_status_url`.
    pub host: &'s [(&'static str, String)],
    /// Gives the secret of a name, generating it when it is asked for the first time.
    pub secret: &'s mut dyn FnMut(&str) -> Result<String, String>,
}

/// Gives every declared variable its value; a required one without any is a fault.
pub fn resolve(
    manifest: &Manifest,
    sources: &mut Sources,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    for (name, _) in sources.options {
        if !manifest.variables.contains_key(name) {
            let what = format!("there is no variable `{name}`");
            faults.add(
                "--variable",
                what,
                "declare it in the manifest, or drop the option",
            );
        }
    }
    let mut values = BTreeMap::new();
    for (name, variable) in &manifest.variables {
        let env_name = format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase());
        let option = || {
            sources
                .options
                .iter()
                .rev()
                .find(|(option, _)| option == name)
        };
        let host = || sources.host.iter().find(|(known, _)| known == name);
        let given = (sources.environment)(&env_name)
            .or_else(|| option().map(|(_, value)| value.clone()))
            .or_else(|| host().map(|(_, value)| value.clone()));
        let value = match (given, &variable.default) {
            (Some(value), _) => value,
            (None, _) if variable.required && variable.secret => match (sources.secret)(name) {
                Ok(value) => value,
                Err(what) => {
                    faults.add(variable.place.clone(), what, format!("set {env_name}"));
                    continue;
                }
            },
            (None, Some(default)) => default.clone(),
            (None, None) => {
                let what = format!("the variable `{name}` has no value");
                let fix = format!("pass --variable {name}=VALUE, or set {env_name}");
                faults.add(variable.place.clone(), what, fix);
                continue;
            }
        };
        values.insert(name.clone(), value);
    }
    values
}
