//! Who is calling, and whether a browser was tricked into calling.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use http::{Method, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::context::Context;
use crate::http::{Problem, Request};

/// The session cookie's name.
pub const COOKIE: &str = "sluice_session";
/// How long a session holds, in milliseconds.
pub const SESSION: i64 = 30 * 24 * 60 * 60 * 1000;
/// What an API key begins with.
pub const KEY_PREFIX: &str = "slk_";
/// What the credential of a node begins with.
pub const NODE_PREFIX: &str = "sln_";
/// What a token to join with begins with.
pub const JOIN_PREFIX: &str = "slj_";

/// Something a caller showed that may say who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Key(String),
    /// The session cookie.
    Session(String),
}

impl Credential {
    /// What a request shows. A key goes before a cookie.
    pub fn of(cx: &Context<'_>, request: &Request) -> Option<Credential> {
        if let Some(value) = request.header(header::AUTHORIZATION) {
            return bearer(value).map(|key| Credential::Key(key.to_owned()));
        }
        cookie(request, session_cookie(cx)).map(Credential::Session)
    }

    /// `key` or `session`.
    pub fn kind(&self) -> &'static str {
        match self {
            Credential::Key(_) => "key",
            Credential::Session(_) => "session",
        }
    }

    /// The hash that is kept and compared. The kind is in it, so that a session is never taken for a key.
    pub fn hash(&self) -> String {
        let (Credential::Key(token) | Credential::Session(token)) = self;
        token_hash(self.kind(), token)
    }
}

/// The token of an `Authorization` value.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(request: &Request, name: &str) -> Option<String> {
    let values = request
        .headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok());
    let mut pairs = values
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The names of the cookie on hosts other than the master's, with and without HTTPS: they tell nobody whose product
/// this is, and a browser takes the first one from that very host only (RFC 6265bis, 4.1.3.2).
const OWN_COOKIES: [&str; 2] = ["__Host-session", "session"];

fn is_https(cx: &Context<'_>) -> bool {
    cx.url().starts_with("https://")
}

/// The cookie's name on the host that the caller came by. A cookie of another name is not looked at: it may be one that
/// a sibling of that host has planted.
fn session_cookie(cx: &Context<'_>) -> &'static str {
    match (&cx.own, is_https(cx)) {
        (None, _) => COOKIE,
        (Some(_), true) => OWN_COOKIES[0],
        (Some(_), false) => OWN_COOKIES[1],
    }
}

fn session_cookie_of(cx: &Context<'_>, value: &str, age: i64) -> String {
    let name = session_cookie(cx);
    let secure = if is_https(cx) { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}")
}

/// A `Set-Cookie` value for a session.
pub fn set_cookie(token: &str, cx: &Context<'_>) -> String {
    session_cookie_of(cx, token, SESSION / 1000)
}

/// A `Set-Cookie` value that ends a session in the browser.
pub fn clear_cookie(cx: &Context<'_>) -> String {
    session_cookie_of(cx, "", 0)
}

/// Tokens have 256 random bits, so a plain hash is enough; passwords are another matter.
pub fn token_hash(kind: &str, token: &str) -> String {
    let digest = Sha256::new()
        .chain_update(kind)
        .chain_update(":")
        .chain_update(token)
        .finalize();
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Compares secrets in a time that does not tell where they differ. An empty secret is never right.
pub fn same_secret(given: &str, expected: &str) -> bool {
    !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
}

/// Checks that a node or worker shows the shared secret.
///
/// # Errors
/// 401.
pub fn require_secret(request: &Request, secret: &str) -> Result<(), Problem> {
    let given = request
        .header(header::AUTHORIZATION)
        .and_then(bearer)
        .unwrap_or_default();
    match same_secret(given, secret) {
        true => Ok(()),
        false => Err(Problem::unauthorized()
            .detail("This call takes the token that the node or worker was started with.")),
    }
}

/// Refuses a change that a page of another origin asks for. Browsers say where a request comes from; programs that
/// are no browsers say nothing and bring no cookie of somebody else's. A form with a cookie that says nothing is refused.
///
/// The rule is that of "Cross-Origin Request Forgery" protection by Fetch Metadata with `Origin` as the fallback.
///
/// # Errors
/// 403.
pub fn require_same_origin(request: &Request, public_url: &str) -> Result<(), Problem> {
    if matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let same = match (
        request.header("sec-fetch-site"),
        request.header(header::ORIGIN),
    ) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            Some(host) == request.header(header::HOST) || origin == public_url
        }
        (None, None) => !is_form_with_cookie(request),
    };
    match same {
        true => Ok(()),
        false => Err(Problem::new(403, "This request comes from another site")
            .detail("Nothing was changed.")),
    }
}

