//! Rules, and the versions of what they do.

use domain::filter::Filter;
use domain::rule::{Action, Trigger};
use domain::sequence::{Condition, Test};

use crate::params;
use crate::port::{Db, Error, Result, Row, one};
use crate::queries::{request as requests, rule as sql};

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
    /// The templates its requests are made with; none when it writes nothing.
    pub content_id: Option<i64>,
    /// The last event it saw.
    pub cursor: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Whether a person approves what it makes.
    pub approval: bool,
    /// Which version of what it does is the current one.
    pub version: i64,
    /// Whether it leaves alone who ever wrote.
    pub skip_repliers: bool,
    /// Why it switched itself off.
    pub stop_reason: Option<String>,
    /// The step of a sequence that it is.
    pub step: Option<StepOf>,
}

/// The place of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepOf {
    /// The sequence.
    pub sequence_id: i64,
    /// The version of it.
    pub version: i64,
    /// From 1: the first one lets leads in.
    pub no: i64,
}

/// Columns that hold JSON of a newer version give no rule, and so do nothing.
fn from_row(mut r: Row) -> Option<Rule> {
    Some(Rule {
        id: r.int(0),
        name: r.text(1),
        active: r.flag(2),
        trigger: serde_json::from_str(&r.text(3)).ok()?,
        filter: filter_of(r.opt_text(4))?,
        delay_s: r.int(5),
        action: serde_json::from_str(&r.text(6)).ok()?,
        content_id: r.opt_int(7),
        cursor: r.int(8),
        created_at: r.int(9),
        approval: r.flag(10),
        version: r.int(11),
        skip_repliers: r.flag(12),
        stop_reason: r.opt_text(13),
        step: r.opt_int(14).map(|sequence_id| StepOf {
            sequence_id,
            version: r.int(15),
            no: r.int(16),
        }),
    })
}

/// A kept filter; none when it cannot be read.
fn filter_of(json: Option<String>) -> Option<Option<Filter>> {
    match json {
        Some(json) => serde_json::from_str(&json).ok().map(Some),
        None => Some(None),
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Keeps a new rule with the first version of what it does, and returns its id. Call it inside a transaction.
pub fn insert(db: &dyn Db, rule: &Rule) -> Result<i64> {
    let params = params![
        &rule.name,
        json(&rule.trigger),
        rule.filter.as_ref().map(json),
        rule.delay_s,
        json(&rule.action),
        rule.content_id,
        rule.cursor,
        rule.created_at,
        rule.approval,
        rule.skip_repliers,
        rule.active
    ];
    let id = one(db, sql::INSERT, params)?.map_or(0, |r| r.int(0));
    insert_version(db, id, 1, rule, rule.created_at)?;
    Ok(id)
}

fn insert_version(db: &dyn Db, id: i64, version: i64, rule: &Rule, now: i64) -> Result<()> {
    let params = params![
        id,
        version,
        rule.filter.as_ref().map(json),
        json(&rule.action),
        rule.content_id,
        rule.approval,
        rule.skip_repliers,
        now
    ];
    db.execute(sql::INSERT_VERSION, params).map(|_| ())
}

/// Keeps what a rule says now. Whoever it took up before is served by what it said then; a version that took nobody up
/// is written over. Call it inside a transaction.
///
/// # Errors
/// [`Error::Stale`] when somebody else changed it, or deleted it.
pub fn change(db: &dyn Db, rule: &Rule, now: i64) -> Result<()> {
    let used = !db
        .query(sql::IN_USE, params![rule.id, rule.version])?
        .is_empty();
    let version = rule.version + i64::from(used);
    insert_version(db, rule.id, version, rule, now)?;
    let params = params![
        rule.id,
        &rule.name,
        rule.active,
        rule.filter.as_ref().map(json),
        rule.delay_s,
        json(&rule.action),
        rule.content_id,
        rule.approval,
        rule.skip_repliers,
        version,
        now,
        rule.version
    ];
    if db.execute(sql::CHANGE, params)? == 0 {
        return Err(Error::Stale);
    }
    db.execute(sql::FORGET_VERSIONS, params![rule.id, version])?;
    Ok(())
}

/// All rules in order, without those that were deleted and those that are steps of sequences.
pub fn list(db: &dyn Db) -> Result<Vec<Rule>> {
    Ok(db
        .query(sql::LIST, &[])?
        .into_iter()
        .filter_map(from_row)
        .collect())
}

/// The names of all rules by id, also of those that were deleted.
pub fn names(db: &dyn Db) -> Result<Vec<(i64, String)>> {
    Ok(db
        .query(sql::NAMES, &[])?
        .into_iter()
        .map(|mut r| (r.int(0), r.text(1)))
        .collect())
}

/// One rule that was not deleted.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Rule>> {
    Ok(one(db, sql::GET, params![id])?.and_then(from_row))
}

/// Switches a rule on or off; false when there is none. One that stopped itself has no reason to any more when it is
/// switched on.
pub fn set_active(db: &dyn Db, id: i64, active: bool, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_ACTIVE, params![id, active, now])? > 0)
}

