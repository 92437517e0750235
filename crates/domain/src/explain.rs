//! Filters in words, part by part.

use serde_json::Value;

use crate::filter::Filter;

/// The most parts of a filter that are told one by one.
pub const PARTS_MAX: usize = 60;

/// A part of a filter: how deep it is nested, what it says, and the part itself.
pub type Part<'a> = (usize, String, &'a Filter);

/// The parts of a filter, each before those inside it, at most [`PARTS_MAX`].
pub fn parts(filter: &Filter) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    push(filter, 0, &mut parts);
    parts
}

fn push<'a>(filter: &'a Filter, depth: usize, parts: &mut Vec<Part<'a>>) {
    if parts.len() >= PARTS_MAX {
        return;
    }
    parts.push((depth, words(filter), filter));
    match filter {
        Filter::And(inner) | Filter::Or(inner) => {
            inner.iter().for_each(|f| push(f, depth + 1, parts));
        }
        Filter::Not(inner) => push(inner, depth + 1, parts),
        _ => {}
    }
}

/// One part in words. What has no words of its own is told as the API writes it.
fn words(filter: &Filter) -> String {
    match filter {
        Filter::And(_) => "all of these hold".to_owned(),
        Filter::Or(_) => "one of these holds".to_owned(),
        Filter::Not(_) => "this does not hold".to_owned(),
        leaf => {
            let json = serde_json::to_value(leaf).unwrap_or_default();
            leaf_words(&json).unwrap_or_else(|| json.to_string())
        }
    }
}

fn leaf_words(json: &Value) -> Option<String> {
    if let Some(tag) = json["tag"].as_str() {
        return Some(format!("has the tag {tag}"));
    }
    if let Some(values) = json["one_of"]["values"].as_array() {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        let name = json["one_of"]["name"].as_str()?;
        return Some(format!("{name} is one of “{}”", values.join("”, “")));
    }
    let field = &json["field"];
    let (name, op) = (field["name"].as_str()?, field["op"].as_str()?);
    let value = field["value"].as_str().unwrap_or_default();
    Some(match op {
        "eq" => format!("{name} is “{value}”"),
        "ne" => format!("{name} is not “{value}”"),
        "contains" => format!("{name} contains “{value}”"),
        "starts_with" => format!("{name} begins with “{value}”"),
        "ends_with" => format!("{name} ends with “{value}”"),
        "is_set" => format!("{name} is known"),
        "not_set" => format!("{name} is not known"),
        "gt" => format!("{name} is over {value}"),
        "gte" => format!("{name} is {value} or over"),
        "lt" => format!("{name} is under {value}"),
        "lte" => format!("{name} is {value} or under"),
        op => format!("{name} {} “{value}”", op.replace('_', " ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_part_by_part() {
        let text = r#"{"and": [{"field": {"name": "country", "op": "eq", "value": "Sweden"}},
            {"not": {"tag": "customer"}}, {"field": {"name": "company", "op": "is_set"}}]}"#;
        let filter: Filter = serde_json::from_str(text).expect("a filter");
        let told = parts(&filter);
        let told: Vec<_> = told
            .iter()
            .map(|(depth, text, _)| (*depth, text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (0, "all of these hold"),
                (1, "country is “Sweden”"),
                (1, "this does not hold"),
                (2, "has the tag customer"),
                (1, "company is known"),
            ]
        );
        let wide = Filter::Or(vec![Filter::Tag("x".into()); 500]);
        assert_eq!(parts(&wide).len(), PARTS_MAX);
    }
}
