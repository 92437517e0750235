//! Searches for leads that people keep, over the API.

use serde::Deserialize;
use serde_json::{Value, json};
use store::saved_view::{self, SavedView};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;
use crate::slave::search::Search;

/// Views that a sub-account may have.
const MAX: i64 = 500;

/// What a new view takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    /// What people call it.
    pub name: String,
    /// The search.
    pub search: Search,
    /// Whether it is everybody's.
    #[serde(default)]
    pub shared: bool,
}

fn shown(view: &SavedView) -> Value {
    json!({
        "id": view.id,
        "name": view.name,
        "search": serde_json::from_str::<Value>(&view.search).unwrap_or_default(),
        "shared": view.owner_id.is_none(),
        "created_at": view.created_at,
    })
}

/// `GET /views`: everybody's and one's own.
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let views = saved_view::list(&*scope.db, &scope.user_id)?;
    let items: Vec<_> = views.iter().map(shown).collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// Keeps a search.
///
/// # Errors
/// 422 for a wrong field, 409 when there are too many.
pub fn create(scope: &Scope<'_>, input: NewView) -> Result<Value, Problem> {
    let name = input::name("name", &input.name)?;
    let search = input.search.kept()?;
    let db = &*scope.db;
    if saved_view::count(db)? >= MAX {
        return Err(Problem::new(409, "Too many views").detail(format!(
            "A sub-account has at most {MAX}. Nothing was kept; remove one that is not used."
        )));
    }
    let mut view = SavedView {
        id: 0,
        name,
        search: search.to_string(),
        owner_id: (!input.shared).then(|| scope.user_id.clone()),
        created_at: scope.cx.now,
    };
    view.id = saved_view::insert(db, &view)?;
    Ok(shown(&view))
}

/// `DELETE /views/{id}`
///
/// # Errors
/// 404 when there is none, or when it is somebody else's.
pub fn delete(scope: &Scope<'_>, id: &str) -> Answer {
    match saved_view::delete(&*scope.db, input::id(id)?, &scope.user_id)? {
        true => Ok(Response::no_content()),
        false => Err(Problem::not_found()),
    }
}
