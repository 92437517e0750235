//! Approvals over the API: a person lets a mail go, or does not.

use serde::Deserialize;
use serde_json::json;
use store::approval::{self, Which};
use store::{request, transaction};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;
use crate::slave::request::view;

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may be sent.
    Approve,
    /// It is not sent.
    Reject,
}

/// A decision about all that waits, or a part of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// What is to become of them.
    pub decision: Decision,
    /// Only what comes from this rule.
    #[serde(default)]
    pub rule_id: Option<i64>,
    /// Only what is for this profile.
    #[serde(default)]
    pub profile_id: Option<i64>,
    /// Nothing newer than this request: what came after somebody looked is left alone.
    #[serde(default)]
    pub up_to: Option<i64>,
}

/// `POST /requests/{id}/approval` and `…/rejection`
///
/// # Errors
/// 404 when there is none, 409 when it waits for no approval.
pub fn decide(scope: &Scope<'_>, id: &str, decision: Decision) -> Answer {
    let (id, db, now) = (input::id(id)?, &*scope.db, scope.cx.now);
    let row = request::get(db, id)?.ok_or_else(Problem::not_found)?;
    let settled = scope.promising(&["plan", "claim", "rule", "timeline"], || {
        transaction(db, || match decision {
            Decision::Approve => Ok(approval::approve(db, id, now)?),
            Decision::Reject => Ok::<_, Problem>(approval::reject(db, id, now)?),
        })
    })?;
    if !settled {
        let detail = format!(
            "It is {}, and waits for nobody's approval. Nothing was changed.",
            row.status
        );
        return Err(Problem::new(409, "The request waits for no approval").detail(detail));
    }
    let row = request::get(db, id)?.ok_or_else(Problem::not_found)?;
    Ok(Response::json(200, &view(&row, now)))
}

/// Decides about all that waits, the oldest first: how many were settled, and how many are left.
///
/// # Errors
/// When the store fails; then nothing is settled.
pub fn decide_all(scope: &Scope<'_>, input: &Decisions) -> Result<(u64, i64), Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let which = Which {
        rule_id: input.rule_id.unwrap_or(0),
        profile_id: input.profile_id.unwrap_or(0),
    };
    let up_to = input.up_to.unwrap_or(i64::MAX);
    let done = scope.promising(&["plan", "claim", "rule", "timeline"], || {
        transaction(db, || match input.decision {
            Decision::Approve => Ok(approval::approve_all(db, which, up_to, now)?),
            Decision::Reject => Ok::<_, Problem>(approval::reject_all(db, which, up_to, now)?),
        })
    })?;
    Ok((done, approval::count(db, which)?.0))
}

/// `POST /approvals`
///
/// # Errors
/// 422 for a wrong field.
pub fn answer_all(scope: &Scope<'_>, input: &Decisions) -> Answer {
    let (done, left) = decide_all(scope, input)?;
    Ok(Response::json(200, &json!({"done": done, "left": left})))
}
