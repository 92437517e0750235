//! Which requests a profile takes now: its rules in turn, and its recipients in their hours and at their pace.

use std::collections::HashMap;

use domain::lead::{Field, Fields};
use domain::quota::{Limits, Recipient, Usage, Verdict, decide, in_turn};
use store::profile::Profile;
use store::turn::{self, Candidate, Held};
use store::{Db, Result, lead};

use crate::claim::Claim;

/// Candidates that one claim looks at for their recipients' sake.
const LOOK: usize = 500;

/// What a profile takes now: requests, the time before which each must begin, and their leads.
pub struct Picked {
    /// Not leased yet.
    pub requests: Vec<(Candidate, Option<i64>)>,
    /// Of the candidates, by their ids.
    pub leads: HashMap<i64, Fields>,
    /// The rule that the next look begins after.
    pub last_rule: i64,
}

impl Picked {
    /// What to lease.
    pub fn ids(&self) -> Vec<(i64, Option<i64>)> {
        let ids = self.requests.iter();
        ids.map(|(request, before)| (request.id, *before)).collect()
    }
}

/// Picks due requests, the rules in turn. What its recipient holds up is put off, and the next one has its turn.
pub fn pick(
    db: &dyn Db,
    c: &Claim<'_>,
    profile: &Profile,
    usage: &Usage,
    (room, before): (usize, Option<i64>),
) -> Result<Picked> {
    let limits = &profile.quotas;
    let look = match limits.are_about_recipients() {
        true => room.max(LOOK),
        false => room,
    };
    let last = profile.last_rule_id;
    let (queues, asked) = turn::queues(db, profile.id, last, limits.order, c.now, look)?;
    let candidates = in_turn(queues, look);
    let ids: Vec<_> = candidates.iter().map(|l| l.lead_id).collect();
    let leads = lead::fields_of(db, &ids)?;
    let requests = match limits.are_about_recipients() {
        true => {
            let mut times = domain_times(db, profile, &leads)?;
            let found = sieve(limits, usage, candidates, &leads, &mut times, (room, c.now));
            turn::hold(db, &found.held, c.now)?;
            if has_gap(limits) {
                turn::write_to_domains(db, profile.id, &found.domains, c.lease_until)?;
            }
            found.requests
        }
        false => candidates.into_iter().map(|r| (r, before)).collect(),
    };
    // When nothing can be taken, the rules that were not asked yet have their turn.
    let taken = requests.last().map(|(r, _)| r.rule_id.unwrap_or(0));
    Ok(Picked {
        last_rule: taken.unwrap_or(asked),
        requests,
        leads,
    })
}

/// What candidates' recipients allow.
#[derive(Default)]
struct Sieved {
    requests: Vec<(Candidate, Option<i64>)>,
    held: Vec<Held>,
    /// The domains that are written to, and by which request.
    domains: Vec<(String, i64)>,
}

/// Asks of each candidate whether its recipient can be written to, until there are as many as there is room for. `times`
/// is when domains were written to last.
fn sieve(
    limits: &Limits,
    usage: &Usage,
    candidates: Vec<Candidate>,
    leads: &HashMap<i64, Fields>,
    times: &mut HashMap<String, i64>,
    (room, now): (usize, i64),
) -> Sieved {
    let mut found = Sieved::default();
    let mut behind: HashMap<&str, i64> = HashMap::new();
    for request in candidates {
        if found.requests.len() == room {
            break;
        }
        let lead = leads.get(&request.lead_id);
        let domain = lead.and_then(domain_of).unwrap_or_default();
        let recipient = Recipient {
            zone: lead.and_then(zone_of),
            domain_last_at: times.get(domain).copied(),
        };
        match decide(limits, usage, Some(&recipient), now) {
            Verdict::Wait(hold) => {
                let mut until = hold.until;
                let gap = i64::from(limits.domain_gap_ms.unwrap_or(0));
                if recipient.domain_last_at.is_some_and(|at| at + gap > now) {
                    // All at once they would stand before everything else again, and all but one for nothing.
                    let behind = behind.entry(domain).or_default();
                    until += *behind;
                    *behind += gap;
                }
                found.held.push((request.id, until, hold.reason));
            }
            Verdict::Now { before, .. } => {
                times.insert(domain.to_owned(), now);
                found.domains.push((domain.to_owned(), request.id));
                found.requests.push((request, before));
            }
        }
    }
    found
}

fn has_gap(limits: &Limits) -> bool {
    limits.domain_gap_ms.is_some_and(|gap| gap > 0)
}

/// When a profile last wrote to the domains of leads.
fn domain_times(
    db: &dyn Db,
    profile: &Profile,
    leads: &HashMap<i64, Fields>,
) -> Result<HashMap<String, i64>> {
    if !has_gap(&profile.quotas) {
        return Ok(HashMap::new());
    }
    let mut domains: Vec<&str> = leads.values().filter_map(domain_of).collect();
    domains.sort_unstable();
    domains.dedup();
    turn::domain_times(db, profile.id, &domains)
}

fn domain_of(lead: &Fields) -> Option<&str> {
    Some(lead.get(Field::Email)?.rsplit_once('@')?.1)
}

/// The time zone in a lead's custom field of that name.
fn zone_of(lead: &Fields) -> Option<String> {
    let is_zone = |name: &str| {
        let letters = name.chars().filter(|c| c.is_alphabetic());
        letters.flat_map(char::to_lowercase).eq("timezone".chars())
    };
    let field = lead.data.iter().find(|(name, _)| is_zone(name));
    field.map(|(_, zone)| zone.clone())
}
