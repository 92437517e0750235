//! What handlers get from outside: databases, time, randomness, configuration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Db, Open, migrate};

/// What the operator set, read once an instance.
#[derive(Clone, Default)]
pub struct Config {
    /// Where people reach this node, without a slash at the end.
    pub public_url: String,
    /// Where people reach the master, without a slash at the end.
    pub master_url: String,
    /// Where the slave reaches the master's API, without a slash at the end.
    pub master_api_url: String,
    /// Where the master reaches the slave, without a slash at the end.
    pub slave_url: String,
    /// Shared by master and slave, for calls between them.
    pub node_secret: String,
    /// Shared by slave and workers.
    pub worker_token: String,
    /// Seals secrets of profiles and signs links.
    pub secret_key: String,
    /// How many sub-accounts this slave has room for.
    pub slots: i64,
    /// Address and password that the log-in page offers; only for a demonstration.
    pub demo: Option<(String, String)>,
}

/// What every handler gets.
pub struct Context<'a> {
    /// The databases of this node.
    pub stores: &'a dyn Open,
    /// What the operator set.
    pub config: &'a Config,
    /// Milliseconds since the epoch.
    pub now: i64,
    /// Whether this instance has brought the node's own database up to date already.
    pub migrated: &'a AtomicBool,
}

impl Context<'_> {
    /// The slave's control database, brought up to date.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn control(&self) -> store::Result<Box<dyn Db>> {
        self.open("slave", migrate::SLAVE)
    }

    /// The master's database, brought up to date.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn master(&self) -> store::Result<Box<dyn Db>> {
        self.open("master", migrate::MASTER)
    }

    fn open(&self, label: &str, migrations: &[migrate::Migration]) -> store::Result<Box<dyn Db>> {
        let db = self.stores.open(label)?;
        if !self.migrated.load(Ordering::Relaxed) {
            migrate::migrate(&*db, migrations)?;
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(db)
    }
}

/// So many random bytes as text for URLs and headers.
pub fn random_text(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    // Without randomness nothing here is safe: better to fail the request than to go on.
    getrandom::fill(&mut buffer).expect("the host gives random bytes");
    URL_SAFE_NO_PAD.encode(buffer)
}

/// A new UUIDv7 for a time.
pub fn new_id(now: i64) -> String {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the host gives random bytes");
    uuid::Builder::from_unix_timestamp_millis(now.unsigned_abs(), &random)
        .into_uuid()
        .to_string()
}
