//! End-to-end scenarios, one file each. One binary, so that it links once.
//!
//! Run by `scripts/test`; one scenario by `scripts/test NAME`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness_itself;
