//! The `master` component.
