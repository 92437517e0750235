//! Whose turn it is: requests that are given to profiles, held up for their recipients, and leased.

use std::collections::HashMap;

use domain::quota::Order;

use crate::params;
use crate::port::{Db, Result, Row, Value, one, placeholders};
use crate::queries::{profile, request as sql};

/// Rows that one statement changes.
const ROWS: usize = 1_000;
/// Rules that one look asks; the others have their turn later.
const RULES: usize = 50;

/// A request that may be leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub id: i64,
    /// Whom it is about.
    pub lead_id: i64,
    /// The rule it comes from.
    pub rule_id: Option<i64>,
    /// Attempts so far.
    pub attempts: i64,
    /// Its templates.
    pub content_id: i64,
}

/// Due requests of a profile, a queue for each rule, beginning with the rule after `last_rule`; and the last rule that
/// was asked.
pub fn queues(
    db: &dyn Db,
    profile_id: i64,
    last_rule: i64,
    order: Order,
    now: i64,
    limit: usize,
) -> Result<(Vec<Vec<Candidate>>, i64)> {
    let rows = db.query(sql::RULES_THAT_WAIT, params![profile_id])?;
    let mut rules: Vec<i64> = rows.iter().map(|r| r.int(0)).collect();
    let after = rules.partition_point(|rule| *rule <= last_rule);
    rules.rotate_left(after);
    rules.truncate(RULES);
    let Some(asked) = rules.last().copied() else {
        return Ok((Vec::new(), last_rule));
    };
    let each = limit.min((4 * limit).div_ceil(rules.len()));
    let direction = match order {
        Order::Newest => "desc",
        Order::Oldest => "asc",
    };
    let mut values: Vec<Value> = params![profile_id, now, each as i64].to_vec();
    let queue = |(n, rule): (usize, &i64)| {
        values.push((*rule).into());
        format!(
            "select * from (select id, lead_id, rule_id, attempts, content_id from request \
             where profile_id = ?1 and status = 'pending' and awaits_approval = 0 and coalesce(rule_id, 0) = ?{} and run_at <= ?2 \
             order by id {direction} limit ?3) q{n}",
            n + 4
        )
    };
    let parts: Vec<String> = rules.iter().enumerate().map(queue).collect();
    let mut queues: HashMap<i64, Vec<Candidate>> = HashMap::new();
    for row in db.query(&parts.join(" union all "), &values)? {
        let candidate = candidate(&row);
        let queue = queues.entry(candidate.rule_id.unwrap_or(0)).or_default();
        queue.push(candidate);
    }
    // The parts of a union come in any order.
    for queue in queues.values_mut() {
        queue.sort_unstable_by_key(|c| match order {
            Order::Newest => -c.id,
            Order::Oldest => c.id,
        });
    }
    let queues = rules.iter().filter_map(|r| queues.remove(r)).collect();
    Ok((queues, asked))
}

fn candidate(r: &Row) -> Candidate {
    Candidate {
        id: r.int(0),
        lead_id: r.int(1),
        rule_id: r.opt_int(2),
        attempts: r.int(3),
        content_id: r.int(4),
    }
}

/// Changes requests by a list of rows whose first column is an id; `set` says how.
fn change(db: &dyn Db, columns: &str, set: &str, rows: &[Vec<Value>]) -> Result<u64> {
    let mut changed = 0;
    for part in rows.chunks(ROWS) {
        let width = part.first().map_or(0, Vec::len);
        let text = format!(
            "with v ({columns}) as (values {}) update request set {set}",
            placeholders(part.len(), width)
        );
        changed += db.execute(&text, &part.concat())?;
    }
    Ok(changed)
}

/// A request, the profile that it is given to, and whether that one wants it approved first.
pub type Assignment = (i64, i64, bool);

/// Gives requests to profiles.
pub fn assign(db: &dyn Db, assignments: &[Assignment], now: i64) -> Result<u64> {
    let row =
        |(id, profile, asks): &Assignment| params![*id, *profile, i64::from(*asks), now].to_vec();
    let rows: Vec<_> = assignments.iter().map(row).collect();
    let set = "profile_id = v.to_profile, wait_reason = null, updated_at = v.at, \
               awaits_approval = case when v.asks = 1 and approved_at is null then 1 else 0 end \
               from v where request.id = v.request_id and request.status = 'pending' and request.profile_id is null";
    change(db, "request_id, to_profile, asks, at", set, &rows)
}

