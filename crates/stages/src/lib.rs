//! The stages: what happens to leads and requests between two calls of the API. Each is a small step over a store,
//! run for one tenant at a time by [`run::run`]; how it is fired (cron, HTTP tick) is the components' business.

pub mod allocate;
pub mod claim;
pub mod file;
pub mod import;
pub mod ingest;
mod pick;
pub mod plan;
pub mod relocate;
pub mod rule;
pub mod run;
pub mod search;
pub mod timeline;
