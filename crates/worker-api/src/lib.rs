//! worker-api
