//! What a worker may take from one tenant, as it will be sent: templates rendered, suppressions checked, the mail kept
//! before it leaves.

use std::collections::{BTreeMap, HashMap};

use domain::brand::Brand;
use domain::lead::{Field, Fields};
use domain::letter::{self, Texts, one_line};
use domain::quota::{Verdict, decide};
use domain::template::{Facts, day};
use store::content;
use store::event::{self, Event};
use store::message::{self, Message};
use store::profile::{self, Profile};
use store::turn::{self, Candidate};
use store::{Db, Result, approval, request, suppression, transaction};
use worker_api::{Lease, Task, Work};

use crate::pick::pick;

/// What a claim needs to know beside the tenant's store.
pub struct Claim<'a> {
    /// The sub-account's UUID.
    pub subaccount: &'a str,
    /// Where the sub-account is served, without a slash at the end.
    pub base_url: &'a str,
    /// How its mails are signed.
    pub brand: &'a Brand,
    /// Makes the secret part of a lead's unsubscribe link.
    pub sign: &'a dyn Fn(i64) -> String,
    /// A random text that no other claim has.
    pub token: &'a str,
    /// Milliseconds.
    pub now: i64,
    /// When the lease ends.
    pub lease_until: i64,
    /// The most requests to take.
    pub max: u32,
    /// Profiles that have enough in hand: none of their requests now.
    pub busy: &'a [i64],
    /// Who asks: profiles that are assigned to another are left alone.
    pub worker: &'a str,
    /// Whether they take what is assigned to nobody.
    pub unassigned: bool,
}

/// What a claim gave, and when there may be more.
#[derive(Debug, Default)]
pub struct Taken {
    /// Leased requests.
    pub tasks: Vec<Task>,
    /// When to look again; none when nothing waits.
    pub next: Option<i64>,
    /// Whether requests were ended because their mail cannot be written.
    pub refused: bool,
    /// Whether something is due that is for another worker.
    pub foreign: bool,
}

/// Leases due requests of a tenant's profiles within their quotas.
///
/// # Errors
/// When the store fails; then nothing is leased.
pub fn claim(db: &dyn Db, c: &Claim<'_>) -> Result<Taken> {
    let mut taken = Taken::default();
    let profiles: Vec<Profile> = profile::list(db)?
        .into_iter()
        .filter(|p| p.active)
        .collect();
    let dues = match profiles.is_empty() {
        true => HashMap::new(),
        false => profile::due(db)?,
    };
    for profile in profiles {
        let room = c.max.saturating_sub(taken.tasks.len() as u32);
        let Some(due) = dues.get(&profile.id).copied() else {
            continue;
        };
        if !profile.is_for(c.worker, c.unassigned) {
            taken.foreign |= due <= c.now;
            taken.next = [taken.next, Some(due)].into_iter().flatten().min();
            continue;
        }
        // What a busy profile leaves is there for whoever asks next.
        let next = match due > c.now || room == 0 || c.busy.contains(&profile.id) {
            true => Some(due.max(c.now)),
            false => transaction(db, || claim_for(db, c, profile.id, room, &mut taken))?,
        };
        taken.next = [taken.next, next].into_iter().flatten().min();
    }
    Ok(taken)
}

