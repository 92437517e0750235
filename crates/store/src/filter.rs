//! Compiles a [`Filter`] to SQL on `lead l`. Values are parameters, and names are parameters too: nothing that a
//! person typed becomes SQL.

use domain::filter::{Activity, Comparison, Filter, NUMBER_MAX, OneOf, Op, Operand, Span};
use domain::lead::Field;

use crate::{Engine, Value};

/// A condition with the parameters it uses, numbered from a given number on.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// A boolean SQL expression.
    pub sql: String,
    /// Its parameters.
    pub params: Vec<Value>,
}

/// Compiles a filter; the first parameter is `?{first}`. Where the filter speaks of days before now, the database's
/// clock says when that is; [`Filter::at`] settles it before.
pub fn compile(filter: &Filter, first: usize, engine: Engine) -> Compiled {
    let mut writer = Writer {
        first,
        engine,
        out: Compiled {
            sql: String::new(),
            params: Vec::new(),
        },
    };
    writer.push(filter);
    writer.out
}

/// The kinds of events that every lead has, which `event_activity` leaves out: a query must say so, too.
const ACTIVITIES: &str = "e.kind not in ('lead_created', 'tag_added')";

struct Writer {
    first: usize,
    engine: Engine,
    out: Compiled,
}

impl Writer {
    fn push(&mut self, filter: &Filter) {
        match filter {
            Filter::And(inner) => self.join(inner, " and ", "true"),
            Filter::Or(inner) => self.join(inner, " or ", "false"),
            Filter::Not(inner) => {
                self.say("not (");
                self.push(inner);
                self.say(")");
            }
            Filter::Tag(tag) => {
                let p = self.param(tag.trim().to_lowercase());
                self.say(&format!(
                    "exists (select 1 from lead_tag ft where ft.lead_id = l.id and ft.tag_id = (select id from tag where folded = {p}))"
                ));
            }
            Filter::Field(comparison) => self.push_comparison(comparison),
            Filter::OneOf(one) => self.push_one_of(one),
            Filter::Activity(activity) => self.push_activity(activity),
            Filter::Import(id) => {
                let p = self.param(*id);
                self.say(&format!(
                    "(exists (select 1 from import_row r where r.lead_id = l.id and r.import_id = {p}) \
                     or exists (select 1 from import_batch b where b.import_id = {p} and b.first_lead <= l.id and b.last_lead >= l.id))"
                ));
            }
            Filter::Created(span) => self.push_span("l.created_at", span),
            Filter::Updated(span) => self.push_span("l.updated_at", span),
        }
    }

    fn say(&mut self, sql: &str) {
        self.out.sql.push_str(sql);
    }

    fn param(&mut self, value: impl Into<Value>) -> String {
        self.out.params.push(value.into());
        format!("?{}", self.first + self.out.params.len() - 1)
    }

    fn join(&mut self, inner: &[Filter], word: &str, empty: &str) {
        if inner.is_empty() {
            return self.say(empty);
        }
        self.say("(");
        for (i, filter) in inner.iter().enumerate() {
            if i > 0 {
                self.say(word);
            }
            self.push(filter);
        }
        self.say(")");
    }

    /// A field as a text that is empty when there is none.
    fn text(&mut self, name: &str) -> String {
        let value = match (Field::from_name(name), self.engine) {
            (Some(field), _) => format!("l.{}", field.name()),
            (None, engine) => {
                let name = name.replace(['"', '\\'], "");
                match engine {
                    Engine::Sqlite => {
                        let path = self.param(format!("$.\"{name}\""));
                        format!("json_extract(l.data, {path})")
                    }
                    Engine::Postgres => {
                        let name = self.param(name);
                        format!("cast(l.data as json) ->> {name}")
                    }
                }
            }
        };
        format!("coalesce({value}, '')")
    }

    fn push_comparison(&mut self, c: &Comparison) {
        let ordering = matches!(c.op, Op::Gt | Op::Gte | Op::Lt | Op::Lte);
        if ordering && c.operand().is_none() {
            return self.say("false");
        }
        let text = self.text(&c.name);
        let sql = match c.op {
            Op::IsSet => format!("{text} <> ''"),
            Op::NotSet => format!("{text} = ''"),
            Op::Gt => self.ordered(c, &text, ">"),
            Op::Gte => self.ordered(c, &text, ">="),
            Op::Lt => self.ordered(c, &text, "<"),
            Op::Lte => self.ordered(c, &text, "<="),
            Op::Eq | Op::Ne | Op::Contains | Op::StartsWith | Op::EndsWith => {
                let value = self.param(&c.value);
                // Both by the database's idea of lower case, so that they agree.
                let (text, value) = (format!("lower({text})"), format!("lower({value})"));
                match c.op {
                    Op::Ne => format!("{text} <> {value}"),
                    Op::Contains => format!("instr({text}, {value}) > 0"),
                    Op::StartsWith => {
                        format!("substr({text}, 1, length({value})) = {value}")
                    }
                    Op::EndsWith => format!(
                        "(length({text}) >= length({value}) and substr({text}, length({text}) - length({value}) + 1) = {value})"
                    ),
                    _ => format!("{text} = {value}"),
                }
            }
        };
        self.say(&sql);
    }

