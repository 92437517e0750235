//! store-native
