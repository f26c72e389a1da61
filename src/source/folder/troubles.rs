//! Files that could not be worked on. Each waits for its own next try, longer each time; the others
//! go on.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::dispatch::retry;

/// The least and the greatest pause before a file is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Files that are named to people.
const MOST_TOLD: usize = 1_000;

/// One file that could not be worked on.
#[derive(Clone, Debug)]
struct Trouble {
    failures: u32,
    again: Instant,
    why: String,
}

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    files: BTreeMap<String, Trouble>,
    /// Something changed since they were told.
    changed: bool,
}

impl Troubles {
    /// A file failed; how long it waits now.
    pub(super) fn failed(&mut self, name: &str, why: String, now: Instant) -> Duration {
        self.changed = true;
        let failures = self.files.get(name).map_or(1, |before| before.failures.saturating_add(1));
        let pause = retry::backoff(PAUSE.0, PAUSE.1, failures.min(16), u64::from(failures));
        self.files.insert(name.to_owned(), Trouble { failures, again: now + pause, why });
        pause
    }

    /// A file was worked on, or is gone.
    pub(super) fn ended(&mut self, name: &str) {
        self.changed |= self.files.remove(name).is_some();
    }

    /// Forgets the files that are not there any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        let before = self.files.len();
        self.files.retain(|name, _| is_there(name));
        self.changed |= before != self.files.len();
    }

    /// Whether a file waits.
    pub(super) fn waits(&self, name: &str, now: Instant) -> bool {
        self.files.get(name).is_some_and(|trouble| trouble.again > now)
    }

    /// Those whose pause is over.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        let due = self.files.iter().filter(|(_, trouble)| trouble.again <= now);
        due.map(|(name, _)| name.clone()).collect()
    }

    /// How long until the next one is due.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let next = self.files.values().map(|trouble| trouble.again).min();
        next.map(|next| next.saturating_duration_since(now))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Their names and reasons, where they changed since they were told.
    pub(super) fn told(&mut self) -> Option<Vec<(String, String)>> {
        let told = |(name, trouble): (&String, &Trouble)| (name.clone(), trouble.why.clone());
        std::mem::take(&mut self.changed)
            .then(|| self.files.iter().take(MOST_TOLD).map(told).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_fails_again_waits_for_longer_and_no_other_does() {
        let (mut troubles, now) = (Troubles::default(), Instant::now());
        let mut before = Duration::ZERO;
        for failure in 0..20 {
            let pause = troubles.failed("a", "no".to_owned(), now);
            assert!(failure > 8 || pause > before, "{failure}: {pause:?} after {before:?}");
            assert!(pause <= PAUSE.1);
            before = pause;
        }
        assert!(before >= PAUSE.1 / 2, "{before:?}");
        assert!(troubles.waits("a", now) && !troubles.waits("b", now));
        assert_eq!(troubles.due(now), [] as [&str; 0]);
        assert_eq!(troubles.due(now + PAUSE.1), ["a"]);
        assert_eq!(troubles.told().unwrap(), [("a".to_owned(), "no".to_owned())]);
        assert!(troubles.told().is_none());
        troubles.keep(|_| false);
        assert_eq!((troubles.len(), troubles.next(now)), (0, None));
        assert!(troubles.told().unwrap().is_empty());
    }
}
