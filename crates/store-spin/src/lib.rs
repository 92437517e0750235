//! store-spin