/// Leases for one profile; returns when it may take more. Its quotas are read under the write lock: of two claims at
/// once, the second sees what the first took.
fn claim_for(
    db: &dyn Db,
    c: &Claim<'_>,
    profile_id: i64,
    room: u32,
    taken: &mut Taken,
) -> Result<Option<i64>> {
    let mine = |p: &Profile| p.active && p.is_for(c.worker, c.unassigned);
    let Some(profile) = profile::get(db, profile_id)?.filter(mine) else {
        return Ok(None);
    };
    if profile.quotas.approval {
        // What came back from a worker, or was planned meanwhile, was not there when approval was switched on.
        approval::ask_for_profile(db, profile.id, c.now)?;
    }
    let usage = profile::usage(db, &profile, c.now)?;
    let (allowed, before) = match decide(&profile.quotas, &usage, None, c.now) {
        Verdict::Now {
            room: allowed,
            before,
        } => (allowed.min(room), before),
        Verdict::Wait(hold) => {
            if !profile.waits_for(Some(&hold)) {
                profile::set_wait(db, profile.id, Some(&hold))?;
            }
            return Ok(Some(hold.until));
        }
    };
    let picked = pick(db, c, &profile, &usage, (allowed as usize, before))?;
    let leads = &picked.leads;
    let suppressed = suppression::among(db, leads.values().filter_map(|l| l.get(Field::Email)))?;
    turn::lease(db, &picked.ids(), c.token, c.lease_until, c.now)?;
    let replied = request::of_repliers(db, c.token, profile.id)?;
    let (mut contents, mut pause) = (HashMap::new(), None);
    for (request, _) in &picked.requests {
        if let std::collections::hash_map::Entry::Vacant(entry) = contents.entry(request.content_id)
        {
            entry.insert(content::get(db, request.content_id)?);
        }
        let lead = leads.get(&request.lead_id);
        let suppressed = lead
            .and_then(|l| l.get(Field::Email))
            .is_some_and(|e| suppressed.contains(e));
        let refused = match () {
            () if suppressed => Some("The address is suppressed."),
            () if replied.contains(&request.id) => Some("The lead replied."),
            () => None,
        };
        let written = match refused {
            Some(reason) => Err(("aborted", reason.to_owned())),
            None => write(
                db,
                c,
                &profile,
                request,
                lead,
                contents[&request.content_id].as_ref(),
            )?,
        };
        match written {
            Ok(task) => {
                taken.tasks.push(task);
                pause = Some(profile.quotas.pause_after(request.id));
            }
            Err((status, reason)) => {
                refuse(db, c, &profile, request, status, &reason)?;
                taken.refused = true;
            }
        }
    }
    let after = c.now + pause.unwrap_or(0);
    match pause {
        Some(pause) => profile::set_pace(db, profile.id, after, pause, picked.last_rule)?,
        None => profile::set_turn(db, profile.id, picked.last_rule)?,
    }
    if profile.wait_reason.is_some() {
        profile::set_wait(db, profile.id, None)?;
    }
    let next = turn::next_of(db, profile.id)?;
    Ok(next.map(|due| due.max(after)))
}

/// What templates may say beside what is known of the lead.
pub fn extra<'a>(
    unsubscribe_url: &str,
    profile: Option<&Profile>,
    brand: &Brand,
    now: i64,
) -> BTreeMap<&'a str, String> {
    let sender = profile.map(|p| sender_name(p, brand));
    BTreeMap::from([
        ("unsubscribe_url", unsubscribe_url.to_owned()),
        ("sender_name", sender.unwrap_or_default()),
        (
            "postal_address",
            brand.postal_address.clone().unwrap_or_default(),
        ),
        ("today", day(now)),
    ])
}

/// What chooses in the templates of a request.
pub fn seed(request_id: i64) -> u64 {
    u64::try_from(request_id).unwrap_or_default()
}

