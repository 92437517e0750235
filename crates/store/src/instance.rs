//! What rules have taken up: leads that wait for their time, and what came of them. Each step is a few statements for
//! all leads of a version of a rule, however many they are.

use domain::rule::{CHAIN_MAX, LOOP_REASON, TIMES_MAX, VISITS_MAX};

use crate::params;
use crate::port::{Db, Error, Result, Row, Value, one};
use crate::queries::{rule as sql, sequence as sequences};
use crate::rule::{Rule, StepOf};

mod perform;

pub use perform::perform;

/// Something that a version of a rule has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The rule.
    pub rule_id: i64,
    /// The version of what it does.
    pub version: i64,
    /// Whether there are events that the rule has not seen.
    pub behind: bool,
    /// When the first of the leads that wait is due.
    pub due_at: Option<i64>,
}

/// Everything that active rules have to do, in one read.
pub fn look(db: &dyn Db) -> Result<Vec<Work>> {
    let work = |r: Row| Work {
        rule_id: r.int(0),
        version: r.int(1),
        behind: r.flag(2),
        due_at: r.opt_int(3),
    };
    Ok(db.query(sql::LOOK, &[])?.into_iter().map(work).collect())
}

/// Matches a rule against the events up to `to`, in one statement for all of them, and moves its cursor. A lead that the
/// rule keeps coming back to by what rules do is given up, and the rule stops. Call it inside a transaction.
///
/// # Errors
/// [`Error::Stale`] when somebody else moved the cursor.
pub fn evaluate(db: &dyn Db, rule: &Rule, to: i64, now: i64) -> Result<()> {
    if db.execute(sql::ADVANCE, params![rule.id, rule.cursor, to])? == 0 {
        return Err(Error::Stale);
    }
    let (text, params) = matching(db, rule, to, now);
    if db.execute(&text, &params)? == 0 {
        return Ok(());
    }
    if let Some(entry) = entry(rule) {
        let came = params![
            rule.id,
            rule.cursor,
            to,
            entry.sequence_id,
            entry.version,
            now
        ];
        db.execute(sequences::ENTER, came)?;
    }
    let looped = one(db, sql::LOOPS, params![rule.id, rule.cursor, to])?;
    if let Some(lead) = looped {
        let reason = format!(
            "{LOOP_REASON} Lead {} came back to it more than {VISITS_MAX} times. Change what sets it off, then switch it on.",
            lead.int(0)
        );
        db.execute(sql::STOP, params![rule.id, reason, now])?;
    }
    Ok(())
}

/// The place of a rule that lets leads into a sequence.
fn entry(rule: &Rule) -> Option<StepOf> {
    rule.step.filter(|step| step.no == 1)
}

/// The statement that takes leads up. A chain is what followed from one event: events that rules or their requests made
/// name it.
fn matching(db: &dyn Db, rule: &Rule, to: i64, now: i64) -> (String, Vec<Value>) {
    let mut params: Vec<Value> = params![
        rule.id,
        rule.cursor,
        to,
        rule.delay_s * 1000,
        rule.version,
        rule.trigger.event(),
        LOOP_REASON
    ]
    .to_vec();
    let mut kinds = "e.kind = ?6".to_owned();
    if let Some(other) = rule.trigger.other_event() {
        params.push(other.into());
        kinds = format!("e.kind in (?6, ?{})", params.len());
    }
    let (mut condition, mut first) = (String::new(), "");
    if let Some(entry) = entry(rule) {
        params.push(entry.sequence_id.into());
        condition = format!(
            " and not exists (select 1 from sequence_lead s where s.sequence_id = ?{} and s.lead_id = e.lead_id)",
            params.len()
        );
        first = " and m.nth = 1";
    }
    if let Some(tag) = rule.trigger.tag() {
        params.push(tag.trim().to_lowercase().into());
        condition.push_str(&format!(
            " and e.tag_id = (select t.id from tag t where t.folded = ?{})",
            params.len()
        ));
    }
    if let Some(of) = rule.trigger.rule_id() {
        params.push(of.into());
        condition.push_str(&format!(" and e.rule_id = ?{}", params.len()));
    }
    if let Some(filter) = &rule.filter {
        let filter = crate::filter::compile(&filter.at(now), params.len() + 1, db.engine());
        params.extend(filter.params);
        condition.push_str(&format!(" and {}", filter.sql));
    }
    // A visit is where the chain grew: several opens of one mail are one. All that comes of one chain is bounded as well.
    let ends = format!("m.visit > {VISITS_MAX} or m.depth > {CHAIN_MAX} or m.times > {TIMES_MAX}");
    let text = format!(
        "insert into rule_instance (rule_id, version, event_id, lead_id, due_at, status, reason, depth, root_id) \
         select ?1, ?5, m.event_id, m.lead_id, m.at + ?4, case when {ends} then 'aborted' else 'pending' end, \
           case when {ends} then ?7 end, m.depth, m.root_id \
         from (select d.*, case when d.root_id is null then 0 else d.deeper + ( \
               select count(distinct p.depth) from rule_instance p \
               where p.root_id = d.root_id and p.rule_id = ?1 and p.lead_id = d.lead_id and p.depth < d.least) end as visit, \
             case when d.root_id is null then 0 else d.here + ( \
               select count(*) from rule_instance p where p.root_id = d.root_id and p.rule_id = ?1 and p.lead_id = d.lead_id) \
             end as times \
           from (select c.*, dense_rank() over (partition by c.lead_id, c.root_id order by c.depth) as deeper, \
             min(c.depth) over (partition by c.lead_id, c.root_id) as least, \
             row_number() over (partition by c.lead_id, c.root_id order by c.event_id) as here, \
             row_number() over (partition by c.lead_id order by c.event_id) as nth \
           from (select e.id as event_id, e.lead_id, e.at, coalesce(e.root_id, q.root_id) as root_id, \
               case when e.root_id is null then coalesce(q.depth, 0) else e.depth end as depth \
             from event e join lead l on l.id = e.lead_id left join request q on q.id = e.request_id \
             where e.id > ?2 and e.id <= ?3 and {kinds}{condition}) c) d) m \
         where true{first} on conflict (rule_id, event_id) do nothing"
    );
    (text, params)
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
    /// `pending`, `performed` (a request was made, or a tag put on) or `aborted`.
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
pub fn list(db: &dyn Db, id: i64, before: Option<i64>, limit: i64) -> Result<Vec<Instance>> {
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
