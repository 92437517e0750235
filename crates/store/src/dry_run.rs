//! Whom a rule would be for if it were written now, and why.

use domain::explain;
use domain::filter::{Comparison, Filter, Op};
use domain::rule::Trigger;

use crate::port::{Db, Result, Value, one};

/// What a rule would be.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What it would wait for.
    pub trigger: &'a Trigger,
    /// Whom it would be for.
    pub filter: Option<&'a Filter>,
    /// Whether it would write mails.
    pub mails: bool,
    /// Whether it would leave alone who ever wrote.
    pub skip_repliers: bool,
    /// Variables that its mails show as they are.
    pub variables: &'a [String],
}

/// One thing that must hold for a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// In words.
    pub what: String,
    /// How deep it is nested: what is inside another part counts only through that.
    pub depth: usize,
    /// Whether it does.
    pub holds: bool,
}

/// A lead that it would be for, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The lead.
    pub lead_id: i64,
    /// Whether all of it holds.
    pub fits: bool,
    /// What must hold.
    pub parts: Vec<Part>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// Leads that there are.
    pub leads: i64,
    /// Those for whom what it waits for happened already.
    pub triggered: i64,
    /// Those of them whom it would be for.
    pub fitting: i64,
    /// Some of each, at most ten.
    pub samples: Vec<Sample>,
    /// Variables of its mails, and how many of those whom it would be for lack them; those that nobody lacks are left out.
    pub missing: Vec<(String, i64)>,
}

/// A condition on `lead l` in words and in SQL.
struct Condition {
    what: String,
    depth: usize,
    sql: String,
}

/// Conditions, with the parameters that they use.
struct Conditions {
    /// The trigger first.
    parts: Vec<Condition>,
    /// Those of the parts. Every statement about parts uses all of them.
    told: Vec<Value>,
    /// All but the trigger, as one condition.
    rest: String,
    /// Those of the trigger, then those of `rest`.
    params: Vec<Value>,
}

impl Conditions {
    fn of(db: &dyn Db, plan: &Plan<'_>, trigger: &str, now: i64) -> Conditions {
        let (sql, params) = happened(plan.trigger);
        let mut all = Conditions {
            parts: Vec::new(),
            told: params.clone(),
            rest: "true".to_owned(),
            params,
        };
        all.add(trigger, 0, sql);
        let filter = plan.filter.map(|f| f.at(now));
        if let (Some(said), Some(filter)) = (plan.filter, &filter) {
            let whole = crate::filter::compile(filter, all.params.len() + 1, db.engine());
            all.rest = format!("({})", whole.sql);
            all.params.extend(whole.params);
            // In words it is as it was said, in SQL with the times that follow from it.
            let parts = explain::parts(said).into_iter();
            for ((depth, what, _), (_, _, part)) in parts.zip(explain::parts(filter)) {
                let part = crate::filter::compile(part, all.told.len() + 1, db.engine());
                all.told.extend(part.params);
                all.add(&what, depth, part.sql);
            }
        }
        if plan.mails {
            all.must("has an e-mail address", "l.email is not null");
            all.must(
                "is not suppressed",
                "not exists (select 1 from suppression s where s.value = l.email)",
            );
        }
        if plan.skip_repliers {
            all.must(
                "never wrote",
                "not exists (select 1 from event r where r.lead_id = l.id and r.kind = 'replied')",
            );
        }
        all
    }

    fn add(&mut self, what: &str, depth: usize, sql: String) {
        let what = what.to_owned();
        self.parts.push(Condition { what, depth, sql });
    }

    fn must(&mut self, what: &str, sql: &str) {
        self.rest.push_str(&format!(" and {sql}"));
        self.add(what, 0, sql.to_owned());
    }

    /// The parameters that a statement uses; those of conditions that it leaves out come last.
    fn params_of(&self, text: &str) -> &[Value] {
        let digits = |part: &str| -> usize {
            let end = part.find(|c: char| !c.is_ascii_digit());
            part[..end.unwrap_or(part.len())].parse().unwrap_or(0)
        };
        let used = text.split('?').skip(1).map(digits).max().unwrap_or(0);
        &self.params[..used.min(self.params.len())]
    }

    fn triggered(&self) -> &str {
        self.parts.first().map_or("true", |p| &p.sql)
    }
}

