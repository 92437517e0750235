//! Names for the ids that rows carry.

use std::collections::HashMap;

use domain::lead::{Field, Fields};
use store::{Result, lead, profile, rule};

use crate::pages::request::RequestRow;
use crate::slave::Scope;

/// First and last name; empty when neither is known.
pub fn full_name(fields: &Fields) -> String {
    let names = [Field::FirstName, Field::LastName];
    let names: Vec<_> = names.into_iter().filter_map(|f| fields.get(f)).collect();
    names.join(" ")
}

/// What a lead is called: its name, its e-mail, or its number.
pub fn lead_name(id: i64, fields: &Fields) -> String {
    match (full_name(fields), fields.get(Field::Email)) {
        (name, _) if !name.trim().is_empty() => name,
        (_, Some(email)) => email.to_owned(),
        _ => format!("Lead {id}"),
    }
}

/// Names of leads by id. A lead that is gone has its number.
pub struct Leads(HashMap<i64, Fields>);

impl Leads {
    pub fn load(scope: &Scope<'_>, ids: impl Iterator<Item = i64>) -> Result<Self> {
        let ids: Vec<_> = ids.collect();
        Ok(Self(lead::fields_of(&*scope.db, &ids)?))
    }

    pub fn get(&self, id: i64) -> String {
        let fields = self.0.get(&id);
        fields.map_or_else(|| format!("Lead {id}"), |f| lead_name(id, f))
    }
}

/// Names of a few things by id.
pub struct Names(HashMap<i64, String>);

impl Names {
    pub fn of_profiles(scope: &Scope<'_>) -> Result<Self> {
        let profiles = profile::list(&*scope.db)?;
        Ok(Self(profiles.into_iter().map(|p| (p.id, p.name)).collect()))
    }

    pub fn of_rules(scope: &Scope<'_>) -> Result<Self> {
        Ok(Self(rule::names(&*scope.db)?.into_iter().collect()))
    }

    pub fn get(&self, id: Option<i64>) -> String {
        let name = id.and_then(|id| self.0.get(&id));
        name.cloned().unwrap_or_default()
    }
}

/// Requests as rows of a list.
pub fn request_rows(
    scope: &Scope<'_>,
    requests: Vec<store::request::Request>,
) -> Result<Vec<RequestRow>> {
    let leads = Leads::load(scope, requests.iter().filter_map(|r| r.lead_id))?;
    let profiles = Names::of_profiles(scope)?;
    let now = scope.cx.now;
    let row = |r: store::request::Request| RequestRow {
        wait_until: r.wait(now).1,
        note: r.wait(now).0.or(r.error),
        id: r.id,
        kind: r.kind,
        lead_id: r.lead_id,
        lead: r.lead_id.map(|id| leads.get(id)).unwrap_or_default(),
        profile: profiles.get(r.profile_id),
        attempts: r.attempts,
        due_at: Some(r.run_at),
        ended_at: r.finished_at,
        status: r.status,
    };
    Ok(requests.into_iter().map(row).collect())
}
