//! The `import` component.
