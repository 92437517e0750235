//! JSON bodies: what is wrong with one is said in words of the API, not in those of the parser.

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::http::{FieldError, Problem};

/// Reads JSON; an error names the field, which is empty for the body as a whole.
///
/// # Errors
/// 400 for broken JSON, 422 with the field's name for a wrong value.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // A list would be taken for the fields in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(wrong("", "must be an object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.into_inner();
        if inner.classify() != serde_json::error::Category::Data {
            // The parser also says so of a number where one of some words should be.
            return match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => wrong(&field_of(&path, ""), "has a value of another kind"),
                Err(_) => broken(&inner),
            };
        }
        let message = inner.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(m, _)| m);
        wrong(&field_of(&path, message), &words(message))
    })?;
    reader.end().map_err(|e| broken(&e))?;
    Ok(value)
}

fn broken(error: &serde_json::Error) -> Problem {
    Problem::new(400, "The body is not valid JSON").detail(format!("{error}."))
}

fn wrong(field: &str, message: &str) -> Problem {
    if !field.is_empty() {
        return Problem::invalid(field, message);
    }
    let mut problem =
        Problem::new(422, "The body is not valid").detail(format!("The body {message}."));
    problem.errors.push(FieldError {
        field: String::new(),
        message: message.to_owned(),
    });
    problem
}

/// The name between the backticks behind `start`.
fn named<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let (name, _) = message.strip_prefix(start)?.split_once('`')?;
    Some(name)
}

/// The field an error is about: the path, completed by the name that serde puts between backticks.
fn field_of(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let name = ["missing field `", "unknown field `", "duplicate field `"]
        .into_iter()
        .find_map(|start| named(message, start));
    match name {
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) if path != name && !path.ends_with(&format!(".{name}")) => {
            format!("{path}.{name}")
        }
        _ => path.to_owned(),
    }
}

/// What serde says, in words for people. What it does not say in one of its own ways comes from us, and stays.
fn words(message: &str) -> String {
    if message.starts_with("missing field `") {
        return "is missing".to_owned();
    }
    if message.starts_with("duplicate field `") {
        return "must be there only once".to_owned();
    }
    let (said, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    if message.starts_with("unknown field `") {
        return match choices(expected) {
            Some(known) => format!("is not a field of this; there are: {known}"),
            None => "is not a field of this".to_owned(),
        };
    }
    if said.starts_with("unknown variant `") {
        return match choices(expected) {
            Some(known) => format!("must be one of: {known}"),
            None => "has a value that is not known".to_owned(),
        };
    }
    match said.starts_with("invalid ") && !expected.is_empty() {
        true => format!("must be {}", kind(expected)),
        false => message.to_owned(),
    }
}

/// The names of a list like ``one of `a`, `b` ``.
fn choices(expected: &str) -> Option<String> {
    let names: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What a value should have been.
fn kind(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "str" | "variant identifier" => "a string",
        "a sequence" => "a list",
        "unit" => "null",
        "a map" | "map" => "an object",
        other if is_object(other) => "an object",
        other => other,
    }
}

/// Whether serde names one of our types, all of which are objects; a plain enum is a string, which the list of its
/// variants says better.
fn is_object(expected: &str) -> bool {
    ["struct ", "internally tagged enum ", "struct variant "]
        .iter()
        .any(|start| expected.starts_with(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        settings: Option<Inner>,
        kind: Option<Kind>,
        act: Option<Act>,
        tags: Option<Vec<String>>,
        on: Option<bool>,
        delay: Option<i64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        port: u16,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Slave,
        Worker,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
    #[allow(dead_code)]
    enum Act {
        Write { subject: String },
    }

    fn refused(body: &str) -> Problem {
        parse::<Outer>(body.as_bytes()).expect_err(body)
    }

    #[test]
    fn a_wrong_field_is_named_and_told_in_words() {
        let number = "must be a whole number from 0 to 65535";
        let fields = "is not a field of this; there are: port";
        for (body, field, message) in [
            (r#"{"name":1}"#, "name", "must be a string"),
            (r#"{}"#, "name", "is missing"),
            (
                r#"{"name":"x","name":"y"}"#,
                "name",
                "must be there only once",
            ),
            (
                r#"{"name":"x","settings":{"port":"y, expected z"}}"#,
                "settings.port",
                number,
            ),
            (
                r#"{"name":"x","settings":{"port":70000}}"#,
                "settings.port",
                number,
            ),
            (
                r#"{"name":"x","settings":{"port":-1}}"#,
                "settings.port",
                number,
            ),
            (
                r#"{"name":"x","settings":{}}"#,
                "settings.port",
                "is missing",
            ),
            (
                r#"{"name":"x","settings":{"port":1,"prot":2}}"#,
                "settings.prot",
                fields,
            ),
            (
                r#"{"name":"x","settings":7}"#,
                "settings",
                "must be an object",
            ),
            (
                r#"{"name":"x","kind":"boss"}"#,
                "kind",
                "must be one of: slave, worker",
            ),
            (
                r#"{"name":"x","kind":7}"#,
                "kind",
                "has a value of another kind",
            ),
            (r#"{"name":"x","act":"no"}"#, "act", "must be an object"),
            (r#"{"name":"x","act":{}}"#, "act.type", "is missing"),
            (
                r#"{"name":"x","act":{"type":"write"}}"#,
                "act.subject",
                "is missing",
            ),
            (r#"{"name":"x","tags":"a"}"#, "tags", "must be a list"),
            (r#"{"name":"x","tags":[1]}"#, "tags[0]", "must be a string"),
            (r#"{"name":"x","on":1}"#, "on", "must be true or false"),
            (
                r#"{"name":"x","delay":1.5}"#,
                "delay",
                "must be a whole number",
            ),
            ("[1]", "", "must be an object"),
            ("7", "", "must be an object"),
            (r#""x""#, "", "must be an object"),
            ("null", "", "must be an object"),
        ] {
            let problem = refused(body);
            let error = &problem.errors[0];
            assert_eq!(
                (problem.status, error.field.as_str(), error.message.as_str()),
                (422, field, message),
                "{body}"
            );
        }
        let problem = refused(r#"{"name":"x","nam":1}"#);
        assert_eq!(problem.errors[0].field, "nam");
        assert_eq!(refused("7").detail, "The body must be an object.");
    }

    #[test]
    fn broken_json_is_another_matter() {
        for body in ["", "{", r#"{"name":"#, r#"{"name":"x"} x"#, "\u{0}"] {
            assert_eq!(refused(body).status, 400, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_text_that_was_sent_is_taken_for_what_the_parser_says(text in ".{0,40}") {
            let kind = refused(&serde_json::json!({"name": "x", "kind": text}).to_string());
            prop_assert_eq!(&kind.errors[0].message, "must be one of: slave, worker");
            let port = serde_json::json!({"name": "x", "settings": {"port": text}});
            let port = refused(&port.to_string());
            prop_assert_eq!(&port.errors[0].message, "must be a whole number from 0 to 65535");
        }
    }
}
