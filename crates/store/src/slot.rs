//! Whose an SQLite slot's file is. The control database says which slot a tenant has; when that is lost, or an older copy of
//! it is put back, a slot that seems free may hold somebody's data. So each file bears the mark of its tenant, and one that
//! bears another's is set aside: its data are kept, and nobody sees them.

use sha2::{Digest, Sha256};

use crate::params;
use crate::port::{Db, Engine, Error, Open, Place, Result, one, transaction};
use crate::queries::tenant as sql;
use crate::tenant::{self, Tenant};

/// How long a slot that was set aside is left alone before somebody looks again, in milliseconds.
const PATIENCE: i64 = 60 * 60 * 1000;
/// Slots that are looked at in one round.
const AT_ONCE: i64 = 8;

/// What SQLite keeps as `user_version` in a tenant's file: 31 bits of the id's SHA-256, never 0. A row of a table would travel
/// with archives and moves.
fn mark(id: &str) -> i64 {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(id));
    i64::from(i32::from_be_bytes([a & 0x7f, b, c, d]).max(1))
}

/// Whether a tenant's database is a file that bears a mark.
fn is_marked(db: &dyn Db, tenant: &Tenant) -> bool {
    matches!(tenant.place, Place::Slot(_)) && db.engine() == Engine::Sqlite
}

/// Whether a file does not bear the mark of another tenant.
pub(crate) fn is_own(db: &dyn Db, tenant: &Tenant) -> Result<bool> {
    if !is_marked(db, tenant) {
        return Ok(true);
    }
    let found = found(db)?;
    Ok(found == 0 || found == mark(&tenant.id))
}

fn found(db: &dyn Db) -> Result<i64> {
    Ok(one(db, "pragma user_version", &[])?.map_or(0, |r| r.int(0)))
}

/// Makes a file the tenant's own, when it is, or nobody's. False: it holds what is somebody else's.
pub(crate) fn claim(db: &dyn Db, tenant: &Tenant) -> Result<bool> {
    if !is_marked(db, tenant) {
        return Ok(true);
    }
    let mark = mark(&tenant.id);
    let found = found(db)?;
    if found == mark {
        return Ok(true);
    }
    // Files of tenants that were here before there were marks bear none.
    let from_before = found == 0 && tenant.schema_version > 0;
    let own = from_before || is_empty(db)?;
    if own {
        set(db, mark)?;
    }
    Ok(own)
}

/// Takes a tenant's mark off an empty file.
pub(crate) fn disown(db: &dyn Db) -> Result<()> {
    set(db, 0)
}

fn set(db: &dyn Db, mark: i64) -> Result<()> {
    // A pragma takes no parameters.
    db.query(&format!("pragma user_version = {mark}"), &[])
        .map(|_| ())
}

fn is_empty(db: &dyn Db) -> Result<bool> {
    Ok(one(db, "select 1 from sqlite_master limit 1", &[])?.is_none())
}

/// Says that a tenant's slot is not its own.
pub(crate) fn foreign(tenant: &Tenant) -> Error {
    Error::Other(format!(
        "{} holds the data of another sub-account than {}: an older copy of the control database was put back, or files were \
         exchanged. Nothing was changed",
        tenant.place.label(),
        tenant.id
    ))
}

/// Sets a tenant's slot aside and gives it the next free one. None: there is none, and the tenant is forgotten.
pub(crate) fn next(
    control: &dyn Db,
    tenant: &Tenant,
    slots: i64,
    now: i64,
) -> Result<Option<Tenant>> {
    let Tenant {
        id,
        account_id,
        name,
        ..
    } = tenant;
    transaction(control, || {
        let known = tenant::get(control, id)?;
        if known
            .as_ref()
            .is_some_and(|known| known.place != tenant.place)
        {
            // Somebody else did the same in this moment.
            return Ok(known);
        }
        eprintln!("{}. It is set aside", foreign(tenant));
        control.execute(sql::SET_ASIDE, params![id, now])?;
        control.execute(sql::DELETE, params![id])?;
        control.execute(sql::INSERT_SLOT, params![id, account_id, name, slots, now])?;
        tenant::get(control, id)
    })
}

/// Looks again at slots that were set aside: those that somebody has emptied since are free. How many there were of them.
///
/// # Errors
/// When the control database fails, or a slot cannot be opened.
pub fn look_again(stores: &dyn Open, control: &dyn Db, now: i64) -> Result<u64> {
    let mut freed = 0;
    for row in control.query(sql::ASIDE, params![now - PATIENCE, AT_ONCE])? {
        let slot = row.int(0);
        control.execute(sql::LOOKED_AT, params![slot, now])?;
        if is_empty(&*stores.open(&Place::Slot(slot))?)? {
            freed += control.execute(sql::GIVE_BACK, params![slot])?;
        }
    }
    Ok(freed)
}
