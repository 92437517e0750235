//! What components share: requests and answers between Spin and `web`, configuration from variables, ticks of stages.
//! Wasm only.

pub mod config;
pub mod convert;
pub mod outbound;
pub mod tick;

pub use http;
pub use spin_sdk;

use std::time::{SystemTime, UNIX_EPOCH};

use store::server::Server;
use store::{Db, Open, Place};

/// The databases of this node, where the configuration says: on PostgreSQL servers, or SQLite labels of the manifest.
pub struct Labels;

impl Open for Labels {
    fn open(&self, place: &Place) -> store::Result<Box<dyn Db>> {
        let config = known()?;
        let address = match place {
            Place::Master => config.master_database.clone(),
            Place::Control => config.control_database.clone(),
            Place::Slot(_) => String::new(),
            Place::Database(name) => {
                web::database::tenant(&config.tenant_database, name, &config.secret_key)?
            }
        };
        Ok(match address.is_empty() {
            true => Box::new(store_spin::Sqlite::open(&place.label())?),
            false => Box::new(store_spin::connect(&address)?),
        })
    }

    fn has_tenant_server(&self) -> bool {
        known().is_ok_and(|config| !config.tenant_database.is_empty())
    }

    fn tenant_server(&self) -> store::Result<Option<Server>> {
        let config = known()?;
        if config.tenant_database.is_empty() {
            return Ok(None);
        }
        Ok(Some(Server {
            admin: Box::new(store_spin::connect(&config.tenant_database)?),
            password: Box::new(|name| web::database::password(&config.secret_key, name)),
        }))
    }
}

fn known() -> store::Result<&'static web::Config> {
    let unread = || store::Error::Other("the configuration was not read yet".to_owned());
    config::known().ok_or_else(unread)
}

/// Milliseconds since the Unix epoch.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}
