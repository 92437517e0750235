//! What a filter may hold, so that no filter costs more than a page.

use super::{Comparison, Filter, Op, Span};

/// The deepest a filter may nest.
pub const DEPTH_MAX: usize = 20;
/// The most conditions it may have, those that only join others included.
pub const SIZE_MAX: usize = 200;
/// The longest value, in characters.
pub const VALUE_MAX: usize = 1000;
/// The most values of one `one_of`.
pub const VALUES_MAX: usize = 100;
/// The most days of `within_days`: a hundred years.
const DAYS_MAX: u32 = 36_525;

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Wrong {
    /// The place below the filter: `and[1].field.value`; empty for the filter itself.
    pub path: String,
    /// For people.
    pub message: String,
}

fn wrong(path: String, message: impl Into<String>) -> Wrong {
    let message = message.into();
    Wrong { path, message }
}

impl Filter {
    /// How many conditions it has.
    pub fn size(&self) -> usize {
        1 + match self {
            Filter::And(inner) | Filter::Or(inner) => inner.iter().map(Filter::size).sum(),
            Filter::Not(inner) => inner.size(),
            _ => 0,
        }
    }

    /// Checks limits and values.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Wrong> {
        if self.depth() > DEPTH_MAX {
            let message = format!("must not nest deeper than {DEPTH_MAX}");
            return Err(wrong(String::new(), message));
        }
        if self.size() > SIZE_MAX {
            let message = format!("must have at most {SIZE_MAX} conditions");
            return Err(wrong(String::new(), message));
        }
        self.check_below("")
    }

    fn check_below(&self, path: &str) -> Result<(), Wrong> {
        let at = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let each = |name: &str, inner: &[Filter]| {
            let mut inner = inner.iter().enumerate();
            inner.try_for_each(|(i, f)| f.check_below(&at(&format!("{name}[{i}]"))))
        };
        match self {
            Filter::And(inner) => each("and", inner),
            Filter::Or(inner) => each("or", inner),
            Filter::Not(inner) => inner.check_below(&at("not")),
            Filter::Tag(tag) => filled(at("tag"), tag),
            Filter::Field(comparison) => check_comparison(comparison, &at("field")),
            Filter::OneOf(one) => {
                filled(at("one_of.name"), &one.name)?;
                if !(1..=VALUES_MAX).contains(&one.values.len()) {
                    let message = format!("must have 1 to {VALUES_MAX} values");
                    return Err(wrong(at("one_of.values"), message));
                }
                let mut values = one.values.iter().enumerate();
                values.try_for_each(|(i, v)| short(at(&format!("one_of.values[{i}]")), v))
            }
            Filter::Activity(a) => check_span(&a.when, &at("activity.when")),
            Filter::Import(id) => match *id > 0 {
                true => Ok(()),
                false => Err(wrong(at("import"), "must be the number of an import")),
            },
            Filter::Created(span) => check_span(span, &at("created")),
            Filter::Updated(span) => check_span(span, &at("updated")),
        }
    }
}

fn check_comparison(c: &Comparison, path: &str) -> Result<(), Wrong> {
    filled(format!("{path}.name"), &c.name)?;
    let value = format!("{path}.value");
    match c.op {
        Op::IsSet | Op::NotSet => Ok(()),
        Op::Gt | Op::Gte | Op::Lt | Op::Lte if c.operand().is_none() => Err(wrong(
            value,
            "must be a number, like 12.5, or a date, like 2026-11-21",
        )),
        Op::Contains | Op::StartsWith | Op::EndsWith => filled(value, &c.value),
        _ => short(value, &c.value),
    }
}

fn check_span(span: &Span, path: &str) -> Result<(), Wrong> {
    let days = span.within_days.unwrap_or(1);
    if !(1..=DAYS_MAX).contains(&days) {
        let message = format!("must be from 1 to {DAYS_MAX}");
        return Err(wrong(format!("{path}.within_days"), message));
    }
    match (span.after, span.before) {
        (Some(after), Some(before)) if after >= before => Err(wrong(
            format!("{path}.before"),
            "must be later than `after`",
        )),
        _ => Ok(()),
    }
}

fn filled(path: String, value: &str) -> Result<(), Wrong> {
    match value.trim().is_empty() {
        true => Err(wrong(path, "must not be empty")),
        false => short(path, value),
    }
}

fn short(path: String, value: &str) -> Result<(), Wrong> {
    match () {
        () if value.chars().count() > VALUE_MAX => {
            let message = format!("must have at most {VALUE_MAX} characters");
            Err(wrong(path, message))
        }
        () if value.contains('\0') => Err(wrong(path, "must not hold NUL")),
        () => Ok(()),
    }
}
