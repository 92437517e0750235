//! Leads: found by key, listed by cursor, written in batches.

use std::collections::{BTreeMap, HashMap};

use domain::lead::{Field, Fields};
use domain::merge::{Changes, Known};

use crate::params;
use crate::port::{BATCH, Db, Engine, Result, Row, Value, insert_many, one};
use crate::queries::lead as sql;

mod list;

pub use list::{
    By, Count, Cursor, Key, Listed, Query, Sort, count_fitting, list, list_json, listed,
};

/// One lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its key in the tenant.
    pub id: i64,
    /// What is known.
    pub fields: Fields,
    /// Names of its tags.
    pub tags: Vec<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

const COLUMNS: &str = "l.id, l.email, l.first_name, l.last_name, l.job_title, l.company, l.phone, l.linkedin, l.country, l.data";

/// Reads id, the built-in fields and `data` from `first` on.
fn fields(r: &mut Row, first: usize) -> Fields {
    let mut fields = Fields::default();
    for (i, slot) in fields.built_in.iter_mut().enumerate() {
        *slot = r.opt_text(first + i);
    }
    let data = r.text(first + Field::ALL.len());
    if data.len() > 2 {
        fields.data = serde_json::from_str(&data).unwrap_or_default();
    }
    fields
}

fn from_row(mut r: Row) -> Lead {
    let fields = fields(&mut r, 1);
    let tags = r.text(12);
    Lead {
        id: r.int(0),
        fields,
        tags: if tags.len() > 2 {
            serde_json::from_str(&tags).unwrap_or_default()
        } else {
            Vec::new()
        },
        created_at: r.int(10),
        updated_at: r.int(11),
    }
}

/// One lead.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Lead>> {
    Ok(one(db, sql::GET, params![id])?.map(from_row))
}

/// Several leads' fields by id.
pub fn fields_of(db: &dyn Db, ids: &[i64]) -> Result<HashMap<i64, Fields>> {
    let json = serde_json::to_string(ids).unwrap_or_default();
    let listed = listed_ids(db.engine(), 1);
    let text = format!("select {COLUMNS} from lead l where l.id in ({listed})");
    let rows = db.query(&text, params![json])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.int(0), fields(&mut r, 1)))
        .collect())
}

/// Leads after a number, in their order: number, fields, when they were changed last.
pub(crate) fn after(db: &dyn Db, id: i64, limit: i64) -> Result<Vec<(i64, Fields, i64)>> {
    let text = format!(
        "select {COLUMNS}, l.updated_at from lead l where l.id > ?1 order by l.id limit ?2"
    );
    let rows = db.query(&text, params![id, limit])?;
    Ok(rows.into_iter().map(changed).collect())
}

/// Some leads like [`after`].
pub(crate) fn some(db: &dyn Db, ids: &[i64]) -> Result<Vec<(i64, Fields, i64)>> {
    let listed = listed_ids(db.engine(), 1);
    let text = format!("select {COLUMNS}, l.updated_at from lead l where l.id in ({listed})");
    let json = serde_json::to_string(ids).unwrap_or_default();
    let rows = db.query(&text, params![json])?;
    Ok(rows.into_iter().map(changed).collect())
}

fn changed(mut r: Row) -> (i64, Fields, i64) {
    (r.int(0), fields(&mut r, 1), r.int(10))
}

/// The numbers in a JSON array that is parameter `p`.
fn listed_ids(engine: Engine, p: usize) -> String {
    match engine {
        Engine::Sqlite => format!("select cast(value as integer) as lead_id from json_each(?{p})"),
        Engine::Postgres => format!(
            "select cast(e.value as bigint) as lead_id from json_array_elements_text(cast(?{p} as json)) as e (value)"
        ),
    }
}

/// How many leads there are: kept with them, not counted.
pub fn count(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::COUNT, &[])?.map_or(0, |r| r.int(0)))
}

/// The names of all custom fields.
pub fn custom_fields(db: &dyn Db) -> Result<Vec<String>> {
    Ok(db
        .query(sql::DATA_TYPES, &[])?
        .into_iter()
        .map(|mut r| r.text(0))
        .collect())
}

/// Makes custom fields known.
pub fn ensure_custom_fields<'a>(
    db: &dyn Db,
    names: impl Iterator<Item = &'a str>,
    now: i64,
) -> Result<()> {
    for name in names {
        db.execute(sql::ENSURE_DATA_TYPE, params![name, now])?;
    }
    Ok(())
}

/// What is known about the leads that some rows may match, suppressed addresses included.
pub fn known_for(db: &dyn Db, rows: &[(i64, Fields)]) -> Result<Known> {
    let mut known = Known::default();
    let mut values: [Vec<String>; 2] = Default::default();
    let kinds = ["email", "linkedin"];
    for (kind, value) in rows.iter().flat_map(|(_, f)| f.keys()) {
        values[usize::from(kind == kinds[1])].push(value);
    }
    for (kind, mut values) in kinds.into_iter().zip(values) {
        if values.is_empty() {
            continue;
        }
        // In the order of their tree, as they are written.
        values.sort_unstable();
        values.dedup();
        let json = serde_json::to_string(&values).unwrap_or_default();
        for mut r in db.query(sql::BY_KEYS, params![kind, json])? {
            let (value, id) = (r.text(0), r.int(1));
            known.keys.insert((kind, value), id);
            known.leads.entry(id).or_insert_with(|| fields(&mut r, 2));
        }
    }
    known.suppressed =
        crate::suppression::among(db, rows.iter().filter_map(|(_, f)| f.get(Field::Email)))?;
    Ok(known)
}

