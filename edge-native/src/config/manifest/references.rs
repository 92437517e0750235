//! What one part of the manifest says about another.

use super::Manifest;
use crate::config::fault::Faults;

/// Everything named must exist, and no two routes may match the same paths.
pub fn check(manifest: &Manifest, faults: &mut Faults) {
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