/// Whether what a rule waits for happened to `lead l`.
fn happened(trigger: &Trigger) -> (String, Vec<Value>) {
    let mut params = vec![trigger.event().into()];
    let mut event = "e.lead_id = l.id and e.kind = ?1".to_owned();
    if let Some(tag) = trigger.tag() {
        params.push(tag.trim().to_lowercase().into());
        event.push_str(" and e.tag_id = (select t.id from tag t where t.folded = ?2)");
    }
    if let Some(rule_id) = trigger.rule_id() {
        params.push(rule_id.into());
        event.push_str(&format!(" and e.rule_id = ?{}", params.len()));
    }
    let sql = format!("exists (select 1 from event e where {event})");
    (sql, params)
}

/// Leads of each sort that are looked at: those that it would be for, and those that something keeps from it.
const SAMPLES: i64 = 5;

/// Tries a rule out. `trigger` says in words what it waits for.
///
/// # Errors
/// When the store fails.
pub fn dry_run(db: &dyn Db, plan: &Plan<'_>, trigger: &str, now: i64) -> Result<DryRun> {
    let all = Conditions::of(db, plan, trigger, now);
    let (triggered, rest) = (all.triggered(), &all.rest);
    let count = format!(
        "select (select count(*) from lead), count(*), coalesce(sum(case when {rest} then 1 else 0 end), 0) \
         from lead l where {triggered}"
    );
    let counted = one(db, &count, all.params_of(&count))?;
    let number = |at: usize| counted.as_ref().map_or(0, |r| r.int(at));
    let mut ids = Vec::new();
    for (condition, many) in [
        (format!("{triggered} and {rest}"), SAMPLES),
        (format!("{triggered} and not ({rest})"), 2 * SAMPLES),
        (format!("not {triggered}"), 2 * SAMPLES),
    ] {
        let room = many.min(2 * SAMPLES - ids.len() as i64);
        let text =
            format!("select l.id from lead l where {condition} order by l.id desc limit {room}");
        let rows = db.query(&text, all.params_of(&text))?;
        ids.extend(rows.iter().map(|r| r.int(0)));
    }
    Ok(DryRun {
        leads: number(0),
        triggered: number(1),
        fitting: number(2),
        samples: samples(db, &all, &ids)?,
        missing: missing(db, &all, plan.variables)?,
    })
}

/// Who lacks what, counted for all variables in one read.
fn missing(db: &dyn Db, all: &Conditions, variables: &[String]) -> Result<Vec<(String, i64)>> {
    if variables.is_empty() {
        return Ok(Vec::new());
    }
    let mut params = all.params.clone();
    let mut columns = Vec::new();
    for name in variables {
        let unknown = Filter::Field(Comparison {
            name: name.clone(),
            op: Op::NotSet,
            value: String::new(),
        });
        let unknown = crate::filter::compile(&unknown, params.len() + 1, db.engine());
        params.extend(unknown.params);
        columns.push(format!(
            "coalesce(sum(case when {} then 1 else 0 end), 0)",
            unknown.sql
        ));
    }
    let text = format!(
        "select {} from lead l where {} and {}",
        columns.join(", "),
        all.triggered(),
        all.rest
    );
    let Some(row) = one(db, &text, &params)? else {
        return Ok(Vec::new());
    };
    let counted = variables.iter().enumerate();
    let counted = counted.map(|(at, name)| (name.clone(), row.int(at)));
    Ok(counted.filter(|(_, n)| *n > 0).collect())
}

/// Each part for each lead, in one read.
fn samples(db: &dyn Db, all: &Conditions, ids: &[i64]) -> Result<Vec<Sample>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let holds = all.parts.iter();
    let holds: Vec<_> = holds
        .map(|p| format!("case when {} then 1 else 0 end", p.sql))
        .collect();
    let listed: Vec<_> = ids.iter().map(i64::to_string).collect();
    let text = format!(
        "select l.id, {} from lead l where l.id in ({})",
        holds.join(", "),
        listed.join(", ")
    );
    let rows = db.query(&text, &all.told)?;
    let sample = |id: &i64| {
        let row = rows.iter().find(|r| r.int(0) == *id)?;
        let part = |(at, p): (usize, &Condition)| Part {
            what: p.what.clone(),
            depth: p.depth,
            holds: row.flag(at + 1),
        };
        let parts: Vec<_> = all.parts.iter().enumerate().map(part).collect();
        let outer = |p: &&Part| p.depth == 0;
        Some(Sample {
            lead_id: *id,
            fits: parts.iter().filter(outer).all(|p| p.holds),
            parts,
        })
    };
    Ok(ids.iter().filter_map(sample).collect())
}
