//! The tenants that live on a slave.

use crate::migrate::{SLAVE, TENANT, latest, migrate};
use crate::params;
use crate::port::{Db, Open, Result, one};
use crate::queries::tenant as sql;

/// One tenant and where its database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The sub-account's UUID.
    pub id: String,
    /// The account that owns it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// Counts from 1.
    pub slot: i64,
    /// The version its database was last brought to.
    pub schema_version: i64,
}

impl Tenant {
    /// The label of its SQLite database.
    pub fn label(&self) -> String {
        format!("slot{:03}", self.slot)
    }
}

/// Gives a tenant the lowest free slot. Asking again for the same tenant changes nothing. None: all slots are taken.
pub fn allocate(
    db: &dyn Db,
    id: &str,
    account_id: &str,
    name: &str,
    slots: i64,
    now: i64,
) -> Result<Option<Tenant>> {
    db.execute(sql::INSERT, params![id, account_id, name, slots, now])?;
    get(db, id)
}

/// A tenant by its id.
pub fn get(db: &dyn Db, id: &str) -> Result<Option<Tenant>> {
    Ok(one(db, sql::GET, params![id])?.map(|mut r| Tenant {
        id: r.text(0),
        account_id: r.text(1),
        name: r.text(2),
        slot: r.int(3),
        schema_version: r.int(4),
    }))
}

/// How many tenants live here.
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
    let control = stores.open("slave")?;
    migrate(&*control, SLAVE)?;
    Ok(control)
}

/// Opens a tenant's own database, brought up to date when it is touched for the first time by this version.
pub fn open(stores: &dyn Open, control: &dyn Db, tenant: &Tenant) -> Result<Box<dyn Db>> {
    let db = stores.open(&tenant.label())?;
    if tenant.schema_version != latest(TENANT) {
        let version = migrate(&*db, TENANT)?;
        set_schema_version(control, &tenant.id, version)?;
    }
    Ok(db)
}
