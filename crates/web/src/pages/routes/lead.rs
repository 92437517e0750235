//! Leads: search, and one lead with its history.

use std::collections::HashMap;

use domain::filter::Filter;
use domain::lead::Field;
use store::event::{self, Event};
use store::lead::Cursor;
use store::request::Query;
use store::{import, lead, saved_view, suppression, tag};

use super::names::{Names, full_name, lead_name, request_rows};
use super::pager;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::conditions::{Conditions, subjects};
use crate::pages::form::{Form, Refusal};
use crate::pages::lead::{Happening, Lead, LeadRow, Leads, TagOrigin, ViewRow};
use crate::pages::{Page, Pager, Pair, format};
use crate::slave::Scope;
use crate::slave::saved_view::NewView;
use crate::slave::search::{Search, cursor_text, read_filter, wake};

/// Requests of a lead that its page shows.
const REQUESTS: i64 = 50;

fn row(lead: lead::Lead) -> LeadRow {
    let text = |field| lead.fields.get(field).unwrap_or_default().to_owned();
    LeadRow {
        id: lead.id,
        name: full_name(&lead.fields),
        email: text(Field::Email),
        job_title: text(Field::JobTitle),
        company: text(Field::Company),
        country: text(Field::Country),
        tags: lead.tags,
    }
}

pub fn list(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let db = &*scope.db;
    let mut search = Search::of(request).unwrap_or_default();
    let mut conditions = Conditions::of(&Form::of_query(request));
    if let Some(wrong) = Some(conditions.json.value.as_str())
        .filter(|json| !json.is_empty())
        .and_then(|json| read_filter(json).err())
    {
        conditions.json.error = Refusal::of(wrong).take("filter");
    }
    let (tags, chosen) = tags(scope, search.tag.as_deref())?;
    let mut view = Leads {
        subjects: subjects(&lead::custom_fields(db)?),
        q: search.q.clone().unwrap_or_default(),
        tag: chosen,
        sort: search.sort.clone().unwrap_or_default(),
        tags,
        error: None,
        total: None,
        or_more: false,
        views: views(scope)?,
        search: Vec::new(),
        params: String::new(),
        items: Vec::new(),
        pager: Pager::default(),
        conditions: Conditions::default(),
        page,
    };
    let rows = conditions
        .filter()
        .filter(|_| conditions.json.error.is_none());
    let found = match rows {
        Some(rows) => {
            let rows = Some(rows).filter(|rows| *rows != Filter::And(Vec::new()));
            search.filter = match (search.filter.take(), rows) {
                (Some(filter), Some(rows)) => Some(Filter::And(vec![filter, rows])),
                (filter, rows) => filter.or(rows),
            };
            search.limit = Some(input::limit(request.param("limit"))?);
            view.search = search_fields(&search.params());
            view.params = search.clone().in_order_of_coming().params();
            search.query(scope.cx.now).map(Some)
        }
        None => Ok(None),
    };
    view.conditions = conditions;
    match found {
        Ok(Some(query)) => fill(scope, &mut view, &query)?,
        Ok(None) => view.error = Some("The filter cannot be read. See below.".to_owned()),
        Err(problem) => view.error = Refusal::of(problem).rest(),
    }
    let status = if view.error.is_some() { 422 } else { 200 };
    Ok(Response::html(status, view.render()))
}

fn search_fields(params: &str) -> Vec<Pair> {
    let pairs = url::form_urlencoded::parse(params.as_bytes());
    pairs.map(|(name, value)| Pair::new(name, value)).collect()
}

/// Searches that were kept, as links.
fn views(scope: &Scope<'_>) -> Result<Vec<ViewRow>, Problem> {
    let kept = saved_view::list(&*scope.db, &scope.user_id)?;
    let row = |view: saved_view::SavedView| {
        let search: Search = serde_json::from_str(&view.search).ok()?;
        Some(ViewRow {
            id: view.id,
            name: view.name,
            params: search.params(),
            shared: view.owner_id.is_none(),
        })
    };
    Ok(kept.into_iter().filter_map(row).collect())
}

