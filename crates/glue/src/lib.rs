//! What components share: requests and answers between Spin and `web`, configuration from variables, ticks of stages.
//! Wasm only.

pub mod config;
pub mod convert;
pub mod tick;

pub use http;
pub use spin_sdk;

use std::time::{SystemTime, UNIX_EPOCH};

use store::{Db, Open};

/// The databases that the manifest gives to this component, by label.
pub struct Labels;

impl Open for Labels {
    fn open(&self, label: &str) -> store::Result<Box<dyn Db>> {
        Ok(Box::new(store_spin::Sqlite::open(label)?))
    }
}

/// Milliseconds since the Unix epoch.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}
