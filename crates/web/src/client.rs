//! Where a request comes from, as far as the host knows.

use std::net::{IpAddr, SocketAddr};

use http::header;

use crate::http::Request;

/// The longest name of a browser that is kept, in characters.
const AGENT_MAX: usize = 200;

/// The other end of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address, when the host knows it.
    pub address: Option<IpAddr>,
    /// What it says it is, in one line.
    pub agent: String,
}

impl Client {
    /// What the host says of the client: nobody outside can set it.
    pub const ADDRESS: &str = "spin-client-addr";

    /// Who sent a request.
    pub fn of(request: &Request) -> Self {
        let agent = request.header(header::USER_AGENT).unwrap_or_default();
        let agent = agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX);
        Client {
            address: request.header(Self::ADDRESS).and_then(address),
            agent: agent.collect(),
        }
    }

    /// The address as text; empty when it is not known.
    pub fn text(&self) -> String {
        self.address.map(|a| a.to_string()).unwrap_or_default()
    }

    /// The name by which failures of this client are counted: its address, or the network of 64 bits that one customer
    /// gets. None for this machine itself: behind a proxy that is everybody.
    pub fn counted(&self) -> Option<String> {
        match self.address?.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(address.to_string()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
        }
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.trim_matches(['[', ']']).parse().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    address.map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_counted() {
        let counted = |text: &str| {
            let client = Client {
                address: address(text),
                agent: String::new(),
            };
            client.counted()
        };
        assert_eq!(counted("203.0.113.7:4711").as_deref(), Some("203.0.113.7"));
        assert_eq!(
            counted("[::ffff:203.0.113.7]:1").as_deref(),
            Some("203.0.113.7")
        );
        let one = counted("[2001:db8:1:2:3:4:5:6]:1");
        assert_eq!(one, counted("2001:db8:1:2::9"));
        assert_ne!(one, counted("2001:db8:1:3::9"));
        for nobody in ["127.0.0.1:5", "[::1]:5", "", "x"] {
            assert_eq!(counted(nobody), None, "{nobody}");
        }
    }
}
