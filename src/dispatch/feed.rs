//! How the intake tells a dispatcher of new deliveries, without waiting for it and without
//! filling memory: beyond a bound it only says from where on to read the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::delivery::{DeliveryId, Due};

/// Announced deliveries kept before the journal is read instead.
const KEPT: usize = 5_000;

/// The announcements for one target.
#[derive(Debug, Default)]
pub struct Feed {
    state: Mutex<(Vec<Due>, Option<DeliveryId>)>,
    notify: Notify,
}

impl Feed {
    /// Announces a delivery. Deliveries are announced in the order of their numbers.
    pub fn push(&self, due: Due) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.len() < KEPT && state.1.is_none() {
            state.0.push(due);
        } else {
            state.1.get_or_insert(due.id);
        }
        drop(state);
        self.notify.notify_one();
    }

    /// Takes what was announced, and from where on the journal must be read.
    pub fn take(&self) -> (Vec<Due>, Option<DeliveryId>) {
        std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something was announced since the last time.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

/// The feeds of all targets. Its clones are one.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    feeds: Arc<RwLock<BTreeMap<Arc<str>, Arc<Feed>>>>,
}

impl Feeds {
    /// One feed for each of these targets.
    pub fn of(targets: impl IntoIterator<Item = Arc<str>>) -> Self {
        let feeds = targets.into_iter().map(|name| (name, Arc::default())).collect();
        Self { feeds: Arc::new(RwLock::new(feeds)) }
    }

    /// The feed of one target, which begins with this where there was none.
    pub fn of_target(&self, name: &Arc<str>) -> Arc<Feed> {
        let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
        feeds.entry(name.clone()).or_default().clone()
    }

    /// Ends the feed of a target that is no more.
    pub fn end(&self, name: &str) {
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Announces deliveries that are durable.
    pub fn announce(&self, deliveries: Vec<Due>) {
        let feeds = self.feeds.read().unwrap_or_else(PoisonError::into_inner);
        for due in deliveries {
            match feeds.get(&due.target) {
                Some(feed) => feed.push(due),
                None => tracing::error!(target = %due.target, "delivery for an unknown target"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::delivery::State;

    #[test]
    fn beyond_the_bound_only_the_place_in_the_journal_is_kept() {
        let feed = Feed::default();
        let target: Arc<str> = "t".into();
        for id in 1..=KEPT as u64 + 5 {
            let (target, key) = (target.clone(), target.clone());
            let due = Timestamp::UNIX_EPOCH;
            feed.push(Due { id, target, key, state: State::Due, due, attempts: 0 });
        }
        let (kept, from) = feed.take();
        assert_eq!((kept.len(), from), (KEPT, Some(KEPT as u64 + 1)));
        assert_eq!(feed.take().0.len(), 0);
    }
}