/// Whether this is what a page of any site can make a browser send together with a cookie: a POST whose media type needs
/// no leave. Old browsers say nothing about where such a form is from.
fn is_form_with_cookie(request: &Request) -> bool {
    let media = request.header(header::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let simple = [
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain",
    ];
    let is_form = simple.iter().any(|m| m.eq_ignore_ascii_case(media));
    let mut cookies = [COOKIE].into_iter().chain(OWN_COOKIES);
    let signed_in = cookies.any(|name| cookie(request, name).is_some());
    request.method == Method::POST && is_form && signed_in
}

/// The shortest and the longest password, in characters (NIST SP 800-63B).
pub const PASSWORD: std::ops::RangeInclusive<usize> = 8..=256;

/// Argon2id with the parameters of OWASP's table: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(19 * 1024, 2, 1, None).unwrap_or_default(),
    )
}

/// Hashes a password, with its parameters and salt, into a PHC string.
///
/// # Errors
/// 500 when the hash cannot be made.
pub fn hash_password(password: &str) -> Result<String, Problem> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| failed())?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| failed())?;
    argon2()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|_| failed())
}

fn failed() -> Problem {
    Problem::new(500, "The server failed")
        .detail("The password could not be hashed. Nothing was kept.")
}

/// Whether a password is the one behind a hash. Without a hash it takes as long and is never right, so that the time
/// does not tell whether somebody has an account.
pub fn verify_password(password: &str, hash: Option<&str>) -> bool {
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2x1aWNlLW5vYm9keS0wMQ$Yd4PlSsXlFwz1nvDAnRWAEsCkd0bsrPUjzkrDeYbHTg";
    let parsed = PasswordHash::new(hash.unwrap_or(NOBODY));
    let right = parsed.is_ok_and(|parsed| {
        argon2()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
    });
    right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::context::{Config, Own};

    fn request(method: Method, headers: &[(&'static str, &'static str)]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Request {
            method,
            path: "/".into(),
            query: String::new(),
            headers: map,
            body: Vec::new(),
        }
    }

    #[test]
    fn credentials_are_read_and_kept_apart() {
        let (stores, config, migrated) = (
            testkit::Stores::default(),
            Config::default(),
            AtomicBool::new(false),
        );
        let mut cx = Context {
            stores: &stores,
            config: &config,
            now: 1,
            own: None,
            migrated: &migrated,
        };
        let shown = |cx: &Context<'_>, headers: &[(&'static str, &'static str)]| {
            Credential::of(cx, &request(Method::GET, headers))
        };
        let cookies = [("cookie", "a=b; sluice_session=abc; __Host-session=own")];
        let key = shown(&cx, &[("authorization", "bearer abc"), cookies[0]]);
        assert_eq!(key, Some(Credential::Key("abc".into())));
        let session = shown(&cx, &cookies);
        assert_eq!(session, Some(Credential::Session("abc".into())));
        assert_ne!(key.unwrap().hash(), session.unwrap().hash());
        assert_eq!(shown(&cx, &[]), None);
        // On a host of its own nothing counts but what only that host can have set.
        cx.own = Some(Own {
            host: "own.test".into(),
            url: "https://own.test".into(),
            subaccount: None,
            look: None,
        });
        assert_eq!(
            shown(&cx, &cookies),
            Some(Credential::Session("own".into()))
        );
        assert_eq!(shown(&cx, &[("cookie", "sluice_session=planted")]), None);
    }

    #[test]
    fn only_our_own_pages_change_things() {
        let check = |headers: &[(&'static str, &'static str)]| {
            require_same_origin(&request(Method::POST, headers), "https://sluice.test").is_ok()
        };
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(check(&[
            ("origin", "http://127.0.0.1:3000"),
            ("host", "127.0.0.1:3000")
        ]));
        assert!(check(&[
            ("origin", "https://sluice.test"),
            ("host", "10.0.0.1")
        ]));
        assert!(check(&[]));
        let cookie = ("cookie", "sluice_session=x");
        for form in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "Text/Plain",
        ] {
            assert!(!check(&[cookie, ("content-type", form)]), "{form}");
            assert!(
                check(&[("content-type", form)]),
                "no cookie, nobody's rights"
            );
        }
        assert!(!check(&[cookie]), "a form may hide its media type");
        assert!(check(&[cookie, ("content-type", "application/json")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[
            ("origin", "https://evil.test"),
            ("host", "127.0.0.1:3000")
        ]));
        assert!(!check(&[("origin", "null"), ("host", "127.0.0.1:3000")]));
    }

    #[test]
    fn passwords_are_hashed_and_checked() {
        let hash = hash_password("correct horse").unwrap();
        assert!(verify_password("correct horse", Some(&hash)));
        assert!(!verify_password("wrong horse", Some(&hash)));
        assert!(!verify_password("anything", None));
    }

    #[test]
    fn an_unset_secret_lets_nobody_in() {
        assert!(!same_secret("", ""));
        assert!(same_secret("x", "x"));
        assert!(!same_secret("x", "y"));
    }
}
