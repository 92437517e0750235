//! Subjects and bodies: `{{first_name}}`, `{{ first_name | fallback("there") }}`, conditionals. Checked when they are
//! written, so that an unknown variable is found before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::lead::{Field, Fields};
use crate::template_language;

/// Variables that are there beside a lead's fields.
pub const EXTRA: [&str; 3] = ["unsubscribe_url", "sender_name", "postal_address"];

/// The longest subject that is written, in bytes: one line of a header (RFC 5322, section 2.1.1).
pub const SUBJECT_MAX: usize = 900;

/// The longest template that is taken, and the longest text that is written, in bytes.
pub const TEMPLATE_MAX: usize = 256 * 1024;

/// What is wrong with a template, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(100_000));
    environment.set_recursion_limit(50);
    environment.add_filter("fallback", |value: Value, other: Value| {
        match value.as_str().map(str::trim) {
            Some("") => other,
            None if value.is_undefined() || value.is_none() => other,
            _ => value,
        }
    });
    environment
}

/// Checks a template against the names that leads of this tenant have.
///
/// # Errors
/// A [`TemplateError`] that names the line or the unknown variable, and what is known.
pub fn check(source: &str, custom: &BTreeSet<String>) -> Result<(), TemplateError> {
    if source.len() > TEMPLATE_MAX {
        return Err(TemplateError(format!(
            "The template has {} bytes; at most {TEMPLATE_MAX} are taken.",
            source.len()
        )));
    }
    let environment = environment();
    let template = environment.template_from_str(source).map_err(explain)?;
    if let Some(reason) = template_language::refusal(source) {
        return Err(TemplateError(reason));
    }
    let mut unknown: Vec<_> = template.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| {
        Field::from_name(name).is_none()
            && !EXTRA.contains(&name.as_str())
            && !custom.contains(name)
            && name != "data"
    });
    unknown.sort();
    if let Some(name) = unknown.first() {
        let known = Field::ALL
            .iter()
            .map(|f| f.name())
            .chain(EXTRA)
            .chain(custom.iter().map(String::as_str));
        let known: Vec<_> = known.collect();
        return Err(TemplateError(format!(
            "Unknown variable “{name}”. Known are: {}.",
            known.join(", ")
        )));
    }
    // Unknown filters and wrong arguments show only when the template runs.
    render(source, &Fields::default(), &BTreeMap::new(), TEMPLATE_MAX).map(|_| ())
}

/// Renders a template for one lead. A known field that the lead lacks is empty; `fallback` fills it. What would be
/// longer than `max` bytes is refused.
///
/// # Errors
/// A [`TemplateError`] with the line and the reason.
pub fn render(
    source: &str,
    lead: &Fields,
    extra: &BTreeMap<&str, String>,
    max: usize,
) -> Result<String, TemplateError> {
    let mut context: BTreeMap<&str, Value> = BTreeMap::new();
    context.extend(
        lead.data
            .iter()
            .map(|(name, value)| (name.as_str(), Value::from(value.as_str()))),
    );
    let built_in = Field::ALL
        .iter()
        .filter_map(|f| lead.get(*f).map(|value| (f.name(), Value::from(value))));
    context.extend(built_in);
    context.extend(
        extra
            .iter()
            .map(|(name, value)| (*name, Value::from(value.as_str()))),
    );
    context.insert("data", Value::from_serialize(&lead.data));
    let environment = environment();
    let template = environment.template_from_str(source).map_err(explain)?;
    let mut text = Bounded {
        text: Vec::new(),
        max,
    };
    match template.render_captured_to(context, &mut text) {
        Ok(_) => Ok(String::from_utf8_lossy(&text.text).into_owned()),
        Err(error) if error.kind() == ErrorKind::WriteFailure => Err(TemplateError(format!(
            "The text would be longer than {max} bytes."
        ))),
        Err(error) => Err(explain(error)),
    }
}

/// Takes text up to a limit.
struct Bounded {
    text: Vec<u8>,
    max: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        if self.text.len() + part.len() > self.max {
            return Err(std::io::Error::other("too long"));
        }
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn explain(error: minijinja::Error) -> TemplateError {
    let reason = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError(match error.line() {
        Some(line) => format!("Line {line}: {reason}."),
        None => format!("{reason}."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Fields {
        let mut lead = Fields::default();
        lead.set(Field::FirstName, "Ann");
        lead.data.insert("plan".into(), "gold & <b>".into());
        lead
    }

    #[test]
    fn fields_fallbacks_and_conditions_render() {
        let text = "Hi {{first_name}} {{ company | fallback(\"friend\") }}{% if plan %}, {{ plan }}{% endif %}{{ data.plan }}";
        assert_eq!(
            render(text, &ann(), &BTreeMap::new(), TEMPLATE_MAX).unwrap(),
            "Hi Ann friend, gold & <b>gold & <b>"
        );
    }

    #[test]
    fn unknown_variables_are_named_before_anything_is_sent() {
        let error = check("Hi {{ frist_name }}", &BTreeSet::new()).unwrap_err();
        assert!(
            error.0.contains("frist_name") && error.0.contains("first_name"),
            "{error}"
        );
        assert!(check("Hi {{ frist_name | fallback('x') }}", &BTreeSet::new()).is_err());
        assert!(check("{{ plan }}", &BTreeSet::from(["plan".to_owned()])).is_ok());
        assert!(
            check("Hi {{ first_name", &BTreeSet::new())
                .unwrap_err()
                .0
                .contains("Line 1")
        );
        assert!(check("{{ first_name | nonsense }}", &BTreeSet::new()).is_err());
    }

    #[test]
    fn no_template_can_use_up_memory() {
        for source in [
            "{% for x in range(100000) %}x{% endfor %}",
            "{{ \"x\" * 100000000 }}",
            "{{ company | indent(1000000000) }}",
            "{{ company ~ company }}",
            "{% set x = company %}{{ x }}",
            "{% if company %}{{ company * 20000000 }}{% endif %}",
            "{{ company | fallback(\"x\" * 1000000000) }}",
            "{{ [1] }}",
            "{{ company | replace(\"a\", \"aa\") }}",
            "{{ company.upper() }}",
        ] {
            assert!(check(source, &BTreeSet::new()).is_err(), "{source}");
        }
        let mut lead = ann();
        lead.set(Field::Company, "x".repeat(30_000));
        let long = "{{ company }}".repeat(20);
        assert!(check(&long, &BTreeSet::new()).is_ok());
        let error = render(&long, &lead, &BTreeMap::new(), TEMPLATE_MAX).unwrap_err();
        assert!(error.0.contains("longer than"), "{error}");
        let fine = "{% if company == \"Acme\" and country %}{{ company | upper | default(\"x\") }}{% else %}{{ data.plan }}{% endif %}";
        assert_eq!(check(fine, &BTreeSet::new()), Ok(()));
    }
}
