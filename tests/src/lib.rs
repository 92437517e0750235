//! The end-to-end tests' harness: the real programs, a real mail server, a real browser, and a typed client.
//!
//! Scenarios are in `tests/all`, one file each; each reads as sentences over [`harness`].

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod harness;
