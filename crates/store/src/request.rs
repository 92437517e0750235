//! Requests: one lifecycle for every kind of work. Each step is one statement that names the state it leaves.

use crate::event::{self, Event};
use crate::params;
use crate::port::{Db, Result, Row, Value, one};
use crate::queries::profile;
use crate::queries::request as sql;

/// One request as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its key in the tenant.
    pub id: i64,
    /// `outreach` and, later, the other four.
    pub kind: String,
    /// `pending`, `running`, `performed`, `failed`, `aborted`, `canceled` or `uncertain`.
    pub status: String,
    /// Whom it is about.
    pub lead_id: Option<i64>,
    /// The rule it comes from.
    pub rule_id: Option<i64>,
    /// The profile it is assigned to.
    pub profile_id: Option<i64>,
    /// The templates it is made of.
    pub content_id: Option<i64>,
    /// Attempts so far.
    pub attempts: i64,
    /// What went wrong last.
    pub error: Option<String>,
    /// Why it waits.
    pub wait_reason: Option<String>,
    /// Not before.
    pub run_at: i64,
    /// When the effect began.
    pub begun_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Until when its recipient holds it up.
    pub wait_until: Option<i64>,
    /// Whether a person is to approve it.
    pub awaits_approval: bool,
    /// Why its profile may do nothing.
    pub profile_wait_reason: Option<String>,
    /// Until when.
    pub profile_wait_until: Option<i64>,
}

impl Request {
    /// Why it waits and until when, as far as that is known; nothing for one that does not wait.
    pub fn wait(&self, now: i64) -> (Option<String>, Option<i64>) {
        let said = |text: &str| Some(text.to_owned());
        if self.status != "pending" {
            return (None, None);
        }
        if self.awaits_approval {
            return (said("A person is to approve it first."), None);
        }
        if self.run_at > now {
            let reason = match (&self.wait_reason, &self.error) {
                (Some(reason), _) => reason.clone(),
                (None, Some(error)) => format!("It is tried again. {error}"),
                (None, None) => "It is not due yet.".to_owned(),
            };
            return (Some(reason), Some(self.run_at));
        }
        match self.profile_id {
            None => {
                let reason = self.wait_reason.clone();
                (reason.or(said("It waits for a profile.")), None)
            }
            Some(_) if self.is_held(now) => {
                (self.profile_wait_reason.clone(), self.profile_wait_until)
            }
            Some(_) => (said("It waits for its turn."), None),
        }
    }

    /// Whether it waits for nothing but a worker.
    pub fn is_ready(&self, now: i64) -> bool {
        let due = self.status == "pending" && !self.awaits_approval && self.run_at <= now;
        due && self.profile_id.is_some() && !self.is_held(now)
    }

    /// Whether its profile may not go on yet.
    fn is_held(&self, now: i64) -> bool {
        let lasts = self.profile_wait_until.is_none_or(|until| until > now);
        self.profile_wait_reason.is_some() && lasts
    }
}

fn from_row(mut r: Row) -> Request {
    Request {
        id: r.int(0),
        kind: r.text(1),
        status: r.text(2),
        lead_id: r.opt_int(3),
        rule_id: r.opt_int(4),
        profile_id: r.opt_int(5),
        content_id: r.opt_int(6),
        attempts: r.int(7),
        error: r.opt_text(8),
        wait_reason: r.opt_text(9),
        run_at: r.int(10),
        begun_at: r.opt_int(11),
        finished_at: r.opt_int(12),
        created_at: r.int(13),
        wait_until: r.opt_int(14),
        awaits_approval: r.flag(15),
        profile_wait_reason: r.opt_text(16),
        profile_wait_until: r.opt_int(17),
    }
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Requests with a smaller id than this come next; newest first.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this status.
    pub status: Option<String>,
    /// Only this lead's.
    pub lead_id: Option<i64>,
    /// Only this rule's.
    pub rule_id: Option<i64>,
    /// Only this profile's.
    pub profile_id: Option<i64>,
    /// Only what a person is to approve.
    pub awaiting: bool,
}

