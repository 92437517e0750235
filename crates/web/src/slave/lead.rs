//! Leads over the API.

use std::collections::BTreeMap;

use domain::lead::{Field, Fields, data_name};
use domain::mapping::Mode;
use domain::merge::{Verdict, merge};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::lead::{self, Lead, Source};
use store::{tag, transaction};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;

/// A lead as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    id: i64,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    job_title: Option<String>,
    company: Option<String>,
    phone: Option<String>,
    linkedin: Option<String>,
    country: Option<String>,
    tags: Vec<String>,
    data: BTreeMap<String, String>,
    created_at: i64,
    updated_at: i64,
}

impl From<Lead> for View {
    fn from(lead: Lead) -> Self {
        let [
            email,
            first_name,
            last_name,
            job_title,
            company,
            phone,
            linkedin,
            country,
        ] = lead.fields.built_in;
        View {
            id: lead.id,
            email,
            first_name,
            last_name,
            job_title,
            company,
            phone,
            linkedin,
            country,
            tags: lead.tags,
            data: lead.fields.data,
            created_at: lead.created_at,
            updated_at: lead.updated_at,
        }
    }
}

/// `GET /leads/{id}`
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    let lead = lead::get(&*scope.db, input::id(id)?)?.ok_or_else(Problem::not_found)?;
    Ok(Response::json(200, &View::from(lead)))
}

/// `GET /tags`
///
/// # Errors
/// When the store fails.
pub fn tags(scope: &Scope<'_>) -> Answer {
    let items: Vec<_> = tag::names(&*scope.db)?
        .into_iter()
        .map(|name| json!({"name": name}))
        .collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// What `POST /leads` takes. Absent fields never erase.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewLead {
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    job_title: Option<String>,
    company: Option<String>,
    phone: Option<String>,
    linkedin: Option<String>,
    country: Option<String>,
    tags: Vec<String>,
    data: BTreeMap<String, serde_json::Value>,
}

/// The most tags and custom fields that one call sets.
const MANY: usize = 100;

impl NewLead {
    fn fields(&self) -> Result<Fields, Problem> {
        let mut fields = Fields::default();
        let given = [
            &self.email,
            &self.first_name,
            &self.last_name,
            &self.job_title,
            &self.company,
            &self.phone,
            &self.linkedin,
            &self.country,
        ];
        for (field, value) in Field::ALL.into_iter().zip(given) {
            let Some(value) = value.as_deref().map(str::trim).filter(|v| !v.is_empty()) else {
                continue;
            };
            check_length(field.name(), value)?;
            let value = if field == Field::Email {
                input::email("email", value)?
            } else {
                value.to_owned()
            };
            fields.set(field, value);
        }
        if self.data.len() > MANY {
            return Err(Problem::invalid(
                "data",
                format!("must have at most {MANY} fields"),
            ));
        }
        for (name, value) in &self.data {
            let path = format!("data.{name}");
            if data_name(name) != *name || name.is_empty() || Field::from_name(name).is_some() {
                return Err(Problem::invalid(
                    path,
                    "a custom field's name has lower-case letters, digits and _, and is no built-in field's",
                ));
            }
            let text = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Bool(flag) => flag.to_string(),
                _ => {
                    return Err(Problem::invalid(
                        path,
                        "must be a text, a number or a boolean",
                    ));
                }
            };
            check_length(&path, &text)?;
            fields.data.insert(name.clone(), text);
        }
        if fields.keys().is_empty() {
            return Err(Problem::invalid(
                "email",
                "a lead needs an e-mail address or a LinkedIn profile",
            ));
        }
        Ok(fields)
    }
}

fn check_length(field: &str, value: &str) -> Result<(), Problem> {
    if value.len() > domain::table::CELL_MAX {
        return Err(Problem::invalid(
            field,
            format!("must have at most {} bytes", domain::table::CELL_MAX),
        ));
    }
    match value.contains('\0') {
        true => Err(Problem::invalid(field, "must not hold NUL")),
        false => Ok(()),
    }
}

/// `POST /leads`: makes a lead, or completes the one that is found by e-mail or LinkedIn.
///
/// # Errors
/// 422 for a wrong field, 409 for a suppressed address or a lead that is two.
pub fn upsert(scope: &Scope<'_>, input: &NewLead) -> Answer {
    let fields = input.fields()?;
    let tags: Result<Vec<_>, _> = input.tags.iter().map(|t| input::name("tags", t)).collect();
    let tags = tags?;
    if tags.len() > MANY {
        return Err(Problem::invalid(
            "tags",
            format!("must have at most {MANY}"),
        ));
    }
    let (db, now) = (&*scope.db, scope.cx.now);
    let verdict = scope.promising(&["rule", "timeline", "search"], || {
        transaction(db, || {
            let rows = vec![(1, fields)];
            let known = lead::known_for(db, &rows)?;
            lead::ensure_custom_fields(db, rows[0].1.data.keys().map(String::as_str), now)?;
            let mut changes = merge(rows, Mode::Both, known, lead::next_id(db)?);
            let tag_ids: Vec<_> = tags
                .iter()
                .map(|t| tag::ensure(db, t, now))
                .collect::<Result<_, _>>()?;
            lead::apply(
                db,
                &changes,
                Source {
                    name: "api",
                    import_id: None,
                    tag_ids: &tag_ids,
                },
                now,
            )?;
            Ok(changes.verdicts.pop().map(|v| v.1))
        })
    })?;
    let (status, id) = match verdict {
        Some(Verdict::Created(id)) => (201, id),
        Some(Verdict::Updated(id) | Verdict::Unchanged(id)) => (200, id),
        Some(Verdict::Skipped(_)) => {
            return Err(Problem::new(409, "The address is suppressed")
                .detail("It asked not to be written to. Nothing was changed."));
        }
        Some(Verdict::Failed(_, reason)) => {
            return Err(Problem::new(409, "Two leads match").detail(reason));
        }
        None => return Err(Problem::new(500, "The server failed")),
    };
    let lead = lead::get(db, id)?.ok_or_else(Problem::not_found)?;
    Ok(Response::json(status, &View::from(lead)))
}
