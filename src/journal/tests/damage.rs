//! Somebody changes the journal behind its back.

use super::*;
use crate::trace::Trace;

/// A journal with a bit of everything.
fn history(place: &Place) -> Journal {
    let journal = place.open();
    let waiting = Decision { verdict: Verdict::Waiting, ..decision("3", "VIN2") };
    let mut first = stepped(to(decision("1", "VIN1"), "sap"), None, "built");
    first.header.trace = Trace::read(TRACEPARENT, "a=b");
    commit(&journal, vec![first, failed("2", "VIN2"), waiting]);
    commit(&journal, vec![to(decision("4", "VIN1"), "sap"), to(decision("5", "VIN1"), "sap")]);
    settle(&journal, 1, Outcome::Prepared).unwrap();
    settle(&journal, 1, delivered()).unwrap();
    settle(&journal, 2, Outcome::Dead { reason: "refused".to_owned() }).unwrap();
    act(&journal, What::Discard(2)).unwrap();
    let again = Decision { again: Some(2), ..to(decision("2", "VIN2"), "sap") };
    commit(&journal, vec![again]);
    journal.reserve_numbers("docnum", 5).unwrap();
    sound(&journal);
    journal
}

#[test]
fn every_change_behind_its_back_is_named() {
    let cases = [
        ("UPDATE events SET verdict = 1 WHERE id = 1", 2, "event 1: its verdict"),
        ("UPDATE events SET verdict = 4 WHERE id = 2", 8, "event 2: its verdict"),
        ("UPDATE events SET key = 'VIN9' WHERE id = 1", 2, "event 1: its id, kind, key"),
        ("UPDATE events SET causes = '' WHERE id = 3", 2, ""),
        ("UPDATE events SET status_to = 'sold' WHERE id = 1", 2, "event 1: its id, kind, key"),
        ("UPDATE events SET tracestate = '' WHERE id = 1", 2, "event 1: its id, kind, key"),
        ("UPDATE events SET traceparent = NULL WHERE id = 1", 2, "event 1: its id, kind, key"),
        ("UPDATE events SET committed = 3 WHERE id = 1", 3, "event 1 names this commit"),
        ("UPDATE events SET verdict = 1, committed = 99 WHERE id = 1", 99, "event 1 names"),
        ("UPDATE events SET committed = 1 WHERE id = 2", 8, "event 2 is as it was"),
        ("DELETE FROM events WHERE id = 3", 2, "event 3 is gone"),
        ("INSERT INTO events SELECT 99, source, 'x', kind, key, time, received, decided, verdict,
          causes, digest, lifecycle, object, status_from, status_to, applied, first_delivery,
          deliveries, committed, NULL, NULL, NULL, salt FROM events WHERE id = 1", 9, "table events, row 99: no entry"),
        ("UPDATE payloads SET raw = X'00' WHERE event = 1", 2, "event 1: its bytes"),
        ("UPDATE payloads SET salt = zeroblob(16) WHERE event = 1", 2, "event 1: its salt"),
        ("UPDATE events SET salt = zeroblob(16) WHERE id = 1", 2, "event 1: its id, kind, key"),
        ("UPDATE actions SET who = 'anna' WHERE id = 1", 7, "action 1: its who"),
        ("UPDATE actions SET uid = 0 WHERE id = 1", 7, "action 1: its uid"),
        ("DELETE FROM actions WHERE id = 1", 7, "action 1 is gone"),
        ("UPDATE attempts SET reason = '' WHERE id = 1", 6, "attempt 2: its reason"),
        ("UPDATE objects SET status = 'sold'", 2, "event 1: the status of its object"),
        ("DELETE FROM seen WHERE event = 3", 2, "event 3: nothing in `seen`"),
        ("DELETE FROM words WHERE event = 3", 2, "event 3: a word"),
        ("DELETE FROM payloads WHERE event = 3", 2, "payload 3 is gone, and no pruning"),
        ("DELETE FROM documents WHERE delivery = 1", 2, "document 1 is gone, and no pruning"),
        ("UPDATE numbers SET next = 1", 9, "table numbers, row docnum"),
        ("UPDATE meta SET value = 3 WHERE name = 'epoch'", 9, "table meta, row epoch"),
        ("UPDATE names SET name = 'vmx' WHERE name = 'vms'", 9, "table names, row 1"),
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN SELECT 1; END", 9, "trigger t"),
        ("DROP INDEX events_waiting", 9, "index events_waiting is gone"),
        ("UPDATE documents SET bytes = X'00' WHERE delivery = 1", 2, "delivery 1: its document"),
        ("UPDATE deliveries SET state = 1 WHERE id = 1", 5, "delivery 1: its state"),
        ("UPDATE deliveries SET state = 10 WHERE id = 3", 3, "delivery 3: its state"),
        ("UPDATE deliveries SET state = 10 WHERE id = 2", 7, "delivery 2: its state"),
        ("UPDATE deliveries SET answer = 'x' WHERE id = 1", 5, "delivery 1: its answer"),
        ("UPDATE deliveries SET name = 'x' WHERE id = 3", 3, "delivery 3: its key, name"),
        ("DELETE FROM deliveries WHERE id = 3", 3, "delivery 3 is gone"),
        ("UPDATE commits SET at = at + 1 WHERE number = 4", 4, "its entries are not"),
        ("UPDATE commits SET entries = CAST(replace(entries, 'mary', 'anna') AS BLOB)
          WHERE number = 7", 7, "its entries are not"),
        ("UPDATE commits SET previous = zeroblob(32) WHERE number = 4", 4, "does not follow"),
        ("UPDATE commits SET number = -4 WHERE number = 4", 0, "commits 1 to 0"),
        ("DELETE FROM commits WHERE number = 4", 5, "commits 4 to 4 are missing"),
    ];
    for (change, commit, what) in cases {
        let place = Place::new();
        let journal = history(&place);
        sql(&journal, change);
        let found = journal.verify(None).unwrap();
        if what.is_empty() {
            assert_eq!(found.breaks, [], "{change}");
            continue;
        }
        let named = found.breaks.iter().any(|at| at.commit == commit && at.what.starts_with(what));
        assert!(named, "{change}: {:?}", found.breaks);
    }
}

#[test]
fn a_chain_that_was_cut_is_seen_by_its_anchor() {
    let place = Place::new();
    let journal = history(&place);
    let anchor = journal.anchor().unwrap();
    assert_eq!(journal.verify(Some(anchor)).unwrap().breaks, []);
    sql(
        &journal,
        "DELETE FROM commits WHERE number = (SELECT max(number) FROM commits);
         DELETE FROM numbers",
    );
    assert_eq!(journal.verify(None).unwrap().breaks, [], "nothing inside tells it");
    let found = journal.verify(Some(anchor)).unwrap();
    assert_eq!(found.breaks[0].what, "was anchored and is not there");
}

#[test]
fn pruned_payloads_leave_the_chain_whole_and_the_rest_of_an_event_under_it() {
    let place = Place::new();
    let journal = history(&place);
    // As a pruning will write it.
    let head = journal.anchor().unwrap();
    let (number, entries) = (head.number + 1, b"pruned 1 5\n");
    let hash = entries::link(&head.hash, number, schema::nanoseconds(at(9)), entries);
    journal.close();
    let write = rusqlite::Connection::open(place.path()).unwrap();
    let link =
        rusqlite::params![number as i64, schema::nanoseconds(at(9)), head.hash.0, hash.0, entries];
    write.execute("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5)", link).unwrap();
    write.execute_batch("DELETE FROM payloads; DELETE FROM documents;").unwrap();
    drop(write);
    let journal = place.open();
    sound(&journal);
    sql(&journal, "UPDATE events SET key = 'VIN9' WHERE id = 3");
    let found = journal.verify(None).unwrap();
    assert!(found.breaks[0].what.starts_with("event 3: its id, kind, key"), "{found:?}");
    sql(&journal, "UPDATE events SET key = 'VIN2' WHERE id = 3");
    settle(&journal, 3, delivered()).unwrap();
    assert_eq!(journal.event_raw(1).unwrap(), None);
    assert_eq!(journal.consignments(&[3]).unwrap(), []);
}

#[test]
fn the_chain_tells_nothing_about_anybody() {
    let place = Place::new();
    let journal = history(&place);
    let read = rusqlite::Connection::open(place.path()).unwrap();
    let mut statement = read.prepare("SELECT CAST(entries AS TEXT) FROM commits").unwrap();
    let entries: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let entries = entries.concat();
    for secret in ["VIN", "E1EDK01", "idoc", "0000004711", "refused", "built"] {
        assert!(!entries.contains(secret), "{secret} in {entries}");
    }
    for said in
        [" mary SAP%20is%20back 1000 discard ", "discard 2 discarded", "event 2 failed vms "]
    {
        assert!(entries.contains(said), "{said} not in {entries}");
    }
    drop(journal);
}

#[test]
fn bytes_that_are_no_journal_are_an_error() {
    let place = Place::new();
    std::fs::write(place.path(), b"not a database, not at all, but long enough").unwrap();
    for error in [
        Journal::open(&place.options(), at(0)).unwrap_err(),
        Journal::open_read_only(&place.path()).unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
    }
    std::fs::write(place.path(), b"").unwrap();
    assert!(matches!(
        Journal::open_read_only(&place.path()),
        Err(JournalError::NotAJournal { .. })
    ));
}

#[test]
fn a_state_that_nobody_writes_is_an_error_with_its_place() {
    let place = Place::new();
    let journal = history(&place);
    sql(&journal, "UPDATE deliveries SET state = 9 WHERE id = 3");
    let error = journal.due("sap", 0, 10).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { what: "delivery", id: 3, .. }), "{error}");
    sql(&journal, "UPDATE events SET verdict = 9 WHERE id = 1");
    assert!(journal.trail("VIN1").is_err());
}

