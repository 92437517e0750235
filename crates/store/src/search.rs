//! The index that leads are searched by. It is filled behind the leads: new ones by a cursor over their numbers, which only
//! grow, and changed ones by what a trigger remembers.

use std::collections::HashMap;

use domain::lead::Fields;
use domain::search::{document, fits, order};

use crate::port::{Db, Engine, Result, Value, insert_many, one};
use crate::queries::search as sql;
use crate::{lead, params, transaction};

/// Leads that one step takes in, and as many that changed.
const BATCH: i64 = 2_000;
/// Leads that a search looks at beside the index, the newest first.
const FRESH: i64 = 5_000;

fn cursor(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::CURSOR, &[])?.map_or(0, |r| r.int(0)))
}

/// Whether the index does not know all leads as they are.
pub fn is_behind(db: &dyn Db) -> Result<bool> {
    Ok(one(db, sql::BEHIND, params![cursor(db)?])?.is_some())
}

/// Whether a search for words finds every lead: what the index does not know is little enough to be looked at beside it.
pub fn finds_all(db: &dyn Db) -> Result<bool> {
    Ok(Fresh::of(db)?.all)
}

/// Takes some leads into the index, in one transaction; false when it knows them all.
pub fn step(db: &dyn Db) -> Result<bool> {
    if !is_behind(db)? {
        return Ok(false);
    }
    transaction(db, || {
        let at = cursor(db)?;
        let stale = ids(db, sql::STALE, params![BATCH])?;
        let json = serde_json::to_string(&stale).unwrap_or_default();
        for forget in [sql::FORGET_STALE, sql::FORGET_WORDS, sql::FORGET_ORDER] {
            db.execute(forget, params![&json])?;
        }
        let changed: Vec<_> = stale.into_iter().filter(|id| *id <= at).collect();
        fill(db, &lead::some(db, &changed)?)?;
        let new = lead::after(db, at, BATCH)?;
        fill(db, &new)?;
        match new.last() {
            Some((last, ..)) => db.execute(sql::ADVANCE, params![*last]).map(|_| true),
            None => Ok(true),
        }
    })
}

fn ids(db: &dyn Db, text: &str, params: &[Value]) -> Result<Vec<i64>> {
    let rows = db.query(text, params)?;
    Ok(rows.into_iter().map(|r| r.int(0)).collect())
}

/// Adds leads: number, fields, when they were changed last.
fn fill(db: &dyn Db, leads: &[(i64, Fields, i64)]) -> Result<()> {
    let (mut words, mut orders) = (Vec::new(), Vec::new());
    for (id, fields, updated_at) in leads {
        let document: Vec<_> = document(fields, std::iter::empty()).into_iter().collect();
        words.extend([Value::from(*id), document.join(" ").into()]);
        let (name, email) = order(fields);
        orders.extend([
            (*id).into(),
            name.into(),
            email.into(),
            (*updated_at).into(),
        ]);
    }
    match db.engine() {
        Engine::Sqlite => {
            insert_many(db, "insert into search_word (rowid, words)", 2, "", words)?;
        }
        Engine::Postgres => {
            let head = "insert into search_word (lead_id, words) \
                        select v.id, array_to_tsvector(string_to_array(v.text, ' ')) from (";
            insert_many(db, head, 2, ") v (id, text)", words)?;
        }
    }
    let head = "insert into search_order (lead_id, name, email, updated_at)";
    insert_many(db, head, 4, "", orders).map(|_| ())
}

/// Leads that the index does not know as they are.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) ids: Vec<i64>,
    /// Whether that is all of them.
    pub(crate) all: bool,
}

impl Fresh {
    pub(crate) fn of(db: &dyn Db) -> Result<Fresh> {
        let mut ids = ids(db, sql::FRESH, params![cursor(db)?, FRESH + 1])?;
        let all = ids.len() as i64 <= FRESH;
        ids.truncate(usize::try_from(FRESH).unwrap_or(usize::MAX));
        Ok(Fresh { ids, all })
    }

    /// From this number on every lead that changed is among them.
    pub(crate) fn from(&self) -> i64 {
        match self.all {
            true => 0,
            false => self.ids.last().copied().unwrap_or_default(),
        }
    }

    /// Those of them whose words begin with all words of a search.
    pub(crate) fn fitting(self, db: &dyn Db, query: &[String]) -> Result<Vec<i64>> {
        let leads: HashMap<i64, Fields> = match self.ids.is_empty() {
            true => HashMap::new(),
            false => lead::fields_of(db, &self.ids)?,
        };
        let found = leads
            .into_iter()
            .filter(|(_, fields)| fits(&document(fields, std::iter::empty()), query));
        Ok(found.map(|(id, _)| id).collect())
    }
}

/// What asks the index for leads that have all of some words, and words that begin with all of some others. Words hold
/// letters and digits only, so that they can stand between quotes.
pub(crate) fn expression(engine: Engine, words: &[String], beginnings: &[String]) -> String {
    let (quote, begins, and) = match engine {
        Engine::Sqlite => ("\"", "*", " AND "),
        Engine::Postgres => ("'", ":*", " & "),
    };
    let words = words.iter().map(|w| format!("{quote}{w}{quote}"));
    let beginnings = beginnings
        .iter()
        .map(|w| format!("{quote}{w}{quote}{begins}"));
    words.chain(beginnings).collect::<Vec<_>>().join(and)
}
