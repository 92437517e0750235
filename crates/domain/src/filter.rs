//! Which leads are meant: conditions of any depth over fields, tags and what happened. Rules, searches and bulk actions
//! use the same ones.

use serde::{Deserialize, Deserializer, Serialize};

mod check;
#[cfg(test)]
mod tests;

pub use check::{DEPTH_MAX, SIZE_MAX, VALUE_MAX, VALUES_MAX, Wrong};

/// A condition on a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Every one holds; true when empty.
    And(Vec<Filter>),
    /// At least one holds; false when empty.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// The lead has this tag.
    Tag(String),
    /// A field compares with a value.
    Field(Comparison),
    /// A field is the same as one of some values.
    OneOf(OneOf),
    /// Something happened to the lead.
    Activity(Activity),
    /// A row of the import with this number is the lead's.
    Import(i64),
    /// When it became a lead.
    Created(Span),
    /// When it was changed last.
    Updated(Span),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// A built-in field's name or a custom field's.
    pub name: String,
    /// How.
    pub op: Op,
    /// With what; not needed for `is_set` and `not_set`. A number or a boolean may stand here as it is.
    #[serde(default, deserialize_with = "scalar")]
    pub value: String,
}

/// A field and the values of which it has one; letters without case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// A built-in field's name or a custom field's.
    pub name: String,
    /// The values.
    pub values: Vec<String>,
}

/// How two values compare; letters without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The same.
    Eq,
    /// Another, or none.
    Ne,
    /// Holds the value somewhere.
    Contains,
    /// Begins with the value.
    StartsWith,
    /// Ends with the value.
    EndsWith,
    /// There is a value.
    IsSet,
    /// There is no value.
    NotSet,
    /// A larger number, or a later date. What is neither is not.
    Gt,
    /// At least that number or date.
    Gte,
    /// A smaller number, or an earlier date.
    Lt,
    /// At most that number or date.
    Lte,
}

/// What may have happened to a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// A mail was sent.
    Mailed,
    /// A mail could not be sent.
    Failed,
    /// A mail must not be sent any more.
    Aborted,
    /// A person ended a mail.
    Canceled,
    /// It is not known whether a mail was sent.
    Uncertain,
    /// A mail came back.
    Bounced,
    /// A mail was opened.
    Opened,
    /// A link was clicked.
    Clicked,
    /// The lead answered.
    Replied,
    /// The lead accepted a connection.
    Accepted,
    /// The lead wants no more mails.
    Unsubscribed,
}

impl Happened {
    /// All of them in order.
    pub const ALL: [Happened; 11] = [
        Happened::Mailed,
        Happened::Failed,
        Happened::Aborted,
        Happened::Canceled,
        Happened::Uncertain,
        Happened::Bounced,
        Happened::Opened,
        Happened::Clicked,
        Happened::Replied,
        Happened::Accepted,
        Happened::Unsubscribed,
    ];

    /// The kind of event that says so.
    pub fn event(self) -> &'static str {
        match self {
            Happened::Mailed => "outreach_performed",
            Happened::Failed => "outreach_failed",
            Happened::Aborted => "outreach_aborted",
            Happened::Canceled => "outreach_canceled",
            Happened::Uncertain => "outreach_uncertain",
            Happened::Bounced => "bounced",
            Happened::Opened => "opened",
            Happened::Clicked => "clicked",
            Happened::Replied => "replied",
            Happened::Accepted => "accepted",
            Happened::Unsubscribed => "unsubscribed",
        }
    }

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Happened::Mailed => "mailed",
            Happened::Failed => "failed",
            Happened::Aborted => "aborted",
            Happened::Canceled => "canceled",
            Happened::Uncertain => "uncertain",
            other => other.event(),
        }
    }
}

/// Something that happened, at any time unless that is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// What.
    pub what: Happened,
    /// When.
    #[serde(default)]
    pub when: Span,
}

/// A time between two others, each of which may be left open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// In so many days before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_days: Option<u32>,
    /// At this time or later, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Before this time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Span {
    /// In so many days before now.
    pub fn within_days(days: u32) -> Span {
        Span {
            within_days: Some(days),
            ..Span::default()
        }
    }

    fn at(self, now: i64) -> Span {
        let since = self.within_days.map(|days| now - i64::from(days) * DAY);
        Span {
            within_days: None,
            after: self.after.max(since),
            before: self.before,
        }
    }
}

/// What an operand of `gt`, `gte`, `lt` and `lte` is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operand<'a> {
    /// A number.
    Number(f64),
    /// A date (`2026-11-21`), or a date with a time; they compare as texts.
    Date(&'a str),
}

impl Comparison {
    /// The value of an ordering comparison; none when it has no order.
    pub fn operand(&self) -> Option<Operand<'_>> {
        let text = self.value.trim();
        match number(text) {
            Some(number) => Some(Operand::Number(number)),
            None => is_date(text).then_some(Operand::Date(text)),
        }
    }
}

/// The longest text that is read as a number.
pub const NUMBER_MAX: usize = 32;

/// A number as people write it into a field: an optional sign, digits, and digits behind a point.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let good = text.len() <= NUMBER_MAX && all(whole) && all(rest);
    good.then(|| text.parse().ok()).flatten()
}

fn is_date(text: &str) -> bool {
    let shape = text.bytes().take(10).enumerate();
    let right = |(i, b): (usize, u8)| match i {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    };
    text.len() >= 10 && text.is_ascii() && shape.into_iter().all(right)
}

impl Filter {
    /// How deep it nests.
    pub fn depth(&self) -> usize {
        1 + match self {
            Filter::And(inner) | Filter::Or(inner) => {
                inner.iter().map(Filter::depth).max().unwrap_or(0)
            }
            Filter::Not(inner) => inner.depth(),
            _ => 0,
        }
    }

    /// The same with times instead of “within so many days”.
    #[must_use]
    pub fn at(&self, now: i64) -> Filter {
        let all = |inner: &[Filter]| inner.iter().map(|f| f.at(now)).collect();
        match self {
            Filter::And(inner) => Filter::And(all(inner)),
            Filter::Or(inner) => Filter::Or(all(inner)),
            Filter::Not(inner) => Filter::Not(Box::new(inner.at(now))),
            Filter::Activity(a) => Filter::Activity(Activity {
                what: a.what,
                when: a.when.at(now),
            }),
            Filter::Created(span) => Filter::Created(span.at(now)),
            Filter::Updated(span) => Filter::Updated(span.at(now)),
            other => other.clone(),
        }
    }

    /// The conditions that must all hold, as far as that can be seen: those inside of nested `and`s.
    pub fn conjuncts(&self) -> Vec<&Filter> {
        match self {
            Filter::And(inner) => inner.iter().flat_map(Filter::conjuncts).collect(),
            other => vec![other],
        }
    }
}

/// A text, a number or a boolean as text.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Flag(bool),
        Number(serde_json::Number),
    }
    let wrong = |_| serde::de::Error::custom("must be a text, a number or a boolean");
    Ok(match Scalar::deserialize(deserializer).map_err(wrong)? {
        Scalar::Text(text) => text,
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Number(number) => number.to_string(),
    })
}
