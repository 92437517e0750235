//! The web layer: routers, the JSON API and the pages, as plain functions from a request to an answer. Components
//! wire them to a host.

pub mod assertion;
pub mod auth;
pub mod client;
pub mod context;
pub mod database;
pub mod front;
pub mod http;
pub mod input;
mod json;
pub mod master;
pub mod openapi;
pub mod pages;
pub mod seal;
pub mod slave;
pub mod totp;

pub use context::{Config, Context};
pub use domain::identity::Identity;
pub use http::{Answer, Body, Problem, Request, Response};
