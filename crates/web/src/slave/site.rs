//! Which sub-account a request is for. People come by `/s/{id}/…` at this node's own address, or by a host name of
//! their own, where the prefix falls away.

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};
use store::custom_domain;

use crate::auth;
use crate::client::Client;
use crate::context::{Config, Context, Own};
use crate::http::{Problem, Request, Response};

/// The host name that a request came by, when another node of this installation passed it on.
pub const FORWARDED_HOST: &str = "x-sluice-host";
/// What that other node shows.
pub const FORWARDED_BY: &str = "x-sluice-node";
/// The address of the client as that other node was told; empty when it was not.
pub const FORWARDED_CLIENT: &str = "x-sluice-client";
/// By which scheme a client came, as the host or a proxy says.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

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

/// Whether a host name is this node's own: its public one, an address, this machine's, or the one by which components
/// call each other.
pub fn is_own(config: &Config, host: &str) -> bool {
    let address = host
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    let internal = host == "localhost" || host.ends_with(".spin.internal");
    address || internal || name_of(&config.public_url).as_deref() == Some(host)
}

/// The host of an address.
fn name_of(url: &str) -> Option<String> {
    Some(url::Url::parse(url).ok()?.host_str()?.to_owned())
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
    let Some(host) = foreign(cx.config, request) else {
        return Ok(elsewhere(cx.config));
    };
    let control = cx.control()?;
    let Some(target) = custom_domain::target(&*control, &host)? else {
        return Ok(elsewhere(cx.config));
    };
    if !target.is_reached && !is_plain(cx.config, request) {
        custom_domain::reached(&*control, &host, cx.now)?;
    }
    let tenant = target.tenant_id;
    request.path = format!("/s/{tenant}{}", request.path);
    Ok(Some(Own {
        url: address(&cx.config.public_url, &host),
        host,
        subaccount: Some(tenant),
        look: None,
    }))
}

/// The host name that a request came by, when it is not this node's own.
fn foreign(config: &Config, request: &Request) -> Option<String> {
    host(&request.headers).filter(|host| !is_own(config, host))
}

/// Whether a request came by a host name that is not this node's own, wherever it leads.
pub fn is_foreign(config: &Config, request: &Request) -> bool {
    foreign(config, request).is_some()
}

/// Whether a request came in plain text to an installation that people reach by https. Only a host, or a proxy, knows;
/// what neither says came as it should.
fn is_plain(config: &Config, request: &Request) -> bool {
    config.public_url.starts_with("https://") && request.header(FORWARDED_PROTO) == Some("http")
}

/// Keeps what came by a tenant's name in plain text from being answered: there are log-in pages. A page is sent to
/// https, anything else is refused.
pub fn to_https(cx: &Context<'_>, request: &Request) -> Option<Response> {
    let own = cx.own.as_ref().filter(|_| is_plain(cx.config, request))?;
    let path = request
        .path
        .strip_prefix("/s/")?
        .strip_prefix(own.subaccount.as_ref()?)?;
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let problem = Problem::new(403, "This takes https").detail(
            "It came in plain text, which others can read, and nothing was changed. Open this address with https.",
        );
        return Some(problem.into_response());
    }
    let query = match request.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    Some(Response::moved(&format!("{}{path}{query}", own.url)))
}

/// This node's own host, where it is another one than the master's.
fn elsewhere(config: &Config) -> Option<Own> {
    // The usual case, which every request meets.
    if config.public_url == config.master_url {
        return None;
    }
    let (host, master) = (name_of(&config.public_url)?, name_of(&config.master_url)?);
    (host != master).then(|| Own {
        url: config.public_url.clone(),
        host,
        subaccount: None,
        look: None,
    })
}

/// Takes the host name and the client from another node of this installation. From anybody else they are worth nothing.
fn restore_host(config: &Config, request: &mut Request) {
    let host = request.headers.remove(FORWARDED_HOST);
    let by = request.headers.remove(FORWARDED_BY);
    let client = request.headers.remove(FORWARDED_CLIENT);
    let by = by
        .as_ref()
        .and_then(|by| by.to_str().ok())
        .unwrap_or_default();
    let Some(host) = host.filter(|_| auth::same_secret(by, &config.node_secret)) else {
        return;
    };
    request.headers.insert(HOST, host);
    // The caller that the host sees is the other node itself.
    request.headers.remove(Client::ADDRESS);
    if let Some(client) = client {
        request.headers.insert(Client::ADDRESS, client);
    }
}

/// What the master passes on to the slave beside it: requests for a host name that is not its own and leads to a
/// tenant. The fields to set, or none to answer by itself.
pub fn forwarded(config: &Config, headers: &HeaderMap) -> Option<[(&'static str, HeaderValue); 3]> {
    host(headers).filter(|host| !is_own(config, host))?;
    let client = headers.get(Client::ADDRESS).cloned();
    let unknown = HeaderValue::from_static("");
    Some([
        (FORWARDED_HOST, headers.get(HOST)?.clone()),
        (
            FORWARDED_BY,
            HeaderValue::from_str(&config.node_secret).ok()?,
        ),
        (FORWARDED_CLIENT, client.unwrap_or(unknown)),
    ])
}

#[cfg(test)]
mod tests {
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
        for own in [
            "app.sluice.test",
            "127.0.0.1",
            "[::1]",
            "localhost",
            "master.spin.internal",
        ] {
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
    fn host_name_and_client_are_taken_only_from_our_own_nodes() {
        let config = config();
        let mut forged = request(&[
            ("host", "app.sluice.test"),
            ("x-sluice-host", "client.example"),
            ("x-sluice-client", "6.6.6.6:6"),
            ("spin-client-addr", "203.0.113.7:1"),
        ]);
        restore_host(&config, &mut forged);
        assert_eq!(host(&forged.headers).as_deref(), Some("app.sluice.test"));
        assert_eq!(Client::of(&forged).text(), "203.0.113.7");
        assert!(forged.header("x-sluice-client").is_none());

        let mut visit = request(&[
            ("host", "client.example"),
            ("spin-client-addr", "203.0.113.7:1"),
            ("x-sluice-client", "6.6.6.6:6"),
        ]);
        let fields = forwarded(&config, &visit.headers).expect("a name of a tenant");
        for (name, value) in fields {
            visit.headers.insert(name, value);
        }
        for (name, value) in [
            (HOST.as_str(), "slave.spin.internal"),
            (Client::ADDRESS, "127.0.0.1:0"),
        ] {
            visit.headers.insert(name, HeaderValue::from_static(value));
        }
        restore_host(&config, &mut visit);
        assert_eq!(host(&visit.headers).as_deref(), Some("client.example"));
        assert_eq!(Client::of(&visit).text(), "203.0.113.7");
        assert!(visit.header("x-sluice-node").is_none());
    }
}
