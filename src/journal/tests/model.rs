//! Random histories against a model that is too simple to be wrong.

use std::collections::{BTreeMap, HashMap};

use super::*;

/// xorshift64*: the histories are the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

struct Sent {
    target: String,
    key: String,
    document: Vec<u8>,
    state: State,
    prepared: bool,
    due: Timestamp,
    attempts: u32,
}

#[derive(Default)]
struct Model {
    events: Vec<(String, String, Verdict)>,
    deliveries: Vec<Sent>,
    objects: BTreeMap<String, String>,
    parked: BTreeMap<String, u64>,
    ids: HashMap<String, u64>,
    next: u64,
}

impl Model {
    fn apply(&mut self, decision: &Decision) {
        let header = &decision.header;
        let event = match decision.again {
            Some(event) => {
                self.events[event as usize - 1].2 = decision.verdict;
                if decision.verdict != Verdict::Failed
                    && self.parked.get(&header.key) == Some(&event)
                {
                    self.parked.remove(&header.key);
                }
                event
            }
            None => {
                self.events.push((header.id.clone(), header.key.clone(), decision.verdict));
                let event = self.events.len() as u64;
                self.ids.insert(header.id.clone(), event);
                event
            }
        };
        if let Some(step) = &decision.transition {
            self.objects.insert(step.object.clone(), step.to.clone());
        }
        if decision.parks {
            self.parked.entry(header.key.clone()).or_insert(event);
        }
        for new in &decision.deliveries {
            self.deliveries.push(Sent {
                target: new.target.to_string(),
                key: new.key.clone(),
                document: new.document.to_vec(),
                state: State::Due,
                prepared: false,
                due: decision.now,
                attempts: 0,
            });
        }
    }

    fn settle(&mut self, settlement: &Settlement) {
        let sent = &mut self.deliveries[settlement.id as usize - 1];
        let delivered = matches!(settlement.outcome, Outcome::Delivered { .. });
        if sent.state == State::Delivered || (sent.state == State::Discarded && !delivered) {
            return;
        }
        let step = matches!(settlement.outcome, Outcome::Prepared | Outcome::Unprepared);
        sent.attempts += u32::from(!step);
        sent.state = match &settlement.outcome {
            Outcome::Prepared => {
                sent.prepared = true;
                State::Prepared
            }
            Outcome::Unprepared => {
                sent.prepared = false;
                State::Due
            }
            Outcome::Delivered { .. } => State::Delivered,
            Outcome::Retry { due, .. } => {
                sent.due = *due;
                if sent.prepared { State::Prepared } else { State::Due }
            }
            Outcome::Dead { .. } => State::Dead,
            Outcome::InDoubt { .. } => State::InDoubt,
        };
    }

    fn act(&mut self, what: &What) -> bool {
        match what {
            What::Release(id) => {
                let sent = &mut self.deliveries[*id as usize - 1];
                let later = sent.due > at(3) && !sent.state.is_final();
                if !later && !matches!(sent.state, State::Dead | State::InDoubt) {
                    return false;
                }
                sent.prepared &= sent.state != State::InDoubt;
                sent.state = if sent.prepared { State::Prepared } else { State::Due };
                (sent.due, sent.attempts) = (at(3), 0);
                true
            }
            What::Discard(id) => {
                let sent = &mut self.deliveries[*id as usize - 1];
                let open = !sent.state.is_final();
                if open {
                    sent.state = State::Discarded;
                }
                open
            }
            What::Unpark(key) => self.parked.remove(key).is_some(),
            What::Reload { .. } => true,
        }
    }
}

const KEYS: [&str; 5] = ["A", "B", "C", "D", "E"];
const TARGETS: [&str; 3] = ["sap", "archive", "file"];

fn invent(random: &mut Random, model: &mut Model) -> Decision {
    let fresh = random.below(12) > 0 || model.events.is_empty();
    let id = if fresh { model.ids.len() } else { random.below(model.events.len()) };
    model.next += 1;
    let id = if fresh { format!("n{}-{id}", model.next) } else { model.events[id].0.clone() };
    let mut made = decision(&id, random.pick(&KEYS));
    consequences(random, &mut made);
    made
}

fn consequences(random: &mut Random, made: &mut Decision) {
    made.verdict = random.pick(&Verdict::ALL);
    made.parks = made.verdict == Verdict::Failed && random.below(2) == 0;
    if made.verdict == Verdict::Accepted {
        for _ in 0..random.below(3) {
            *made = to(made.clone(), random.pick(&TARGETS));
        }
        if random.below(2) == 0 {
            *made = stepped(made.clone(), None, random.pick(&["built", "sold", "lost"]));
        }
    }
}

fn one_batch(random: &mut Random, model: &mut Model, journal: &Journal) {
    let decisions: Vec<_> = (0..=random.below(4)).map(|_| invent(random, model)).collect();
    let mut ids = model.ids.clone();
    let fresh = |decision: &Decision| ids.insert(decision.header.id.clone(), 0).is_none();
    let duplicate = decisions.iter().map(fresh).position(|fresh| !fresh);
    let answer = journal.commit_blocking(batch(decisions.clone()));
    match duplicate {
        Some(index) => assert_eq!(answer.unwrap_err(), CommitError::Duplicate { index }),
        None => {
            let before = model.deliveries.len() as u64;
            decisions.iter().for_each(|decision| model.apply(decision));
            let ids: Vec<_> = answer.unwrap().deliveries.iter().map(|due| due.id).collect();
            let expected: Vec<_> = (before + 1..=model.deliveries.len() as u64).collect();
            assert_eq!(ids, expected);
        }
    }
}

