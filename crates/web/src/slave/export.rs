//! Leads as a CSV file, streamed: of any number, in little memory.

use domain::csv::line;
use domain::lead::Field;
use store::Db;
use store::lead::{self, By, Lead, Query};

use crate::http::{Answer, Problem, Request, Response};
use crate::pages::format;
use crate::slave::Scope;
use crate::slave::access::Reading;
use crate::slave::search::{self, Search};

/// Leads that are read at once.
const PIECE: i64 = 500;

/// `GET /leads.csv`: the leads that a search finds. It takes the parameters of the list but `limit` and `cursor`.
///
/// # Errors
/// 422 for a wrong parameter, 503 while the index of words is behind and words are asked for.
pub fn leads(scope: &Scope<'_>, request: &Request) -> Answer {
    let mut query = Search::of(request)?.query(scope.cx.now)?;
    if query.sort.by != By::Created {
        return Err(Problem::invalid(
            "sort",
            "an export is in the order of `created` or `-created`",
        ));
    }
    search::wake(scope)?;
    let words = query.q.as_deref().is_some_and(|q| !q.trim().is_empty());
    if words && !store::search::finds_all(&*scope.db)? {
        return Err(Problem {
            retry_after: Some(30),
            ..Problem::new(503, "The index of words is behind").detail(
                "Many leads came or changed, and a file by words would lack some of them. Try again in a minute, or leave the words away.",
            )
        });
    }
    query.limit = PIECE;
    query.from = None;
    let reading = Reading::begin(scope)?;
    let custom = lead::custom_fields(&*scope.db)?;
    let mut next = Some(query);
    let mut head = Some(header(&custom));
    let pieces = std::iter::from_fn(move || {
        if let Some(head) = head.take() {
            return Some(head.into_bytes());
        }
        let query = next.take()?;
        let (piece, after) = reading.next(|db| piece(db, query, &custom))?;
        next = after;
        Some(piece)
    });
    let media = "text/csv; charset=utf-8";
    Ok(Response::download(media, "leads.csv", Box::new(pieces)))
}

fn header(custom: &[String]) -> String {
    let built_in = Field::ALL.map(Field::name);
    let before = ["id"].into_iter().chain(built_in);
    let custom = custom.iter().map(String::as_str);
    line(
        before
            .chain(custom)
            .chain(["tags", "created_at", "updated_at"]),
    )
}

fn piece(db: &dyn Db, query: Query, custom: &[String]) -> store::Result<(Vec<u8>, Option<Query>)> {
    let listed = lead::listed(db, &query)?;
    let lines: String = listed.items.iter().map(|lead| row(lead, custom)).collect();
    let next = listed.next.map(|cursor| Query {
        from: Some(cursor),
        ..query
    });
    Ok((lines.into_bytes(), next))
}

fn row(lead: &Lead, custom: &[String]) -> String {
    let (id, tags) = (lead.id.to_string(), lead.tags.join("; "));
    let [created, updated] = [lead.created_at, lead.updated_at].map(format::iso);
    let built_in = lead.fields.built_in.iter();
    let built_in = built_in.map(|value| value.as_deref().unwrap_or_default());
    let data = custom.iter();
    let data = data.map(|name| lead.fields.data.get(name).map_or("", String::as_str));
    let after = [tags.as_str(), &created, &updated];
    line(
        [id.as_str()]
            .into_iter()
            .chain(built_in)
            .chain(data)
            .chain(after),
    )
}