/// Lists requests, newest first.
pub fn list(db: &dyn Db, query: &Query) -> Result<Vec<Request>> {
    let mut params: Vec<Value> = vec![query.before.unwrap_or(i64::MAX).into(), query.limit.into()];
    let mut conditions = String::new();
    let filters = [
        ("kind", query.kind.as_ref().map(Value::from)),
        ("status", query.status.as_ref().map(Value::from)),
        ("lead_id", query.lead_id.map(Value::from)),
        ("rule_id", query.rule_id.map(Value::from)),
        ("profile_id", query.profile_id.map(Value::from)),
        ("awaits_approval", query.awaiting.then(|| Value::from(1i64))),
    ];
    for (column, value) in filters {
        if let Some(value) = value {
            params.push(value);
            conditions.push_str(&format!(" and r.{column} = ?{}", params.len()));
        }
    }
    let text = format!(
        "select r.id, r.kind, r.status, r.lead_id, r.rule_id, r.profile_id, r.content_id, r.attempts, r.error, r.wait_reason, \
         r.run_at, r.begun_at, r.finished_at, r.created_at, r.wait_until, r.awaits_approval, p.wait_reason, p.wait_until \
         from request r left join profile p on p.id = r.profile_id where r.id < ?1{conditions} order by r.id desc limit ?2"
    );
    Ok(db
        .query(&text, &params)?
        .into_iter()
        .map(from_row)
        .collect())
}

/// One request.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Request>> {
    Ok(one(db, sql::GET, params![id])?.map(from_row))
}

/// How many requests there are by status.
pub fn counts(db: &dyn Db) -> Result<Vec<(String, i64)>> {
    Ok(db
        .query(sql::COUNTS, &[])?
        .into_iter()
        .map(|mut r| (r.text(0), r.int(1)))
        .collect())
}

/// Due requests without a profile, newest first: ids.
pub fn unplanned(db: &dyn Db, now: i64, limit: i64) -> Result<Vec<i64>> {
    Ok(db
        .query(sql::UNPLANNED, params![now, limit])?
        .iter()
        .map(|r| r.int(0))
        .collect())
}

/// Ends what can never be sent of the newest `limit` due requests without a profile: leads that are suppressed, gone, or
/// without an address.
pub fn end_hopeless(db: &dyn Db, now: i64, limit: i64) -> Result<u64> {
    crate::transaction(db, || {
        let mut ended = 0;
        for (text, kind) in [
            (sql::ABORT_SUPPRESSED, "outreach_aborted"),
            (sql::FAIL_WITHOUT_ADDRESS, "outreach_failed"),
        ] {
            let rows = db.query(text, params![now, limit])?;
            ended += rows.len() as u64;
            for r in &rows {
                event::insert(db, &ended_event(kind, r, now))?;
            }
        }
        Ok(ended)
    })
}

fn ended_event(kind: &str, r: &Row, now: i64) -> Event {
    Event {
        at: now,
        kind: kind.to_owned(),
        request_id: Some(r.int(0)),
        lead_id: r.opt_int(1),
        profile_id: r.opt_int(2),
        rule_id: r.opt_int(3),
        ..Event::default()
    }
}

/// Says of all due requests without a profile why they wait.
pub fn hold_unplanned(db: &dyn Db, reason: &str, now: i64) -> Result<u64> {
    db.execute(sql::HOLD_UNPLANNED, params![reason, now])
}

/// Records that the effect is about to begin; false when the lease is not current, or the sending hours are over. The
/// profile's pauses are counted from now.
pub fn begin(db: &dyn Db, id: i64, token: &str, now: i64, lease_until: i64) -> Result<bool> {
    crate::transaction(db, || {
        let Some(row) = one(db, sql::BEGIN, params![id, token, now, lease_until])? else {
            return Ok(false);
        };
        if row.opt_int(0).is_some_and(|pause| pause > 0) {
            db.execute(profile::BEGAN, params![id, now])?;
        }
        if row.int(1) > 0 {
            db.execute(profile::MOVE_WRITING, params![id, now])?;
        }
        Ok(true)
    })
}

