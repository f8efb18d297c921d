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
    /// Counts a login as failed, until [`succeeded`](Self::succeeded): of logins at the same time no more are compared than of
    /// others. Returns how long to wait if there were too many.
    pub(super) fn attempt(&self, address: IpAddr) -> Result<(), Duration> {
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
        of_address.retain(|failure| now.duration_since(*failure) < WINDOW);
        if of_address.len() >= MOST_FAILURES
            && let Some(oldest) = of_address.first()
        {
            return Err(WINDOW - now.duration_since(*oldest));
        }
        of_address.push(now);
        Ok(())
    }

    /// Takes back the last attempt of this address.
    pub(super) fn succeeded(&self, address: IpAddr) {
        if let Some(of_address) = self.failures.lock().get_mut(&network(address)) {
            of_address.pop();
        }
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
            assert_eq!(throttle.attempt(address), Ok(()));
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(throttle.attempt(address), Err(Duration::from_secs(55)));
        assert_eq!(throttle.attempt("192.0.2.2".parse().unwrap()), Ok(()));
        advance(Duration::from_secs(55)).await;
        assert_eq!(throttle.attempt(address), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn successful_logins_do_not_count() {
        let throttle = Throttle::default();
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..3 * MOST_FAILURES {
            assert_eq!(throttle.attempt(address), Ok(()));
            throttle.succeeded(address);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::default();
        for number in 0..MOST_FAILURES {
            let address = format!("2001:db8::{number}").parse().unwrap();
            assert_eq!(throttle.attempt(address), Ok(()));
        }
        assert!(throttle.attempt("2001:db8::ffff".parse().unwrap()).is_err());
        assert_eq!(throttle.attempt("2001:db8:0:1::1".parse().unwrap()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_bounded_in_number() {
        let throttle = Throttle::default();
        for number in 0..2 * MOST_ADDRESSES as u32 {
            let _ = throttle.attempt(IpAddr::V4(number.into()));
        }
        assert!(throttle.failures.lock().len() <= MOST_ADDRESSES);
    }
}
