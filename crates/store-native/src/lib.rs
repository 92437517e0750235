//! The store's port without Spin, for tests, tools and the host's own needs: on rusqlite, and on a PostgreSQL server.

mod postgres;
mod sqlite;

pub use postgres::{Postgres, Wire, connect};
pub use sqlite::Sqlite;
