//! Subjects and bodies: `{{first_name}}`, `{{ first_name | fallback("there") }}`, conditionals, `{Hi|Hello}`. Checked when
//! they are written, so that an unknown variable is found before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::{Timestamp, tz::TimeZone};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Template, UndefinedBehavior, Value};

use crate::lead::{Field, Fields};
use crate::{spin, template_language};

/// Variables that are there beside a lead's fields.
pub const EXTRA: [&str; 4] = ["unsubscribe_url", "sender_name", "postal_address", "today"];

/// The longest subject that is written, in bytes: one line of a header (RFC 5322, section 2.1.1).
pub const SUBJECT_MAX: usize = 900;

/// The longest template that is taken, and the longest text that is written, in bytes.
pub const TEMPLATE_MAX: usize = 256 * 1024;

/// The most choices that a template has in groups like `{Hi|Hello}`.
pub const CHOICES_MAX: usize = 1000;

/// How a text is shown: what variables say is escaped in HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// HTML.
    Html,
}

/// What a template is written for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whom.
    pub lead: &'a Fields,
    /// The values of [`EXTRA`].
    pub extra: &'a BTreeMap<&'a str, String>,
    /// Chooses in groups like `{Hi|Hello}`: the same seed, the same choices.
    pub seed: u64,
}

/// The day of a time in milliseconds, in UTC: `2026-11-21`.
pub fn day(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// What is wrong with a template, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

fn environment(form: Form) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(100_000));
    environment.set_recursion_limit(50);
    environment.set_auto_escape_callback(move |_| match form {
        Form::Plain => AutoEscape::None,
        Form::Html => AutoEscape::Html,
    });
    environment.add_filter("fallback", |value: Value, other: Value| {
        match value.as_str().map(str::trim) {
            Some("") => other,
            None if value.is_undefined() || value.is_none() => other,
            _ => value,
        }
    });
    environment.add_filter("date", date);
    environment
}

/// A day or a time, written as a format of `strftime` says. What is neither stays as it is.
fn date(value: Value, format: Option<String>) -> Result<Value, Error> {
    let format = format.as_deref().unwrap_or("%-d %B %Y");
    let written = |at: DateTime| {
        strtime::format(format, at)
            .map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))
    };
    // A wrong format shows when the template is checked, without any lead.
    written(DateTime::default())?;
    let text = value.as_str().map(str::trim).unwrap_or_default();
    let utc = |at: Timestamp| at.to_zoned(TimeZone::UTC).datetime();
    let at = text
        .parse::<Timestamp>()
        .map(utc)
        .or_else(|_| text.parse::<DateTime>())
        .or_else(|_| text.parse::<Date>().map(DateTime::from));
    match at {
        Ok(at) => written(at).map(Value::from),
        Err(_) => Ok(value),
    }
}

/// Checks a template against the names that leads of this tenant have.
///
/// # Errors
/// A [`TemplateError`] that names the line or the unknown variable, and what is known.
pub fn check(source: &str, form: Form, custom: &BTreeSet<String>) -> Result<(), TemplateError> {
    if source.len() > TEMPLATE_MAX {
        return Err(TemplateError(format!(
            "The template has {} bytes; at most {TEMPLATE_MAX} are taken.",
            source.len()
        )));
    }
    let environment = environment(form);
    check_choices(&environment, source)?;
    let all = spin::flat(source);
    let template = parsed(&environment, &all)?;
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
    let nobody = Facts {
        lead: &Fields::default(),
        extra: &BTreeMap::new(),
        seed: 0,
    };
    written(&environment, &all, nobody, TEMPLATE_MAX).map(|_| ())
}

/// A template that uses nothing that it may not.
fn parsed<'e>(
    environment: &'e Environment<'_>,
    source: &'e str,
) -> Result<Template<'e, 'e>, TemplateError> {
    match template_language::refusal(source) {
        Some(reason) => Err(TemplateError(reason)),
        None => environment.template_from_str(source).map_err(explain),
    }
}

/// Each choice is a template by itself: what opens in it closes in it.
fn check_choices(environment: &Environment<'_>, source: &str) -> Result<(), TemplateError> {
    let choices = spin::choices(source);
    if choices.len() > CHOICES_MAX {
        return Err(TemplateError(format!(
            "The template has {} choices; at most {CHOICES_MAX} are taken.",
            choices.len()
        )));
    }
    for choice in choices {
        if parsed(environment, &choice).is_err() {
            let shown: String = choice.chars().take(40).collect();
            return Err(TemplateError(format!(
                "The choice “{shown}” must be complete by itself: what it opens, it must close, and it uses nothing else than \
                 variables, filters and conditionals."
            )));
        }
    }
    Ok(())
}

/// Variables that a template shows as they are, without a fallback and without asking first whether they are known.
pub fn bare(source: &str) -> BTreeSet<String> {
    let mut names = template_language::bare(&spin::flat(source));
    names.retain(|name| !EXTRA.contains(&name.as_str()));
    names
}

/// Renders a template for one lead. A known field that the lead lacks is empty; `fallback` fills it. What would be
/// longer than `max` bytes is refused.
///
/// # Errors
/// A [`TemplateError`] with the line and the reason.
pub fn render(
    source: &str,
    form: Form,
    facts: Facts<'_>,
    max: usize,
) -> Result<String, TemplateError> {
    written(
        &environment(form),
        &spin::spin(source, facts.seed),
        facts,
        max,
    )
}

