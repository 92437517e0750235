//! How many connections each address has: a single one does not take them all.

use super::client::Network;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One address may have this part of all connections.
const SHARE: usize = 20;

/// The addresses that have connections.
pub struct Peers {
    most: usize,
    trusted: Vec<Network>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection, counted until dropped.
pub struct Guest(Option<(Arc<Peers>, IpAddr)>);

impl Peers {
    /// Of `all` connections; proxies in front speak for many.
    pub fn new(all: usize, trusted: Vec<Network>) -> Arc<Self> {
        Arc::new(Self {
            most: (all / SHARE).max(1),
            trusted,
            open: Mutex::default(),
        })
    }

    /// Counts a connection; `None` when its address has enough.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = address.to_canonical();
        let proxy = self.trusted.iter().any(|known| known.contains(address));
        if proxy || address.is_loopback() {
            return Some(Guest(None));
        }
        let home = home(address);
        let mut open = self.lock();
        let count = open.entry(home).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Guest(Some((self.clone(), home))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has an IPv6 address usually has all of its network of 64 bits.
fn home(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some((peers, home)) = &self.0 else {
            return;
        };
        let mut open = peers.lock();
        if let Some(count) = open.get_mut(home) {
            *count -= 1;
            if *count == 0 {
                open.remove(home);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_proxies_have_all() {
        let peers = Peers::new(40, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |address: &str| peers.admit(address.parse().unwrap());
        let held = [admit("192.0.2.1"), admit("::ffff:192.0.2.1")];
        assert!(held.iter().all(Option::is_some) && admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        let six = [admit("2001:db8::1"), admit("2001:db8::2")];
        assert!(six.iter().all(Option::is_some) && admit("2001:db8::3").is_none());
        for free in ["127.0.0.1", "::1", "10.9.8.7"] {
            let many: Vec<_> = (0..50).map(|_| admit(free)).collect();
            assert!(many.iter().all(Option::is_some), "{free}");
        }
        drop((held, six));
        assert!(peers.lock().is_empty());
    }
}
