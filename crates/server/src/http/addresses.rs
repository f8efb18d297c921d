//! The bound on the connections of each address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::client_address::Proxies;
use crate::sampling::Throttle;

/// Time between two log lines about refused connections.
const PAUSE: Duration = Duration::from_secs(60);

/// The connections of each address that has any.
type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counts the connections of each address, up to a bound. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    max: usize,
    exempt: Proxies,
    open: Open,
    refusals: Arc<Throttle>,
}

/// A counted connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct OfAddress {
    counted: Option<(IpAddr, Open)>,
}

impl Addresses {
    /// Bounds each address by `max`; 0: no bound. Trusted proxies have none.
    pub(crate) fn new(max: usize, exempt: Proxies) -> Self {
        Self {
            max,
            exempt,
            open: Arc::default(),
            refusals: Arc::new(Throttle::new(PAUSE)),
        }
    }

    /// Counts one more connection of this address; `None` if it has reached the bound, which is logged once a minute.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<OfAddress> {
        let address = address.to_canonical();
        if self.max == 0 || self.exempt.trusts(address) {
            return Some(OfAddress { counted: None });
        }
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.max {
            drop(open);
            self.refuse(address);
            return None;
        }
        *count += 1;
        Some(OfAddress {
            counted: Some((address, Arc::clone(&self.open))),
        })
    }

    fn refuse(&self, address: IpAddr) {
        tracing::debug!(%address, "connection refused: its address has reached connections.max_per_address");
        if let Some(refused) = self.refusals.admit() {
            tracing::warn!(
                %address,
                refused,
                limit = self.max,
                setting = "connections.max_per_address",
                "connections refused: an address has reached the limit; if it is a proxy, add it to proxies.trusted"
            );
        }
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        if let Some((address, open)) = &self.counted
            && let Entry::Occupied(mut count) = open.lock().entry(*address)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxiesConfig;

    #[test]
    fn each_address_is_bounded_but_trusted_proxies() {
        let trusted = ProxiesConfig {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let addresses = Addresses::new(2, Proxies::new(&trusted));
        let enter = |address: &str| addresses.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        let second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let proxied: Vec<_> = (0..9).map(|_| enter("10.0.0.1")).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop((second, proxied));
        assert!(addresses.open.lock().is_empty());
    }
}