/// Keeps a search, and shows it.
pub fn keep(scope: &Scope<'_>, page: &Page, request: &Request) -> Answer {
    let form = Form::of(request);
    let text = |name: &str| form.filled(name).map(str::to_owned);
    let search = Search {
        filter: text("filter").map(|json| read_filter(&json)).transpose()?,
        q: text("q"),
        tag: text("tag"),
        email: text("email"),
        sort: text("sort"),
        ..Search::default()
    };
    let params = search.params();
    let view = NewView {
        name: form.get("name").to_owned(),
        search,
        shared: form.get("shared") == "1",
    };
    crate::slave::saved_view::create(scope, view)?;
    Ok(Response::see_other(&format!(
        "{}/leads?{params}",
        page.base
    )))
}

/// Removes a search that was kept.
pub fn forget(scope: &Scope<'_>, page: &Page, id: &str) -> Answer {
    crate::slave::saved_view::delete(scope, id)?;
    Ok(Response::see_other(&format!("{}/leads", page.base)))
}

/// Erases a person for good; the form says that this is meant.
pub fn erase(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    if Form::of(request).get("sure") != "1" {
        return show(scope, page, id);
    }
    crate::slave::personal_data::erase(scope, id)?;
    Ok(Response::see_other(&format!("{}/leads", page.base)))
}

/// The tags to choose from, and the chosen one as it is written.
fn tags(scope: &Scope<'_>, chosen: Option<&str>) -> Result<(Vec<String>, String), Problem> {
    let mut tags = tag::names(&*scope.db)?;
    let chosen = chosen.unwrap_or_default();
    let folded = chosen.trim().to_lowercase();
    let known = tags.iter().find(|t| t.to_lowercase() == folded);
    let chosen = known.cloned().unwrap_or_else(|| chosen.to_owned());
    if !folded.is_empty() && !tags.contains(&chosen) {
        tags.push(chosen.clone());
    }
    Ok((tags, chosen))
}

/// Finds the leads of a page.
fn fill(scope: &Scope<'_>, view: &mut Leads, query: &lead::Query) -> Result<(), Problem> {
    let db = &*scope.db;
    wake(scope)?;
    let listed = lead::listed(db, query)?;
    let count = lead::count_fitting(db, query)?;
    view.total = Some(count.n).filter(|n| *n > 0);
    view.or_more = count.or_more;
    view.items = listed.items.into_iter().map(row).collect();
    let email = query.email.clone().unwrap_or_default();
    let mut kept = vec![
        ("q".to_owned(), view.q.clone()),
        ("tag".to_owned(), view.tag.clone()),
        ("email".to_owned(), email),
        ("sort".to_owned(), view.sort.clone()),
    ];
    kept.extend(view.conditions.pairs());
    let kept: Vec<_> = kept.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let path = format!("{}/leads", view.page.base);
    let link = |cursor: Option<Cursor>| {
        let cursor = cursor_text(&cursor?);
        pager(&path, &kept, None, Some(&cursor)).next
    };
    view.pager = Pager {
        first: pager(&path, &kept, query.from.as_ref().map(|_| ""), None).first,
        previous: link(listed.previous),
        next: link(listed.next),
    };
    Ok(())
}

/// What people call a field.
pub fn label(field: Field) -> &'static str {
    match field {
        Field::Email => "E-mail",
        Field::FirstName => "First name",
        Field::LastName => "Last name",
        Field::JobTitle => "Job title",
        Field::Company => "Company",
        Field::Phone => "Phone",
        Field::Linkedin => "LinkedIn",
        Field::Country => "Country",
    }
}

pub fn show(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let db = &*scope.db;
    let id = input::id(id)?;
    let lead = lead::get(db, id)?.ok_or_else(Problem::not_found)?;
    let fields = &lead.fields;
    let headline = [Field::JobTitle, Field::Company];
    let headline: Vec<_> = headline.into_iter().filter_map(|f| fields.get(f)).collect();
    let suppressed = match fields.get(Field::Email) {
        Some(email) => suppression::reason(db, email)?,
        None => None,
    };
    let query = Query {
        limit: REQUESTS,
        lead_id: Some(id),
        ..Query::default()
    };
    let requests = store::request::list(db, &query)?;
    let mut sources = Sources::load(scope)?;
    let known = |f: Field| Some(Pair::new(label(f), fields.get(f)?));
    let view = Lead {
        page,
        id,
        name: lead_name(id, fields),
        headline: headline.join(", "),
        suppressed,
        fields: Field::ALL.into_iter().filter_map(known).collect(),
        data: fields
            .data
            .iter()
            .map(|(name, value)| Pair::new(name, value))
            .collect(),
        tags: sources.of_tags(tag::of_lead(db, id)?)?,
        requests: request_rows(scope, requests)?,
        history: sources.of_events(event::of_lead(db, id)?)?,
    };
    Ok(Response::html(200, view.render()))
}

