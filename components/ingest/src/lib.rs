//! The `ingest` component.
