//! The parts of `sluice-worker`, the daemon that performs requests through the profiles a slave assigns to it.
//!
//! The core decides: [`mime`] makes the mail, [`outcome`] reads an SMTP conversation, [`journal::state`] says what a
//! restart may conclude. The shell around it does: [`client`] talks to the slave, [`smtp`] to mail servers, [`send`]
//! performs one request in the order that never sends twice, and [`run`] keeps it all going.

pub mod address;
pub mod begin;
pub mod claim;
pub mod client;
pub mod config;
pub mod doctor;
pub mod join;
pub mod journal;
pub mod leases;
pub mod mime;
pub mod outbox;
pub mod outcome;
pub mod profiles;
pub mod report;
pub mod run;
pub mod send;
pub mod smtp;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
