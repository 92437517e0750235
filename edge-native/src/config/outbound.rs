//! `allowed_outbound_hosts`: the patterns of Spin, and what they allow.

use std::net::IpAddr;

/// One pattern: scheme, host and port that a component may talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    scheme: Option<String>,
    host: Host,
    port: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    /// `*.example.org`: the part after the star, with its dot.
    Below(String),
    Name(String),
    Network {
        address: IpAddr,
        bits: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    Any,
    Range(u16, u16),
}

/// What a component may do with an address it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No pattern allows it.
    Denied,
    /// A wildcard allows it, as long as the name does not lead to a private address.
    PublicOnly,
    /// A pattern names this very host, so private addresses are meant.
    Named,
}

impl AllowedHost {
    /// Reads a pattern; the error is a sentence about what is wrong with it.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = pattern.split_once("://") else {
            return Err(format!("{pattern:?} has no scheme"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) && !is_network(rest) {
            return Err(format!("{pattern:?} is more than scheme, host and port"));
        }
        let scheme = match scheme {
            "*" => None,
            "" => return Err(format!("{pattern:?} has an empty scheme")),
            name if name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
            {
                Some(name.to_ascii_lowercase())
            }
            _ => return Err(format!("{pattern:?} has a scheme that is none")),
        };
        let (host, port) = split_port(rest);
        let port = parse_ports(port, scheme.as_deref())
            .ok_or_else(|| format!("{pattern:?} needs a port, a range `80..90` or `*`"))?;
        let host = parse_host(host).ok_or_else(|| format!("{pattern:?} has no usable host"))?;
        Ok(Self { scheme, host, port })
    }

    fn verdict(&self, scheme: &str, host: &str, port: u16) -> Verdict {
        let scheme_fits = self
            .scheme
            .as_deref()
            .is_none_or(|allowed| allowed == scheme);
        let port_fits = match self.port {
            Ports::Any => true,
            Ports::Range(from, to) => (from..to).contains(&port),
        };
        if !scheme_fits || !port_fits {
            return Verdict::Denied;
        }
        match &self.host {
            Host::Any => Verdict::PublicOnly,
            Host::Below(suffix) if host.len() > suffix.len() && host.ends_with(suffix.as_str()) => {
                Verdict::PublicOnly
            }
            Host::Name(name) if name == host => Verdict::Named,
            Host::Network { address, bits } => match host.parse::<IpAddr>() {
                Ok(ip) if in_network(ip, *address, *bits) => Verdict::Named,
                _ => Verdict::Denied,
            },
            _ => Verdict::Denied,
        }
    }
}

/// What a list of patterns says about a request's target; `host` without brackets.
pub fn verdict(allowed: &[AllowedHost], scheme: &str, host: &str, port: u16) -> Verdict {
    let host = host.to_ascii_lowercase();
    let mut best = Verdict::Denied;
    for pattern in allowed {
        match pattern.verdict(scheme, &host, port) {
            Verdict::Named => return Verdict::Named,
            Verdict::PublicOnly => best = Verdict::PublicOnly,
            Verdict::Denied => {}
        }
    }
    best
}

/// Whether a list of patterns allows a database server. Its address is the operator's own word, and
/// usually a private one: a wildcard will do, as long as its pattern names the scheme.
pub fn allows_database(allowed: &[AllowedHost], scheme: &str, host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    allowed
        .iter()
        .any(|pattern| match pattern.verdict(scheme, &host, port) {
            Verdict::Named => true,
            Verdict::PublicOnly => pattern.scheme.is_some(),
            Verdict::Denied => false,
        })
}

/// True for addresses that lead into the machine or its own networks.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            let embedded = v6.to_ipv4_mapped().or_else(|| nat64(v6.segments()));
            embedded.is_some_and(|v4| is_private(IpAddr::V4(v4)))
                || v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
    }
}

fn nat64(segments: [u16; 8]) -> Option<std::net::Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments else {
        return None;
    };
    Some(std::net::Ipv4Addr::from_bits(
        (u32::from(high) << 16) | u32::from(low),
    ))
}

fn is_network(rest: &str) -> bool {
    matches!(parse_host(split_port(rest).0), Some(Host::Network { .. }))
}

fn split_port(rest: &str) -> (&str, Option<&str>) {
    if let Some(inner) = rest.strip_prefix('[')
        && let Some((host, after)) = inner.split_once(']')
    {
        return (host, after.strip_prefix(':'));
    }
    match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    }
}

