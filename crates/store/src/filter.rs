//! Compiles a [`Filter`] to SQL on `lead l`. Values are parameters, and names are parameters too: nothing that a
//! person typed becomes SQL.

use domain::filter::{Comparison, Filter, Op};
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

/// Compiles a filter; the first parameter is `?{first}`.
pub fn compile(filter: &Filter, first: usize, engine: Engine) -> Compiled {
    let mut compiled = Compiled {
        sql: String::new(),
        params: Vec::new(),
    };
    push(filter, (first, engine), &mut compiled);
    compiled
}

fn push(filter: &Filter, first: (usize, Engine), out: &mut Compiled) {
    match filter {
        Filter::And(inner) => join(inner, " and ", "true", first, out),
        Filter::Or(inner) => join(inner, " or ", "false", first, out),
        Filter::Not(inner) => {
            out.sql.push_str("not (");
            push(inner, first, out);
            out.sql.push(')');
        }
        Filter::Tag(tag) => {
            let p = param(out, first, tag.trim().to_lowercase());
            out.sql.push_str(&format!(
                "exists (select 1 from lead_tag ft join tag t on t.id = ft.tag_id where ft.lead_id = l.id and t.folded = {p})"
            ));
        }
        Filter::Field(comparison) => push_comparison(comparison, first, out),
    }
}

fn join(inner: &[Filter], word: &str, empty: &str, first: (usize, Engine), out: &mut Compiled) {
    if inner.is_empty() {
        return out.sql.push_str(empty);
    }
    out.sql.push('(');
    for (i, filter) in inner.iter().enumerate() {
        if i > 0 {
            out.sql.push_str(word);
        }
        push(filter, first, out);
    }
    out.sql.push(')');
}

fn param(out: &mut Compiled, first: (usize, Engine), value: String) -> String {
    out.params.push(Value::Text(value));
    format!("?{}", first.0 + out.params.len() - 1)
}

fn push_comparison(c: &Comparison, first: (usize, Engine), out: &mut Compiled) {
    let column = match Field::from_name(&c.name) {
        Some(field) => format!("lower(coalesce(l.{}, ''))", field.name()),
        None => {
            let name = c.name.replace(['"', '\\'], "");
            let value = match first.1 {
                Engine::Sqlite => {
                    format!(
                        "json_extract(l.data, {})",
                        param(out, first, format!("$.\"{name}\""))
                    )
                }
                Engine::Postgres => format!("cast(l.data as json) ->> {}", param(out, first, name)),
            };
            format!("lower(coalesce({value}, ''))")
        }
    };
    if c.op == Op::IsSet {
        return out.sql.push_str(&format!("{column} <> ''"));
    }
    let value = param(out, first, c.value.to_lowercase());
    out.sql.push_str(&match c.op {
        Op::Eq | Op::IsSet => format!("{column} = {value}"),
        Op::Ne => format!("{column} <> {value}"),
        Op::Contains => format!("instr({column}, {value}) > 0"),
        Op::StartsWith => format!("instr({column}, {value}) = 1"),
    });
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
