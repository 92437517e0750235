//! From SQLite's dialect, in which all SQL is written, to PostgreSQL's. It is a small translation on purpose: queries
//! keep to what both understand, and one that cannot has a version of the same name in `sql/queries/postgres`.
//!
//! What queries keep to: `is distinct from` instead of `is not ?N`; `case when` instead of `min` and `max` of two
//! values; no `rowid`, no `like` on what people typed, no JSON functions; a parameter whose type nothing tells is
//! `cast(?N as text)` or `cast(?N as bigint)`; columns in `on conflict … do update set` are named with their table.

use crate::port::Value;

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// A keyword, or a name without quotes.
    Word(&'a str),
    /// `?N`.
    Param(usize),
    /// Anything else: strings, quoted names, comments, spaces, signs.
    Other(&'a str),
}

/// Takes a statement apart. Nothing inside strings, quoted names and comments is a word or a parameter.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let first = *self.0.as_bytes().first()?;
        let length = match first {
            quote @ (b'\'' | b'"') => quoted(self.0, quote),
            b'-' if self.0.starts_with("--") => self.0.find('\n').unwrap_or(self.0.len()),
            b'?' => 1 + run(&self.0[1..], |b| b.is_ascii_digit()),
            b if is_word(b) => run(self.0, is_word),
            _ => {
                1 + run(&self.0[1..], |b| {
                    !is_word(b) && !matches!(b, b'\'' | b'"' | b'-' | b'?')
                })
            }
        };
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(match first {
            b'?' => piece[1..].parse().map_or(Piece::Other(piece), Piece::Param),
            b if is_word(b) => Piece::Word(piece),
            _ => Piece::Other(piece),
        })
    }
}

/// Letters beyond ASCII only occur in strings, and are as good as letters elsewhere.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

fn run(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| belongs(*b)).count()
}

/// The length of a quoted piece; a doubled quote does not end it.
fn quoted(text: &str, quote: u8) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, b)) = bytes.next() {
        if b == quote && bytes.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// A statement as PostgreSQL takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// With `$N` and the type of each value.
    pub sql: String,
    /// Whether it writes what it finds by a `select` of its own. PostgreSQL lets two of those run side by side, and both
    /// find the same rows; they must go one after the other, as they do in SQLite.
    pub reads_to_write: bool,
}

/// Translates a query for the values it is asked with.
pub fn statement(sql: &str, params: &[Value]) -> Statement {
    let sql = crate::queries::POSTGRES
        .iter()
        .find_map(|(ours, theirs)| (*ours == sql).then_some(*theirs))
        .unwrap_or(sql);
    let mut out = String::with_capacity(sql.len() + params.len() * 10);
    let (mut writes, mut reads) = (false, false);
    for piece in Pieces(sql) {
        match piece {
            Piece::Param(n) => {
                out.push('$');
                out.push_str(&n.to_string());
                out.push_str(type_of(params.get(n.wrapping_sub(1))));
            }
            Piece::Word(word) => {
                writes |= is(word, "insert") || is(word, "update") || is(word, "delete");
                reads |= is(word, "select");
                out.push_str(name(word));
            }
            Piece::Other(text) => out.push_str(text),
        }
    }
    Statement {
        sql: out,
        reads_to_write: writes && reads,
    }
}

/// A parameter gets its type from its value, so that no context has to tell it. NULL is of any type.
fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Integer(_)) => "::bigint",
        Some(Value::Real(_)) => "::double precision",
        Some(Value::Text(_)) => "::text",
        Some(Value::Blob(_)) => "::bytea",
        Some(Value::Null) | None => "",
    }
}

fn is(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}

/// What has another name there.
fn name(word: &str) -> &str {
    match word.len() {
        4 if is(word, "user") => "\"user\"",
        4 if is(word, "blob") => "bytea",
        4 if is(word, "real") => "double precision",
        5 if is(word, "instr") => "strpos",
        7 if is(word, "integer") => "bigint",
        12 if is(word, "session_user") => "\"session_user\"",
        _ => word,
    }
}

