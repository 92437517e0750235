//! The `timeline` component.
