//! The `sluice-worker` daemon.
fn main() {}