#[test]
fn the_last_commits_can_be_looked_at_alone_and_the_walk_says_how_far_it_is() {
    let place = Place::new();
    let journal = history(&place);
    let whole = journal.verify(None).unwrap();
    assert_eq!(whole.head, Some(journal.anchor().unwrap()));
    for count in [0, 1, 3, whole.commits, 99] {
        let last = journal.verify_last(count).unwrap();
        assert_eq!((last.breaks, last.head), (vec![], whole.head), "{count}");
        assert_eq!(last.commits, count.min(whole.commits));
    }
    let mut heard = Vec::new();
    journal.verify_with(None, &mut |commits| heard.push(commits)).unwrap();
    assert_eq!(heard, [whole.commits]);
    sql(&journal, "UPDATE events SET verdict = 1 WHERE id = 1");
    assert_eq!(journal.verify_last(2).unwrap().breaks, []);
    assert_eq!(journal.verify_last(99).unwrap().breaks.len(), 1);
}

/// More commits than one slice of the walk holds, so that rows change between two of them.
#[test]
fn a_walk_beside_a_writer_finds_nothing() {
    let place = Place::new();
    let journal = place.open();
    let status = |n: usize| ["built", "sold", "delivered"][n % 3];
    let write = |n: usize| {
        let (id, key) = (n.to_string(), format!("VIN{}", n % 7));
        let one = stepped(to(decision(&id, &key), "sap"), None, status(n));
        let other = failed(&format!("f{n}"), &format!("VIN{}", 10 + n % 5));
        commit(&journal, vec![one, other]);
        settle(&journal, n as u64 + 1, delivered()).unwrap();
        if n % 5 == 4 {
            act(&journal, What::Unpark(format!("VIN{}", 10 + n % 5))).unwrap();
        }
    };
    (0..600).for_each(write);
    let reader = Journal::open_read_only(&place.path()).unwrap();
    std::thread::scope(|scope| {
        let walking =
            scope.spawn(|| (0..3).map(|_| reader.verify(None).unwrap()).collect::<Vec<_>>());
        let mut n = 600;
        while !walking.is_finished() {
            write(n);
            n += 1;
        }
        for found in walking.join().unwrap() {
            assert_eq!(found.breaks, []);
        }
        assert!(n > 600, "it wrote meanwhile");
    });
    sound(&journal);
}
