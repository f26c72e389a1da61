//! What the contract says, one test per sentence; histories against a model are in [`model`].

mod damage;
mod model;
mod restore;
mod tamper;

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::delivery::{DeliveryId, Due, NewDelivery, Outcome, State};
use crate::event::{Decision, Digest, Header, Identity, Transition, Verdict};

/// A journal in a directory of its own.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("journal.db")
    }

    fn options(&self) -> Options {
        Options { path: self.path(), instance: 7 }
    }

    fn open(&self) -> Journal {
        Journal::open(&self.options(), at(0)).unwrap()
    }
}

/// A journal and its place, in the order in which they may go.
struct Fresh {
    journal: Journal,
    _place: Place,
}

impl Deref for Fresh {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.journal
    }
}

fn fresh() -> Fresh {
    let place = Place::new();
    Fresh { journal: place.open(), _place: place }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A trace context.
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn decision(id: &str, key: &str) -> Decision {
    let raw: Arc<[u8]> = format!("raw {id}").into_bytes().into();
    let source: Arc<str> = Arc::from("vms");
    Decision {
        header: Header {
            identity: Identity::of(&source, id),
            origin: None,
            source,
            id: id.to_owned(),
            kind: "vehicle.status.changed".to_owned(),
            key: key.to_owned(),
            time: "2027-01-15T08:00:00Z".to_owned(),
            received: at(0),
            digest: Digest::of(&raw),
            trace: None,
        },
        raw,
        verdict: Verdict::Accepted,
        causes: Vec::new(),
        transition: None,
        failed_mappings: Vec::new(),
        parks: false,
        deliveries: Vec::new(),
        now: at(1),
        again: None,
    }
}

fn to(mut decision: Decision, target: &str) -> Decision {
    let number = decision.deliveries.len();
    decision.deliveries.push(NewDelivery {
        target: Arc::from(target),
        key: decision.header.key.clone(),
        name: format!("{}-{number}.idoc", decision.header.id),
        reference: format!("70000000000{}{number}", decision.header.id),
        mapping: Arc::from("registration"),
        document: format!("document {} {number}", decision.header.id).into_bytes().into(),
    });
    decision
}

fn failed(id: &str, key: &str) -> Decision {
    let causes = vec!["no segment E1EDK01".to_owned(), "line 2".to_owned()];
    Decision { verdict: Verdict::Failed, parks: true, causes, ..decision(id, key) }
}

fn stepped(mut decision: Decision, from: Option<&str>, status: &str) -> Decision {
    decision.transition = Some(Transition {
        lifecycle: Arc::from("vehicle"),
        object: decision.header.key.clone(),
        from: from.map(str::to_owned),
        to: status.to_owned(),
        legal: true,
        applied: true,
    });
    decision
}

fn batch(decisions: Vec<Decision>) -> Batch {
    Batch {
        plan: Digest::of(b"plan"),
        generation: 1,
        at: at(1),
        operator: None,
        decisions,
        files: Vec::new(),
    }
}

fn commit(journal: &Journal, decisions: Vec<Decision>) -> Committed {
    journal.commit_blocking(batch(decisions)).unwrap()
}

fn settle(journal: &Journal, id: DeliveryId, outcome: Outcome) -> Result<(), CommitError> {
    block_on(journal.settle(vec![Settlement { id, at: at(2), outcome }]))
}

fn retry(second: i64) -> Outcome {
    Outcome::Retry { due: at(second), reason: "503".to_owned() }
}

fn delivered() -> Outcome {
    Outcome::Delivered { reference: "0000004711".to_owned() }
}

fn act(journal: &Journal, what: What) -> Result<ActionDone, CommitError> {
    block_on(journal.act(Action { operator: mary("SAP is back"), at: at(3), what }))
}

fn mary(why: &str) -> Operator {
    Operator { who: "mary".to_owned(), why: why.to_owned(), uid: Some(1000) }
}

fn parked_keys(journal: &Journal) -> Vec<(String, u64)> {
    let rows = journal.parked(&ParkedFilter::default(), 100).unwrap();
    assert_eq!(journal.keys_parked(), rows.len() as u64, "the count is kept");
    rows.into_iter().map(|row| (row.key, row.event)).collect()
}

fn only(journal: &Journal, target: &str) -> Due {
    let mut due = journal.due(target, 0, 10).unwrap();
    assert_eq!(due.len(), 1);
    due.remove(0)
}

fn needs(decision: &Decision) -> Needs {
    Needs {
        identities: vec![asked(decision)],
        objects: vec![(Arc::from("vehicle"), decision.header.key.clone())],
        keys: vec![decision.header.key.clone()],
    }
}

fn asked(decision: &Decision) -> Asked {
    let Header { identity, digest, .. } = decision.header;
    let sent_by = identity.sent_by(decision.header.origin.as_deref());
    Asked { identity, sent_by, digest }
}

fn sound(reader: &Reader) {
    let found = reader.verify(Some(reader.anchor().unwrap())).unwrap();
    assert_eq!(found.breaks, []);
}

/// Runs SQL on the writer's connection.
fn sql(journal: &Journal, sql: &str) {
    let (reply, answer) = oneshot::channel();
    let command = Command::Sql(sql.to_owned(), reply);
    assert!(journal.sender().unwrap().blocking_send(command).is_ok());
    answer.blocking_recv().unwrap().unwrap();
}

#[test]
fn what_was_committed_is_there_after_a_reopen() {
    let place = Place::new();
    let journal = place.open();
    let first = stepped(to(to(decision("1", "VIN1"), "sap"), "archive"), None, "built");
    let done = commit(&journal, vec![first.clone(), decision("2", "VIN2")]);
    assert_eq!((done.events.as_slice(), done.deliveries.len()), (&[1, 2][..], 2));
    let due = only(&journal, "sap");
    assert_eq!(due, done.deliveries[0]);
    assert_eq!((due.state, due.due, due.attempts), (State::Due, at(1), 0));
    drop(journal);
    let journal = place.open();
    assert_eq!(only(&journal, "sap"), due);
    let facts = journal.facts(&needs(&first)).unwrap();
    assert_eq!(facts.seen[&first.header.identity].event, 1);
    assert_eq!(facts.objects[&(Arc::from("vehicle"), "VIN1".to_owned())], "built");
    let consignments = journal.consignments(&[2, 99, 1]).unwrap();
    let ids: Vec<_> = consignments.iter().map(|consignment| consignment.id).collect();
    assert_eq!(ids, [2, 1]);
    assert_eq!(consignments[1].document, b"document 1 0");
    assert_eq!(journal.event_raw(1).unwrap().unwrap(), b"raw 1");
    assert_eq!(commit(&journal, vec![decision("3", "VIN1")]).events, [3]);
    sound(&journal);
}

#[test]
fn an_identity_is_recorded_once() {
    let journal = &fresh();
    commit(journal, vec![decision("1", "VIN1")]);
    let again = journal.commit_blocking(batch(vec![decision("2", "VIN1"), decision("1", "VIN1")]));
    assert_eq!(again.unwrap_err(), CommitError::Duplicate { index: 1 });
    let twice = journal.commit_blocking(batch(vec![decision("3", "VIN1"), decision("3", "VIN1")]));
    assert_eq!(twice.unwrap_err(), CommitError::Duplicate { index: 1 });
    let done = commit(journal, vec![decision("2", "VIN1")]);
    assert_eq!(done.events, [2], "a batch that failed leaves nothing, not even a gap");
    sound(journal);
}

#[test]
fn a_reused_id_is_told_from_a_redelivery() {
    let journal = &fresh();
    let first = decision("1", "VIN1");
    let mut reused = failed("1", "VIN1");
    reused.raw = Arc::from(&b"other bytes"[..]);
    reused.header.digest = Digest::of(b"other bytes");
    let asked = needs(&reused);
    reused.header.identity = first.header.identity.reused_by(&reused.header.digest);
    commit(journal, vec![first.clone()]);
    let facts = journal.facts(&asked).unwrap();
    assert_eq!(facts.seen.len(), 1);
    assert_eq!(facts.seen[&first.header.identity].digest, first.header.digest);
    commit(journal, vec![reused.clone()]);
    let facts = journal.facts(&asked).unwrap();
    assert_eq!(facts.seen[&reused.header.identity].event, 2);
    assert_eq!(journal.trail("1").unwrap().len(), 2);
}

#[test]
fn one_bad_command_of_a_group_does_not_touch_the_others() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, vec![to(decision("1", "VIN1"), "sap")]);
    // Holds the writer in its next BEGIN, so that what follows gathers into one group.
    let gate = rusqlite::Connection::open(place.path()).unwrap();
    gate.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pending: Vec<_> = [
        batch(vec![decision("2", "VIN1")]),
        batch(vec![decision("3", "VIN1"), decision("1", "VIN1")]),
        batch(vec![decision("4", "VIN1")]),
        batch(vec![Decision { again: Some(77), ..decision("5", "VIN1") }]),
        batch(vec![decision("6", "VIN1")]),
    ]
    .into_iter()
    .map(|batch| journal.submit(batch).unwrap())
    .collect();
    gate.execute_batch("ROLLBACK").unwrap();
    let answers: Vec<_> = pending.into_iter().map(Pending::wait).collect();
    let events: Vec<_> = answers.iter().flatten().flat_map(|done| done.events.clone()).collect();
    assert_eq!(events, [2, 3, 4]);
    assert_eq!(answers[1], Err(CommitError::Duplicate { index: 1 }));
    assert_eq!(answers[3], Err(CommitError::UnknownEvent { event: 77 }));
    sound(&journal);
}

