//! Who must not be written to again.

use std::collections::HashSet;

use domain::address::forms;

use crate::port::{Db, Result, one};
use crate::queries::suppression as sql;
use crate::{erasure, params};

/// Suppresses an address; false when it was already.
pub fn insert(
    db: &dyn Db,
    address: &str,
    reason: &str,
    lead_id: Option<i64>,
    now: i64,
) -> Result<bool> {
    Ok(db.execute(sql::INSERT, params![address, reason, lead_id, now])? > 0)
}

/// Why an address is suppressed, in any of its forms, if it is.
pub fn reason(db: &dyn Db, address: &str) -> Result<Option<String>> {
    for form in forms(address) {
        if let Some(mut row) = one(db, sql::GET, params![form])? {
            return Ok(Some(row.text(0)));
        }
    }
    let forms = forms(address);
    let forms: Vec<_> = forms.iter().map(String::as_str).collect();
    let erased = !erasure::among(db, &forms)?.is_empty();
    Ok(erased.then(|| "erased".to_owned()))
}

/// Which of some addresses are suppressed, in any of their forms.
pub fn among<'a>(db: &dyn Db, addresses: impl Iterator<Item = &'a str>) -> Result<HashSet<String>> {
    let forms: Vec<_> = addresses.map(|a| (a, forms(a))).collect();
    let all: Vec<_> = forms.iter().flat_map(|(_, forms)| forms).collect();
    let json = serde_json::to_string(&all).unwrap_or_default();
    let rows = db.query(sql::LIST_IN, params![json])?;
    let mut found: HashSet<_> = rows.into_iter().map(|mut r| r.text(0)).collect();
    let texts: Vec<_> = all.iter().map(|form| form.as_str()).collect();
    let erased = erasure::among(db, &texts)?;
    found.extend(erased.into_iter().map(str::to_owned));
    let suppressed = forms
        .into_iter()
        .filter(|(_, forms)| forms.iter().any(|form| found.contains(form)));
    Ok(suppressed.map(|(a, _)| a.to_owned()).collect())
}
