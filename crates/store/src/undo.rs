//! Leads as an undo of an import finds them and leaves them.

use std::collections::{BTreeSet, HashSet};

use domain::undo::{Now, TakenBack};

use crate::import::{self, Import};
use crate::params;
use crate::port::{BATCH, Db, Error, Result, Value, insert_many, one};
use crate::queries::undo as sql;
use crate::{lead, port};

/// Promises to take an import back. False when it has not ended, is taken back already, or its file is gone.
pub fn begin(db: &dyn Db, import: i64, now: i64) -> Result<bool> {
    Ok(db.execute(sql::BEGIN, params![import, now])? > 0)
}

/// An import that is being taken back.
pub fn open(db: &dyn Db) -> Result<Option<Import>> {
    Ok(one(db, sql::OPEN, &[])?.map(import::from_row))
}

/// Moves the undo cursor to a row, or ends the undo when there is none left. Call it first inside the batch's transaction.
///
/// # Errors
/// [`Error::Stale`] when another worker moved it.
pub fn advance(db: &dyn Db, import: i64, from: i64, to: Option<i64>, now: i64) -> Result<()> {
    let moved = match to {
        Some(to) => db.execute(sql::ADVANCE, params![import, from, to])?,
        None => db.execute(sql::END, params![import, from, now])?,
    };
    match moved {
        0 => Err(Error::Stale),
        _ => Ok(()),
    }
}

/// Notes what an undo had to leave.
pub fn keep(db: &dyn Db, import: i64, back: &TakenBack) -> Result<()> {
    let kept = back
        .kept
        .iter()
        .flat_map(|(lead, field)| [Value::from(import), (*lead).into(), field.into()]);
    let head = "insert into import_kept (import_id, lead_id, field)";
    insert_many(db, head, 3, "on conflict do nothing", kept).map(|_| ())
}

/// What an undo had to leave: lead and field, the first ones by lead.
pub fn kept(db: &dyn Db, import: i64, limit: i64) -> Result<Vec<(i64, String)>> {
    let rows = db.query(sql::KEPT, params![import, limit])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.int(0), r.text(1)))
        .collect())
}

/// How much an undo had to leave.
pub fn count_kept(db: &dyn Db, import: i64) -> Result<i64> {
    Ok(one(db, sql::COUNT_KEPT, params![import])?.map_or(0, |r| r.int(0)))
}

/// The parameters and the list of places for a statement over ids, some hundred at a time; `?1` is what comes first.
fn parts<'a>(ids: &'a [i64], first: Value) -> impl Iterator<Item = (Vec<Value>, String)> + use<'a> {
    ids.chunks(BATCH).map(move |part| {
        let places: Vec<_> = (2..part.len() + 2).map(|n| format!("?{n}")).collect();
        let ids = part.iter().map(|id| Value::from(*id));
        let params = std::iter::once(first.clone()).chain(ids).collect();
        (params, places.join(","))
    })
}

/// A condition on a lead `{lead}`: a later import brought it, and that is not taken back. `{more}` says more about it.
fn later(pick: &str, lead: &str, more: &str) -> String {
    format!(
        "select {pick} from import i join import_row r on r.import_id = i.id \
         where i.id > ?1 and i.undone_at is null and r.lead_id = {lead}{more} \
         union all select {pick} from import i join import_batch b on b.import_id = i.id \
         where i.id > ?1 and i.undone_at is null and b.first_lead <= {lead} and b.last_lead >= {lead}{more}"
    )
}

fn source(import: i64) -> Value {
    format!("import:{import}").into()
}

/// What is known of some leads before rows of an import are taken back.
pub fn now(db: &dyn Db, import: i64, ids: &[i64]) -> Result<Now> {
    let (mut held, mut kept) = (HashSet::new(), BTreeSet::new());
    for (params, list) in parts(ids, source(import)) {
        let text = format!(
            "select lead_id from lead_tag where lead_id in ({list}) and source <> ?1 \
             union select lead_id from request where lead_id in ({list})"
        );
        held.extend(db.query(&text, &params)?.iter().map(|r| r.int(0)));
    }
    for (params, list) in parts(ids, import.into()) {
        let later = later("1", "l.id", "");
        let text = format!("select l.id from lead l where l.id in ({list}) and exists ({later})");
        held.extend(db.query(&text, &params)?.iter().map(|r| r.int(0)));
        let text = format!(
            "select lead_id, field from import_kept where import_id = ?1 and lead_id in ({list})"
        );
        let rows = db.query(&text, &params)?;
        kept.extend(rows.into_iter().map(|mut r| (r.int(0), r.text(1))));
    }
    Ok(Now {
        leads: lead::fields_of(db, ids)?,
        held,
        kept,
    })
}

/// Writes what was taken back, and takes the import's tag from the leads. Call it inside a transaction.
pub fn apply(db: &dyn Db, import: i64, ids: &[i64], back: &TakenBack, now: i64) -> Result<()> {
    for (params, list) in parts(ids, import.into()) {
        let same = " and i.tag = (select o.tag from import o where o.id = ?1)";
        let any = later("1", "lead_tag.lead_id", same);
        let last = later("i.id", "lead_tag.lead_id", same);
        let handed_over = format!(
            "update lead_tag set source = 'import:' || (select max(id) from ({last}) as last) \
             where lead_id in ({list}) and source = 'import:' || ?1 and exists ({any})"
        );
        db.execute(&handed_over, &params)?;
    }
    for (params, list) in parts(ids, source(import)) {
        let text = format!("delete from lead_tag where source = ?1 and lead_id in ({list})");
        db.execute(&text, &params)?;
    }
    lead::update_all(db, &back.updated, now)?;
    for part in back.keys.chunks(BATCH) {
        let rows = port::placeholders(part.len(), 3);
        let values = part
            .iter()
            .flat_map(|(kind, value, id)| [Value::from(kind), value.into(), (*id).into()]);
        let text = format!("delete from lead_key where (kind, value, lead_id) in (values {rows})");
        db.execute(&text, &values.collect::<Vec<_>>())?;
    }
    if back.removed.is_empty() {
        return Ok(());
    }
    lead::keep_last_id(db)?;
    let removed: Vec<_> = back.removed.iter().copied().collect();
    for part in removed.chunks(BATCH) {
        let params: Vec<_> = part.iter().map(|id| Value::from(*id)).collect();
        let places: Vec<_> = (1..=part.len()).map(|n| format!("?{n}")).collect();
        let places = places.join(",");
        for table in [
            "lead_tag where lead_id",
            "lead_key where lead_id",
            "lead where id",
        ] {
            db.execute(&format!("delete from {table} in ({places})"), &params)?;
        }
    }
    Ok(())
}
