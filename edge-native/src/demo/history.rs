//! The demo's past. Nobody can import into last week, so this alone is written straight to the tenant's database, with
//! the statements that the stages use.

use super::people::{Dice, Person, person, text};
use anyhow::{Context, Result};
use domain::lead::{Field, Fields};
use domain::merge::{Known, merge};
use std::path::Path;
use store::port::insert_many;
use store::{Db, Value, lead, params, tag, timeline, transaction};
use store_native::Sqlite;

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
/// Days of history.
const DAYS: i64 = 21;
/// Leads that came in each day, on average.
const LEADS: usize = 140;

/// Lets leads arrive over the last three weeks; those with the tag `hot` are returned with when they got it.
pub fn leads(db: &Sqlite, now: i64, dice: &mut Dice) -> Result<Vec<(i64, i64, Person)>> {
    let mut hot = Vec::new();
    for day in (0..DAYS).rev() {
        let at = (now - day * DAY) / DAY * DAY + 8 * HOUR;
        let at = at.min(now - HOUR);
        let people: Vec<_> = (0..LEADS - 40 + dice.below(80))
            .map(|i| person(day as usize * 1000 + i, dice))
            .collect();
        let is_hot = day % 2 == 0;
        let tag_name = if is_hot { "hot" } else { "newsletter" };
        let first = transaction(db, || -> store::Result<i64> {
            lead::ensure_custom_fields(db, ["industry", "employees"].into_iter(), at)?;
            let tag_id = tag::ensure(db, tag_name, at)?;
            let next_id = lead::next_id(db)?;
            let rows = people
                .iter()
                .enumerate()
                .map(|(i, p)| (i as i64, fields(p)))
                .collect();
            let changes = merge(rows, domain::mapping::Mode::Both, Known::default(), next_id);
            let source = lead::Source {
                name: "api",
                import_id: None,
                tag_ids: &[tag_id],
            };
            lead::apply(db, &changes, source, at)?;
            Ok(next_id)
        })?;
        if is_hot {
            hot.extend(
                people
                    .into_iter()
                    .enumerate()
                    .map(|(i, p)| (first + i as i64, at, p)),
            );
        }
    }
    Ok(hot)
}

fn fields(p: &Person) -> Fields {
    let mut fields = Fields::default();
    for (field, value) in [
        (Field::Email, p.email.as_str()),
        (Field::FirstName, p.first_name),
        (Field::LastName, p.last_name),
        (Field::JobTitle, p.job_title),
        (Field::Company, &p.company),
        (Field::Country, p.country),
    ] {
        fields.set(field, value);
    }
    fields
        .data
        .insert("industry".to_owned(), p.industry.to_owned());
    fields
        .data
        .insert("employees".to_owned(), p.employees.to_string());
    fields
}

/// Lets the first rule have mailed the hot leads of the past, through two profiles, in office hours.
pub fn outreach(db: &Sqlite, hot: &[(i64, i64, Person)], now: i64, dice: &mut Dice) -> Result<()> {
    let (mut requests, mut messages, mut events, mut instances) = (vec![], vec![], vec![], vec![]);
    for (i, (lead_id, tagged_at, p)) in hot.iter().enumerate() {
        let id = i as i64 + 1;
        let begun =
            tagged_at + DAY / 4 + dice.below(9 * HOUR as usize) as i64 + dice.below(3) as i64 * DAY;
        if begun >= now - HOUR {
            continue;
        }
        let (status, error) = match dice.below(100) {
            0..=2 => ("failed", Some("550 5.1.1 The mailbox does not exist.")),
            3 => (
                "uncertain",
                Some(
                    "The connection broke after the mail was handed over, before the answer came.",
                ),
            ),
            _ => ("performed", None),
        };
        let profile = 1 + (i % 2) as i64;
        let error = error.map_or(Value::Null, text);
        let key = text(&format!("rule_instance:{id}"));
        requests.extend([
            id.into(),
            text("outreach"),
            text(status),
            key,
            (*lead_id).into(),
            1i64.into(),
            profile.into(),
        ]);
        requests.extend([
            begun.into(),
            1i64.into(),
            begun.into(),
            (begun + 400).into(),
            error.clone(),
            begun.into(),
            begun.into(),
        ]);
        let body = format!(
            "Hi {},\n\nI saw that {} is growing in {}. Shall we talk?\n\nMara",
            p.first_name, p.company, p.country
        );
        messages.extend([
            id.into(),
            (*lead_id).into(),
            profile.into(),
            text(&format!("{id}.demo@northwind.example")),
        ]);
        messages.extend([
            text(&p.email),
            text(&format!("A thought for {}", p.company)),
            text(&body),
            begun.into(),
            (begun + 400).into(),
        ]);
        events.push((
            begun + 400,
            format!("outreach_{status}"),
            *lead_id,
            profile,
            id,
            error,
        ));
        if status == "performed" && dice.below(60) == 0 {
            events.push((
                begun + 5 * HOUR,
                "unsubscribed".to_owned(),
                *lead_id,
                profile,
                id,
                Value::Null,
            ));
        }
        instances.extend([
            id.into(),
            1i64.into(),
            (-id).into(),
            (*lead_id).into(),
            begun.into(),
            text("performed"),
        ]);
    }
    events.retain(|e| e.0 < now);
    events.sort_by_key(|e| e.0);
    let events = events
        .into_iter()
        .flat_map(|(at, kind, lead, profile, request, data)| {
            [
                at.into(),
                text(&kind),
                lead.into(),
                profile.into(),
                1i64.into(),
                request.into(),
                data,
            ]
        });
    transaction(db, || -> store::Result<()> {
        let request = "insert into request (id, kind, status, dedupe_key, lead_id, rule_id, profile_id, run_at, attempts, begun_at, finished_at, error, created_at, updated_at)";
        insert_many(db, request, 14, "", requests)?;
        let message = "insert into message (request_id, lead_id, profile_id, message_id, recipient, subject, body, created_at, sent_at)";
        insert_many(db, message, 9, "", messages)?;
        insert_many(
            db,
            "insert into event (at, kind, lead_id, profile_id, rule_id, request_id, data)",
            7,
            "",
            events,
        )?;
        insert_many(
            db,
            "insert into rule_instance (id, rule_id, event_id, lead_id, due_at, status)",
            6,
            "",
            instances,
        )?;
        Ok(())
    })?;
    while timeline::roll_up(db)? {}
    Ok(())
}

/// Opens the database of a sub-account beside the host.
pub fn open(databases: &Path, subaccount: &str) -> Result<Sqlite> {
    let control = Sqlite::open(&databases.join("slave.db"))?;
    let tenant = store::tenant::get(&control, subaccount)?
        .context("the demo's sub-account has no tenant")?;
    Ok(Sqlite::open(
        &databases.join(format!("{}.db", tenant.place.label())),
    )?)
}

/// The wall clock in milliseconds since the epoch.
pub fn now(db: &dyn Db) -> Result<i64> {
    let row = store::port::one(
        db,
        "select cast(unixepoch('subsec') * 1000 as integer)",
        params![],
    )?;
    Ok(row.map_or(0, |row| row.int(0)))
}