/// Takes a rule away; false when there is none. What it made and has not begun is canceled. Call it inside a
/// transaction, and [`abort_instances`] after it.
pub fn delete(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    if db.execute(sql::DELETE, params![id, now])? == 0 {
        return Ok(false);
    }
    db.execute(requests::NOTE_UNBEGUN_OF_RULE, params![now, id])?;
    let reason = "The rule was deleted.";
    db.execute(requests::CANCEL_UNBEGUN_OF_RULE, params![now, id, reason])?;
    Ok(true)
}

/// Gives up the leads that wait for a rule, some at a time; how many there were.
pub fn abort_instances(db: &dyn Db, id: i64, reason: &str) -> Result<u64> {
    db.execute(sql::ABORT_INSTANCES, params![id, reason])
}

/// What one version of a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Whom it is for.
    pub filter: Option<Filter>,
    /// What it does.
    pub action: Action,
    /// The templates its requests are made with.
    pub content_id: Option<i64>,
    /// Whether a person approves what it makes.
    pub approval: bool,
    /// Whether it leaves alone who ever wrote.
    pub skip_repliers: bool,
    /// What it is beside, as a step of a sequence.
    pub step: Option<StepWork>,
}

/// What a step of a sequence has that other rules have not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepWork {
    /// The sequence.
    pub sequence_id: i64,
    /// For whom it is.
    pub only_if: Option<Condition>,
    /// How the best of its texts is found.
    pub test: Option<Test>,
    /// The best of them, or -1 when they do not differ.
    pub winner: Option<i64>,
    /// How many texts are tried; 0 when there is one.
    pub variants: usize,
}

/// A version of a rule; none when it cannot be read.
pub fn version(db: &dyn Db, id: i64, version: i64) -> Result<Option<Version>> {
    let row = one(db, sql::VERSION, params![id, version])?;
    Ok(row.and_then(|mut r| {
        Some(Version {
            filter: filter_of(r.opt_text(0))?,
            action: serde_json::from_str(&r.text(1)).ok()?,
            content_id: r.opt_int(2),
            approval: r.flag(3),
            skip_repliers: r.flag(4),
            step: match r.opt_int(5) {
                Some(sequence_id) => Some(step_work(sequence_id, &mut r)?),
                None => None,
            },
        })
    }))
}

/// None when what is kept cannot be read.
fn step_work(sequence_id: i64, r: &mut Row) -> Option<StepWork> {
    fn read<T: serde::de::DeserializeOwned>(text: Option<String>) -> Option<Option<T>> {
        match text {
            Some(text) => serde_json::from_str(&text).ok().map(Some),
            None => Some(None),
        }
    }
    Some(StepWork {
        sequence_id,
        only_if: read(r.opt_text(6))?,
        test: read(r.opt_text(7))?,
        winner: r.opt_int(8),
        variants: usize::try_from(r.int(9)).unwrap_or(0),
    })
}

/// When a rule last made a request.
pub fn last_run(db: &dyn Db, id: i64) -> Result<Option<i64>> {
    Ok(one(db, sql::LAST_RUN, params![id])?.map(|r| r.int(0)))
}
