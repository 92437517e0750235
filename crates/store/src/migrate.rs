//! Brings a database to the version this binary knows.

use crate::dialect;
use crate::port::{Db, Engine, Error, Result, one, transaction};

/// One step, applied as one transaction together with its version number.
#[derive(Debug)]
pub struct Migration {
    /// Counts from 1.
    pub version: i64,
    /// The file's name.
    pub name: &'static str,
    /// One statement each.
    pub statements: &'static [&'static str],
    /// What PostgreSQL gets instead of their translation.
    pub postgres: Option<&'static [&'static str]>,
}

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// The version a list of migrations leads to.
pub fn latest(migrations: &[Migration]) -> i64 {
    migrations.last().map_or(0, |m| m.version)
}

/// Applies what is missing and returns the version reached. Safe to call from several places at once: the version is
/// read again under the write lock. A migration that fails leaves the database at the version before it.
///
/// # Errors
/// [`Error::NewerSchema`] when the database is ahead of this binary.
pub fn migrate(db: &dyn Db, migrations: &[Migration]) -> Result<i64> {
    let latest = latest(migrations);
    let mut at = match version(db) {
        // There is no table of versions yet.
        Err(Error::Other(_)) => 0,
        at => at?,
    };
    if at < latest {
        prepare(db)?;
        for migration in migrations {
            transaction(db, || apply(db, migration))?;
        }
        at = version(db)?;
    }
    if at > latest {
        return Err(Error::NewerSchema(format!(
            "This database is at version {at}, and this binary knows versions up to {latest}: start a newer one."
        )));
    }
    Ok(at)
}

pub(crate) fn version(db: &dyn Db) -> Result<i64> {
    Ok(one(db, "select max(version) from schema_version", &[])?.map_or(0, |row| row.int(0)))
}

/// What has to be there before the first migration. Safe to repeat.
fn prepare(db: &dyn Db) -> Result<()> {
    match db.engine() {
        // Write-ahead logging persists in the file; on Spin it must be asked for. It cannot be set in a transaction.
        Engine::Sqlite => db.query("pragma journal_mode = wal", &[]).map(|_| ())?,
        Engine::Postgres => check_encoding(db)?,
    }
    transaction(db, || {
        if db.engine() == Engine::Postgres {
            db.execute(dialect::PRELUDE, &[])?;
        }
        db.execute(
            "create table if not exists schema_version (version integer not null)",
            &[],
        )
        .map(|_| ())
    })
}

/// Texts must be ordered and compared as in SQLite, byte by byte: pages and cursors rely on it.
fn check_encoding(db: &dyn Db) -> Result<()> {
    let asked = "select datname, pg_encoding_to_char(encoding), datcollate from pg_database where datname = current_database()";
    let Some(mut row) = one(db, asked, &[])? else {
        return Ok(());
    };
    let (name, encoding, collation) = (row.text(0), row.text(1), row.text(2));
    let bytewise = ["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&collation.as_str());
    match encoding == "UTF8" && bytewise {
        true => Ok(()),
        false => Err(Error::Other(format!(
            "the database {name} has the encoding {encoding} and the collation {collation}; make it anew with: \
             create database {name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'"
        ))),
    }
}

fn apply(db: &dyn Db, migration: &Migration) -> Result<()> {
    if version(db)? >= migration.version {
        return Ok(());
    }
    for statement in statements(db.engine(), migration) {
        db.execute(&statement, &[])
            .map_err(|e| explain(migration, e))?;
    }
    db.execute(
        "insert into schema_version (version) values (?1)",
        crate::params![migration.version],
    )?;
    Ok(())
}

fn statements(engine: Engine, migration: &Migration) -> Vec<String> {
    match (engine, migration.postgres) {
        (Engine::Sqlite, _) => migration.statements.iter().map(|s| s.to_string()).collect(),
        (Engine::Postgres, Some(theirs)) => theirs.iter().map(|s| s.to_string()).collect(),
        (Engine::Postgres, None) => migration
            .statements
            .iter()
            .flat_map(|s| dialect::schema(s))
            .collect(),
    }
}

/// Says which migration failed; what may pass by itself stays what it is.
fn explain(migration: &Migration, error: Error) -> Error {
    match error {
        Error::Full(_) | Error::Busy(_) | Error::Unavailable(_) => error,
        error => Error::Other(format!("migration {}: {error}", migration.name)),
    }
}