#[test]
fn a_full_disk_is_an_answer_and_passes() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "sap")]);
    sql(journal, "PRAGMA max_page_count = 40");
    let mut big = decision("2", "VIN2");
    big.raw = vec![7; 1 << 20].into();
    big.header.digest = Digest::of(&big.raw);
    let failed = journal.commit_blocking(batch(vec![big.clone()]));
    assert_eq!(failed.unwrap_err(), CommitError::Full);
    assert!(CommitError::Full.is_temporary());
    settle(journal, 1, delivered()).unwrap();
    assert!(journal.facts(&needs(&big)).unwrap().seen.is_empty());
    sql(journal, "PRAGMA max_page_count = 100000");
    assert_eq!(commit(journal, vec![big]).events, [2]);
    sound(journal);
}

#[test]
fn a_lock_of_another_process_is_said_and_passes() {
    let place = Place::new();
    let journal = &place.open();
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = journal.commit_blocking(batch(vec![decision("1", "VIN1")])).unwrap_err();
    assert!(matches!(failed, CommitError::Locked { .. }), "{failed}");
    assert!(failed.is_temporary() && failed.to_string().contains("locked by another process"));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(commit(journal, vec![decision("1", "VIN1")]).events, [1]);
}

#[test]
fn a_failure_in_the_middle_of_a_transaction_leaves_nothing() {
    let journal = &fresh();
    sql(
        journal,
        "CREATE TRIGGER stop BEFORE INSERT ON documents WHEN NEW.delivery = 2
         BEGIN SELECT RAISE(ROLLBACK, 'stopped'); END",
    );
    let two = || batch(vec![to(decision("1", "VIN1"), "sap"), to(decision("2", "VIN1"), "sap")]);
    assert!(matches!(journal.commit_blocking(two()), Err(CommitError::Refused { .. })));
    assert_eq!(journal.due("sap", 0, 10).unwrap(), []);
    sql(journal, "DROP TRIGGER stop");
    assert_eq!(journal.commit_blocking(two()).unwrap().events, [1, 2]);
    sound(journal);
}

