//! Who a request comes from and which host it is for, settled before any component sees it: what
//! only the host knows, nobody outside says.

use super::client::{Network, forwarded};
use super::problem::Problem;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header};
use std::net::SocketAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: [HeaderName; 7] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-prefix"),
];

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection has TLS.
    pub secure: bool,
}

/// What is known about a request besides the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The client, as components are told.
    pub client: HeaderValue,
    /// Whether the client's own connection has TLS.
    pub secure: bool,
    /// The host that the client asked, without a port.
    pub host: String,
}

/// Settles who asks for what: the request's URI becomes absolute, with the scheme that the client
/// used, and headers by which strangers could pretend anything are gone.
pub fn settle<B>(
    request: &mut Request<B>,
    peer: &Peer,
    proxies: &[Network],
) -> Result<Visit, Problem> {
    let authority = authority(request)?;
    let mut visit = Visit {
        client: text(&peer.address.to_string()),
        secure: peer.secure,
        host: authority
            .host()
            .trim_matches(['[', ']'])
            .to_ascii_lowercase(),
    };
    let headers = request.headers_mut();
    let address = peer.address.ip().to_canonical();
    if proxies.iter().any(|network| network.contains(address)) {
        if let Some(scheme) = last(headers, &FORWARDED_PROTO) {
            visit.secure = scheme.eq_ignore_ascii_case("https");
        }
        if let Some(client) = forwarded(&visit.client, headers, proxies) {
            visit.client = client;
        }
    }
    for name in &FORWARDED {
        headers.remove(name);
    }
    let scheme = if visit.secure { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    let path = request.uri().path_and_query().cloned();
    let uri = Uri::builder()
        .scheme(if visit.secure {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        })
        .authority(authority)
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build();
    *request.uri_mut() = uri.map_err(|_| Problem::BadHost)?;
    Ok(visit)
}

/// The one host that a request is for.
fn authority<B>(request: &Request<B>) -> Result<Authority, Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(parse(host.as_bytes()).ok_or(Problem::BadHost)?),
        (None, _) if request.version() < Version::HTTP_11 => None,
        _ => return Err(Problem::BadHost),
    };
    match (request.uri().authority(), named) {
        // A target with a host of its own must be the same one.
        (Some(target), Some(named)) if *target == named => Ok(named),
        (Some(_), _) => Err(Problem::BadHost),
        (None, named) => Ok(named.unwrap_or_else(|| Authority::from_static("localhost"))),
    }
}

/// A host with or without a port, of characters that hosts have.
fn parse(host: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(host).ok()?;
    let name = authority.host();
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let usable = match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.len() <= 253 && name.bytes().all(usual),
    };
    let port = &authority.as_str()[name.len().min(authority.as_str().len())..];
    let port_usable = match port.strip_prefix(':') {
        Some(number) => number.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    (usable && port_usable).then_some(authority)
}

/// The last of a header's comma-separated values.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    Some(value.rsplit(',').next()?.trim())
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn peer(secure: bool) -> Peer {
        let address = "1.2.3.4:5".parse().unwrap();
        Peer { address, secure }
    }

    fn settled(request: &mut Request<()>, secure: bool) -> Result<Visit, Problem> {
        settle(request, &peer(secure), &[])
    }

    #[test]
    fn one_usable_host_is_needed() {
        for good in [
            "a.example",
            "a.example:80",
            "127.0.0.1:3000",
            "[::1]:3000",
            "a_b",
        ] {
            let mut request = request("/x?y", &[("host", good)]);
            settled(&mut request, false).unwrap();
            assert_eq!(request.uri().to_string(), format!("http://{good}/x?y"));
        }
        let long = "a".repeat(254);
        for bad in [
            "", "a b", "a/b", "u@a", "a:b", "a:99999", "a:", "[::1", "[x]", "é", &long,
        ] {
            let mut request = request("/", &[("host", bad)]);
            assert_eq!(settled(&mut request, false), Err(Problem::BadHost), "{bad}");
        }
        for (uri, headers) in [
            ("/", &[][..]),
            ("/", &[("host", "a"), ("host", "a")][..]),
            ("http://b/", &[("host", "a")][..]),
            ("http://b/", &[][..]),
        ] {
            let mut request = request(uri, headers);
            assert_eq!(
                settled(&mut request, false),
                Err(Problem::BadHost),
                "{uri} {headers:?}"
            );
        }
        let mut same = request("http://a/", &[("host", "a")]);
        settled(&mut same, false).unwrap();
        let mut old = request("/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(settled(&mut old, false).unwrap().host, "localhost");
    }

    #[test]
    fn strangers_do_not_say_who_they_are_or_how_they_came() {
        let forged = [
            ("host", "a"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
        ];
        let mut plain = request("/", &forged);
        let visit = settled(&mut plain, false).unwrap();
        assert_eq!(
            (visit.secure, visit.client.to_str().unwrap()),
            (false, "1.2.3.4:5")
        );
        assert_eq!(plain.uri().scheme_str(), Some("http"));
        assert_eq!(plain.headers()["x-forwarded-proto"], "http");
        assert_eq!(plain.headers().len(), 2, "{:?}", plain.headers());
        let mut lying = request("https://a/", &[("host", "a")]);
        settled(&mut lying, false).unwrap();
        assert_eq!(lying.uri().scheme_str(), Some("http"));
        let mut secure = request("/", &[("host", "a"), ("x-forwarded-proto", "http")]);
        assert!(settled(&mut secure, true).unwrap().secure);
        assert_eq!(secure.headers()["x-forwarded-proto"], "https");
    }

    #[test]
    fn a_trusted_proxy_says_it() {
        let headers = [
            ("host", "a"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "6.6.6.6, 9.8.7.6"),
        ];
        let mut proxied = request("/", &headers);
        let visit = settle(&mut proxied, &peer(false), &["1.2.3.0/24".parse().unwrap()]).unwrap();
        assert_eq!(
            (visit.secure, visit.client.to_str().unwrap()),
            (true, "9.8.7.6:0")
        );
        assert_eq!(proxied.uri().to_string(), "https://a/");
        assert!(!proxied.headers().contains_key("x-forwarded-for"));
    }
}
