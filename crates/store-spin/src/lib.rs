//! The store's port on Spin's databases, by their synchronous functions: they are the faster ones, and the only ones that
//! a scheduled component can call.

mod postgres;
mod sqlite;

pub use postgres::{Postgres, connect};
pub use sqlite::Sqlite;
