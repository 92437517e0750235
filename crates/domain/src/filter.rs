//! Which leads a rule is for: conditions of any depth over fields and tags.

use serde::{Deserialize, Serialize};

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
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// A built-in field's name or a custom field's.
    pub name: String,
    /// How.
    pub op: Op,
    /// With what; not needed for `is_set`.
    #[serde(default)]
    pub value: String,
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
    /// There is a value.
    IsSet,
}

/// The deepest a filter may nest.
pub const DEPTH_MAX: usize = 20;

impl Filter {
    /// How deep it nests.
    pub fn depth(&self) -> usize {
        1 + match self {
            Filter::And(inner) | Filter::Or(inner) => {
                inner.iter().map(Filter::depth).max().unwrap_or(0)
            }
            Filter::Not(inner) => inner.depth(),
            Filter::Tag(_) | Filter::Field(_) => 0,
        }
    }
}
