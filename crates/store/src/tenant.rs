//! The tenants that live on a slave.

use crate::archive;
use crate::migrate::{SLAVE, TENANT, latest, migrate};
use crate::params;
use crate::port::{Db, Engine, Error, Open, Place, Result, Row, one};
use crate::queries::tenant as sql;
use crate::server::{self, Server};
use crate::slot;

/// One tenant and where its database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The sub-account's UUID.
    pub id: String,
    /// The account that owns it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// Where its database is.
    pub place: Place,
    /// The version its database was last brought to.
    pub schema_version: i64,
}

/// Takes note of a tenant and of where its database is going to be: one of its own on the server for tenants where there is
/// one, else the lowest free slot. Only rows are written; [`settle`] makes the database. Asking again for the same tenant
/// changes nothing. None: all slots are taken.
pub fn allocate(
    stores: &dyn Open,
    control: &dyn Db,
    id: &str,
    account_id: &str,
    name: &str,
    slots: i64,
    now: i64,
) -> Result<Option<Tenant>> {
    // Only reads where the tenant is here already: asking again is frequent, and must not wait for writers.
    if let Some(tenant) = get(control, id)? {
        return Ok(Some(tenant));
    }
    match stores.has_tenant_server() {
        true => {
            let database = server::database_of(id)?;
            let row = params![id, account_id, name, database, slots, now];
            control.execute(sql::INSERT_DATABASE, row)?
        }
        false => control.execute(sql::INSERT_SLOT, params![id, account_id, name, slots, now])?,
    };
    get(control, id)
}

/// Makes a tenant's database, and opens it: call it after the transaction that allocated, because a server may take long.
/// A slot that holds what is not the tenant's is set aside, and the tenant gets the next one. Finishes what broke off.
/// None: all other slots are taken.
///
/// # Errors
/// When a database cannot be made or opened. Ask again: what was made is used.
pub fn settle(
    stores: &dyn Open,
    control: &dyn Db,
    mut tenant: Tenant,
    slots: i64,
    now: i64,
) -> Result<Option<Box<dyn Db>>> {
    if tenant.schema_version == 0 {
        if let Place::Database(name) = &tenant.place {
            server(stores)?.create(name)?;
        }
        while !slot::claim(&*stores.open(&tenant.place)?, &tenant)? {
            match slot::next(control, &tenant, slots, now)? {
                Some(next) => tenant = next,
                None => return Ok(None),
            }
        }
    }
    open(stores, control, &tenant).map(Some)
}

fn server(stores: &dyn Open) -> Result<Server> {
    let unset = || Error::Other("no server for tenants is set".to_owned());
    stores.tenant_server()?.ok_or_else(unset)
}

/// A tenant by its id.
pub fn get(db: &dyn Db, id: &str) -> Result<Option<Tenant>> {
    one(db, sql::GET, params![id])?.map(from_row).transpose()
}

fn from_row(mut r: Row) -> Result<Tenant> {
    let place = match (r.opt_int(3), r.opt_text(4)) {
        (Some(slot), _) => Place::Slot(slot),
        (None, Some(database)) => Place::Database(database),
        (None, None) => return Err(Error::Other("a tenant has no database".to_owned())),
    };
    Ok(Tenant {
        id: r.text(0),
        account_id: r.text(1),
        name: r.text(2),
        place,
        schema_version: r.int(5),
    })
}

/// How many of the places for tenants are taken: by those that live here, and by slots that were set aside.
pub fn count(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::COUNT, &[])?.map_or(0, |r| r.int(0)))
}

/// Remembers the version of a tenant's database, so that opening it needs no look inside.
pub fn set_schema_version(db: &dyn Db, id: &str, version: i64) -> Result<()> {
    db.execute(sql::SET_SCHEMA_VERSION, params![id, version])
        .map(|_| ())
}

/// Opens a slave's control database and brings it up to date.
pub fn open_control(stores: &dyn Open) -> Result<Box<dyn Db>> {
    let control = stores.open(&Place::Control)?;
    migrate(&*control, SLAVE)?;
    Ok(control)
}

/// Opens a tenant's own database, brought up to date when it is touched for the first time by this version.
pub fn open(stores: &dyn Open, control: &dyn Db, tenant: &Tenant) -> Result<Box<dyn Db>> {
    let db = stores.open(&tenant.place)?;
    if !slot::is_own(&*db, tenant)? {
        return Err(slot::foreign(tenant));
    }
    if tenant.schema_version != latest(TENANT) {
        if !slot::claim(&*db, tenant)? {
            return Err(slot::foreign(tenant));
        }
        let version = migrate(&*db, TENANT)?;
        set_schema_version(control, &tenant.id, version)?;
    }
    Ok(db)
}

/// What a round of [`migrate_some`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrated {
    /// Tenants that are up to date now.
    pub done: u64,
    /// Tenants that are not, each with the reason; they stay at the version they had.
    pub failed: Vec<(String, String)>,
    /// The id to go on after; none when these were the last.
    pub next: Option<String>,
}

/// Brings some tenants' databases up to date, in the order of their ids.
///
/// # Errors
/// When the control database fails. What goes wrong with a tenant is in the answer and stops no other.
pub fn migrate_some(
    stores: &dyn Open,
    control: &dyn Db,
    after: Option<&str>,
    limit: i64,
) -> Result<Migrated> {
    let rows = control.query(sql::PAGE, params![after.unwrap_or_default(), limit])?;
    let mut round = Migrated::default();
    let full = rows.len() as i64 >= limit;
    for row in rows {
        let tenant = from_row(row)?;
        match open(stores, control, &tenant) {
            Ok(_) => round.done += 1,
            Err(e) => round.failed.push((tenant.id.clone(), e.to_string())),
        }
        round.next = full.then_some(tenant.id);
    }
    Ok(round)
}

/// Empties a tenant's database for good, and forgets the tenant: its slot or its database is free for others. Doing it
/// again changes nothing, and finishes what broke off.
///
/// # Errors
/// When the database cannot be emptied; the tenant is then still known, so that it is done again.
pub fn destroy(stores: &dyn Open, control: &dyn Db, id: &str) -> Result<()> {
    let Some(tenant) = get(control, id)? else {
        return Ok(());
    };
    match &tenant.place {
        Place::Database(name) => server(stores)?.destroy(name)?,
        place => {
            let db = stores.open(place)?;
            // What is somebody else's is not erased; whoever gets the slot next sets it aside.
            if slot::claim(&*db, &tenant)? {
                wipe(&*db)?;
            }
        }
    }
    control.execute(sql::DELETE, params![id]).map(|_| ())
}

/// Drops all that a slot's database holds, and overwrites the file with what is left: nothing.
fn wipe(db: &dyn Db) -> Result<()> {
    archive::clear(db)?;
    if db.engine() != Engine::Sqlite {
        return Ok(());
    }
    slot::disown(db)?;
    db.execute("vacuum", &[])?;
    match one(db, "pragma wal_checkpoint(truncate)", &[])?.is_some_and(|r| r.flag(0)) {
        true => Err(Error::Busy("somebody still reads the database".to_owned())),
        false => Ok(()),
    }
}
