//! Where a request comes from, also behind proxies. Only what a trusted proxy says of its own peer counts: whatever a
//! stranger writes into `X-Forwarded-For` stands to the left of that.

use crate::config::outbound::in_network;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses of proxies: one, or a network as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither an address nor a network like 10.0.0.0/8");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let all = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), str::parse).map_err(|_| wrong())?;
        if bits > all {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        in_network(address, self.base, self.bits)
    }
}

/// The client's address: the peer, or the last one that a trusted proxy did not trust itself. None is the peer.
pub fn forwarded(
    peer: &HeaderValue,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<HeaderValue> {
    if trusted.is_empty() {
        return None;
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_str().ok().and_then(address)?;
    if !is_trusted(peer) {
        return None;
    }
    let values = headers.get_all(FORWARDED_FOR).into_iter();
    let texts: Vec<_> = values
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    let mut found = None;
    for part in texts.iter().rev().flat_map(|text| text.rsplit(',')) {
        // What cannot be read says that nothing to the left of it can be believed.
        let Some(address) = address(part.trim()) else {
            break;
        };
        found = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    let port = 0;
    found.and_then(|ip| HeaderValue::from_str(&SocketAddr::new(ip, port).to_string()).ok())
}

fn address(text: &str) -> Option<IpAddr> {
    let alone = text.trim_matches(['[', ']']).parse().ok();
    let address: Option<IpAddr> = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    address.map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &'static str, forwarded_for: &[&'static str]) -> Option<String> {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|n| n.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded_for {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let found = forwarded(&HeaderValue::from_static(peer), &headers, &trusted)?;
        Some(found.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_what_a_trusted_proxy_adds_counts() {
        assert_eq!(
            seen("127.0.0.1:9", &["203.0.113.7"]).as_deref(),
            Some("203.0.113.7:0")
        );
        let through_two = ["6.6.6.6, 203.0.113.7", "10.1.1.1"];
        assert_eq!(
            seen("127.0.0.1:9", &through_two).as_deref(),
            Some("203.0.113.7:0")
        );
        assert_eq!(
            seen("[fd00::1]:9", &["2001:db8::1"]).as_deref(),
            Some("[2001:db8::1]:0")
        );
        assert_eq!(seen("198.51.100.1:9", &["203.0.113.7"]), None, "a stranger");
        assert_eq!(seen("127.0.0.1:9", &[]), None);
        assert_eq!(seen("127.0.0.1:9", &["203.0.113.7, nonsense"]), None);
        let forged = seen("127.0.0.1:9", &["6.6.6.6, nonsense, 203.0.113.7"]);
        assert_eq!(forged.as_deref(), Some("203.0.113.7:0"));
        assert_eq!(
            forwarded(
                &HeaderValue::from_static("127.0.0.1:9"),
                &HeaderMap::new(),
                &[]
            ),
            None
        );
    }

    #[test]
    fn networks_are_read() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.168.1.1", "::1"] {
            assert!(text.parse::<Network>().is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "x/8", "10.0.0.0/", "::1/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }
}
