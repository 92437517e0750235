//! Turns `sql/` into constants: a named query becomes `queries::<noun>::<NAME>`, a migration becomes a list of
//! statements. A name that does not exist does not compile.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let sql = Path::new(&here).join("../../sql");
    println!("cargo::rerun-if-changed={}", sql.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("queries.rs"), queries(&sql.join("queries"))).expect("OUT_DIR is writable");
    fs::write(out.join("schema.rs"), schema(&sql.join("schema"))).expect("OUT_DIR is writable");
}

/// What PostgreSQL gets instead of a translation: `queries/postgres/<noun>.sql`, `schema/<database>/<name>.postgres.sql`.
const POSTGRES: &str = "postgres";

/// The entries of a folder in the order of their names, but what is for PostgreSQL alone.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| !stem(path).ends_with(POSTGRES))
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .expect("a file name")
        .to_string_lossy()
        .into_owned()
}

/// One query of a file: its name, its documentation, its text.
fn named(path: &Path) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(path).expect("a readable query file");
    let query = |part: &str| {
        let (name, body) = part.split_once('\n').expect("a body below the name");
        let (docs, sql): (Vec<_>, Vec<_>) =
            body.lines().partition(|l| l.trim_start().starts_with("--"));
        let docs = docs
            .iter()
            .map(|l| l.trim_start().trim_start_matches('-').trim());
        let docs = docs.collect::<Vec<_>>().join(" ");
        let sql = sql.join("\n").trim().trim_end_matches(';').to_owned();
        (name.trim().to_owned(), docs, sql)
    };
    text.split("-- name: ").skip(1).map(query).collect()
}

fn constant(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// `-- name: claim-due` begins a query; comment lines after it become its documentation.
fn queries(folder: &Path) -> String {
    let mut code = String::new();
    let mut all = String::new();
    for path in entries(folder) {
        let noun = stem(&path);
        writeln!(code, "/// Queries of `{noun}`.\npub mod {noun} {{").expect("a String takes text");
        for (name, docs, sql) in named(&path) {
            let constant = constant(&name);
            if !docs.is_empty() {
                writeln!(code, "#[doc = {docs:?}]").expect("a String takes text");
            }
            writeln!(code, "pub const {constant}: &str = {sql:?};").expect("a String takes text");
            writeln!(all, "({:?}, {noun}::{constant}),", format!("{noun}/{name}"))
                .expect("a String takes text");
        }
        code.push_str("}\n");
    }
    let mut postgres = String::new();
    for path in entries(&folder.join(POSTGRES)) {
        let noun = stem(&path);
        for (name, _, sql) in named(&path) {
            // Names the other constant, so that there must be one.
            writeln!(postgres, "({noun}::{}, {sql:?}),", constant(&name))
                .expect("a String takes text");
        }
    }
    format!(
        "{code}\n/// Every named query, for the test that prepares them all.\npub const ALL: &[(&str, &str)] = &[\n{all}];\n\
         \n/// What PostgreSQL is asked instead of some of them.\npub const POSTGRES: &[(&str, &str)] = &[\n{postgres}];\n"
    )
}

/// `sql/schema/<database>/NNNN_<name>.sql`, split into statements at a `;` that ends a line.
fn schema(folder: &Path) -> String {
    let mut code = String::new();
    for database in entries(folder) {
        let constant = stem(&database).to_uppercase();
        writeln!(
            code,
            "/// Migrations of the {} database, oldest first.",
            stem(&database)
        )
        .expect("a String takes text");
        writeln!(code, "pub const {constant}: &[Migration] = &[").expect("a String takes text");
        for (i, file) in entries(&database).iter().enumerate() {
            let name = stem(file);
            let version: usize = name[..4]
                .parse()
                .unwrap_or_else(|_| panic!("{name}: NNNN_name.sql"));
            assert_eq!(
                version,
                i + 1,
                "{name}: migrations are numbered without a gap"
            );
            let statements = statements_of(file);
            let theirs = file.with_extension(format!("{POSTGRES}.sql"));
            let postgres = theirs.exists().then(|| statements_of(&theirs));
            writeln!(
                code,
                "Migration {{ version: {version}, name: {name:?}, statements: &{statements:?}, postgres: {} }},",
                postgres.map_or("None".to_owned(), |s| format!("Some(&{s:?})"))
            )
            .expect("a String takes text");
        }
        code.push_str("];\n");
    }
    code
}

/// The statements of a migration, without comment lines.
fn statements_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a readable migration");
    let text: Vec<_> = text
        .lines()
        .filter(|l| !l.trim_start().starts_with("--"))
        .collect();
    let text = text.join("\n");
    let statements = text
        .split(";\n")
        .map(|s| s.trim().trim_end_matches(';'))
        .filter(|s| !s.is_empty());
    statements.map(str::to_owned).collect()
}