/// The id the next new lead gets. Read it inside the transaction that uses it.
pub fn next_id(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::NEXT_ID, &[])?.map_or(1, |r| r.int(0)))
}

/// Where changes come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// `import:7`, `api`.
    pub name: &'a str,
    /// The import, if it is one.
    pub import_id: Option<i64>,
    /// Tags that every row's lead gets.
    pub tag_ids: &'a [i64],
}

/// Writes what a merge decided: leads, keys, tags, and the events that say so. Call it inside a transaction.
pub fn apply(db: &dyn Db, changes: &Changes, source: Source<'_>, now: i64) -> Result<()> {
    insert_leads(db, changes, now)?;
    update_all(db, &changes.updated, now)?;
    // In the order of their tree: neighbours share its pages.
    let mut keys: Vec<_> = changes.keys.iter().collect();
    keys.sort_unstable();
    let keys = keys
        .into_iter()
        .flat_map(|(kind, value, id)| [Value::from(*kind), value.into(), (*id).into()]);
    insert_many(
        db,
        "insert into lead_key (kind, value, lead_id)",
        3,
        "on conflict do nothing",
        keys,
    )?;
    let events = changes
        .created
        .keys()
        .flat_map(|id| event_params(now, "lead_created", *id, None, source));
    insert_events(db, events)?;
    tag_leads(db, changes, source, now)
}

/// Writes leads that changed, whole.
pub fn update_all(db: &dyn Db, leads: &BTreeMap<i64, Fields>, now: i64) -> Result<()> {
    for (id, fields) in leads {
        let mut params = row_params(*id, fields);
        params.push(now.into());
        db.execute(sql::UPDATE, &params)?;
    }
    Ok(())
}

/// Remembers the last id that a lead had, so that it is not given again when that lead is gone.
pub fn keep_last_id(db: &dyn Db) -> Result<()> {
    db.execute(sql::KEEP_LAST_ID, &[]).map(|_| ())
}

fn insert_leads(db: &dyn Db, changes: &Changes, now: i64) -> Result<()> {
    let row = |(id, fields): (&i64, &Fields)| {
        let mut params = row_params(*id, fields);
        params.extend([now.into(), now.into()]);
        params
    };
    let head = "insert into lead (id, email, first_name, last_name, job_title, company, phone, linkedin, country, data, created_at, updated_at)";
    let n = insert_many(db, head, 12, "", changes.created.iter().flat_map(row))?;
    if n > 0 {
        db.execute(sql::COUNT_MORE, params![n as i64])?;
    }
    Ok(())
}

fn row_params(id: i64, fields: &Fields) -> Vec<Value> {
    let built_in = fields.built_in.iter().map(|v| v.as_deref().into());
    let data = match fields.data.is_empty() {
        true => "{}".to_owned(),
        false => serde_json::to_string(&fields.data).unwrap_or_default(),
    };
    std::iter::once(id.into())
        .chain(built_in)
        .chain([data.into()])
        .collect()
}

fn event_params(
    now: i64,
    kind: &str,
    lead_id: i64,
    tag_id: Option<i64>,
    source: Source<'_>,
) -> [Value; 5] {
    [
        now.into(),
        kind.into(),
        lead_id.into(),
        tag_id.into(),
        source.import_id.into(),
    ]
}

fn insert_events(db: &dyn Db, values: impl Iterator<Item = Value>) -> Result<u64> {
    insert_many(
        db,
        "insert into event (at, kind, lead_id, tag_id, import_id)",
        5,
        "",
        values,
    )
}

/// Puts the source's tags on every lead of the batch; a lead that has one already makes no event.
fn tag_leads(db: &dyn Db, changes: &Changes, source: Source<'_>, now: i64) -> Result<()> {
    use domain::merge::Verdict::{Created, Unchanged, Updated};
    let leads = changes.verdicts.iter().filter_map(|(_, v)| match v {
        Created(id) | Updated(id) | Unchanged(id) => Some(*id),
        _ => None,
    });
    let mut leads: Vec<i64> = leads.collect();
    leads.sort_unstable();
    leads.dedup();
    for tag_id in source.tag_ids {
        let mut added = Vec::with_capacity(leads.len());
        for part in leads.chunks(BATCH) {
            let values = part.iter().flat_map(|id| {
                [
                    Value::from(*tag_id),
                    (*id).into(),
                    now.into(),
                    source.name.into(),
                ]
            });
            let values: Vec<_> = values.collect();
            let text = format!(
                "insert into lead_tag (tag_id, lead_id, at, source) values {} on conflict do nothing returning lead_id",
                crate::port::placeholders(part.len(), 4)
            );
            added.extend(db.query(&text, &values)?.iter().map(|r| r.int(0)));
        }
        let events = added
            .iter()
            .flat_map(|id| event_params(now, "tag_added", *id, Some(*tag_id), source));
        insert_events(db, events)?;
    }
    Ok(())
}
