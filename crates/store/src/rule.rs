//! Rules, and the instances of them that wait for their time.

use domain::filter::Filter;
use domain::rule::{Action, Trigger};

use crate::params;
use crate::port::{Db, Error, Result, Row, Value, one};
use crate::queries::rule as sql;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its key in the tenant.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Whether it acts.
    pub active: bool,
    /// What it waits for.
    pub trigger: Trigger,
    /// Whom it is for.
    pub filter: Option<Filter>,
    /// How long it waits.
    pub delay_s: i64,
    /// What it does.
    pub action: Action,
    /// The templates its requests are made with.
    pub content_id: i64,
    /// The last event it saw.
    pub cursor: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Whether a person approves what it makes.
    pub approval: bool,
}

/// Columns that hold JSON of a newer version give no rule, and so do nothing.
fn from_row(mut r: Row) -> Option<Rule> {
    Some(Rule {
        id: r.int(0),
        name: r.text(1),
        active: r.flag(2),
        trigger: serde_json::from_str(&r.text(3)).ok()?,
        filter: match r.opt_text(4) {
            Some(json) => Some(serde_json::from_str(&json).ok()?),
            None => None,
        },
        delay_s: r.int(5),
        action: serde_json::from_str(&r.text(6)).ok()?,
        content_id: r.int(7),
        cursor: r.int(8),
        created_at: r.int(9),
        approval: r.flag(10),
    })
}

/// Keeps a new rule and returns its id.
pub fn insert(db: &dyn Db, rule: &Rule) -> Result<i64> {
    let json = |v: serde_json::Result<String>| v.unwrap_or_default();
    let (trigger, action) = (
        json(serde_json::to_string(&rule.trigger)),
        json(serde_json::to_string(&rule.action)),
    );
    let filter = rule.filter.as_ref().map(|f| json(serde_json::to_string(f)));
    let params = params![
        &rule.name,
        trigger,
        filter,
        rule.delay_s,
        action,
        rule.content_id,
        rule.cursor,
        rule.created_at,
        i64::from(rule.approval)
    ];
    Ok(one(db, sql::INSERT, params)?.map_or(0, |r| r.int(0)))
}

/// All rules in order.
pub fn list(db: &dyn Db) -> Result<Vec<Rule>> {
    Ok(db
        .query(sql::LIST, &[])?
        .into_iter()
        .filter_map(from_row)
        .collect())
}

/// One rule.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Rule>> {
    Ok(one(db, sql::GET, params![id])?.and_then(from_row))
}

/// Switches a rule on or off; false when there is none.
pub fn set_active(db: &dyn Db, id: i64, active: bool, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_ACTIVE, params![id, active, now])? > 0)
}

/// Matches a rule against the events up to `to`: one statement for all of them. The cursor moves in the same
/// transaction, so no event is matched twice or left out.
pub fn evaluate(db: &dyn Db, rule: &Rule, to: i64) -> Result<()> {
    let Trigger::TagAdded { tag } = &rule.trigger;
    let mut params: Vec<Value> = vec![
        rule.id.into(),
        rule.cursor.into(),
        to.into(),
        (rule.delay_s * 1000).into(),
        tag.trim().to_lowercase().into(),
    ];
    let filter = rule
        .filter
        .as_ref()
        .map(|f| crate::filter::compile(f, params.len() + 1, db.engine()));
    let condition = filter
        .as_ref()
        .map_or(String::new(), |f| format!(" and {}", f.sql));
    params.extend(filter.map(|f| f.params).unwrap_or_default());
    let text = format!(
        "insert into rule_instance (rule_id, event_id, lead_id, due_at, status) \
         select ?1, e.id, e.lead_id, e.at + ?4, 'pending' from event e join lead l on l.id = e.lead_id \
         where e.id > ?2 and e.id <= ?3 and e.kind = 'tag_added' and e.tag_id = (select id from tag where folded = ?5){condition} \
         on conflict (rule_id, event_id) do nothing"
    );
    crate::transaction(db, || {
        if db.execute(sql::ADVANCE, params![rule.id, rule.cursor, to])? == 0 {
            return Err(Error::Stale);
        }
        db.execute(&text, &params).map(|_| ())
    })
}