/// Holds a lease for longer; false when it is not current. The gap after what has not begun is counted from its new end.
pub fn renew(db: &dyn Db, id: i64, token: &str, lease_until: i64) -> Result<bool> {
    crate::transaction(db, || {
        let Some(row) = one(db, sql::RENEW, params![id, token, lease_until])? else {
            return Ok(false);
        };
        if row.opt_int(0).is_none() {
            db.execute(profile::MOVE_WRITING, params![id, lease_until])?;
        }
        Ok(true)
    })
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its status.
    pub status: String,
    /// The last lease's token.
    pub lease_token: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// Whom it is about.
    pub lead_id: Option<i64>,
    /// The profile.
    pub profile_id: Option<i64>,
    /// The rule.
    pub rule_id: Option<i64>,
}

/// Where a request stands; none when there is no such request.
pub fn state(db: &dyn Db, id: i64) -> Result<Option<State>> {
    Ok(one(db, sql::STATE, params![id])?.map(|mut r| State {
        status: r.text(0),
        lease_token: r.opt_text(1),
        attempts: u32::try_from(r.int(2)).unwrap_or(1),
        lead_id: r.opt_int(3),
        profile_id: r.opt_int(4),
        rule_id: r.opt_int(5),
    }))
}

/// Ends a request. True when this changed it: the first time, by the holder of its last lease.
pub fn end(
    db: &dyn Db,
    id: i64,
    token: &str,
    status: &str,
    error: Option<&str>,
    at: i64,
    begun_at: Option<i64>,
) -> Result<bool> {
    Ok(db.execute(sql::END, params![id, token, status, error, at, begun_at])? > 0)
}

/// It did not happen: pending again at `run_at`. `uncounted` attempts are forgiven. Call it inside a transaction.
pub fn give_back(
    db: &dyn Db,
    id: i64,
    token: &str,
    error: Option<&str>,
    run_at: i64,
    now: i64,
    uncounted: i64,
) -> Result<bool> {
    let params = params![id, token, error, run_at, now, uncounted];
    let changed = db.execute(sql::GIVE_BACK, params)? > 0;
    if changed {
        crate::turn::forget_writing(db, id)?;
    }
    Ok(changed)
}

/// Settles leases that ended: pending again when the effect had not begun, uncertain when it had.
pub fn expire_leases(db: &dyn Db, now: i64) -> Result<u64> {
    if next_lease_end(db)?.is_none_or(|end| end > now) {
        return Ok(0);
    }
    crate::transaction(db, || {
        db.execute(profile::FORGET_UNBEGUN_WRITING, params![now])?;
        let back = db.execute(sql::EXPIRE_UNBEGUN, params![now])?;
        let uncertain = db.query(sql::EXPIRE_BEGUN, params![now])?;
        for r in &uncertain {
            event::insert(db, &ended_event("outreach_uncertain", r, now))?;
        }
        Ok(back + uncertain.len() as u64)
    })
}

/// Ends what a lead still had coming and has not begun; returns how many there were. Call it inside a transaction.
pub fn abort_of_lead(db: &dyn Db, lead_id: i64, reason: &str, now: i64) -> Result<usize> {
    let rows = db.query(sql::ABORT_OF_LEAD, params![lead_id, reason, now])?;
    for r in &rows {
        let event = Event {
            at: now,
            kind: "outreach_aborted".to_owned(),
            lead_id: Some(lead_id),
            request_id: Some(r.int(0)),
            profile_id: r.opt_int(1),
            rule_id: r.opt_int(2),
            ..Event::default()
        };
        event::insert(db, &event)?;
    }
    Ok(rows.len())
}