type Written = std::result::Result<Task, (&'static str, String)>;

/// Writes the mail of a request, or says why it cannot be written.
fn write(
    db: &dyn Db,
    c: &Claim<'_>,
    profile: &Profile,
    request: &Candidate,
    lead: Option<&Fields>,
    texts: Option<&Texts>,
) -> Result<Written> {
    let Some((lead, to)) = lead.and_then(|l| Some((l, l.get(Field::Email)?))) else {
        return Ok(Err((
            "failed",
            "The lead has no e-mail address.".to_owned(),
        )));
    };
    let Some(texts) = texts else {
        return Ok(Err(("failed", "The rule's text is gone.".to_owned())));
    };
    let unsubscribe = format!("{}/u/{}", c.base_url, (c.sign)(request.lead_id));
    let extra = extra(&unsubscribe, Some(profile), c.brand, c.now);
    let facts = Facts {
        lead,
        extra: &extra,
        seed: seed(request.id),
    };
    let letter = match letter::write(texts, facts) {
        Ok(letter) => letter,
        Err(e) => return Ok(Err(("failed", e.0))),
    };
    let host = sender_domain(profile);
    let message = Message {
        message_id: format!("{}.{}@{host}", request.id, c.subaccount),
        recipient: to.to_owned(),
        subject: letter.subject,
        body: letter.text,
        html: letter.html,
        sent_at: None,
        detail: None,
    };
    message::insert(
        db,
        request.id,
        Some(request.lead_id),
        profile.id,
        &message,
        c.now,
    )?;
    // A later attempt sends what the first wrote, whatever the lead or the rule says by now.
    let kept = message::of_request(db, request.id)?.unwrap_or(message);
    Ok(Ok(task(c, profile, request, lead, kept, &unsubscribe)))
}

fn task(
    c: &Claim<'_>,
    profile: &Profile,
    request: &Candidate,
    lead: &Fields,
    m: Message,
    unsubscribe: &str,
) -> Task {
    let names = [Field::FirstName, Field::LastName].map(|f| lead.get(f));
    let mut headers = vec![
        ("List-Unsubscribe".to_owned(), format!("<{unsubscribe}>")),
        (
            "List-Unsubscribe-Post".to_owned(),
            "List-Unsubscribe=One-Click".to_owned(),
        ),
    ];
    headers.extend(
        c.brand
            .reply_to
            .iter()
            .map(|to| ("Reply-To".to_owned(), to.clone())),
    );
    let to_name = one_line(&names.into_iter().flatten().collect::<Vec<_>>().join(" "));
    Task {
        lease: Lease {
            subaccount: c.subaccount.to_owned(),
            id: request.id,
            lease_token: c.token.to_owned(),
        },
        profile_id: profile.id,
        attempt: u32::try_from(request.attempts + 1).unwrap_or(1),
        lease_until: c.lease_until,
        work: Work::Outreach {
            message: worker_api::Message {
                message_id: m.message_id,
                date: c.now,
                to: m.recipient,
                to_name: Some(to_name).filter(|n| !n.is_empty()),
                subject: m.subject,
                text: m.body,
                html: m.html,
                headers,
            },
        },
    }
}

/// Ends a request that was just leased and will not be sent.
fn refuse(
    db: &dyn Db,
    c: &Claim<'_>,
    profile: &Profile,
    request: &Candidate,
    status: &str,
    reason: &str,
) -> Result<()> {
    request::end(db, request.id, c.token, status, Some(reason), c.now, None)?;
    turn::forget_writing(db, request.id)?;
    event::insert(
        db,
        &Event {
            at: c.now,
            kind: format!("outreach_{status}"),
            lead_id: Some(request.lead_id),
            rule_id: request.rule_id,
            profile_id: Some(profile.id),
            request_id: Some(request.id),
            data: Some(reason.to_owned()),
            ..Event::default()
        },
    )
}

fn from(profile: &Profile) -> String {
    let settings: serde_json::Value = serde_json::from_str(&profile.settings).unwrap_or_default();
    settings["from"].as_str().unwrap_or_default().to_owned()
}

/// The name in a profile's `From`, or else the brand's, as templates write it; empty when there is none.
pub fn sender_name(profile: &Profile, brand: &Brand) -> String {
    let from = from(profile);
    let name = match from.split_once('<') {
        Some((name, _)) => name.trim().trim_matches('"'),
        None => "",
    };
    match name {
        "" => brand.sender_name.clone().unwrap_or_default(),
        name => name.to_owned(),
    }
}

/// A profile's `From` with the brand's name, when it has none of its own (RFC 5322, 3.4).
pub fn signed(from: &str, brand: &Brand) -> String {
    let address = from.trim().trim_start_matches('<').trim_end_matches('>');
    match &brand.sender_name {
        Some(name) if !address.contains(['<', ' ', '"']) => {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{quoted}\" <{address}>")
        }
        _ => from.to_owned(),
    }
}

fn sender_domain(profile: &Profile) -> String {
    let address = domain::address::of_mailbox(&from(profile)).unwrap_or_default();
    address
        .rsplit('@')
        .next()
        .filter(|d| !d.is_empty())
        .unwrap_or("localhost")
        .to_owned()
}