#[test]
fn a_delivery_is_settled_step_by_step() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "sap")]);
    settle(journal, 1, retry(60)).unwrap();
    let due = only(journal, "sap");
    assert_eq!((due.state, due.due, due.attempts), (State::Due, at(60), 1));
    settle(journal, 1, Outcome::Prepared).unwrap();
    assert_eq!(only(journal, "sap").attempts, 1, "getting ready is no attempt");
    settle(journal, 1, retry(90)).unwrap();
    assert_eq!(only(journal, "sap").state, State::Prepared, "what was prepared stays so");
    assert!(journal.consignments(&[1]).unwrap()[0].prepared);
    settle(journal, 1, Outcome::InDoubt { reason: "timeout".to_owned() }).unwrap();
    assert_eq!(only(journal, "sap").state, State::InDoubt);
    assert_eq!(journal.outbox().unwrap()["sap"].in_doubt, 1);
    settle(journal, 1, delivered()).unwrap();
    assert_eq!(journal.due("sap", 0, 10).unwrap(), []);
    let story = journal.story(1).unwrap().unwrap();
    let (row, attempts) = &story.deliveries[0];
    assert_eq!((row.state, row.attempts, &*row.answer), (State::Delivered, 4, "0000004711"));
    assert_eq!(attempts.len(), 3);
    let commits = journal.anchor().unwrap().number;
    settle(journal, 1, delivered()).unwrap();
    assert_eq!(journal.anchor().unwrap().number, commits, "said twice is said once");
    assert_eq!(settle(journal, 9, delivered()), Err(CommitError::UnknownDelivery { delivery: 9 }));
    sound(journal);
}

