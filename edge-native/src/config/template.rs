//! Spin's `{{ variable }}` templates.

use std::collections::BTreeMap;

/// A template with the variables it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a template; the error is a sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let Some(close) = rest[open..].find("}}") else {
                return Err(format!("`{{{{` without `}}}}` in {text:?}"));
            };
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let name = rest[open + 2..open + close].trim();
            if !super::names::is_variable(name) {
                return Err(format!("`{name}` is not a variable name in {text:?}"));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = &rest[open + close + 2..];
        }
        if rest.contains("}}") {
            return Err(format!("`}}}}` without `{{{{` in {text:?}"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The variables named, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// True when it leads to a component of the same application.
    pub fn names_internal_host(&self) -> bool {
        let internal =
            |part: &Part| matches!(part, Part::Text(text) if text.contains(".spin.internal"));
        self.0.iter().any(internal)
    }

    /// The text with every variable's value in place; a variable without a value is empty.
    pub fn render(&self, values: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => text.push_str(values.get(name).map_or("", String::as_str)),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_their_values() {
        let values = BTreeMap::from([("host".to_owned(), "example.org".to_owned())]);
        let template = Template::parse("https://{{ host }}:{{port}}/x").unwrap();
        assert_eq!(template.variables().collect::<Vec<_>>(), ["host", "port"]);
        assert_eq!(template.render(&values), "https://example.org:/x");
    }

    #[test]
    fn broken_templates_are_refused() {
        for bad in ["{{ a", "a }}", "{{}}", "{{ A-b }}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
