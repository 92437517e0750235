//! Taking an import back, and what had to stay.

use serde_json::{Value, json};
use store::undo;

use crate::http::{Answer, Problem, Response};
use crate::slave::Scope;
use crate::slave::import::{find, view};

/// The most that a list of what stayed has.
const KEPT: i64 = 1_000;

/// `POST /imports/{id}/reversal`: every lead becomes what it was before the import, unless it was changed since.
///
/// # Errors
/// 404 when there is none, 409 when it has not ended or is taken back already, or its file is gone.
pub fn begin(scope: &Scope<'_>, id: &str) -> Answer {
    let import = find(scope, id)?;
    let begun = scope.promising(&["import"], || {
        Ok(undo::begin(&*scope.db, import.id, scope.cx.now)?)
    })?;
    if !begun {
        return Err(Problem::new(409, "The import cannot be undone").detail(format!(
            "It is {}; only one that is done or canceled can be undone, once, and while its file is kept (for 30 days). Nothing was changed.",
            import.status
        )));
    }
    Ok(Response::json(202, &view(&find(scope, id)?)))
}

/// `GET /imports/{id}/kept`: what an undo had to leave as it is.
///
/// # Errors
/// 404 when there is no such import.
pub fn kept(scope: &Scope<'_>, id: &str) -> Answer {
    let import = find(scope, id)?;
    let kept = undo::kept(&*scope.db, import.id, KEPT)?;
    let item = |(lead_id, field)| json!({"lead_id": lead_id, "field": field});
    let items: Vec<Value> = kept.into_iter().map(item).collect();
    let total = undo::count_kept(&*scope.db, import.id)?;
    Ok(Response::json(
        200,
        &json!({"total": total, "items": items}),
    ))
}
