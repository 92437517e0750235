//! How a tenant wants to look: its brand and its logo.

use domain::brand::Brand;

use crate::params;
use crate::port::{Db, Error, Result, one, transaction};
use crate::queries::setting as sql;

const BRAND: &str = "brand";
const LOGO: &str = "logo";
const LOGO_VERSION: &str = "logo_version";

fn get(db: &dyn Db, key: &str) -> Result<Option<String>> {
    Ok(one(db, sql::GET, params![key])?.map(|mut r| r.text(0)))
}

fn put(db: &dyn Db, key: &str, value: &str) -> Result<()> {
    db.execute(sql::PUT, params![key, value]).map(|_| ())
}

/// The brand; the empty one when none was chosen.
pub fn brand(db: &dyn Db) -> Result<Brand> {
    let text = get(db, BRAND)?;
    Ok(text
        .and_then(|t| serde_json::from_str(&t).ok())
        .unwrap_or_default())
}

/// Keeps the brand.
pub fn put_brand(db: &dyn Db, brand: &Brand) -> Result<()> {
    let text = serde_json::to_string(brand).map_err(|e| Error::Other(e.to_string()))?;
    put(db, BRAND, &text)
}

/// The logo as a `data:` URL without its scheme: `image/png;base64,…`.
pub fn logo(db: &dyn Db) -> Result<Option<String>> {
    get(db, LOGO)
}

/// Keeps the logo under a short name of its content, or removes it.
pub fn put_logo(db: &dyn Db, logo: Option<(&str, &str)>) -> Result<()> {
    transaction(db, || match logo {
        Some((version, logo)) => {
            put(db, LOGO, logo)?;
            put(db, LOGO_VERSION, version)
        }
        None => [LOGO, LOGO_VERSION]
            .iter()
            .try_for_each(|key| db.execute(sql::DELETE, params![*key]).map(|_| ())),
    })
}

/// What a page's frame needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// The brand.
    pub brand: Brand,
    /// A short name of the logo's content, when there is one.
    pub logo_version: Option<String>,
}

/// How pages look.
pub fn look(db: &dyn Db) -> Result<Look> {
    let mut look = Look::default();
    for mut row in db.query(sql::LOOK, &[])? {
        let (key, value) = (row.text(0), row.text(1));
        match key.as_str() {
            BRAND => look.brand = serde_json::from_str(&value).unwrap_or_default(),
            _ => look.logo_version = Some(value),
        }
    }
    Ok(look)
}
