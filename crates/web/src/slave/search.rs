//! Searches for leads over the API: by filter, text, tag and address, in some order, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::filter::{Filter, VALUE_MAX};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::lead::{self, By, Cursor, Key, Query, Sort};
use store::work;

use crate::http::{Answer, FieldError, Problem, Request, Response};
use crate::slave::Scope;
use crate::{input, json};

/// The most bytes of a search that is kept: every page of leads names all that are.
const KEPT_MAX: usize = 16 << 10;

/// What `POST /leads/search` takes, and `GET /leads` as parameters.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Who is meant; everybody when it is absent.
    pub filter: Option<Filter>,
    /// A text to find.
    pub q: Option<String>,
    /// A tag's name.
    pub tag: Option<String>,
    /// An exact address.
    pub email: Option<String>,
    /// `-created` when it is absent.
    pub sort: Option<String>,
    /// Leads on a page.
    pub limit: Option<i64>,
    /// Where the page begins or ends.
    pub cursor: Option<String>,
}

impl Search {
    /// What the parameters of a list say.
    ///
    /// # Errors
    /// 422 for a filter that is none, or a limit.
    pub fn of(request: &Request) -> Result<Search, Problem> {
        let filter = request.param("filter");
        Ok(Search {
            filter: filter.map(|json| read_filter(&json)).transpose()?,
            q: request.param("q"),
            tag: request.param("tag"),
            email: request.param("email"),
            sort: request.param("sort"),
            limit: Some(input::limit(request.param("limit"))?),
            cursor: request.param("cursor"),
        })
    }

    /// The search as it is kept: with what was said only, and on no page of it.
    ///
    /// # Errors
    /// 422 with the field that is wrong.
    pub fn kept(self) -> Result<serde_json::Value, Problem> {
        let name = |e: FieldError| format!("search.{}", e.field);
        let search = Search {
            limit: None,
            cursor: None,
            ..self
        };
        search.clone().query(0).map_err(|mut problem| {
            problem.errors = problem
                .errors
                .into_iter()
                .map(|e| FieldError {
                    field: name(e.clone()),
                    ..e
                })
                .collect();
            problem
        })?;
        let mut value = serde_json::to_value(&search).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.retain(|_, member| !member.is_null());
        }
        match value.to_string().len() > KEPT_MAX {
            true => Err(Problem::invalid(
                "search",
                "is too long to be kept: at most 16 KiB of JSON",
            )),
            false => Ok(value),
        }
    }

    /// The same in an order that a download takes.
    #[must_use]
    pub fn in_order_of_coming(mut self) -> Search {
        let sort = self.sort.as_deref().and_then(Sort::from_name);
        if sort.is_some_and(|sort| sort.by != By::Created) {
            self.sort = None;
        }
        self
    }

    /// The parameters of a list that say the same.
    #[must_use]
    pub fn params(&self) -> String {
        let filter = self
            .filter
            .as_ref()
            .and_then(|f| serde_json::to_string(f).ok());
        let texts = [
            ("filter", &filter),
            ("q", &self.q),
            ("tag", &self.tag),
            ("email", &self.email),
            ("sort", &self.sort),
        ];
        let said = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(said.filter(|(_, text)| !text.is_empty()));
        query.finish()
    }

    /// The search as the store takes it.
    ///
    /// # Errors
    /// 422 with the field that is wrong.
    pub fn query(self, now: i64) -> Result<Query, Problem> {
        for (field, text) in [("q", &self.q), ("tag", &self.tag), ("email", &self.email)] {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().count() > VALUE_MAX || text.contains('\0') {
                let rule = format!("must have at most {VALUE_MAX} characters, and no NUL");
                return Err(Problem::invalid(field, rule));
            }
        }
        let filter = self.filter.unwrap_or(Filter::And(Vec::new()));
        check_filter("filter", &filter)?;
        let email = self.email.filter(|email| !email.is_empty());
        let named = self.sort.as_deref().filter(|s| !s.is_empty());
        let sort = match named {
            None => Sort::default(),
            Some(name) => Sort::from_name(name).ok_or_else(|| {
                let known = "must be created, updated, name or email, with a - before it for the last ones first";
                Problem::invalid("sort", known)
            })?,
        };
        let limit = self.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Problem::invalid("limit", "must be a number from 1 to 200"));
        }
        Ok(Query {
            filter: filter.at(now),
            q: self.q,
            tag: self.tag.filter(|tag| !tag.trim().is_empty()),
            email: email.map(|e| domain::address::normalize(&e).unwrap_or(e)),
            sort,
            from: self.cursor.map(|c| cursor_of(&c, sort)).transpose()?,
            limit,
        })
    }
}