#[test]
fn what_was_not_sent_after_all_is_not_prepared_any_more() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "vms")]);
    settle(journal, 1, Outcome::Prepared).unwrap();
    settle(journal, 1, Outcome::Unprepared).unwrap();
    let due = only(journal, "vms");
    assert_eq!((due.state, due.attempts), (State::Due, 0), "taking a step back is no attempt");
    assert!(!journal.consignments(&[1]).unwrap()[0].prepared);
    settle(journal, 1, Outcome::Prepared).unwrap();
    settle(journal, 1, Outcome::InDoubt { reason: "no answer".to_owned() }).unwrap();
    act(journal, What::Release(1)).unwrap();
    assert_eq!(only(journal, "vms").state, State::Due, "who releases it has decided the doubt");
    assert!(!journal.consignments(&[1]).unwrap()[0].prepared);
    sound(journal);
}

#[test]
fn release_and_discard_say_the_state_that_forbids_them() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "sap")]);
    let wrong = |state| CommitError::WrongState { delivery: 1, state };
    assert_eq!(act(journal, What::Release(1)).unwrap_err(), wrong(State::Due));
    settle(journal, 1, retry(600)).unwrap();
    let done = act(journal, What::Release(1)).unwrap();
    let Done::Delivery { now, was } = done.on else { panic!() };
    assert_eq!((now.due, now.attempts, was), (at(3), 0, State::Due));
    settle(journal, 1, Outcome::Dead { reason: "E0 400".to_owned() }).unwrap();
    act(journal, What::Release(1)).unwrap();
    act(journal, What::Discard(1)).unwrap();
    assert_eq!(act(journal, What::Discard(1)).unwrap_err(), wrong(State::Discarded));
    assert_eq!(act(journal, What::Release(1)).unwrap_err(), wrong(State::Discarded));
    assert_eq!(
        act(journal, What::Release(5)).unwrap_err(),
        CommitError::UnknownDelivery { delivery: 5 }
    );
    let story = journal.story(1).unwrap().unwrap();
    let verbs: Vec<_> = story.actions.iter().map(|action| &*action.verb).collect();
    assert_eq!(verbs, ["release", "release", "discard"]);
    sound(journal);
}

#[test]
fn a_delivery_that_arrived_after_it_was_given_up_has_arrived() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "sap")]);
    act(journal, What::Discard(1)).unwrap();
    settle(journal, 1, retry(60)).unwrap();
    assert_eq!(journal.story(1).unwrap().unwrap().deliveries[0].0.state, State::Discarded);
    sound(journal);
    settle(journal, 1, delivered()).unwrap();
    assert_eq!(journal.story(1).unwrap().unwrap().deliveries[0].0.state, State::Delivered);
    sound(journal);
}

#[test]
fn a_parked_key_waits_until_its_event_is_decided_again() {
    let journal = &fresh();
    let waiting = Decision { verdict: Verdict::Waiting, ..decision("2", "VIN1") };
    commit(journal, vec![failed("1", "VIN1"), waiting, decision("3", "VIN2")]);
    assert_eq!(parked_keys(journal), [("VIN1".to_owned(), 1)]);
    assert_eq!(journal.waiting_of_key("VIN1", 0, 10).unwrap(), [2]);
    assert_eq!(journal.waiting_of_key("VIN1", 2, 10).unwrap(), [0; 0]);
    let operator = mary("table mended");
    let again = |event, decision| {
        let decisions = vec![Decision { again: Some(event), ..decision }];
        let operator = Some(operator.clone());
        journal.commit_blocking(Batch { operator, ..batch(decisions) })
    };
    again(1, failed("1", "VIN1")).unwrap();
    assert_eq!(parked_keys(journal).len(), 1, "it fails as before");
    let done = again(1, to(decision("1", "VIN1"), "sap")).unwrap();
    assert_eq!((done.events.as_slice(), done.deliveries.len()), (&[1][..], 1));
    assert_eq!(parked_keys(journal), []);
    again(2, to(decision("2", "VIN1"), "sap")).unwrap();
    assert_eq!(journal.waiting_of_key("VIN1", 0, 10).unwrap(), [0; 0]);
    let accepted = CommitError::NotAgain { event: 1, verdict: Verdict::Accepted };
    assert_eq!(again(1, decision("1", "VIN1")).unwrap_err(), accepted);
    let story = journal.story(1).unwrap().unwrap();
    assert_eq!(story.event.verdict, Verdict::Accepted);
    assert_eq!(story.actions.len(), 2);
    assert_eq!(story.actions[0].why, "table mended");
    sound(journal);
}

