//! Mails of the installation: kept with their cause, sealed, until a worker has sent them.

use domain::brand::Brand;
use domain::retry;
use serde_json::json;
use stages::claim;
use store::audit::{self, Actor, Change};
use store::outbox::{self, Leased, State};
use store::{Db, transaction};
use worker_api::{
    Message, OutboxClaim, OutboxClaimed, OutboxMail, OutboxReport, OutboxResults, OutboxVerdicts,
    Outcome,
};

use crate::context::{Config, Context, PRODUCT, new_id, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::seal::Sealer;

/// How long a worker may take to send what it claimed and to say so, in milliseconds.
const LEASE: i64 = 5 * 60 * 1000;
/// Mails of one claim, and reports of one call.
const MOST: i64 = 100;

/// A mail of the installation.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// The account it is about, if any.
    pub account_id: Option<&'a str>,
    /// What it is for: `confirm`, `reset` …
    pub cause: &'a str,
    /// A normalised address.
    pub recipient: &'a str,
    /// In one line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// When there is no use in sending it any more, in milliseconds.
    pub send_before: Option<i64>,
}

fn place(id: &str) -> String {
    format!("outbox/{id}")
}

/// Keeps a mail to be sent. Call it in the transaction of its cause. A void one costs the same and goes nowhere.
///
/// # Errors
/// When the store fails.
pub fn post(cx: &Context<'_>, db: &dyn Db, letter: &Letter<'_>, void: bool) -> store::Result<()> {
    let id = new_id(cx.now);
    let body = Sealer::new(&cx.config.secret_key).seal(&place(&id), &letter.text);
    let mail = outbox::Mail {
        id,
        account_id: letter.account_id.map(str::to_owned),
        cause: letter.cause.to_owned(),
        recipient: letter.recipient.to_owned(),
        sender_name: cx.brand().map(str::to_owned),
        subject: letter.subject.chars().filter(|c| !c.is_control()).collect(),
        body,
        send_before: letter.send_before,
    };
    outbox::insert(db, &mail, void, cx.now)
}

/// `From` of a mail: the installation's, under the name that its reader knows.
fn from(config: &Config, name: Option<&str>) -> String {
    let own = sender(config);
    let (Some(name), Some(address)) = (name, domain::address::of_mailbox(&own).ok()) else {
        return own;
    };
    let sender_name = Some(name.chars().filter(|c| !c.is_control()).collect());
    let brand = Brand {
        sender_name,
        ..Brand::default()
    };
    claim::signed(&address, &brand)
}

/// `From` of the installation's own mails.
fn sender(config: &Config) -> String {
    if !config.mail_from.is_empty() {
        return config.mail_from.clone();
    }
    let url = url::Url::parse(&config.public_url).ok();
    let host = match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) if name.contains('.') => name.to_owned(),
        // No mail can come back to an installation without a name; the operator sets `mail_from` before that matters.
        _ => "sluice.invalid".to_owned(),
    };
    format!("{PRODUCT} <no-reply@{host}>")
}

/// Hands mails that are due to a worker.
///
/// # Errors
/// 422 for another body, or when the store fails.
pub fn claim(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let input: OutboxClaim = request.json()?;
    let limit = i64::from(input.max).clamp(1, MOST);
    let token = random_text(12);
    let leased = outbox::claim(db, &token, cx.now + LEASE, cx.now, limit)?;
    let mut claimed = OutboxClaimed::default();
    for mail in leased {
        match opened(cx, &mail, &token) {
            Some(mail) => claimed.mails.push(mail),
            None => end_unreadable(cx, db, &mail.id, &token)?,
        }
    }
    Ok(Response::json(200, &claimed))
}

fn opened(cx: &Context<'_>, mail: &Leased, token: &str) -> Option<OutboxMail> {
    let sealer = Sealer::new(&cx.config.secret_key);
    let from = from(cx.config, mail.sender_name.as_deref());
    let domain = from.rsplit_once('@').map_or("sluice.invalid", |(_, d)| d);
    let domain = domain.trim_end_matches('>');
    Some(OutboxMail {
        id: mail.id.clone(),
        lease_token: token.to_owned(),
        attempt: u32::try_from(mail.attempt).unwrap_or(1),
        message: Message {
            // The same for every try: a server that was handed it twice can tell.
            message_id: format!("{}@{domain}", mail.id),
            date: cx.now,
            to: mail.recipient.clone(),
            to_name: None,
            subject: mail.subject.clone(),
            text: sealer.open(&place(&mail.id), &mail.body)?,
            html: None,
            headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
        },
        from,
    })
}

fn end_unreadable(cx: &Context<'_>, db: &dyn Db, id: &str, token: &str) -> Result<(), Problem> {
    let error = "it was sealed with another `secret_key`".to_owned();
    let report = OutboxReport {
        id: id.to_owned(),
        lease_token: token.to_owned(),
        outcome: Outcome::Failed { error },
    };
    transaction(db, || settle(cx, db, &report))?;
    Ok(())
}

/// Takes note of what became of mails.
///
/// # Errors
/// 422 for another body, or when the store fails.
pub fn results(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let input: OutboxResults = request.json()?;
    let reports = input.results.iter().take(MOST as usize);
    let accepted = transaction(db, || {
        reports
            .map(|report| settle(cx, db, report))
            .collect::<store::Result<Vec<bool>>>()
    })?;
    Ok(Response::json(200, &OutboxVerdicts { accepted }))
}

/// Ends a mail, or puts it off. False when the lease was lost.
fn settle(cx: &Context<'_>, db: &dyn Db, report: &OutboxReport) -> store::Result<bool> {
    let (id, token) = (&report.id, &report.lease_token);
    let Some(mail) = outbox::leased(db, id, token)? else {
        return Ok(false);
    };
    match &report.outcome {
        Outcome::Performed { .. } => outbox::sent(db, id, token, cx.now),
        Outcome::Failed { error } => give_up(cx, db, report, &mail, error),
        // Without an answer to its end a mail may be there or not. Twice is better than never, for these.
        Outcome::Uncertain { error } => put_off(cx, db, report, &mail, error, None),
        Outcome::Retry { error, after_ms } => put_off(cx, db, report, &mail, error, *after_ms),
        Outcome::Released => outbox::postpone(db, id, token, "", cx.now),
    }
}

fn put_off(
    cx: &Context<'_>,
    db: &dyn Db,
    report: &OutboxReport,
    mail: &State,
    error: &str,
    asked: Option<i64>,
) -> store::Result<bool> {
    let attempt = u32::try_from(mail.attempts).unwrap_or(u32::MAX);
    let next = retry::pause_after(attempt, asked).map(|pause| cx.now + pause);
    match next.filter(|next| mail.send_before.is_none_or(|end| *next < end)) {
        Some(next) => outbox::postpone(db, &report.id, &report.lease_token, error, next),
        None => give_up(cx, db, report, mail, error),
    }
}

/// The reason is kept with the mail and in the audit log, where the account's people see it.
fn give_up(
    cx: &Context<'_>,
    db: &dyn Db,
    report: &OutboxReport,
    mail: &State,
    error: &str,
) -> store::Result<bool> {
    if !outbox::refused(db, &report.id, &report.lease_token, error, cx.now)? {
        return Ok(false);
    }
    let change = Change {
        action: "mail.not_sent",
        subject_id: &report.id,
        subject: &mail.recipient,
        before: None,
        after: Some(json!({"cause": mail.cause, "reason": error, "attempts": mail.attempts})),
    };
    let system = Actor::system(mail.account_id.as_deref());
    audit::record(db, cx.now, &system, &change)?;
    Ok(true)
}