fn parse_ports(port: Option<&str>, scheme: Option<&str>) -> Option<Ports> {
    match (port, scheme) {
        (Some("*"), _) => Some(Ports::Any),
        (Some(text), _) => match text.split_once("..") {
            Some((from, to)) => Some(Ports::Range(from.parse().ok()?, to.parse().ok()?)),
            None => text
                .parse()
                .ok()
                .map(|port: u16| Ports::Range(port, port.saturating_add(1))),
        },
        (None, Some("http")) => Some(Ports::Range(80, 81)),
        (None, Some("https")) => Some(Ports::Range(443, 444)),
        (None, Some("postgres")) => Some(Ports::Range(5432, 5433)),
        (None, _) => None,
    }
}

fn parse_host(host: &str) -> Option<Host> {
    if host == "*" {
        return Some(Host::Any);
    }
    if let Some(suffix) = host.strip_prefix('*') {
        let fits = suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*');
        return fits.then(|| Host::Below(suffix.to_ascii_lowercase()));
    }
    if let Some((address, bits)) = host.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        return (bits <= width).then_some(Host::Network { address, bits });
    }
    let usable = !host.is_empty() && !host.contains('*') && host != "self";
    usable.then(|| Host::Name(host.to_ascii_lowercase()))
}

/// Whether an address is in a network.
pub fn in_network(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(bits);
            ip.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let shift = 128 - u32::from(bits);
            ip.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(pattern: &str, scheme: &str, host: &str, port: u16) -> Verdict {
        verdict(&[AllowedHost::parse(pattern).unwrap()], scheme, host, port)
    }

    #[test]
    fn a_named_host_is_allowed_with_its_scheme_and_port_only() {
        assert_eq!(
            says("https://api.x.org", "https", "API.x.org", 443),
            Verdict::Named
        );
        assert_eq!(
            says("https://api.x.org", "http", "api.x.org", 443),
            Verdict::Denied
        );
        assert_eq!(
            says("https://api.x.org", "https", "api.x.org", 444),
            Verdict::Denied
        );
        assert_eq!(
            says("http://127.0.0.1:*", "http", "127.0.0.1", 9000),
            Verdict::Named
        );
        assert_eq!(
            says("http://[::1]:3000", "http", "::1", 3000),
            Verdict::Named
        );
        assert_eq!(
            says("http://a:8000..8010", "http", "a", 8009),
            Verdict::Named
        );
        assert_eq!(
            says("http://a:8000..8010", "http", "a", 8010),
            Verdict::Denied
        );
    }

    #[test]
    fn a_wildcard_allows_public_addresses_only() {
        assert_eq!(says("*://*:*", "http", "x", 1), Verdict::PublicOnly);
        assert_eq!(
            says("http://*.x.org", "http", "a.b.x.org", 80),
            Verdict::PublicOnly
        );
        assert_eq!(says("http://*.x.org", "http", "x.org", 80), Verdict::Denied);
        assert_eq!(
            says("http://*.x.org", "http", "evilx.org", 80),
            Verdict::Denied
        );
    }

    #[test]
    fn a_network_names_its_addresses() {
        assert_eq!(
            says("http://10.0.0.0/8:*", "http", "10.1.2.3", 80),
            Verdict::Named
        );
        assert_eq!(
            says("http://10.0.0.0/8:*", "http", "11.1.2.3", 80),
            Verdict::Denied
        );
        assert_eq!(
            says("http://0.0.0.0/0:*", "http", "11.1.2.3", 80),
            Verdict::Named
        );
    }

    #[test]
    fn a_database_is_allowed_by_its_scheme() {
        let says = |pattern: &str, host: &str, port| {
            let patterns = [AllowedHost::parse(pattern).unwrap()];
            allows_database(&patterns, "postgres", host, port)
        };
        assert!(says("postgres://db.internal", "DB.internal", 5432));
        assert!(!says("postgres://db.internal", "db.internal", 5433));
        assert!(!says("postgres://db.internal:*", "other", 5432));
        assert!(says("postgres://*:*", "10.0.0.7", 6432));
        assert!(says("postgres://10.0.0.0/8:5432", "10.0.0.7", 5432));
        assert!(says("*://10.0.0.7:5432", "10.0.0.7", 5432));
        assert!(!says("*://*:*", "10.0.0.7", 5432));
        assert!(!says("http://*:*", "10.0.0.7", 5432));
    }

    #[test]
    fn broken_patterns_are_refused() {
        for bad in [
            "x.org",
            "http://",
            "ftp://x",
            "http://x/path",
            "http://*x",
            "http://a:b",
        ] {
            assert!(AllowedHost::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn private_addresses_are_known() {
        let private = "127.0.0.1 10.0.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 ::1 \
                       fe80::1 fd00::1 ::ffff:127.0.0.1 64:ff9b::7f00:1";
        for ip in private.split_whitespace() {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "2606:4700::1111", "172.32.0.1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