/// Steps of SQLite's machine, which do not depend on how busy this one is.
#[test]
fn keys_and_deliveries_cost_the_same_however_many_wait() {
    let steps = |parked: usize| {
        let place = Place::new();
        let journal = place.open();
        let decisions = (0..parked).map(|n| failed(&n.to_string(), &format!("VIN{n}")));
        commit(&journal, decisions.collect());
        let open = (parked..2 * parked).map(|n| to(decision(&n.to_string(), "VIN"), "sap"));
        commit(&journal, open.collect());
        assert_eq!(journal.outbox().unwrap()["sap"].due, parked as u64);
        assert_eq!(journal.keys_parked(), parked as u64);
        journal.close();
        let connection = rusqlite::Connection::open(place.path()).unwrap();
        let count = |sql: &str, values: &[i64]| {
            let mut statement = connection.prepare(sql).unwrap();
            statement.execute(rusqlite::params_from_iter(values)).unwrap();
            statement.get_status(rusqlite::StatementStatus::VmStep)
        };
        let look = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            assert!(statement.exists([2]).unwrap());
            statement.get_status(rusqlite::StatementStatus::VmStep)
        };
        [count(mend::MOVE, &[7, 100_007]), count(filling::FREE, &[8]), look(open::OLDEST)]
    };
    let (few, many) = (steps(20), steps(2_000));
    for (few, many) in few.into_iter().zip(many) {
        assert!(few > 0 && many <= few + 8, "{few} steps among 20, {many} among 2,000");
    }
}

#[test]
fn parked_keys_are_found_by_what_parked_them() {
    let journal = &fresh();
    let mut other = failed("2", "VIN2");
    (other.header.kind, other.causes) = ("vehicle.moved".to_owned(), vec!["no plant".to_owned()]);
    other.now = at(50);
    commit(journal, vec![failed("1", "VIN1"), other]);
    let events = |filter: ParkedFilter| -> Vec<u64> {
        journal.parked(&filter, 10).unwrap().iter().map(|row| row.event).collect()
    };
    let all = ParkedFilter::default;
    assert_eq!(events(all()), [1, 2]);
    assert_eq!(events(ParkedFilter { after: 1, ..all() }), [2]);
    assert_eq!(events(ParkedFilter { cause: Some("E1EDK01".to_owned()), ..all() }), [1]);
    assert_eq!(events(ParkedFilter { kind: Some("vehicle.moved".to_owned()), ..all() }), [2]);
    assert_eq!(events(ParkedFilter { source: Some("sap".to_owned()), ..all() }), [0; 0]);
    assert_eq!(events(ParkedFilter { since: Some(at(50)), ..all() }), [2]);
    assert_eq!(events(ParkedFilter { until: Some(at(50)), ..all() }), [1]);
    assert_eq!(journal.parked_as("VIN2").unwrap().unwrap().event, 2);
    assert_eq!(journal.parked_as("1").unwrap().unwrap().key, "VIN1");
    assert_eq!(journal.parked_as("VIN3").unwrap(), None);
}