fn written(
    environment: &Environment<'_>,
    source: &str,
    Facts { lead, extra, .. }: Facts<'_>,
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
    // What chances make of a template may use what the template as a whole does not.
    let template = parsed(environment, source)?;
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

    fn shown(source: &str, lead: &Fields, max: usize) -> Result<String, TemplateError> {
        let extra = BTreeMap::from([("today", day(1_795_262_400_000))]);
        let facts = Facts {
            lead,
            extra: &extra,
            seed: 3,
        };
        render(source, Form::Plain, facts, max)
    }

    fn check(source: &str, custom: &BTreeSet<String>) -> Result<(), TemplateError> {
        super::check(source, Form::Plain, custom)
    }

    #[test]
    fn fields_fallbacks_and_conditions_render() {
        let text = "Hi {{first_name}} {{ company | fallback(\"friend\") }}{% if plan %}, {{ plan }}{% endif %}{{ data.plan }}";
        assert_eq!(
            shown(text, &ann(), TEMPLATE_MAX).unwrap(),
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
        let error = shown(&long, &lead, TEMPLATE_MAX).unwrap_err();
        assert!(error.0.contains("longer than"), "{error}");
        let fine = "{% if company == \"Acme\" and country %}{{ company | upper | default(\"x\") }}{% else %}{{ data.plan }}{% endif %}";
        assert_eq!(check(fine, &BTreeSet::new()), Ok(()));
    }

    #[test]
    fn what_choices_make_is_held_to_the_same_language() {
        let source = "{{ \"}}{\" == '|{{\" }}{% set x = company %}{{ x }}}' }}";
        let mut refused = 0;
        for seed in 0..64 {
            if template_language::refusal(&spin::spin(source, seed)).is_some() {
                let facts = Facts {
                    lead: &Fields::default(),
                    extra: &BTreeMap::new(),
                    seed,
                };
                let said = render(source, Form::Plain, facts, TEMPLATE_MAX);
                assert!(said.is_err(), "{said:?}");
                refused += 1;
            }
        }
        assert!(refused > 0);
        assert_eq!(template_language::refusal(&spin::flat(source)), None);
        let loops = "{% for a in \"abc\" %}x{% endfor %}";
        assert!(shown(loops, &ann(), TEMPLATE_MAX).is_err());
    }

    #[test]
    fn what_nests_without_end_is_not_parsed() {
        let many = |part: &str| part.repeat(TEMPLATE_MAX / part.len() - 10);
        for source in [
            format!("{{% if a %}}{}{{% endif %}}", many("{% elif a %}")),
            many("{% if company %}"),
            format!("{{{{ company{} }}}}", many("|upper")),
            format!("{{{{ company{} }}}}", many(".a")),
            format!("{{{{ company{} }}}}", many(" and company")),
        ] {
            assert!(check(&source, &BTreeSet::new()).is_err());
            assert!(shown(&source, &ann(), TEMPLATE_MAX).is_err());
            assert!(bare(&source).is_empty());
        }
        let wide = many("{% if company %}a{% elif country %}b{% endif %}");
        assert_eq!(check(&wide, &BTreeSet::new()), Ok(()));
    }

    #[test]
    fn days_are_written_as_asked() {
        let mut lead = ann();
        lead.data.insert("since".into(), "2024-02-29".into());
        lead.data
            .insert("seen".into(), "2024-03-01T22:15:00Z".into());
        for (source, text) in [
            ("{{ since | date }}", "29 February 2024"),
            ("{{ seen | date(\"%d.%m.%Y %H:%M\") }}", "01.03.2024 22:15"),
            ("{{ today | date(\"%A\") }}", "Saturday"),
            ("{{ plan | date }}", "gold & <b>"),
            ("{{ company | date }}", ""),
        ] {
            assert_eq!(
                shown(source, &lead, TEMPLATE_MAX).unwrap(),
                text,
                "{source}"
            );
        }
        assert!(check("{{ first_name | date(\"%Q!\") }}", &BTreeSet::new()).is_err());
    }

    #[test]
    fn choices_are_checked_and_made() {
        let all = BTreeSet::new();
        assert!(check("{Hi|Hello} {{first_name}} {a|{b|c}}", &all).is_ok());
        assert!(check("{Hi {{ frist_name }}|Hello}", &all).is_err());
        let torn = check("{{% if company %}|{% endif %}}", &all).unwrap_err();
        assert!(
            torn.0.contains("complete by itself") || torn.0.contains("Line"),
            "{torn}"
        );
        assert!(
            check(&"{a|b}".repeat(600), &all)
                .unwrap_err()
                .0
                .contains("1200 choices")
        );
        let said = shown("{Hi|Hi} {{first_name}}", &ann(), TEMPLATE_MAX).unwrap();
        assert_eq!(said, "Hi Ann");
    }

    #[test]
    fn what_a_lead_says_is_escaped_in_html() {
        let lead = ann();
        let facts = Facts {
            lead: &lead,
            extra: &BTreeMap::new(),
            seed: 0,
        };
        let html = render("<b>{{ plan }}</b>", Form::Html, facts, TEMPLATE_MAX).unwrap();
        assert_eq!(html, "<b>gold &amp; &lt;b&gt;</b>");
    }

    #[test]
    fn bare_variables_are_found() {
        let source = "{{ first_name }} {{ last_name | upper }} {{ company | fallback(\"x\") | upper }} {{ data.plan }}\
            {% if country %}{{ country }}{{ phone }}{% endif %} {A {{ job_title }}|B} {{ today }} {{ email if email else \"y\" }}";
        let found = bare(source);
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            ["first_name", "job_title", "last_name", "phone", "plan"]
        );
    }
}
