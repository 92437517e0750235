//! Sequences: their definitions, and the rules that their steps are.

use domain::ab::{Tried, winner};
use domain::letter::Texts;
use domain::rule::Trigger;
use domain::sequence::{Definition, Step};

use crate::params;
use crate::port::{Db, Error, Result, Row, one};
use crate::queries::sequence as sql;
use crate::rule::{self, Rule};
use crate::{content, event};

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its key in the tenant.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Whether it goes on.
    pub active: bool,
    /// Counts its definitions.
    pub version: i64,
    /// What it does now.
    pub definition: Definition,
    /// Milliseconds.
    pub created_at: i64,
}

/// A definition of a newer version gives no sequence.
fn from_row(mut r: Row) -> Option<Sequence> {
    Some(Sequence {
        id: r.int(0),
        name: r.text(1),
        active: r.flag(2),
        version: r.int(3),
        definition: serde_json::from_str(&r.text(4)).ok()?,
        created_at: r.int(5),
    })
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// All sequences in order.
pub fn list(db: &dyn Db) -> Result<Vec<Sequence>> {
    let rows = db.query(sql::LIST, &[])?;
    Ok(rows.into_iter().filter_map(from_row).collect())
}

/// One that was not deleted.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Sequence>> {
    Ok(one(db, sql::GET, params![id])?.and_then(from_row))
}

/// The texts of each step: the action's and its variants'; none where a step writes nothing.
pub type StepTexts = Vec<Vec<Texts>>;

/// Keeps a new sequence, for what happens after the event `cursor`, and returns its id. Call it inside a transaction.
pub fn insert(
    db: &dyn Db,
    name: &str,
    definition: &Definition,
    texts: &StepTexts,
    cursor: i64,
    now: i64,
) -> Result<i64> {
    let row = one(db, sql::INSERT, params![name, json(definition), now])?;
    let sequence = Sequence {
        id: row.map_or(0, |r| r.int(0)),
        name: name.to_owned(),
        active: true,
        version: 1,
        definition: definition.clone(),
        created_at: now,
    };
    write_steps(db, &sequence, texts, cursor, now)?;
    Ok(sequence.id)
}

/// Keeps the name of a sequence, its state when that was `switched` and, with `texts`, what it does from now on: leads that
/// came in before go on as it was. Call it inside a transaction.
///
/// # Errors
/// [`Error::Stale`] when somebody else changed it, or deleted it.
pub fn change(
    db: &dyn Db,
    sequence: &Sequence,
    (texts, switched): (Option<&StepTexts>, bool),
    now: i64,
) -> Result<()> {
    let version = sequence.version + i64::from(texts.is_some());
    let params = params![
        sequence.id,
        &sequence.name,
        sequence.active,
        version,
        json(&sequence.definition),
        now,
        sequence.version
    ];
    if db.execute(sql::CHANGE, params)? == 0 {
        return Err(Error::Stale);
    }
    if switched {
        db.execute(sql::SET_ACTIVE, params![sequence.id, sequence.active, now])?;
    }
    if let Some(texts) = texts {
        let entry = params![sequence.id, sequence.version];
        let cursor = one(db, sql::ENTRY_CURSOR, entry)?.map_or(0, |r| r.int(0));
        db.execute(sql::CLOSE, params![sequence.id, sequence.version, now])?;
        let next = Sequence {
            version,
            ..sequence.clone()
        };
        write_steps(db, &next, texts, cursor, now)?;
    }
    retire(db, sequence.id, version, now)
}

/// How long a mail of which nobody knows whether it left may turn out to have, in milliseconds.
const UNCERTAIN: i64 = 30 * 24 * 60 * 60 * 1000;

/// Gives up the versions before one in which nobody is on the way, for good.
pub fn retire(db: &dyn Db, id: i64, version: i64, now: i64) -> Result<()> {
    let params = params![id, version, now - UNCERTAIN];
    db.execute(sql::RETIRE, params).map(|_| ())
}

/// Makes the rules of a version.
fn write_steps(
    db: &dyn Db,
    sequence: &Sequence,
    texts: &StepTexts,
    cursor: i64,
    now: i64,
) -> Result<()> {
    let last = event::last_id(db)?;
    let mut before: Option<(i64, bool)> = None;
    for (at, step) in sequence.definition.steps.iter().enumerate() {
        let texts = texts.get(at).map_or(&[][..], Vec::as_slice);
        let contents: Result<Vec<_>> = texts.iter().map(|t| content::insert(db, t, now)).collect();
        let contents = contents?;
        let mut rule = rule_of(sequence, step, at, now);
        rule.content_id = contents.first().copied();
        rule.cursor = match before {
            None => cursor,
            Some((rule_id, mail)) => {
                rule.trigger = Trigger::StepDone { rule_id, mail };
                rule.filter = None;
                last
            }
        };
        let id = rule::insert(db, &rule)?;
        let number = i64::try_from(at + 1).unwrap_or(i64::MAX);
        let params = params![
            id,
            sequence.id,
            sequence.version,
            number,
            step.only_if.as_ref().map(json),
            step.test.as_ref().map(json)
        ];
        db.execute(sql::SET_STEP, params)?;
        if contents.len() > 1 {
            for (no, content_id) in (0i64..).zip(contents) {
                db.execute(sql::INSERT_VARIANT, params![id, no, content_id])?;
            }
        }
        before = Some((id, step.action.is_outreach()));
    }
    Ok(())
}