/// A request that its recipient holds up: until when, and why.
pub type Held = (i64, i64, String);

/// Puts requests off.
pub fn hold(db: &dyn Db, held: &[Held], now: i64) -> Result<u64> {
    let row = |(id, until, reason): &Held| params![*id, *until, reason.as_str(), now].to_vec();
    let rows: Vec<_> = held.iter().map(row).collect();
    let set = "run_at = v.again, wait_until = v.again, wait_reason = v.why, updated_at = v.at \
               from v where request.id = v.request_id and request.status = 'pending'";
    change(db, "request_id, again, why, at", set, &rows)
}

/// Leases requests, each with the time before which it must begin. Call it in the transaction that found them.
pub fn lease(
    db: &dyn Db,
    ids: &[(i64, Option<i64>)],
    token: &str,
    lease_until: i64,
    now: i64,
) -> Result<u64> {
    let row = |(id, before): &(i64, Option<i64>)| {
        params![*id, before.unwrap_or(i64::MAX), token, lease_until, now].to_vec()
    };
    let rows: Vec<_> = ids.iter().map(row).collect();
    let set = "status = 'running', lease_token = v.token, lease_until = v.lease_end, begin_before = v.last_begin, \
               attempts = attempts + 1, wait_reason = null, wait_until = null, updated_at = v.at \
               from v where request.id = v.request_id and request.status = 'pending'";
    let columns = "request_id, last_begin, token, lease_end, at";
    change(db, columns, set, &rows)
}

/// When a profile last wrote to domains, of those it wrote to.
pub fn domain_times(
    db: &dyn Db,
    profile_id: i64,
    domains: &[&str],
) -> Result<HashMap<String, i64>> {
    let mut times = HashMap::new();
    for part in domains.chunks(ROWS) {
        let listed: Vec<_> = (0..part.len()).map(|n| format!("?{}", n + 2)).collect();
        let text = format!(
            "select domain, last_at from recipient_domain where profile_id = ?1 and domain in ({})",
            listed.join(", ")
        );
        let mut values: Vec<Value> = vec![profile_id.into()];
        values.extend(part.iter().map(|d| Value::from(*d)));
        let rows = db.query(&text, &values)?;
        times.extend(rows.into_iter().map(|mut r| (r.text(0), r.int(1))));
    }
    Ok(times)
}

/// Keeps that requests write to domains: (domain, request). They have begun by `last_at`.
pub fn write_to_domains(
    db: &dyn Db,
    profile_id: i64,
    domains: &[(String, i64)],
    last_at: i64,
) -> Result<()> {
    for part in domains.chunks(ROWS) {
        let row = |(domain, request): &(String, i64)| {
            params![profile_id, domain.as_str(), *request, last_at].to_vec()
        };
        let values: Vec<Value> = part.iter().flat_map(row).collect();
        let text = format!(
            "insert into recipient_domain (profile_id, domain, request_id, last_at) values {} \
             on conflict (profile_id, domain) do update set request_id = excluded.request_id, last_at = excluded.last_at",
            placeholders(part.len(), 4)
        );
        db.execute(&text, &values)?;
    }
    Ok(())
}

/// Forgets that a request writes to a domain: it does not, or not yet.
pub fn forget_writing(db: &dyn Db, request_id: i64) -> Result<()> {
    db.execute(profile::FORGET_WRITING, params![request_id])
        .map(|_| ())
}

/// Forgets domains that nothing was written to since a time.
pub fn forget_domains(db: &dyn Db, before: i64) -> Result<u64> {
    db.execute(profile::FORGET_DOMAINS, params![before])
}

/// When a profile's next request is due.
pub fn next_of(db: &dyn Db, profile_id: i64) -> Result<Option<i64>> {
    Ok(one(db, sql::NEXT_PLANNED_OF, params![profile_id])?.and_then(|r| r.opt_int(0)))
}