#[test]
fn an_id_counts_for_each_publisher() {
    let journal = &fresh();
    let from = |origin: &str, bytes: &str| {
        let mut decision = decision("1", "VIN1");
        decision.header.origin = Some(origin.to_owned());
        decision.header.digest = Digest::of(bytes.as_bytes());
        decision.raw = Arc::from(bytes.as_bytes());
        decision
    };
    let (first, mut second) = (from("/a", "of a"), from("/b", "of b"));
    commit(journal, vec![first.clone()]);
    let facts = journal.facts(&needs(&second)).unwrap();
    let seen = facts.seen[&first.header.identity];
    assert!(!seen.may_be_sent_by(asked(&second).sent_by), "another origin");
    assert!(seen.may_be_sent_by(asked(&first).sent_by));
    let question = needs(&second);
    second.header.identity = asked(&second).sent_by;
    commit(journal, vec![second.clone()]);
    let facts = journal.facts(&question).unwrap();
    assert_eq!(facts.seen[&second.header.identity].event, 2, "its redelivery is recognised");
    assert_eq!(journal.trail("1").unwrap().len(), 2, "both are found by the id");
    let both = Needs { identities: vec![asked(&from("/b", "x")), asked(&first)], ..needs(&first) };
    let facts = journal.facts(&both).unwrap();
    assert!(facts.seen[&first.header.identity].sent_by.is_some(), "whatever the batch asks else");
    sound(journal);
}

