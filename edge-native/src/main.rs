//! The `sluice` host.
fn main() {}
