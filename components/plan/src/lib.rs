//! The `plan` component.
