//! Which sub-account a request is for. People come by `/s/{id}/…` at this node's own address, or by a host name of
//! their own, where the prefix falls away.

use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use store::custom_domain;

use crate::auth;
use crate::context::{Config, Context, Own};
use crate::http::{Problem, Request};

/// The host name that a request came by, when another node of this installation passed it on.
pub const FORWARDED_HOST: &str = "x-sluice-host";
/// What that other node shows.
pub const FORWARDED_BY: &str = "x-sluice-node";

/// A request's host name in lower case, without a port. None when it has none, or one that cannot be one.
pub fn host(headers: &HeaderMap) -> Option<String> {
    host_name(headers.get(HOST)?.to_str().ok()?)
}

fn host_name(authority: &str) -> Option<String> {
    let authority = authority.parse::<http::uri::Authority>().ok()?;
    // What comes before an `@` is no part of a Host field (RFC 9110, 7.2).
    let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    plain.then(|| authority.host().trim_end_matches('.').to_ascii_lowercase())
}

/// Whether a host name is this node's own: its public one, an address, or this machine's.
pub fn is_own(config: &Config, host: &str) -> bool {
    let public = url::Url::parse(&config.public_url).ok();
    let public = public.as_ref().and_then(|url| url.host_str());
    let address = host
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    address || host == "localhost" || public == Some(host)
}

/// The address of a host name on this installation: with its scheme and port.
pub fn address(public_url: &str, name: &str) -> String {
    let Ok(mut url) = url::Url::parse(public_url) else {
        return format!("https://{name}");
    };
    match url.set_host(Some(name)) {
        Ok(()) => url.as_str().trim_end_matches('/').to_owned(),
        Err(_) => format!("https://{name}"),
    }
}

/// Finds out by which host a request came. For a name that leads to a tenant, the path becomes that tenant's: nothing
/// but that tenant is reached by it. None on the master's host.
///
/// # Errors
/// When the store fails.
pub fn enter(cx: &Context<'_>, request: &mut Request) -> Result<Option<Own>, Problem> {
    restore_host(cx.config, request);
    let foreign = host(&request.headers).filter(|host| !is_own(cx.config, host));
    let Some(host) = foreign else {
        return Ok(elsewhere(cx.config));
    };
    let Some(tenant) = custom_domain::tenant(&*cx.control()?, &host)? else {
        return Ok(elsewhere(cx.config));
    };
    request.path = format!("/s/{tenant}{}", request.path);
    Ok(Some(Own {
        url: address(&cx.config.public_url, &host),
        host,
        subaccount: Some(tenant),
        look: None,
    }))
}

/// This node's own host, where it is another one than the master's.
fn elsewhere(config: &Config) -> Option<Own> {
    let name = |url: &str| Some(url::Url::parse(url).ok()?.host_str()?.to_owned());
    let (host, master) = (name(&config.public_url)?, name(&config.master_url)?);
    (host != master).then(|| Own {
        url: config.public_url.clone(),
        host,
        subaccount: None,
        look: None,
    })
}

/// Takes the host name from another node of this installation. From anybody else it is worth nothing.
fn restore_host(config: &Config, request: &mut Request) {
    let host = request.headers.remove(FORWARDED_HOST);
    let by = request.headers.remove(FORWARDED_BY);
    let by = by
        .as_ref()
        .and_then(|by| by.to_str().ok())
        .unwrap_or_default();
    if let Some(host) = host.filter(|_| auth::same_secret(by, &config.node_secret)) {
        request.headers.insert(HOST, host);
    }
}

/// What the master passes on to the slave beside it: requests for a host name that is not its own and leads to a
/// tenant. The fields to add, or none to answer by itself.
pub fn forwarded(config: &Config, headers: &HeaderMap) -> Option<[(&'static str, HeaderValue); 2]> {
    host(headers).filter(|host| !is_own(config, host))?;
    Some([
        (FORWARDED_HOST, headers.get(HOST)?.clone()),
        (
            FORWARDED_BY,
            HeaderValue::from_str(&config.node_secret).ok()?,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn config() -> Config {
        Config {
            public_url: "https://app.sluice.test:8443".into(),
            node_secret: "secret".into(),
            ..Config::default()
        }
    }

    fn request(headers: &[(&'static str, &'static str)]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Request {
            method: Method::GET,
            path: "/".into(),
            query: String::new(),
            headers: map,
            body: Vec::new(),
        }
    }

    #[test]
    fn a_host_name_is_read_strictly() {
        for (field, name) in [
            ("Leads.Client.Example", Some("leads.client.example")),
            ("client.example.:443", Some("client.example")),
            ("[::1]:3000", Some("[::1]")),
            ("user@client.example", None),
            ("client.example/s/1", None),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(host_name(field).as_deref(), name, "{field}");
        }
    }

    #[test]
    fn our_own_names_lead_to_nobody_else() {
        let config = config();
        for own in ["app.sluice.test", "127.0.0.1", "[::1]", "localhost"] {
            assert!(is_own(&config, own), "{own}");
        }
        for other in [
            "client.example",
            "sluice.test",
            "app.sluice.test.evil.example",
        ] {
            assert!(!is_own(&config, other), "{other}");
        }
    }

    #[test]
    fn links_keep_the_scheme_and_the_port() {
        assert_eq!(
            address("https://app.test", "a.example"),
            "https://a.example"
        );
        assert_eq!(
            address("http://127.0.0.1:3000", "a.example"),
            "http://a.example:3000"
        );
    }

    #[test]
    fn a_host_name_is_taken_only_from_our_own_nodes() {
        let config = config();
        let mut forged = request(&[
            ("host", "app.sluice.test"),
            ("x-sluice-host", "client.example"),
        ]);
        restore_host(&config, &mut forged);
        assert_eq!(host(&forged.headers).as_deref(), Some("app.sluice.test"));
        let mut passed_on = request(&[
            ("host", "slave.spin.internal"),
            ("x-sluice-host", "client.example"),
            ("x-sluice-node", "secret"),
        ]);
        restore_host(&config, &mut passed_on);
        assert_eq!(host(&passed_on.headers).as_deref(), Some("client.example"));
        assert!(passed_on.header("x-sluice-node").is_none());
    }
}
