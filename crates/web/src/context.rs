//! What handlers get from outside: databases, time, randomness, configuration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::pages::Look;
use store::{Db, Open, Place, migrate};

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
    /// Who this slave is at its master; empty for the one that runs beside the master.
    pub node_id: String,
    /// What this slave shows the master; empty for the one that runs beside it, which shows `node_secret`.
    pub node_credential: String,
    /// What the master's statements are checked with (base64url); empty where `secret_key` is the master's own.
    pub master_public_key: String,
    /// Shared by slave and workers.
    pub worker_token: String,
    /// Seals secrets of profiles and signs links.
    pub secret_key: String,
    /// The resolver that is asked for the proofs of host names: DNS over HTTPS (RFC 8484) at `/dns-query` below it.
    pub resolver_url: String,
    /// Where the master passes on what came by a host name of a sub-account; empty where no slave is beside it.
    pub forward_url: String,
    /// How many sub-accounts this slave has room for.
    pub slots: i64,
    /// Whether people must confirm their address before they may do anything else.
    pub confirm_required: bool,
    /// Password hashes at once on this node.
    pub password_turns: i64,
    /// `From` of this installation's own mails; empty for one made of the public URL.
    pub mail_from: String,
    /// The master's database on a PostgreSQL server; empty for the SQLite label `master`.
    pub master_database: String,
    /// The slave's control database on a PostgreSQL server; empty for the SQLite label `slave`.
    pub control_database: String,
    /// The PostgreSQL server on which new tenants get databases, as its administrator; empty where they get SQLite slots.
    pub tenant_database: String,
    /// For how many days a deleted sub-account can be brought back.
    pub delete_grace_days: i64,
    /// Where the master reaches this slave, when that is not `public_url`.
    pub node_url: String,
    /// What tells how this machine is, for the reports of this node; empty for nothing.
    pub host_status_url: String,
    /// Address and password that the log-in page offers; only for a demonstration.
    pub demo: Option<(String, String)>,
}

/// What this product is called where nobody gave it another name.
pub const PRODUCT: &str = "Sluice";

/// The slave that runs beside the master, in one application with it.
pub const LOCAL: &str = "local";

impl Config {
    /// What this slave is called in the master's statements.
    pub fn node(&self) -> &str {
        match self.node_id.as_str() {
            "" => LOCAL,
            id => id,
        }
    }

    /// What this slave shows the master.
    pub fn credential(&self) -> &str {
        match self.node_credential.as_str() {
            "" => &self.node_secret,
            credential => credential,
        }
    }
}

/// A host other than the master's: of a sub-account, or of a slave elsewhere. Cookies never leave it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Own {
    /// Its name.
    pub host: String,
    /// Its address, without a slash at the end.
    pub url: String,
    /// The sub-account that all of it is for.
    #[serde(default)]
    pub subaccount: Option<String>,
    /// How its pages look.
    #[serde(default)]
    pub look: Option<Look>,
}

/// What every handler gets.
#[derive(Clone)]
pub struct Context<'a> {
    /// The databases of this node.
    pub stores: &'a dyn Open,
    /// What the operator set.
    pub config: &'a Config,
    /// Milliseconds since the epoch.
    pub now: i64,
    /// The host that the caller came by, when it is not the master's.
    pub own: Option<Own>,
    /// Whether this instance has brought the node's own database up to date already.
    pub migrated: &'a AtomicBool,
}

impl Context<'_> {
    /// A tenant's path on the host name that the caller came by.
    pub fn base(&self, tenant: &str) -> String {
        match self.tenant_name() {
            Some(_) => String::new(),
            None => format!("/s/{tenant}"),
        }
    }

    /// The host name that the caller came by, when it leads to one sub-account.
    pub fn tenant_name(&self) -> Option<&str> {
        let own = self.own.as_ref().filter(|own| own.subaccount.is_some());
        own.map(|own| own.host.as_str())
    }

    /// The host that sessions of the caller are bound to; empty on the master's.
    pub fn session_host(&self) -> &str {
        self.own.as_ref().map_or("", |own| &own.host)
    }

    /// What people know this product by: the name of a host of their own, or ours.
    pub fn product(&self) -> &str {
        self.brand().unwrap_or(PRODUCT)
    }

    /// The name that a host of its own has in the place of ours.
    pub fn brand(&self) -> Option<&str> {
        let look = self.own.as_ref().and_then(|own| own.look.as_ref());
        look.map(|look| look.name.as_str())
    }

    /// The address that links to people are made with, without a slash at the end.
    pub fn url(&self) -> &str {
        self.own
            .as_ref()
            .map_or(&self.config.public_url, |own| &own.url)
    }

    /// The slave's control database, brought up to date.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn control(&self) -> store::Result<Box<dyn Db>> {
        self.open(&Place::Control, migrate::SLAVE)
    }

    /// The master's database, brought up to date.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn master(&self) -> store::Result<Box<dyn Db>> {
        self.open(&Place::Master, migrate::MASTER)
    }

    fn open(&self, place: &Place, migrations: &[migrate::Migration]) -> store::Result<Box<dyn Db>> {
        let db = self.stores.open(place)?;
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

/// So many random bytes as hexadecimal digits, for places where letters have no case.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).expect("the host gives random bytes");
    buffer.iter().map(|b| format!("{b:02x}")).collect()
}

/// A new UUIDv7 for a time.
pub fn new_id(now: i64) -> String {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the host gives random bytes");
    uuid::Builder::from_unix_timestamp_millis(now.unsigned_abs(), &random)
        .into_uuid()
        .to_string()
}