    fn push_one_of(&mut self, one: &OneOf) {
        let text = self.text(&one.name);
        let values: Vec<_> = one.values.iter().map(|v| self.param(v)).collect();
        let values: Vec<_> = values.iter().map(|p| format!("lower({p})")).collect();
        self.say(&format!("lower({text}) in ({})", values.join(", ")));
    }

    /// Compares numbers as numbers and dates as texts. What is neither is never greater or smaller.
    fn ordered(&mut self, c: &Comparison, text: &str, than: &str) -> String {
        match c.operand() {
            Some(Operand::Number(number)) => {
                let number = self.param(number);
                let short = format!("length({text}) <= {NUMBER_MAX}");
                match self.engine {
                    // It casts anything, so the comparison can come first and spare most rows the rest.
                    Engine::Sqlite => {
                        let digits =
                            format!("ltrim(substr({text}, 1, 1), '+-') || substr({text}, 2)");
                        format!(
                            "(cast({text} as real) {than} {number} and {short} and {digits} glob '[0-9]*' and {digits} glob '*[0-9]' \
                             and {digits} not glob '*[^0-9.]*' and {digits} not glob '*.*.*')"
                        )
                    }
                    // It refuses to cast what is no number, so the comparison is behind a `case`.
                    Engine::Postgres => format!(
                        "coalesce(case when {short} and {text} ~ '^[+-]?[0-9]+([.][0-9]+)?$' \
                         then cast({text} as real) end {than} {number}, false)"
                    ),
                }
            }
            Some(Operand::Date(date)) => {
                let date = self.param(date);
                let (shape, order) = match self.engine {
                    Engine::Sqlite => (
                        "glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'",
                        "collate binary",
                    ),
                    Engine::Postgres => ("~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}'", "collate \"C\""),
                };
                format!("({text} {shape} and {text} {order} {than} {date})")
            }
            None => "false".to_owned(),
        }
    }

    fn push_activity(&mut self, activity: &Activity) {
        let kind = activity.what.event();
        self.say(&format!(
            "exists (select 1 from event e where e.lead_id = l.id and e.kind = '{kind}' and {ACTIVITIES} and "
        ));
        self.push_span("e.at", &activity.when);
        self.say(")");
    }

    fn push_span(&mut self, column: &str, span: &Span) {
        let mut conditions = Vec::new();
        if let Some(days) = span.within_days {
            let now = match self.engine {
                Engine::Sqlite => "cast(unixepoch() as integer) * 1000",
                Engine::Postgres => "cast(extract(epoch from now()) * 1000 as bigint)",
            };
            let length = self.param(i64::from(days) * 24 * 60 * 60 * 1000);
            conditions.push(format!("{column} >= {now} - {length}"));
        }
        if let Some(after) = span.after {
            let after = self.param(after);
            conditions.push(format!("{column} >= {after}"));
        }
        if let Some(before) = span.before {
            let before = self.param(before);
            conditions.push(format!("{column} < {before}"));
        }
        match conditions.is_empty() {
            true => self.say("true"),
            false => self.say(&format!("({})", conditions.join(" and "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_never_sql() {
        let filter = Filter::And(vec![
            Filter::Tag("Hot' or 1=1 --".into()),
            Filter::Not(Box::new(Filter::Field(Comparison {
                name: "x\"') --".into(),
                op: Op::Eq,
                value: "'; drop".into(),
            }))),
            Filter::Field(Comparison {
                name: "country".into(),
                op: Op::IsSet,
                value: String::new(),
            }),
        ]);
        let compiled = compile(&filter, 5, Engine::Sqlite);
        assert!(
            !compiled.sql.contains("drop")
                && !compiled.sql.contains("1=1")
                && !compiled.sql.contains("--")
        );
        assert_eq!(compiled.params.len(), 3);
        assert!(compiled.sql.contains("?5") && compiled.sql.contains("?7"));
        let all = compile(&Filter::And(vec![]), 1, Engine::Postgres);
        assert_eq!(all.sql, "true");
    }
}
