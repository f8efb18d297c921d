//! The bound on failed logins.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failed logins of one address within [`WINDOW`], beyond which logins are refused.
const MOST_FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Beyond it the one whose last failure is oldest is forgotten.
const MOST_ADDRESSES: usize = 1_024;

/// Counts failed logins by address, IPv6 addresses by their network of 64 bits.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<IpAddr, Vec<Instant>>>,
}

impl Throttle {
    /// Returns how long this address has to wait before it may log in again.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let mut failures = self.failures.lock();
        let of_address = failures.get_mut(&network(address))?;
        of_address.retain(|failure| now.duration_since(*failure) < WINDOW);
        let oldest = of_address.len().checked_sub(MOST_FAILURES)?;
        Some(WINDOW - now.duration_since(of_address[oldest]))
    }

    /// Counts a failed login.
    pub(super) fn failed(&self, address: IpAddr) {
        let now = Instant::now();
        let mut failures = self.failures.lock();
        failures.retain(|_, times| {
            times
                .last()
                .is_some_and(|last| now.duration_since(*last) < WINDOW)
        });
        if failures.len() >= MOST_ADDRESSES
            && let Some(oldest) = failures.iter().min_by_key(|(_, times)| times.last().copied())
        {
            let oldest = *oldest.0;
            failures.remove(&oldest);
        }
        let of_address = failures.entry(network(address)).or_default();
        if of_address.len() >= MOST_FAILURES {
            of_address.remove(0);
        }
        of_address.push(now);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_failures_a_minute_are_the_most() {
        let throttle = Throttle::default();
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..MOST_FAILURES {
            assert_eq!(throttle.wait(address), None);
            throttle.failed(address);
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(throttle.wait(address), Some(Duration::from_secs(55)));
        assert_eq!(throttle.wait("192.0.2.2".parse().unwrap()), None);
        advance(Duration::from_secs(55)).await;
        assert_eq!(throttle.wait(address), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::default();
        for number in 0..MOST_FAILURES {
            throttle.failed(format!("2001:db8::{number}").parse().unwrap());
        }
        assert!(throttle.wait("2001:db8::ffff".parse().unwrap()).is_some());
        assert_eq!(throttle.wait("2001:db8:0:1::1".parse().unwrap()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_bounded_in_number() {
        let throttle = Throttle::default();
        for number in 0..2 * MOST_ADDRESSES as u32 {
            throttle.failed(IpAddr::V4(number.into()));
        }
        assert!(throttle.failures.lock().len() <= MOST_ADDRESSES);
    }
}