#[test]
fn damage_is_told_from_a_full_disk() {
    let place = Place::new();
    place.open().close();
    let mut bytes = std::fs::read(place.path()).unwrap();
    bytes[8192..].fill(0xa5);
    std::fs::write(place.path(), bytes).unwrap();
    let error = Journal::open(&place.options(), at(0)).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    let error = CommitError::from(rusqlite::Error::SqliteFailure(code, None));
    assert!(matches!(error, CommitError::Corrupt { .. }) && error.is_temporary(), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

#[test]
fn an_operator_lets_a_key_pass() {
    let journal = &fresh();
    commit(journal, vec![failed("1", "VIN1")]);
    let done = act(journal, What::Unpark("VIN1".to_owned())).unwrap();
    assert_eq!(done.on, Done::Unparked { event: 1 });
    assert_eq!(act(journal, What::Unpark("VIN1".to_owned())).unwrap_err(), CommitError::NotParked);
    sound(journal);
}

#[test]
fn a_trail_is_found_by_every_name_that_people_know() {
    let journal = &fresh();
    let mut claim = stepped(to(decision("ev-1", "VIN1"), "sap"), None, "draft");
    claim.transition.as_mut().unwrap().object = "CLAIM9".to_owned();
    commit(journal, vec![claim, decision("ev-2", "VIN1"), decision("ev-3", "VIN2")]);
    let events = |word: &str| -> Vec<u64> {
        journal.trail(word).unwrap().iter().map(|story| story.event.event).collect()
    };
    assert_eq!(events("VIN1"), [1, 2]);
    for word in ["CLAIM9", "ev-1", "70000000000ev-10", "ev-1-0.idoc"] {
        assert_eq!(events(word), [1], "{word}");
    }
    assert_eq!(events("VIN3"), [0; 0]);
    let json = serde_json::to_value(journal.trail("CLAIM9").unwrap()).unwrap();
    assert_eq!(json[0]["event"]["verdict"], "accepted");
    assert_eq!(json[0]["event"]["transition"]["to"], "draft");
    assert_eq!(json[0]["deliveries"][0][0]["state"], "due");
    assert_eq!(json[0]["event"]["received"], at(0).to_string());
}

#[test]
fn filters_hold_together() {
    let journal = &fresh();
    let refused = Decision {
        verdict: Verdict::Refused,
        causes: vec!["sold: not after built".to_owned()],
        ..decision("2", "VIN1")
    };
    commit(journal, vec![to(decision("1", "VIN1"), "sap"), refused, failed("3", "VIN2")]);
    let events = |filter: EventFilter| -> Vec<u64> {
        journal.events(&filter, 10).unwrap().iter().map(|row| row.event).collect()
    };
    let all = EventFilter::default;
    assert_eq!(events(all()), [1, 2, 3]);
    assert_eq!(events(EventFilter { newest: true, ..all() }), [3, 2, 1]);
    assert_eq!(events(EventFilter { newest: true, after: 3, ..all() }), [2, 1]);
    assert_eq!(events(EventFilter { after: 1, ..all() }), [2, 3]);
    assert_eq!(events(EventFilter { verdict: Some(Verdict::Refused), ..all() }), [2]);
    assert_eq!(events(EventFilter { verdict: Some(Verdict::Accepted), ..all() }), [1]);
    assert_eq!(events(EventFilter { cause: Some("E1EDK01".to_owned()), ..all() }), [3]);
    assert_eq!(events(EventFilter { key: Some("VIN1".to_owned()), ..all() }), [1, 2]);
    assert_eq!(events(EventFilter { source: Some("sap".to_owned()), ..all() }), [0; 0]);
    assert_eq!(events(EventFilter { since: Some(at(1)), ..all() }), [0; 0]);
    assert_eq!(
        journal.events(&EventFilter { key: Some("3".to_owned()), ..all() }, 10).unwrap(),
        []
    );
}

#[test]
fn deliveries_are_found_by_target_state_and_lane() {
    let journal = &fresh();
    commit(journal, vec![to(decision("1", "VIN1"), "sap")]);
    let deliveries = |filter: DeliveryFilter| journal.deliveries(&filter, 10).unwrap().len();
    let all = DeliveryFilter::default;
    assert_eq!(deliveries(DeliveryFilter { key: Some("VIN1".to_owned()), ..all() }), 1);
    assert_eq!(deliveries(DeliveryFilter { state: Some(State::Due), ..all() }), 1);
    assert_eq!(deliveries(DeliveryFilter { state: Some(State::Dead), ..all() }), 0);
    assert_eq!(deliveries(DeliveryFilter { target: Some("sap".to_owned()), ..all() }), 1);
}

#[test]
fn a_lane_is_read_on_its_own() {
    let journal = &fresh();
    let decisions = (0..9).map(|n| to(decision(&n.to_string(), ["A", "B"][n % 2]), "sap"));
    commit(journal, decisions.collect());
    settle(journal, 3, delivered()).unwrap();
    let lane = |after, limit| -> Vec<u64> {
        journal.due_of_key("sap", "A", after, limit).unwrap().iter().map(|due| due.id).collect()
    };
    assert_eq!(lane(0, 10), [1, 5, 7, 9]);
    assert_eq!(lane(1, 2), [5, 7]);
    assert_eq!(journal.due_of_key("file", "A", 0, 10).unwrap(), []);
}

#[test]
fn others_read_beside_the_owner_and_nobody_else_writes() {
    let place = Place::new();
    let missing = Journal::open_read_only(&place.path());
    assert!(missing.is_err());
    let journal = place.open();
    commit(&journal, vec![to(decision("1", "VIN1"), "sap")]);
    let reader = Journal::open_read_only(&place.path()).unwrap();
    assert_eq!(reader.due("sap", 0, 10).unwrap().len(), 1);
    commit(&journal, vec![to(decision("2", "VIN1"), "sap")]);
    assert_eq!(reader.due("sap", 0, 10).unwrap().len(), 2);
    let second = Journal::open(&place.options(), at(0)).unwrap_err();
    assert!(second.to_string().contains(&std::process::id().to_string()), "{second}");
    let clone = journal.clone();
    journal.close();
    let late = clone.commit_blocking(batch(vec![decision("3", "VIN1")]));
    assert_eq!(late.unwrap_err(), CommitError::Closed);
    assert_eq!(clone.due("sap", 0, 10).unwrap().len(), 2, "reading goes on");
    let wal = std::fs::metadata(store::wal_of(&place.path())).map_or(0, |wal| wal.len());
    assert_eq!(wal, 0, "one file is a whole backup now");
    place.open();
}

#[test]
fn the_database_is_set_up_as_the_contract_needs() {
    let place = Place::new();
    let journal = place.open();
    let read = rusqlite::Connection::open(place.path()).unwrap();
    let pragma = |name| read.pragma_query_value(None, name, |row| row.get::<_, String>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "wal");
    let number = |name| read.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("auto_vacuum"), 2);
    assert_eq!(number("page_size"), 8192);
    let (reply, answer) = oneshot::channel();
    drop(
        journal.sender().unwrap().blocking_send(Command::Sql(
            "CREATE TEMP TABLE t AS SELECT * FROM pragma_synchronous WHERE synchronous <> 2;
         CREATE TEMP TABLE one (x CHECK (x = 0)); INSERT INTO one SELECT count(*) FROM t"
                .to_owned(),
            reply,
        )),
    );
    answer.blocking_recv().unwrap().unwrap();
    let sizes = journal.sizes().unwrap();
    assert!(sizes.database > 0 && sizes.free > 0);
}
