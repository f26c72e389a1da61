//! The order in which deliveries may leave one target: pure, no clock, no I/O.
//!
//! Each key is a lane. Only the head of a lane may leave; a head that waits for a retry, is dead
//! or in doubt holds its own lane and no other. Memory is bounded: beyond [`Lanes::window`]
//! deliveries the tail stays in the journal, which [`Lanes::refill_from`] says when to read. The
//! followers of a held lane are not kept at all; they are read when it is released.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::delivery::{DeliveryId, Due, State};

/// The lanes of one target.
#[derive(Debug)]
pub struct Lanes {
    lanes: HashMap<Arc<str>, Lane>,
    /// Heads that wait, by the time they are due and their number.
    waiting: BTreeSet<(Timestamp, DeliveryId)>,
    /// The lane of each waiting or moving head.
    heads: BTreeMap<DeliveryId, Arc<str>>,
    /// What is in memory; a delivery that is pushed twice is kept once.
    kept: HashSet<DeliveryId>,
    window: usize,
    /// The first delivery that was left in the journal for want of room.
    tail: Option<DeliveryId>,
    /// Whether dead heads let the next one pass.
    skip_dead: bool,
    held: usize,
}

#[derive(Debug)]
struct Lane {
    head: Head,
    /// Empty behind a held head.
    followers: VecDeque<Due>,
}

#[derive(Debug)]
enum Head {
    Waiting(Due),
    Moving(Due),
    Held(DeliveryId),
}

/// What becomes of a head after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next of the lane may leave.
    Gone,
    /// Again, not before this time.
    Again(Timestamp),
    /// It stays and holds its lane, unless dead ones are skipped.
    Held,
    /// It stays and holds its lane until somebody decides, whatever is done about dead ones.
    Doubt,
}

impl Lanes {
    /// No deliveries yet; at most `window` are kept in memory.
    pub fn new(window: usize, skip_dead: bool) -> Self {
        Self {
            lanes: HashMap::new(),
            waiting: BTreeSet::new(),
            heads: BTreeMap::new(),
            kept: HashSet::new(),
            window,
            tail: None,
            skip_dead,
            held: 0,
        }
    }

    /// Adds a delivery. Deliveries come in the order of their numbers; one that is known already
    /// changes nothing.
    pub fn push(&mut self, due: Due) {
        if self.kept.contains(&due.id) || (due.state == State::Dead && self.skip_dead) {
            return;
        }
        if self.tail.is_some() || self.kept.len() >= self.window {
            self.tail = Some(self.tail.map_or(due.id, |tail| tail.min(due.id)));
            return;
        }
        // Without lanes every delivery is a lane of its own: the fault that the oracle must find.
        let key: Arc<str> = if crate::fault::is_on("no-lanes") {
            due.id.to_string().into()
        } else {
            due.key.clone()
        };
        if let Some(lane) = self.lanes.get_mut(&key) {
            if !matches!(lane.head, Head::Held(_)) {
                self.kept.insert(due.id);
                lane.followers.push_back(due);
            }
            return;
        }
        self.kept.insert(due.id);
        let head = if matches!(due.state, State::Dead | State::InDoubt) {
            self.held += 1;
            Head::Held(due.id)
        } else {
            self.waiting.insert((due.due, due.id));
            self.heads.insert(due.id, key.clone());
            Head::Waiting(due)
        };
        self.lanes.insert(key, Lane { head, followers: VecDeque::new() });
    }