/// Makes writers of one database go one after the other until their transaction ends, as in SQLite. Nobody waits for
/// longer than SQLite does, and a transaction whose owner died holds the others up for some seconds at most.
pub const LOCK: &str = "do $$ begin set local lock_timeout = '5s'; set local idle_in_transaction_session_timeout = '15s'; \
     perform pg_advisory_xact_lock(7584326); end $$";

/// What a database needs before its first table.
pub const PRELUDE: &str = "create or replace function sluice_lock() returns trigger language plpgsql as \
     $$ begin perform pg_advisory_xact_lock(7584326); return null; end $$";

/// Translates one statement of a schema.
///
/// A table with `autoincrement` is a log that others read from a cursor. Its numbers must become visible in their order,
/// so whoever appends to it takes the writers' lock first: that is the second statement.
pub fn schema(sql: &str) -> Vec<String> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(sql.len() * 2);
    for piece in Pieces(sql) {
        match piece {
            Piece::Word(word) => out.push_str(name(word)),
            Piece::Param(_) => {}
            Piece::Other(text) => out.push_str(text),
        }
    }
    let log = out.contains(" autoincrement");
    let out = out
        .replace(" autoincrement", "")
        .replace(
            "bigint primary key",
            "bigint generated by default as identity primary key",
        )
        .replace(" without rowid", "")
        .replace(" strict", "");
    let mut statements = vec![out];
    if log && let Some(table) = words(sql).strip_prefix("create table ") {
        let table = table.split([' ', '(']).next().unwrap_or_default();
        statements.push(format!(
            "create trigger {table}_lock before insert on {table} for each statement execute function sluice_lock()"
        ));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn translated(sql: &str, params: &[Value]) -> String {
        statement(sql, params).sql
    }

    #[test]
    fn parameters_get_the_type_of_their_value() {
        let sql = "select a from t where a = ?1 and b = ?2 and c = ?3 and d = ?4 and e = ?10";
        let params = params![1i64, "x", vec![0u8], 0.5, Option::<i64>::None];
        assert_eq!(
            translated(sql, params),
            "select a from t where a = $1::bigint and b = $2::text and c = $3::bytea and d = $4::double precision and e = $10"
        );
        assert_eq!(translated("?5", params), "$5");
    }

    #[test]
    fn strings_names_and_comments_stay_as_they_are() {
        let sql = r#"select '?1 it''s a user', "user", "a""?1", ü from user u -- ?1 of a user
where user_id = ?1"#;
        assert_eq!(
            translated(sql, params!["x"]),
            r#"select '?1 it''s a user', "user", "a""?1", ü from "user" u -- ?1 of a user
where user_id = $1::text"#
        );
        assert_eq!(
            translated("a - b - ?1 'open", params![1i64]),
            "a - b - $1::bigint 'open"
        );
    }

    #[test]
    fn what_is_found_and_written_is_told_apart_from_the_rest() {
        let both = |sql| statement(sql, &[]).reads_to_write;
        assert!(both("update t set a = 1 where id in (select id from t)"));
        assert!(both("insert into t (a) SELECT 1"));
        assert!(!both("select 'insert' from t"));
        assert!(!both("update t set a = 'select'"));
        assert!(!both("insert into t (a) values (1) on conflict do nothing"));
    }

    #[test]
    fn a_schema_keeps_its_shape() {
        let log =
            schema("create table event (\n  id integer primary key autoincrement,\n  x real\n)");
        assert_eq!(
            log,
            [
                "create table event (\n  id bigint generated by default as identity primary key,\n  x double precision\n)",
                "create trigger event_lock before insert on event for each statement execute function sluice_lock()",
            ]
        );
        assert_eq!(
            schema(
                "create table a (k text not null primary key, b blob, u text references user (id)) without rowid"
            ),
            [
                "create table a (k text not null primary key, b bytea, u text references \"user\" (id))"
            ]
        );
        assert_eq!(
            schema("alter table a add column n integer not null default 0"),
            ["alter table a add column n bigint not null default 0"]
        );
    }
}
