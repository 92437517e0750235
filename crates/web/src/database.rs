//! Where a tenant's database on a PostgreSQL server is, and the password of its role. Both follow from what the operator
//! set; nothing that a tenant says has a part in it, and no password is kept.

use sha2::{Digest, Sha256};
use store::{Error, Result, server};

/// The password of the role that owns a tenant's database: 64 hexadecimal digits.
pub fn password(secret_key: &str, name: &str) -> String {
    let digest = Sha256::new()
        .chain_update("tenant database")
        .chain_update([0])
        .chain_update(secret_key)
        .chain_update([0])
        .chain_update(name)
        .finalize();
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The address of a tenant's database: the administrator's, with another user, password and database.
///
/// # Errors
/// When no server is set, its address cannot be read, or the name is no tenant's.
pub fn tenant(admin: &str, name: &str, secret_key: &str) -> Result<String> {
    server::check(name)?;
    if admin.trim().is_empty() {
        let reason = "this sub-account's database is on a PostgreSQL server: set tenant_database to reach it";
        return Err(Error::Other(reason.to_owned()));
    }
    let password = password(secret_key, name);
    if admin.starts_with("postgres://") || admin.starts_with("postgresql://") {
        return from_url(admin, name, &password).ok_or_else(unreadable);
    }
    let mut address = format!("user={name} password={password} dbname={name}");
    for (key, value) in pairs(admin).ok_or_else(unreadable)? {
        if !["user", "password", "dbname"].contains(&key) {
            address.push_str(&format!(" {key}={value}"));
        }
    }
    Ok(address)
}

/// It never repeats the address, which has a password in it.
fn unreadable() -> Error {
    Error::Other(
        "tenant_database cannot be read: write host=… user=… password=… or postgres://…".to_owned(),
    )
}

fn from_url(admin: &str, name: &str, password: &str) -> Option<String> {
    let mut url = url::Url::parse(admin).ok()?;
    url.set_username(name).ok()?;
    url.set_password(Some(password)).ok()?;
    url.set_path(name);
    // Parameters may name the user, too.
    let ours = |key: &str| ["user", "password", "dbname"].contains(&key);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| !ours(key))
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Some(url.into())
}

/// `key=value` pairs; a value in quotes stays in them.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let end = match after.starts_with('\'') {
            true => quoted(after)?,
            false => after.find(char::is_whitespace).unwrap_or(after.len()),
        };
        pairs.push((key.trim(), &after[..end]));
        rest = after[end..].trim_start();
    }
    Some(pairs)
}

/// Where a value in quotes ends; a backslash takes the next character as it is.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "t_019351a000007000800000000000000b";

    #[test]
    fn only_user_password_and_database_change() {
        let password = password("secret", NAME);
        let ours = format!("user={NAME} password={password} dbname={NAME}");
        for (admin, rest) in [
            (
                "host=/run/pg user=root password='it\\'s = x' dbname=postgres",
                " host=/run/pg",
            ),
            (
                "  user = a  host=db  port=6432 options='-c a=b'",
                " host=db port=6432 options='-c a=b'",
            ),
        ] {
            assert_eq!(tenant(admin, NAME, "secret"), Ok(format!("{ours}{rest}")));
        }
        assert_eq!(
            tenant(
                "postgres://root:pw@db:6432/postgres?user=root&sslmode=require",
                NAME,
                "secret"
            ),
            Ok(format!(
                "postgres://{NAME}:{password}@db:6432/{NAME}?sslmode=require"
            ))
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for admin in ["host", "host=x password='open", "", "postgres://[x"] {
            let Err(Error::Other(reason)) = tenant(admin, NAME, "secret") else {
                panic!("{admin}")
            };
            assert!(!reason.contains("open"), "{reason}");
        }
        for name in [
            "postgres",
            "t_1",
            "t_019351a000007000800000000000000b user=root",
        ] {
            assert!(tenant("host=x", name, "secret").is_err(), "{name}");
        }
    }

    #[test]
    fn each_database_has_a_password_of_its_own() {
        let one = password("secret", NAME);
        assert!(one.len() == 64 && one.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(
            one,
            password("secret", "t_019351a000007000800000000000000c")
        );
        assert_ne!(one, password("other", NAME));
    }
}
