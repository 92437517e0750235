//! The filter that people build in a form, row by row: what a row is about, how it compares, with what.

use chrono::{NaiveDate, NaiveTime};
use domain::filter::{Activity, Comparison, Filter, Happened, Op, Span};
use domain::lead::Field as LeadField;

use super::Choice;
use super::form::{Field, Form};

/// Rows that a form has at most.
pub const ROWS_MAX: usize = 10;

/// One row as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// A field's name, `data.NAME`, `tag`, `import`, `created`, `updated` or `did.WHAT`; empty when nothing was chosen.
    pub on: String,
    /// One of [`OPS`].
    pub op: String,
    /// With what.
    pub value: Field,
}

/// A filter as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The rows, with one that is empty.
    pub rows: Vec<Row>,
    /// Whether one of them is enough.
    pub any: bool,
    /// A filter in JSON that must hold as well.
    pub json: Field,
}

/// How a row compares, with its name for people.
pub const OPS: [(&str, &str); 14] = [
    ("is", "is"),
    ("is_not", "is not"),
    ("contains", "contains"),
    ("not_contains", "does not contain"),
    ("starts", "begins with"),
    ("ends", "ends with"),
    ("known", "is known / happened"),
    ("unknown", "is not known / did not happen"),
    ("more", "is more / later than"),
    ("least", "is at least"),
    ("less", "is less / earlier than"),
    ("most", "is at most"),
    ("within", "in the last … days"),
    ("not_within", "not in the last … days"),
];

/// What rows can be about, in groups.
pub fn subjects(custom: &[String]) -> Vec<(&'static str, Vec<Choice>)> {
    let built_in = LeadField::ALL.map(|f| Choice::new(f.name(), super::routes::label(f)));
    let did = Happened::ALL.map(|h| Choice::new(format!("did.{}", h.name()), sentence(h.name())));
    let custom = custom
        .iter()
        .map(|name| Choice::new(format!("data.{name}"), name));
    let of_lead = [
        Choice::new("tag", "Tag"),
        Choice::new("import", "Import (its number)"),
        Choice::new("created", "Became a lead"),
        Choice::new("updated", "Changed"),
    ];
    vec![
        ("Fields", built_in.into()),
        ("Custom fields", custom.collect()),
        ("The lead", of_lead.into()),
        ("What happened", did.into()),
    ]
}

fn sentence(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

impl Conditions {
    /// The rows of a form: `on_1`, `op_1`, `value_1` and so on, as many as `rows` says.
    #[must_use]
    pub fn of(form: &Form) -> Conditions {
        let typed = |i: usize| Row {
            on: form.get(&format!("on_{i}")).to_owned(),
            op: form.get(&format!("op_{i}")).to_owned(),
            value: Field::of(form.get(&format!("value_{i}"))),
        };
        let mut rows: Vec<_> = (1..=ROWS_MAX)
            .map(typed)
            .filter(|r| !r.on.is_empty())
            .collect();
        if rows.len() < ROWS_MAX {
            rows.push(Row::default());
        }
        Conditions {
            rows,
            any: form.get("any") == "1",
            json: Field::of(form.get("filter").trim()),
        }
    }

    /// The filter that the rows say; what is wrong is told beside its row.
    pub fn filter(&mut self) -> Option<Filter> {
        let mut parts = Vec::new();
        let mut wrong = false;
        for row in self.rows.iter_mut().filter(|r| !r.on.is_empty()) {
            match row.filter() {
                Ok(filter) => parts.push(filter),
                Err(error) => {
                    row.value.error = Some(error);
                    wrong = true;
                }
            }
        }
        let rows = match self.any && !parts.is_empty() {
            true => Filter::Or(parts),
            false => Filter::And(parts),
        };
        (!wrong).then_some(rows)
    }

    /// Whether anything was typed.
    #[must_use]
    pub fn are_there(&self) -> bool {
        !self.json.value.is_empty() || self.rows.iter().any(|r| !r.on.is_empty())
    }

    /// The parameters that say the same.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let rows = self.rows.iter().filter(|r| !r.on.is_empty());
        for (i, row) in rows.enumerate() {
            let i = i + 1;
            pairs.push((format!("on_{i}"), row.on.clone()));
            pairs.push((format!("op_{i}"), row.op.clone()));
            pairs.push((format!("value_{i}"), row.value.value.clone()));
        }
        if self.any {
            pairs.push(("any".to_owned(), "1".to_owned()));
        }
        pairs.push(("filter".to_owned(), self.json.value.clone()));
        pairs
    }
}

