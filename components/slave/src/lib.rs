//! The `slave` component.