    /// Takes up to `count` heads that are due, the longest waiting first.
    pub fn take(&mut self, now: Timestamp, count: usize) -> Vec<Due> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some(&(due, id)) = self.waiting.first() else { break };
            if due > now {
                break;
            }
            self.waiting.pop_first();
            let Some(lane) = self.heads.get(&id).and_then(|key| self.lanes.get_mut(key)) else {
                continue;
            };
            if let Head::Waiting(head) = &lane.head {
                let head = head.clone();
                lane.head = Head::Moving(head.clone());
                taken.push(head);
            }
        }
        taken
    }

    /// Says what became of a head that was taken.
    pub fn settle(&mut self, id: DeliveryId, after: After) {
        let Some(key) = self.heads.get(&id).cloned() else { return };
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        match after {
            After::Again(due) => {
                if let Head::Moving(head) = &lane.head {
                    let mut head = head.clone();
                    (head.due, head.attempts) = (due, head.attempts + 1);
                    self.waiting.insert((due, id));
                    lane.head = Head::Waiting(head);
                }
            }
            After::Gone => self.advance(id, key),
            After::Held if self.skip_dead => self.advance(id, key),
            After::Held | After::Doubt => {
                self.heads.remove(&id);
                self.held += 1;
                lane.head = Head::Held(id);
                for follower in lane.followers.drain(..) {
                    self.kept.remove(&follower.id);
                }
            }
        }
    }

    /// Puts a moving head back as it was: its target was not reached, the attempt does not count.
    pub fn put_back(&mut self, id: DeliveryId, due: Timestamp) {
        let Some(lane) = self.heads.get(&id).and_then(|key| self.lanes.get_mut(key)) else {
            return;
        };
        if let Head::Moving(head) = &lane.head {
            let mut head = head.clone();
            head.due = due;
            self.waiting.insert((due, id));
            lane.head = Head::Waiting(head);
        }
    }

    /// Forgets a lane that an operator is about to change; its deliveries are read again from the
    /// journal. `false` while its head is moving: the answer is on its way.
    pub fn forget(&mut self, key: &str) -> bool {
        match self.lanes.get(key).map(|lane| &lane.head) {
            Some(Head::Moving(_)) => return false,
            Some(Head::Waiting(head)) => {
                self.waiting.remove(&(head.due, head.id));
                self.heads.remove(&head.id);
                self.kept.remove(&head.id);
            }
            Some(Head::Held(id)) => {
                self.held -= 1;
                self.kept.remove(id);
            }
            None => return true,
        }
        for follower in self.lanes.remove(key).map(|lane| lane.followers).unwrap_or_default() {
            self.kept.remove(&follower.id);
        }
        true
    }

    /// When the next head is due; `None` while nothing waits.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The delivery before which the journal must be read on, once there is room for it.
    pub fn refill_from(&self) -> Option<DeliveryId> {
        self.tail.filter(|_| self.kept.len() <= self.window / 2)
    }

    /// Says that the journal is about to be pushed again from [`Self::refill_from`] on.
    pub fn refilling(&mut self) {
        self.tail = None;
    }

    /// Says that deliveries from this one on are in the journal and were not pushed.
    pub fn left_in_journal(&mut self, from: DeliveryId) {
        self.tail = Some(self.tail.map_or(from, |tail| tail.min(from)));
    }

    /// Lanes that stand still behind a dead or doubtful head.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Deliveries kept in memory.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    fn advance(&mut self, id: DeliveryId, key: Arc<str>) {
        self.heads.remove(&id);
        self.kept.remove(&id);
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        match lane.followers.pop_front() {
            Some(next) => {
                self.waiting.insert((next.due, next.id));
                self.heads.insert(next.id, key);
                lane.head = Head::Waiting(next);
            }
            None => {
                self.lanes.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(id: DeliveryId, key: &str) -> Due {
        Due {
            id,
            target: "t".into(),
            key: key.into(),
            state: State::Due,
            due: Timestamp::UNIX_EPOCH,
            attempts: 0,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ids(taken: &[Due]) -> Vec<DeliveryId> {
        taken.iter().map(|due| due.id).collect()
    }

    #[test]
    fn only_heads_leave_and_each_lane_keeps_its_order() {
        let mut lanes = Lanes::new(100, false);
        for (id, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            lanes.push(due(id, key));
        }
        assert_eq!(ids(&lanes.take(at(1), 10)), [1, 2]);
        assert_eq!(ids(&lanes.take(at(1), 10)), [] as [u64; 0]);
        lanes.settle(1, After::Gone);
        assert_eq!(ids(&lanes.take(at(1), 10)), [3]);
    }

    #[test]
    fn a_retrying_head_stops_only_its_own_lane() {
        let mut lanes = Lanes::new(100, false);
        for (id, key) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
            lanes.push(due(id, key));
        }
        lanes.take(at(1), 10);
        lanes.settle(1, After::Again(at(60)));
        lanes.settle(3, After::Gone);
        assert_eq!(ids(&lanes.take(at(2), 10)), [4]);
        assert_eq!(lanes.next_due(), Some(at(60)));
        let again = lanes.take(at(60), 10);
        assert_eq!((ids(&again), again[0].attempts), (vec![1], 1));
    }

    #[test]
    fn a_dead_head_holds_its_lane_until_it_is_forgotten() {
        let mut lanes = Lanes::new(100, false);
        for (id, key) in [(1, "a"), (2, "a"), (3, "b")] {
            lanes.push(due(id, key));
        }
        lanes.take(at(1), 10);
        lanes.settle(1, After::Held);
        lanes.settle(3, After::Gone);
        lanes.push(due(4, "a"));
        assert_eq!(ids(&lanes.take(at(9), 10)), [] as [u64; 0]);
        assert_eq!(lanes.held(), 1);
        assert!(lanes.forget("a"));
        assert_eq!((lanes.held(), lanes.kept()), (0, 0));
        for id in [1, 2, 4] {
            lanes.push(due(id, "a"));
        }
        assert_eq!(ids(&lanes.take(at(9), 10)), [1]);
    }

    #[test]
    fn a_dead_head_lets_the_next_pass_where_the_target_says_so() {
        let mut lanes = Lanes::new(100, true);
        lanes.push(due(1, "a"));
        lanes.push(due(2, "a"));
        lanes.take(at(1), 1);
        lanes.settle(1, After::Held);
        assert_eq!(ids(&lanes.take(at(1), 10)), [2]);
        assert_eq!(lanes.held(), 0);
    }

    #[test]
    fn a_doubtful_head_holds_its_lane_even_where_dead_ones_are_skipped() {
        let mut lanes = Lanes::new(100, true);
        lanes.push(due(1, "a"));
        lanes.push(due(2, "a"));
        lanes.take(at(1), 1);
        lanes.settle(1, After::Doubt);
        assert_eq!((ids(&lanes.take(at(1), 10)), lanes.held()), (vec![], 1));
    }

    #[test]
    fn beyond_the_window_the_tail_stays_in_the_journal() {
        let mut lanes = Lanes::new(4, false);
        for id in 1..=9 {
            lanes.push(due(id, &format!("k{}", id % 3)));
        }
        assert_eq!((lanes.kept(), lanes.refill_from()), (4, None));
        for id in ids(&lanes.take(at(1), 10)) {
            lanes.settle(id, After::Gone);
        }
        assert_eq!(lanes.refill_from(), Some(5));
        lanes.refilling();
        for id in 5..=9 {
            lanes.push(due(id, &format!("k{}", id % 3)));
        }
        assert_eq!(lanes.kept(), 4);
    }

    /// Random histories against the plain statement of the promise: per key, deliveries end in
    /// the order of their numbers, each once, whatever the answers were.
    #[test]
    fn random_histories_keep_the_order_of_every_key() {
        for seed in 1..=200_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % below
            };
            let total = 120;
            let keys: Vec<String> = (0..total).map(|_| format!("k{}", random(7))).collect();
            let journal: Vec<Due> =
                keys.iter().enumerate().map(|(at, key)| due(at as u64 + 1, key)).collect();
            let mut done: Vec<DeliveryId> = Vec::new();
            let mut lanes = Lanes::new(10 + random(20) as usize, false);
            let (mut pushed, mut clock) = (0, 1);
            while done.len() < total {
                if pushed < total && random(3) > 0 {
                    lanes.push(journal[pushed].clone());
                    pushed += 1;
                }
                if let Some(from) = lanes.refill_from() {
                    lanes.refilling();
                    journal[from as usize - 1..pushed].iter().for_each(|d| lanes.push(d.clone()));
                }
                for head in lanes.take(at(clock), 1 + random(4) as usize) {
                    let after =
                        if random(4) == 0 { After::Again(at(clock + 3)) } else { After::Gone };
                    lanes.settle(head.id, after);
                    if after == After::Gone {
                        done.push(head.id);
                    }
                }
                clock += 1;
                assert!(clock < 10_000, "seed {seed}: stuck at {done:?}");
            }
            for key in &keys {
                let of_key: Vec<_> =
                    done.iter().filter(|id| &keys[**id as usize - 1] == key).collect();
                assert!(of_key.is_sorted(), "seed {seed}: {key}: {of_key:?}");
            }
            assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), total);
        }
    }
}
