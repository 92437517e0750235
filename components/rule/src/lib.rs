//! The `rule` component.
