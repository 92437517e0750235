//! Checks on what people and programs send, each naming the field.

use crate::http::Problem;

/// The longest name, in characters.
pub const NAME_MAX: usize = 200;

/// A name that people gave to something: not empty, not too long, in one line.
///
/// # Errors
/// 422 with the field.
pub fn name(field: &str, value: &str) -> Result<String, Problem> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Problem::invalid(field, "must not be empty"));
    }
    if value.chars().count() > NAME_MAX {
        return Err(Problem::invalid(
            field,
            format!("must have at most {NAME_MAX} characters"),
        ));
    }
    one_line(field, value)?;
    Ok(value.to_owned())
}

/// A text in one line, without control characters.
///
/// # Errors
/// 422 with the field.
pub fn one_line(field: &str, value: &str) -> Result<(), Problem> {
    match value.chars().any(char::is_control) {
        true => Err(Problem::invalid(
            field,
            "must be one line, without control characters",
        )),
        false => Ok(()),
    }
}

/// An e-mail address, normalised.
///
/// # Errors
/// 422 with the field.
pub fn email(field: &str, value: &str) -> Result<String, Problem> {
    domain::address::normalize(value).map_err(|e| Problem::invalid(field, e.to_string()))
}

/// A page's size from `?limit`, from 1 to 200, 50 when it is not said.
///
/// # Errors
/// 422 when it is no such number.
pub fn limit(value: Option<String>) -> Result<i64, Problem> {
    match value.map(|v| v.parse::<i64>()) {
        None => Ok(50),
        Some(Ok(limit)) if (1..=200).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", "must be a number from 1 to 200")),
    }
}

/// A cursor as [`cursor_text`] made it.
///
/// # Errors
/// 422 when it is none of ours.
pub fn cursor(value: Option<String>) -> Result<Option<i64>, Problem> {
    let parse = |v: String| v.strip_prefix('c').and_then(|v| v.parse().ok());
    match value {
        None => Ok(None),
        Some(value) => parse(value)
            .map(Some)
            .ok_or_else(|| Problem::invalid("cursor", "use a next_cursor that this list gave")),
    }
}

/// The cursor behind the last item of a page.
pub fn cursor_text(id: i64) -> String {
    format!("c{id}")
}

/// A number in a path.
///
/// # Errors
/// 404: a path with another id names nothing.
pub fn id(text: &str) -> Result<i64, Problem> {
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().map_err(|_| Problem::not_found()),
        false => Err(Problem::not_found()),
    }
}

/// For a field that may be left away or be null, where the two mean different things.
///
/// # Errors
/// When the value is of another type.
pub fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}
