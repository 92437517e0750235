//! The `allocate` component.