/// Instances that become requests in one transaction.
const BATCH: i64 = 2000;

/// Turns due instances of active rules into requests, and returns how many there were.
pub fn perform_due(db: &dyn Db, now: i64) -> Result<u64> {
    // The same rows for both statements: nothing else writes in between.
    const DUE: &str = "select i.id from rule_instance i join rule r on r.id = i.rule_id and r.active = 1 \
                       where i.status = 'pending' and i.due_at <= ?1 order by i.due_at, i.id limit ?2";
    let insert = format!(
        "insert into request (kind, status, dedupe_key, lead_id, rule_id, content_id, run_at, created_at, updated_at, awaits_approval) \
         select 'outreach', 'pending', 'rule_instance:' || i.id, i.lead_id, i.rule_id, r.content_id, ?1, ?1, ?1, r.approval \
         from rule_instance i join rule r on r.id = i.rule_id join lead l on l.id = i.lead_id \
         where i.id in ({DUE}) on conflict (dedupe_key) do nothing"
    );
    // A lead may have gone since, with the import that brought it.
    let end = format!(
        "update rule_instance set status = case when exists (select 1 from lead l where l.id = lead_id) then 'performed' else 'aborted' end, \
         reason = case when exists (select 1 from lead l where l.id = lead_id) then reason else 'The lead is gone.' end \
         where id in ({DUE})"
    );
    crate::transaction(db, || {
        db.execute(&insert, params![now, BATCH])?;
        db.execute(&end, params![now, BATCH])
    })
}

/// When the next instance of an active rule is due.
pub fn next_due(db: &dyn Db) -> Result<Option<i64>> {
    Ok(one(db, sql::NEXT_DUE_INSTANCE, &[])?.and_then(|r| r.opt_int(0)))
}

/// How many instances a rule has by status.
pub fn counts(db: &dyn Db, id: i64) -> Result<Vec<(String, i64)>> {
    Ok(db
        .query(sql::COUNTS, params![id])?
        .into_iter()
        .map(|mut r| (r.text(0), r.int(1)))
        .collect())
}

/// A lead that a rule took up, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The event that set the rule off; instances are listed by it.
    pub event_id: i64,
    /// Whom it is about.
    pub lead_id: i64,
    /// When its delay is over.
    pub due_at: i64,
    /// `pending`, `performed` (a request was made) or `aborted`.
    pub status: String,
    /// Why it was aborted.
    pub reason: Option<String>,
    /// The request that it made.
    pub request: Option<Outcome>,
}

/// How the request of an instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its key.
    pub id: i64,
    /// Its status.
    pub status: String,
    /// When it ended, began, or may begin.
    pub at: i64,
    /// What went wrong, or why it waits.
    pub note: Option<String>,
}

/// Instances of a rule before an event, newest first.
pub fn instances(db: &dyn Db, id: i64, before: Option<i64>, limit: i64) -> Result<Vec<Instance>> {
    let rows = db.query(
        sql::INSTANCES,
        params![id, before.unwrap_or(i64::MAX), limit],
    )?;
    let instance = |mut r: Row| Instance {
        event_id: r.int(0),
        lead_id: r.int(1),
        due_at: r.int(2),
        status: r.text(3),
        reason: r.opt_text(4),
        request: r.opt_int(5).map(|id| Outcome {
            id,
            status: r.text(6),
            at: r.int(7),
            note: r.opt_text(8),
        }),
    };
    Ok(rows.into_iter().map(instance).collect())
}

/// When a rule last made a request.
pub fn last_run(db: &dyn Db, id: i64) -> Result<Option<i64>> {
    Ok(one(db, sql::LAST_RUN, params![id])?.map(|r| r.int(0)))
}