/// The filter that a text says in JSON.
///
/// # Errors
/// 422 that says what is wrong.
pub fn read_filter(text: &str) -> Result<Filter, Problem> {
    json::parse(text.as_bytes()).map_err(|problem: Problem| {
        let said = problem.errors.first();
        let said = said.map(|e| format!("{}: {}", e.field, e.message));
        Problem::invalid("filter", said.unwrap_or(problem.detail))
    })
}

/// Checks a filter that is in the field `name`.
///
/// # Errors
/// 422 that names the condition.
pub fn check_filter(name: &str, filter: &Filter) -> Result<(), Problem> {
    filter.check().map_err(|wrong| match wrong.path.as_str() {
        "" => Problem::invalid(name, wrong.message),
        path => Problem::invalid(format!("{name}.{path}"), wrong.message),
    })
}

/// A cursor as it is shown: `c7` begins after lead 7, `p7` ends before it; what lead 7 is sorted by follows.
fn cursor(text: &str) -> Result<Cursor, Problem> {
    let (back, rest) = match text.strip_prefix('p') {
        Some(rest) => (true, Some(rest)),
        None => (false, text.strip_prefix('c')),
    };
    let read = || {
        let (id, key) = rest?
            .split_once('.')
            .map_or((rest?, None), |(id, key)| (id, Some(key)));
        let id = id.parse().ok()?;
        let key = match key {
            None => Key::Number(id),
            Some(key) => match key.strip_prefix('n') {
                Some(number) => Key::Number(number.parse().ok()?),
                None => {
                    let text = URL_SAFE_NO_PAD.decode(key.strip_prefix('t')?).ok()?;
                    Key::Text(String::from_utf8(text).ok().filter(|t| !t.contains('\0'))?)
                }
            },
        };
        Some(Cursor { id, key, back })
    };
    let wrong = "use a next_cursor or prev_cursor that this list gave";
    read().ok_or_else(|| Problem::invalid("cursor", wrong))
}

fn cursor_of(text: &str, sort: Sort) -> Result<Cursor, Problem> {
    let cursor = cursor(text)?;
    let is_text = matches!(cursor.key, Key::Text(_));
    match is_text == matches!(sort.by, By::Name | By::Email) {
        true => Ok(cursor),
        false => Err(Problem::invalid("cursor", "is of a list in another order")),
    }
}

/// A cursor to show.
pub fn cursor_text(cursor: &Cursor) -> String {
    let Cursor { id, key, back } = cursor;
    let way = if *back { 'p' } else { 'c' };
    match key {
        Key::Number(number) if number == id => format!("{way}{id}"),
        Key::Number(number) => format!("{way}{id}.n{number}"),
        Key::Text(text) => format!("{way}{id}.t{}", URL_SAFE_NO_PAD.encode(text)),
    }
}

/// Sees to it that the index is filled, for instance after an update that brought it.
///
/// # Errors
/// When the store fails.
pub fn wake(scope: &Scope<'_>) -> Result<(), Problem> {
    if store::search::is_behind(&*scope.db)? {
        let now = scope.cx.now;
        work::mark(&*scope.control, &scope.tenant.id, "search", now, now)?;
    }
    Ok(())
}

fn answer(scope: &Scope<'_>, query: &Query) -> Answer {
    wake(scope)?;
    let listed = lead::list_json(&*scope.db, query)?;
    let shown = |cursor: Option<Cursor>| {
        cursor.map_or("null".to_owned(), |c| format!("\"{}\"", cursor_text(&c)))
    };
    let (next, previous) = (shown(listed.next), shown(listed.previous));
    let items: Vec<_> = listed.items.into_iter().map(|(_, json)| json).collect();
    let items = items.join(",");
    Ok(Response::json_text(
        200,
        format!("{{\"items\":[{items}],\"next_cursor\":{next},\"prev_cursor\":{previous}}}"),
    ))
}

/// `GET /leads`
///
/// # Errors
/// 422 for a wrong parameter.
pub fn list(scope: &Scope<'_>, request: &Request) -> Answer {
    answer(scope, &Search::of(request)?.query(scope.cx.now)?)
}

/// `POST /leads/search`
///
/// # Errors
/// 422 for a wrong field.
pub fn search(scope: &Scope<'_>, request: &Request) -> Answer {
    let search: Search = request.json()?;
    answer(scope, &search.query(scope.cx.now)?)
}

/// `POST /leads/count`
///
/// # Errors
/// 422 for a wrong field.
pub fn count(scope: &Scope<'_>, request: &Request) -> Answer {
    wake(scope)?;
    let search: Search = request.json()?;
    let count = lead::count_fitting(&*scope.db, &search.query(scope.cx.now)?)?;
    Ok(Response::json(
        200,
        &json!({"n": count.n, "or_more": count.or_more}),
    ))
}