/// Names of what acts on leads.
struct Sources<'a> {
    scope: &'a Scope<'a>,
    rules: Names,
    profiles: Names,
    tags: HashMap<i64, String>,
    imports: HashMap<i64, String>,
}

impl<'a> Sources<'a> {
    fn load(scope: &'a Scope<'a>) -> Result<Self, Problem> {
        Ok(Self {
            scope,
            rules: Names::of_rules(scope)?,
            profiles: Names::of_profiles(scope)?,
            tags: tag::list(&*scope.db)?.into_iter().collect(),
            imports: HashMap::new(),
        })
    }

    fn import(&mut self, id: i64) -> Result<String, Problem> {
        if let Some(name) = self.imports.get(&id) {
            return Ok(name.clone());
        }
        let import = import::get(&*self.scope.db, id)?;
        let name = import.map_or_else(|| format!("import {id}"), |i| format!("import {}", i.name));
        self.imports.insert(id, name.clone());
        Ok(name)
    }

    fn of_tags(&mut self, tags: Vec<tag::Provenance>) -> Result<Vec<TagOrigin>, Problem> {
        let mut origins = Vec::with_capacity(tags.len());
        for tag in tags {
            let (kind, id) = tag.source.split_once(':').unwrap_or((&tag.source, ""));
            let id = id.parse::<i64>().ok();
            let (origin, path) = match (kind, id) {
                ("import", Some(id)) => (self.import(id)?, Some(format!("/imports/{id}"))),
                ("rule", Some(id)) => {
                    let name = self.rules.get(Some(id));
                    (format!("rule {name}"), Some(format!("/rules/{id}")))
                }
                ("api", _) => ("the API".to_owned(), None),
                _ => (tag.source.clone(), None),
            };
            origins.push(TagOrigin {
                tag: tag.name,
                origin,
                path,
                at: tag.at,
            });
        }
        Ok(origins)
    }

    fn of_events(&mut self, events: Vec<Event>) -> Result<Vec<Happening>, Problem> {
        events.into_iter().map(|e| self.of_event(e)).collect()
    }

    fn of_event(&mut self, e: Event) -> Result<Happening, Problem> {
        let tag = e.tag_id.and_then(|id| self.tags.get(&id));
        let what = match (e.kind.as_str(), tag) {
            ("tag_added", Some(tag)) => format!("Tag {tag} added"),
            ("tag_removed", Some(tag)) => format!("Tag {tag} removed"),
            ("rule_performed", _) => format!("Rule {} did its work", self.rules.get(e.rule_id)),
            ("lead_created", _) => "Lead created".to_owned(),
            ("outreach_performed", _) => "Mail performed".to_owned(),
            ("outreach_failed", _) => "Mail failed".to_owned(),
            ("outreach_aborted", _) => "Mail aborted".to_owned(),
            ("outreach_canceled", _) => "Mail canceled".to_owned(),
            ("outreach_uncertain", _) => "Mail uncertain".to_owned(),
            ("unsubscribed", _) => "Unsubscribed".to_owned(),
            (kind, _) => format::words(kind),
        };
        let profile = self.profiles.get(e.profile_id);
        let (detail, path) = match (e.request_id, e.import_id) {
            (Some(id), _) => {
                let by = Some(profile).filter(|name| !name.is_empty());
                let by = by.map(|name| format!("by {name}"));
                (e.data.or(by), Some(format!("/requests/{id}")))
            }
            (None, Some(id)) => (Some(self.import(id)?), Some(format!("/imports/{id}"))),
            (None, None) => (e.data, None),
        };
        Ok(Happening {
            at: e.at,
            what,
            detail: detail.unwrap_or_default(),
            path,
        })
    }
}