impl Row {
    fn filter(&self) -> Result<Filter, String> {
        let filter = match (self.on.as_str(), self.on.split_once('.')) {
            ("tag", _) => self.same(Filter::Tag(self.filled()?.to_owned()), "A tag"),
            ("import", _) => {
                let id = self.filled()?.parse();
                let id = id.map_err(|_| "Type the number of an import.".to_owned())?;
                self.same(Filter::Import(id), "An import")
            }
            ("created", _) => self.time(Filter::Created),
            ("updated", _) => self.time(Filter::Updated),
            (_, Some(("did", what))) => self.activity(what),
            (_, Some(("data", name))) => self.field(name),
            (name, _) if LeadField::from_name(name).is_some() => self.field(name),
            _ => Err("Choose what the condition is about.".to_owned()),
        }?;
        filter
            .check()
            .map_err(|wrong| format!("It {}.", wrong.message))?;
        Ok(filter)
    }

    fn filled(&self) -> Result<&str, String> {
        match self.value.value.trim() {
            "" => Err("Type a value.".to_owned()),
            value => Ok(value),
        }
    }

    fn same(&self, filter: Filter, what: &str) -> Result<Filter, String> {
        match self.op.as_str() {
            "is" => Ok(filter),
            "is_not" => Ok(not(filter)),
            _ => Err(format!("{what} takes “is” or “is not”.")),
        }
    }

    fn days(&self) -> Result<Span, String> {
        let days = self.filled()?.parse();
        let days = days.map_err(|_| "Type a number of days.".to_owned())?;
        Ok(Span::within_days(days))
    }

    fn time(&self, of: impl Fn(Span) -> Filter) -> Result<Filter, String> {
        let midnight = || {
            let date = NaiveDate::parse_from_str(self.filled()?, "%Y-%m-%d");
            let date = date.map_err(|_| "Type a date, like 2026-11-21.".to_owned())?;
            Ok::<_, String>(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
        };
        let span = |after, before| Span {
            within_days: None,
            after,
            before,
        };
        const DAY: i64 = 24 * 60 * 60 * 1000;
        match self.op.as_str() {
            "within" => Ok(of(self.days()?)),
            "not_within" => Ok(not(of(self.days()?))),
            "more" => Ok(of(span(Some(midnight()? + DAY), None))),
            "least" => Ok(of(span(Some(midnight()?), None))),
            "less" => Ok(of(span(None, Some(midnight()?)))),
            "most" => Ok(of(span(None, Some(midnight()? + DAY)))),
            "is" => Ok(of(span(Some(midnight()?), Some(midnight()? + DAY)))),
            _ => Err(
                "A time takes “in the last … days”, “is”, or earlier and later than a date."
                    .to_owned(),
            ),
        }
    }

    fn activity(&self, what: &str) -> Result<Filter, String> {
        let known = Happened::ALL.into_iter().find(|h| h.name() == what);
        let what = known.ok_or("Choose what the condition is about.")?;
        let happened = |when| Filter::Activity(Activity { what, when });
        match self.op.as_str() {
            "known" | "is" => Ok(happened(Span::default())),
            "unknown" | "is_not" => Ok(not(happened(Span::default()))),
            "within" => Ok(happened(self.days()?)),
            "not_within" => Ok(not(happened(self.days()?))),
            _ => Err("What happened takes “happened”, “did not happen” or days.".to_owned()),
        }
    }

    fn field(&self, name: &str) -> Result<Filter, String> {
        let compare = |op| {
            let value = match op {
                Op::IsSet | Op::NotSet => String::new(),
                _ => self.filled()?.to_owned(),
            };
            let name = name.to_owned();
            Ok::<_, String>(Filter::Field(Comparison { name, op, value }))
        };
        match self.op.as_str() {
            "is" => compare(Op::Eq),
            "is_not" => compare(Op::Ne),
            "contains" => compare(Op::Contains),
            "not_contains" => compare(Op::Contains).map(not),
            "starts" => compare(Op::StartsWith),
            "ends" => compare(Op::EndsWith),
            "known" => compare(Op::IsSet),
            "unknown" => compare(Op::NotSet),
            "more" => compare(Op::Gt),
            "least" => compare(Op::Gte),
            "less" => compare(Op::Lt),
            "most" => compare(Op::Lte),
            _ => Err("A field does not take days.".to_owned()),
        }
    }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}
