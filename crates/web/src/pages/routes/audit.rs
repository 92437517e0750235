//! The audit log.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use store::audit::Entry;
use store::{Db, user};

use super::pager;
use crate::context::Context;
use crate::http::{Answer, Request, Response};
use crate::master::{Caller, audit as api};
use crate::pages::audit::{AuditLog, EntryRow};
use crate::pages::format::{iso, words};
use crate::pages::you::browser;
use crate::pages::{Page, Pair};

/// `person.role_changed` as `person: role changed`.
fn action(stored: &str) -> String {
    words(&stored.replacen('.', ": ", 1))
}

/// The names of sub-accounts by their ids.
type Names = BTreeMap<String, String>;

/// The value of a field, as people read it.
fn text(names: &Names, name: &str, value: Option<&Value>) -> String {
    let said = |name: &str, value| text(names, name, Some(value));
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(agent)) if name == "user_agent" => browser(agent),
        Some(Value::String(text)) => names.get(text).unwrap_or(text).clone(),
        Some(Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| said(name, item)).collect();
            items.join(", ")
        }
        Some(Value::Object(fields)) => {
            let fields: Vec<_> = fields.iter().map(|(n, v)| said(n, v)).collect();
            fields.join(" ")
        }
        // Names of times end like this; they count milliseconds.
        Some(Value::Number(ms)) if name.ends_with("_at") => {
            ms.as_i64().map(iso).unwrap_or_default()
        }
        Some(other) => other.to_string(),
    }
}

/// What is different, or what is there now.
fn changes(names: &Names, before: Option<&Value>, after: Option<&Value>) -> Vec<Pair> {
    let fields = |state: Option<&Value>| state.and_then(Value::as_object).cloned();
    let (old, new) = (
        fields(before).unwrap_or_default(),
        fields(after).unwrap_or_default(),
    );
    let labels: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let pair = |name: &String| {
        let said = |value: &&Value| !value.is_null() && **value != Value::Array(Vec::new());
        let (was, is) = (old.get(name).filter(said), new.get(name).filter(said));
        if was == is {
            return None;
        }
        let text = |value| text(names, name, value);
        let value = match (old.is_empty(), new.is_empty()) {
            (true, _) => text(is),
            (_, true) => text(was),
            _ => format!("{} → {}", text(was), text(is)),
        };
        Some(Pair::new(words(name), value))
    };
    labels.into_iter().filter_map(pair).collect()
}

pub fn list(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let (entries, next) = api::entries(db, caller, request)?;
    let names = user::subaccount_names(db, &caller.who.account_id)?;
    let row = |e: Entry| EntryRow {
        at: e.at,
        action: action(&e.action),
        subject: e.subject,
        who: e.who,
        via: e.via,
        address: e.address,
        changes: changes(&names, e.before.as_ref(), e.after.as_ref()),
    };
    let cursor = request.param("cursor");
    let view = AuditLog {
        page: Page::master(&caller.who, cx.now),
        items: entries.into_iter().map(row).collect(),
        pager: pager("/audit-log", &[], cursor.as_deref(), next.as_deref()),
    };
    Ok(Response::html(200, view.render()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_different_is_told() {
        let told = |before: Option<Value>, after: Option<Value>| {
            let names = Names::from([("0193".to_owned(), "Acme".to_owned())]);
            let changes = changes(&names, before.as_ref(), after.as_ref());
            let line = |c: Pair| format!("{}: {}", c.label, c.value);
            changes.into_iter().map(line).collect::<Vec<_>>()
        };
        let roles = told(
            Some(json!({"role": "client", "x": 1})),
            Some(json!({"role": "admin", "x": 1})),
        );
        assert_eq!(roles, ["role: client → admin"]);
        let granted = told(
            None,
            Some(json!({"subaccount_id": "0193", "role": "client"})),
        );
        assert_eq!(granted, ["role: client", "subaccount id: Acme"]);
        let made = told(
            None,
            Some(json!({"scopes": ["read", "write"], "expires_at": null})),
        );
        assert_eq!(made, ["scopes: read, write"]);
        let ends = told(None, Some(json!({"expires_at": 1_795_876_290_475_i64})));
        assert_eq!(ends, ["expires at: 2026-11-28T14:31:30Z"]);
        assert_eq!(action("person.role_changed"), "person: role changed");
    }
}
