//! When to try again: pure.
//!
//! The delay doubles from `first` to `most`; a quarter of it is jitter, drawn from the delivery's
//! number, so that a thousand deliveries that failed together do not come back together and a test
//! knows the time.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Retry;
use crate::delivery::DeliveryId;

/// The time of the next attempt after `attempts` that counted (1 or more), or `None` where they
/// are used up.
pub fn next(policy: Retry, id: DeliveryId, attempts: u32, now: Timestamp) -> Option<Timestamp> {
    if attempts >= policy.attempts {
        return None;
    }
    Some(later(now, backoff(policy.first, policy.most, attempts, id)))
}

/// The delay before attempt `attempts + 1`, between three quarters and the whole of it.
pub fn backoff(first: Duration, most: Duration, attempts: u32, seed: u64) -> Duration {
    let doubled =
        first.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(most);
    let part = mix(seed ^ u64::from(attempts)) % 256;
    let jitter = whole.as_micros() as u64 / 4 * part / 256;
    whole - Duration::from_micros(jitter)
}

/// `now` plus a delay, at the end of time at most.
pub fn later(now: Timestamp, delay: Duration) -> Timestamp {
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// SplitMix64: neighbouring numbers give unrelated bits.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Retry =
        Retry { attempts: 5, first: Duration::from_secs(1), most: Duration::from_secs(6) };

    #[test]
    fn delays_double_up_to_the_greatest_with_a_quarter_of_jitter() {
        for (attempts, whole) in [(1, 1), (2, 2), (3, 4), (4, 6), (40, 6)] {
            let delay = backoff(POLICY.first, POLICY.most, attempts, 7);
            let whole = Duration::from_secs(whole);
            assert!(delay <= whole && delay >= whole * 3 / 4, "{attempts}: {delay:?}");
        }
    }

    #[test]
    fn the_same_delivery_waits_the_same_time() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(next(POLICY, 9, 2, now), next(POLICY, 9, 2, now));
        assert_ne!(next(POLICY, 9, 2, now), next(POLICY, 10, 2, now));
    }

    #[test]
    fn the_last_attempt_has_no_next() {
        assert!(next(POLICY, 1, 4, Timestamp::UNIX_EPOCH).is_some());
        assert_eq!(next(POLICY, 1, 5, Timestamp::UNIX_EPOCH), None);
    }
}
