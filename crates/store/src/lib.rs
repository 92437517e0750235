//! What Sluice keeps, and how it asks for it: a small synchronous port ([`Db`]), named queries, and one module for
//! each noun that maps rows to plain data. Adapters for hosts live in `store-spin` and `store-native`.
//!
//! A [`Db`] is already scoped: to the master, to a slave's control database, or to exactly one sub-account. No
//! function here takes a tenant.

pub mod api_key;
pub mod approval;
pub mod archive;
pub mod attempt;
pub mod audit;
pub mod content;
pub mod credential;
pub mod custom_domain;
pub mod dialect;
pub mod dry_run;
pub mod erasure;
pub mod event;
pub mod filter;
pub mod import;
pub mod import_row;
pub mod instance;
pub mod invite;
pub mod lead;
pub mod link_key;
pub mod message;
pub mod migrate;
pub mod node;
pub mod outbox;
pub mod password_work;
pub mod placement;
pub mod port;
pub mod postgres;
pub mod profile;
pub mod relocation;
pub mod request;
pub mod rule;
pub mod saved_view;
mod scram;
pub mod search;
pub mod sequence;
pub mod server;
pub mod session;
pub mod setting;
pub mod slot;
pub mod subaccount;
pub mod suppression;
pub mod tag;
pub mod tenant;
pub mod tenant_state;
pub mod timeline;
pub mod token;
pub mod turn;
pub mod undo;
pub mod user;
pub mod work;

pub use port::{Db, Engine, Error, Open, Place, Result, Row, Value, transaction};

/// Queries by noun and name, from `sql/queries`.
#[allow(missing_docs)]
pub mod queries {
    include!(concat!(env!("OUT_DIR"), "/queries.rs"));
}
