//! Brings a database to the version this binary knows.

use crate::port::{Db, Error, Result, one, transaction};

/// One step, applied as one transaction together with its version number.
#[derive(Debug)]
pub struct Migration {
    /// Counts from 1.
    pub version: i64,
    /// The file's name.
    pub name: &'static str,
    /// One statement each.
    pub statements: &'static [&'static str],
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
    let mut at = version(db).unwrap_or(0);
    if at < latest {
        // Write-ahead logging persists in the file; on Spin it must be asked for. It cannot be set in a transaction.
        db.query("pragma journal_mode = wal", &[])?;
        db.execute(
            "create table if not exists schema_version (version integer not null)",
            &[],
        )?;
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

fn version(db: &dyn Db) -> Result<i64> {
    Ok(one(db, "select max(version) from schema_version", &[])?.map_or(0, |row| row.int(0)))
}

fn apply(db: &dyn Db, migration: &Migration) -> Result<()> {
    if version(db)? >= migration.version {
        return Ok(());
    }
    for statement in migration.statements {
        db.execute(statement, &[])
            .map_err(|e| Error::Other(format!("migration {}: {e}", migration.name)))?;
    }
    db.execute(
        "insert into schema_version (version) values (?1)",
        crate::params![migration.version],
    )?;
    Ok(())
}