fn one_again(random: &mut Random, model: &mut Model, journal: &Journal) {
    if model.events.is_empty() {
        return;
    }
    let event = random.below(model.events.len());
    let (id, key, verdict) = model.events[event].clone();
    let mut made = decision(&id, &key);
    consequences(random, &mut made);
    made.again = Some(event as u64 + 1);
    let answer = journal.commit_blocking(batch(vec![made.clone()]));
    if verdict == Verdict::Accepted {
        assert!(matches!(answer, Err(CommitError::NotAgain { .. })));
    } else {
        answer.unwrap();
        model.apply(&made);
    }
}

fn one_settlement(random: &mut Random, model: &mut Model, journal: &Journal) {
    if model.deliveries.is_empty() {
        return;
    }
    let reason = || "because".to_owned();
    let settlements: Vec<_> = (0..=random.below(3))
        .map(|_| Settlement {
            id: random.below(model.deliveries.len()) as u64 + 1,
            at: at(2),
            outcome: match random.below(7) {
                0 => Outcome::Prepared,
                1 => Outcome::Retry { due: at(random.below(9) as i64), reason: reason() },
                2 => Outcome::Dead { reason: reason() },
                3 => Outcome::InDoubt { reason: reason() },
                4 => Outcome::Unprepared,
                5 => Outcome::Delivered { reference: String::new() },
                _ => delivered(),
            },
        })
        .collect();
    block_on(journal.settle(settlements.clone())).unwrap();
    settlements.iter().for_each(|settlement| model.settle(settlement));
}

fn one_action(random: &mut Random, model: &mut Model, journal: &Journal) {
    let delivery = |random: &mut Random| random.below(model.deliveries.len().max(1)) as u64 + 1;
    let what = match random.below(3) {
        _ if model.deliveries.is_empty() => What::Unpark(random.pick(&KEYS).to_owned()),
        0 => What::Release(delivery(random)),
        1 => What::Discard(delivery(random)),
        _ => What::Unpark(random.pick(&KEYS).to_owned()),
    };
    assert_eq!(act(journal, what.clone()).is_ok(), model.act(&what));
}

fn compare(model: &Model, journal: &Journal) {
    for target in TARGETS {
        let open = |sent: &&(usize, &Sent)| sent.1.target == target && !sent.1.state.is_final();
        let expected: Vec<_> = model.deliveries.iter().enumerate().collect();
        let expected: Vec<_> = expected.iter().filter(open).collect();
        let due = journal.due(target, 0, usize::MAX).unwrap();
        assert_eq!(due.len(), expected.len());
        for (due, (index, sent)) in due.iter().zip(&expected) {
            assert_eq!(due.id, *index as u64 + 1);
            assert_eq!(
                (&*due.key, due.state, due.due, due.attempts),
                (&*sent.key, sent.state, sent.due, sent.attempts)
            );
            let consignment = journal.consignments(&[due.id]).unwrap().remove(0);
            assert_eq!(
                (consignment.document, consignment.prepared),
                (sent.document.clone(), sent.prepared)
            );
        }
        for key in KEYS {
            let lane: Vec<_> = due.iter().filter(|due| &*due.key == key).cloned().collect();
            assert_eq!(journal.due_of_key(target, key, 0, usize::MAX).unwrap(), lane);
        }
        let outbox = journal.outbox().unwrap().remove(target).unwrap_or_default();
        assert_eq!((outbox.due + outbox.dead + outbox.in_doubt) as usize, expected.len());
    }
    compare_facts(model, journal);
    compare_keys(model, journal);
    sound(journal);
}

fn compare_facts(model: &Model, journal: &Journal) {
    let asked = Needs {
        identities: model.ids.keys().map(|id| asked(&decision(id, ""))).collect(),
        objects: KEYS.iter().map(|key| (Arc::from("vehicle"), (*key).to_owned())).collect(),
        keys: KEYS.iter().map(|key| (*key).to_owned()).collect(),
    };
    let facts = journal.facts(&asked).unwrap();
    for (id, event) in &model.ids {
        assert_eq!(facts.seen[&Identity::of("vms", id)].event, *event);
    }
    let objects: BTreeMap<_, _> =
        facts.objects.into_iter().map(|((_, object), status)| (object, status)).collect();
    assert_eq!(objects, model.objects);
    assert_eq!(facts.parked.into_iter().collect::<BTreeMap<_, _>>(), model.parked);
}

fn compare_keys(model: &Model, journal: &Journal) {
    for key in KEYS {
        let of_key = |event: &&(String, String, Verdict)| event.1 == key;
        let waiting = |event: &&(String, String, Verdict)| event.2 == Verdict::Waiting;
        let expected = model.events.iter().filter(of_key).filter(waiting).count();
        assert_eq!(journal.waiting_of_key(key, 0, 1000).unwrap().len(), expected);
        assert_eq!(journal.trail(key).unwrap().len(), model.events.iter().filter(of_key).count());
    }
}

#[test]
fn histories_end_where_the_model_ends() {
    for seed in 1..=12 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut model = Model::default();
        let place = Place::new();
        let mut journal = place.open();
        for step in 0..120 {
            match random.below(12) {
                0..5 => one_batch(&mut random, &mut model, &journal),
                5..8 => one_settlement(&mut random, &mut model, &journal),
                8 => one_action(&mut random, &mut model, &journal),
                9 => one_again(&mut random, &mut model, &journal),
                10 => drop(journal.reserve_numbers("docnum", 3).unwrap()),
                _ if step % 3 == 0 => {
                    drop(journal);
                    journal = place.open();
                    assert_eq!(journal.epoch(), 0);
                }
                _ => {}
            }
        }
        compare(&model, &journal);
    }
}
