//! Leads as an undo of an import finds them and leaves them.

use std::collections::{BTreeSet, HashSet};

use domain::undo::{Now, TakenBack};

use crate::lead;
use crate::port::{BATCH, Db, Result, Value};

/// The parameters and the list of places for a statement over ids, some hundred at a time; `?1` is what comes first.
fn parts<'a>(ids: &'a [i64], first: Value) -> impl Iterator<Item = (Vec<Value>, String)> + use<'a> {
    ids.chunks(BATCH).map(move |part| {
        let places: Vec<_> = (2..part.len() + 2).map(|n| format!("?{n}")).collect();
        let ids = part.iter().map(|id| Value::from(*id));
        let params = std::iter::once(first.clone()).chain(ids).collect();
        (params, places.join(","))
    })
}

/// Rows by which later imports brought leads, and which are not taken back.
const LATER: &str = "from import_row r join import i on i.id = r.import_id \
                     where r.import_id > ?1 and i.undone_at is null and r.status in ('created', 'updated', 'unchanged')";

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
        let text = format!("select r.lead_id {LATER} and r.lead_id in ({list})");
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
        let same =
            "i.tag = (select o.tag from import o where o.id = ?1) and r.lead_id = lead_tag.lead_id";
        let handed_over = format!(
            "update lead_tag set source = 'import:' || (select max(r.import_id) {LATER} and {same}) \
             where lead_id in ({list}) and source = 'import:' || ?1 and exists (select 1 {LATER} and {same})"
        );
        db.execute(&handed_over, &params)?;
    }
    for (params, list) in parts(ids, source(import)) {
        let text = format!("delete from lead_tag where source = ?1 and lead_id in ({list})");
        db.execute(&text, &params)?;
    }
    lead::update_all(db, &back.updated, now)?;
    for part in back.keys.chunks(BATCH) {
        let rows = crate::port::placeholders(part.len(), 3);
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
