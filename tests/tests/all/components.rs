//! The built components ask for nothing that Spin does not have, and give what schedulers call.

use std::collections::BTreeSet;
use std::fs;

use tests::harness::root;
use wasmparser::{Parser, Payload};

const ALL: [&str; 9] = [
    "master",
    "slave",
    "allocate",
    "heartbeat",
    "ingest",
    "import",
    "plan",
    "rule",
    "timeline",
];
const SCHEDULED: [&str; 7] = [
    "allocate",
    "heartbeat",
    "ingest",
    "import",
    "plan",
    "rule",
    "timeline",
];
/// What Spin 4.1 offers, beside WASI.
const SPIN: [&str; 4] = [
    "spin:sqlite/sqlite@3.1.0",
    "spin:variables/variables@3.0.0",
    "spin:key-value/key-value@3.0.0",
    "spin:postgres/postgres@4.2.0",
];

/// The names that a component imports and exports.
fn interface(name: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let path = root().join(format!("build/{name}.wasm"));
    let bytes =
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e} (scripts/build)", path.display()));
    let (mut imports, mut exports, mut depth) = (BTreeSet::new(), BTreeSet::new(), 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|import| import.unwrap().name.name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|export| export.unwrap().name.name.to_owned()),
                );
            }
            _ => {}
        }
    }
    (imports, exports)
}

fn is_offered(import: &str) -> bool {
    let wasi =
        import.starts_with("wasi:") && (import.ends_with("@0.3.0") || import.contains("@0.2."));
    // The types of the cron function, which the world names and nobody has to provide.
    let cron = ["fermyon:spin-cron/cron-types@2.0.0", "error", "metadata"].contains(&import);
    wasi || cron || SPIN.contains(&import)
}

#[test]
fn components_import_only_what_spin_offers() {
    for name in ALL {
        let (imports, _) = interface(name);
        assert!(!imports.is_empty(), "{name} imports nothing at all");
        let foreign: Vec<_> = imports
            .iter()
            .filter(|import| !is_offered(import))
            .collect();
        assert!(foreign.is_empty(), "{name} imports {foreign:?}");
    }
}

#[test]
fn every_component_answers_http_and_stages_answer_a_schedule_too() {
    for name in ALL {
        let (_, exports) = interface(name);
        assert!(
            exports.contains("wasi:http/handler@0.3.0"),
            "{name} exports {exports:?}"
        );
        let scheduled = exports
            .iter()
            .any(|export| export.contains("handle-cron-event") || export.contains("spin-cron"));
        assert_eq!(
            scheduled,
            SCHEDULED.contains(&name),
            "{name} exports {exports:?}"
        );
    }
}
