//! What a form remembers between a rejected submission and the next one.

/// One input: what was typed, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// What was typed. Never fill this for a password.
    pub value: String,
    /// What is wrong with it, in a sentence that says how to put it right.
    pub error: Option<String>,
}

impl Field {
    /// A field that holds `value`.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            error: None,
        }
    }

    /// The same field, refused.
    #[must_use]
    pub fn refused(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }
}
