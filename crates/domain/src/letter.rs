//! A mail as one lead gets it, from its templates. Everything that shows or sends mails writes them here.

use crate::plain::plain;
use crate::template::{Facts, Form, SUBJECT_MAX, TEMPLATE_MAX, TemplateError, render};

/// The templates of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// Of the subject.
    pub subject: String,
    /// Of the plain text; empty when it is to be made from the HTML.
    pub body: String,
    /// Of the HTML, if it has such a part.
    pub html: Option<String>,
}

/// A mail that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, if there is such a part.
    pub html: Option<String>,
}

/// Writes a mail.
///
/// # Errors
/// Which part could not be written, and why.
pub fn write(texts: &Texts, facts: Facts<'_>) -> Result<Letter, TemplateError> {
    let part = |what: &str, source: &str, form: Form, max: usize| {
        let text = render(source, form, facts, max);
        let reason = match text {
            Ok(text) if !text.trim().is_empty() => return Ok(text),
            Ok(_) => {
                "Nothing is left of it for this lead; give the variables a fallback.".to_owned()
            }
            Err(e) => e.0,
        };
        Err(TemplateError(format!(
            "The {what} could not be written. {reason}"
        )))
    };
    let subject = one_line(&part("subject", &texts.subject, Form::Plain, SUBJECT_MAX)?);
    let html = match &texts.html {
        Some(html) => Some(part("HTML", html, Form::Html, TEMPLATE_MAX)?),
        None => None,
    };
    let text = match (&html, texts.body.trim().is_empty()) {
        (Some(html), true) => plain(html),
        _ => part("text", &texts.body, Form::Plain, TEMPLATE_MAX)?,
    };
    Ok(Letter {
        subject,
        text,
        html,
    })
}

/// A text as it may stand in a header: without line breaks and other control characters.
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lead::{Field, Fields};

    fn written(texts: &Texts) -> Result<Letter, TemplateError> {
        let mut lead = Fields::default();
        lead.set(Field::FirstName, "Ann & Bo");
        let extra = BTreeMap::from([("unsubscribe_url", "https://x.test/u/1".to_owned())]);
        let facts = Facts {
            lead: &lead,
            extra: &extra,
            seed: 1,
        };
        write(texts, facts)
    }

    #[test]
    fn a_mail_in_html_gets_its_plain_text_by_itself() {
        let html = "<html><head><style>p { color: red }</style></head><body><h1>Hi {{first_name}}</h1>\
            <p>Two<br>lines &amp; more</p><p><a href=\"{{ unsubscribe_url }}\">Leave</a></p></body></html>";
        let letter = written(&Texts {
            subject: "Hi\n {{first_name}}".into(),
            body: " ".into(),
            html: Some(html.into()),
        })
        .expect("written");
        assert_eq!(letter.subject, "Hi Ann & Bo");
        assert!(letter.html.expect("HTML").contains("Hi Ann &amp; Bo</h1>"));
        for part in [
            "Hi Ann & Bo",
            "Two\nlines & more",
            "Leave",
            "https://x.test/u/1",
        ] {
            assert!(letter.text.contains(part), "{part}: {}", letter.text);
        }
        assert!(
            !letter.text.contains("color") && !letter.text.contains('<'),
            "{}",
            letter.text
        );
    }

    #[test]
    fn a_part_of_which_nothing_is_left_is_named() {
        let texts = |subject: &str, body: &str| Texts {
            subject: subject.into(),
            body: body.into(),
            html: None,
        };
        let error = written(&texts("Hi", "{{ company }}")).expect_err("nothing is left");
        assert!(
            error
                .0
                .starts_with("The text could not be written. Nothing is left"),
            "{error}"
        );
        assert!(
            written(&texts("{{ company }}", "a"))
                .expect_err("empty")
                .0
                .contains("subject")
        );
        assert_eq!(
            written(&texts("a", "{{ first_name }}"))
                .expect("written")
                .text,
            "Ann & Bo"
        );
    }
}
