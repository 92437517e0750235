//! What a form remembers between a rejected submission and the next one.

use crate::http::{FieldError, Problem, Request};

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

/// A form as it was sent.
#[derive(Debug, Clone)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The form in a request's body.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self(request.form())
    }

    /// The form that a query says.
    #[must_use]
    pub fn of_query(request: &Request) -> Self {
        let pairs = url::form_urlencoded::parse(request.query.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// A form into which nothing was typed.
    #[must_use]
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// What was typed into a field; empty when the field is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// How many columns a mapping has: the fields `target_0`, `target_1` and so on, without a gap.
    #[must_use]
    pub fn columns(&self) -> usize {
        let is = |name: &str, i: usize| name.strip_prefix("target_") == Some(&i.to_string());
        let there = |i: &usize| self.0.iter().any(|(name, _)| is(name, *i));
        (0..domain::table::COLUMNS_MAX).take_while(there).count()
    }

    /// All values of a field that may be there several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The same without the space around it; none when nothing is left.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// A number, if one was typed.
    ///
    /// # Errors
    /// 422 for anything else.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let number = self.filled(name).map(str::parse).transpose();
        number.map_err(|_| Problem::invalid(name, "must be a whole number, and not too large"))
    }
}

/// Why a form was refused, to be told field by field; what is left is told on top of the form.
#[derive(Debug, Default)]
pub struct Refusal {
    errors: Vec<FieldError>,
    detail: Option<String>,
}

impl Refusal {
    /// What a problem says of a form.
    #[must_use]
    pub fn of(problem: Problem) -> Self {
        let said = [problem.detail, problem.title];
        let detail = said.into_iter().find(|text| !text.is_empty());
        let told = !problem.errors.is_empty();
        Self {
            errors: problem.errors,
            detail: detail.filter(|_| !told),
        }
    }

    /// What is wrong with the field that the API calls `name`.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.errors.iter().position(|e| e.field == name)?;
        Some(sentence(&self.errors.remove(at).message))
    }

    /// The field with what was typed and what is wrong with it.
    pub fn field(&mut self, name: &str, typed: &str) -> Field {
        Field {
            value: typed.to_owned(),
            error: self.take(name),
        }
    }

    /// What no field was told.
    #[must_use]
    pub fn rest(self) -> Option<String> {
        let left = self.errors.first();
        let left = left.map(|e| sentence(&format!("{}: {}", e.field, e.message)));
        self.detail.or(left)
    }
}

/// `must not be empty` as `Must not be empty.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    let mut sentence = first.unwrap_or_default() + letters.as_str();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_beside_its_field_or_on_top() {
        let mut refusal = Refusal::of(Problem::invalid("settings.port", "must be a number"));
        let port = refusal.field("settings.port", "x");
        assert_eq!(
            (port.value.as_str(), port.error.as_deref()),
            ("x", Some("Must be a number."))
        );
        assert_eq!(refusal.rest(), None);

        let unknown = Refusal::of(Problem::invalid("other", "is odd"));
        assert_eq!(unknown.rest().as_deref(), Some("Other: is odd."));
        let whole = Refusal::of(Problem::new(409, "Too many").detail("There are too many."));
        assert_eq!(whole.rest().as_deref(), Some("There are too many."));
    }
}