fn rule_of(sequence: &Sequence, step: &Step, at: usize, now: i64) -> Rule {
    let definition = &sequence.definition;
    Rule {
        id: 0,
        name: format!("{}, step {}", sequence.name, at + 1),
        active: sequence.active,
        trigger: definition.trigger.clone(),
        filter: definition.filter.clone(),
        delay_s: step.wait_s,
        action: step.action.clone(),
        content_id: None,
        cursor: 0,
        created_at: now,
        approval: definition.approval,
        version: 1,
        skip_repliers: definition.exit_on_reply,
        stop_reason: None,
        step: None,
    }
}

/// Takes a sequence away: false when there is none. What its steps made and has not begun is canceled. Call it inside a
/// transaction, and [`rule::abort_instances`] for each of [`rules`] after it.
pub fn delete(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    if db.execute(sql::DELETE, params![id, now])? == 0 {
        return Ok(false);
    }
    for rule_id in rules(db, id)? {
        rule::delete(db, rule_id, now)?;
    }
    Ok(true)
}

/// The rules that its steps are, of all versions.
pub fn rules(db: &dyn Db, id: i64) -> Result<Vec<i64>> {
    let rows = db.query(sql::RULES, params![id])?;
    Ok(rows.iter().map(|r| r.int(0)).collect())
}

/// How many versions leads are on the way in, or may come into.
pub fn alive(db: &dyn Db, id: i64) -> Result<i64> {
    Ok(one(db, sql::ALIVE, params![id])?.map_or(0, |r| r.int(0)))
}

/// How leads stand with one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The rule that the step is.
    pub rule_id: i64,
    /// The best of its texts; -1 when they do not differ.
    pub winner: Option<i64>,
    /// Why it switched itself off.
    pub stop_reason: Option<String>,
    /// Leads that wait for it.
    pub waiting: i64,
    /// Leads that had it.
    pub done: i64,
    /// Leads that it was not for.
    pub skipped: i64,
    /// Leads that left the sequence at it.
    pub left: i64,
}

/// How leads stand with the steps of the current version.
pub fn standings(db: &dyn Db, sequence: &Sequence) -> Result<Vec<Standing>> {
    let rows = db.query(sql::STEPS, params![sequence.id, sequence.version])?;
    let standing = |mut r: Row| Standing {
        rule_id: r.int(0),
        winner: r.opt_int(1),
        stop_reason: r.opt_text(2),
        waiting: r.int(3),
        done: r.int(4),
        skipped: r.int(5),
        left: r.int(6),
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// How many leads came in, and how many wait for steps of older versions.
pub fn entered(db: &dyn Db, sequence: &Sequence) -> Result<(i64, i64)> {
    let of = params![sequence.id, sequence.version];
    let entered = one(db, sql::ENTERED, of)?.map_or(0, |r| r.int(0));
    let older = one(db, sql::WAITING_ELSEWHERE, of)?.map_or(0, |r| r.int(0));
    Ok((entered, older))
}

/// How the texts of a step did with the mails that left before a time.
pub fn tried(
    db: &dyn Db,
    rule_id: i64,
    variants: usize,
    effect: &str,
    before: i64,
) -> Result<Vec<Tried>> {
    let mut tried = vec![Tried { sent: 0, hits: 0 }; variants];
    for row in db.query(sql::TRIED, params![rule_id, effect, before])? {
        let number = |at: usize| u64::try_from(row.int(at)).unwrap_or(0);
        if let Some(one) = usize::try_from(row.int(0))
            .ok()
            .and_then(|no| tried.get_mut(no))
        {
            (one.sent, one.hits) = (number(1), number(2));
        }
    }
    Ok(tried)
}

/// How long after a mail its effect is waited for, in milliseconds.
const EFFECT: i64 = 24 * 60 * 60 * 1000;

/// How often the texts of a step are compared at most, in milliseconds.
const COMPARE: i64 = 60 * 1000;

/// Decides which text of a step is the best, once all of them were tried often enough: its number, -1 when they do not
/// differ, none when it is too early. Without any effect nothing is decided: it may be that nothing records them yet.
pub(crate) fn decide(
    db: &dyn Db,
    rule_id: i64,
    variants: usize,
    test: &domain::sequence::Test,
    now: i64,
) -> Result<Option<i64>> {
    if db.execute(sql::COMPARE, params![rule_id, now, now - COMPARE])? == 0 {
        return Ok(None);
    }
    let tried = tried(db, rule_id, variants, test.by.event(), now - EFFECT)?;
    let sample = u64::try_from(test.sample).unwrap_or(u64::MAX);
    if tried.iter().any(|t| t.sent < sample) || tried.iter().all(|t| t.hits == 0) {
        return Ok(None);
    }
    let best = winner(&tried).and_then(|best| i64::try_from(best).ok());
    let best = best.unwrap_or(-1);
    db.execute(sql::DECIDE, params![rule_id, best])?;
    Ok(Some(best))
}