/// Of the requests that a profile has under a lease, those whose rule leaves alone who ever wrote, and whose lead did.
pub fn of_repliers(db: &dyn Db, token: &str, profile_id: i64) -> Result<Vec<i64>> {
    let rows = db.query(sql::OF_REPLIERS, params![token, profile_id])?;
    Ok(rows.iter().map(|r| r.int(0)).collect())
}

/// Whether a worker has begun something, and is to report on it while its lease holds.
pub fn any_begun(db: &dyn Db, now: i64) -> Result<bool> {
    Ok(!db.query(sql::ANY_BEGUN, params![now])?.is_empty())
}

/// When the next lease ends.
pub fn next_lease_end(db: &dyn Db) -> Result<Option<i64>> {
    minimum(db, sql::NEXT_LEASE_END, &[])
}

/// When the next request without a profile is due.
pub fn next_unplanned(db: &dyn Db) -> Result<Option<i64>> {
    minimum(db, sql::NEXT_UNPLANNED, &[])
}

/// When the next request with a profile is due.
pub fn next_planned(db: &dyn Db) -> Result<Option<i64>> {
    minimum(db, sql::NEXT_PLANNED, &[])
}

fn minimum(db: &dyn Db, sql: &str, params: &[Value]) -> Result<Option<i64>> {
    Ok(one(db, sql, params)?.and_then(|r| r.opt_int(0)))
}

/// Cancels a request that waits; false when it does not. Call it inside a transaction.
pub fn cancel(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    let Some(row) = one(db, sql::CANCEL, params![id, now])? else {
        return Ok(false);
    };
    let kind = match row.clone().text(4).as_str() {
        "enrichment" => "enrichment_canceled",
        _ => "outreach_canceled",
    };
    event::insert(db, &ended_event(kind, &row, now))?;
    Ok(true)
}

/// Logs the end of a request that a person ended: its id, lead, profile and rule.
pub(crate) fn note_canceled(db: &dyn Db, row: &Row, now: i64) -> Result<()> {
    event::insert(db, &ended_event("outreach_canceled", row, now))
}

/// Cancels all that has not begun, and says why; how many they were. Call it inside a transaction.
pub fn cancel_unbegun(db: &dyn Db, reason: &str, now: i64) -> Result<u64> {
    db.execute(sql::NOTE_UNBEGUN, params![now])?;
    db.execute(sql::CANCEL_UNBEGUN, params![now, reason])
}

/// How many requests a rule made, by status.
pub fn counts_of_rule(db: &dyn Db, rule_id: i64) -> Result<Vec<(String, i64)>> {
    Ok(db
        .query(sql::COUNTS_OF_RULE, params![rule_id])?
        .into_iter()
        .map(|mut r| (r.text(0), r.int(1)))
        .collect())
}

/// How many requests are due without a profile, and why.
pub fn held_unplanned(db: &dyn Db, now: i64) -> Result<(i64, Option<String>)> {
    Ok(one(db, sql::HELD_UNPLANNED, params![now])?
        .map_or((0, None), |mut r| (r.int(0), r.opt_text(1))))
}

/// Requests that a profile will try again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrying {
    /// The profile.
    pub profile_id: i64,
    /// How many.
    pub n: i64,
    /// When the first of them is due again.
    pub next_at: i64,
    /// What went wrong with that one.
    pub error: String,
}

/// What profiles will try again later.
pub fn retrying(db: &dyn Db, now: i64) -> Result<Vec<Retrying>> {
    let rows = db.query(sql::RETRYING, params![now])?;
    let retrying = |mut r: Row| Retrying {
        profile_id: r.int(0),
        n: r.int(1),
        next_at: r.int(2),
        error: r.text(3),
    };
    Ok(rows.into_iter().map(retrying).collect())
}

/// How many requests each profile has in hand: (profile, count).
pub fn running(db: &dyn Db) -> Result<Vec<(i64, i64)>> {
    Ok(db
        .query(sql::RUNNING, &[])?
        .into_iter()
        .map(|r| (r.int(0), r.int(1)))
        .collect())
}
