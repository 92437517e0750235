//! The built components ask for nothing that Spin does not have, and give what schedulers call.

use std::collections::BTreeSet;
use std::fs;

use tests::harness::root;
use wasmparser::{Parser, Payload};

const ALL: [&str; 10] = [
    "master",
    "slave",
    "allocate",
    "heartbeat",
    "ingest",
    "import",
    "plan",
    "rule",
    "search",
    "timeline",
];
const SCHEDULED: [&str; 8] = [
    "allocate",
    "heartbeat",
    "ingest",
    "import",
    "plan",
    "rule",
    "search",
    "timeline",
];
/// What components may import: each is offered by Spin 4.1, and nothing is here that no component of ours has a use for.
/// A host's WASI 0.2 serves every patch of it, so that is left away.
const OFFERED: [&str; 29] = [
    "spin:sqlite/sqlite@3.1.0",
    "spin:variables/variables@3.0.0",
    "spin:postgres/postgres@4.2.0",
    "wasi:cli/environment@0.2",
    "wasi:cli/exit@0.2",
    "wasi:cli/stderr@0.2",
    "wasi:cli/stdin@0.2",
    "wasi:cli/stdout@0.2",
    "wasi:cli/terminal-input@0.2",
    "wasi:cli/terminal-output@0.2",
    "wasi:cli/terminal-stderr@0.2",
    "wasi:cli/terminal-stdin@0.2",
    "wasi:cli/terminal-stdout@0.2",
    "wasi:clocks/monotonic-clock@0.2",
    "wasi:clocks/wall-clock@0.2",
    "wasi:http/outgoing-handler@0.2",
    "wasi:http/types@0.2",
    "wasi:io/error@0.2",
    "wasi:io/poll@0.2",
    "wasi:io/streams@0.2",
    "wasi:random/insecure-seed@0.2",
    "wasi:random/random@0.2",
    "wasi:clocks/monotonic-clock@0.3.0",
    "wasi:clocks/types@0.3.0",
    "wasi:http/client@0.3.0",
    "wasi:http/types@0.3.0",
    // The types of the cron function, which the world names and nobody has to provide.
    "fermyon:spin-cron/cron-types@2.0.0",
    "error",
    "metadata",
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
    let name = match import.split_once("@0.2.") {
        Some((interface, _)) if import.starts_with("wasi:") => format!("{interface}@0.2"),
        _ => import.to_owned(),
    };
    OFFERED.contains(&name.as_str())
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
