//! Copies, restores and upgrades.

use std::collections::HashSet;
use std::path::Path;

use super::*;

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        if from.join(name).is_file() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

fn take(journal: &Journal, seen: &mut HashSet<u64>) {
    for counter in journal.reserve_numbers("docnum", 10).unwrap() {
        let number = docnum(journal.instance(), journal.epoch(), counter);
        assert!(seen.insert(number), "{number} came twice");
    }
}

#[test]
fn numbers_never_repeat_over_restores() {
    let place = Place::new();
    let backup = tempfile::tempdir().unwrap();
    let mut seen = HashSet::new();
    let journal = place.open();
    take(&journal, &mut seen);
    journal.close();
    copy(place.directory.path(), backup.path(), &["journal.db"]);
    for restore in 1..4 {
        let journal = place.open();
        take(&journal, &mut seen);
        take(&journal, &mut seen);
        commit(&journal, vec![decision("1", "VIN1")]);
        journal.close();
        copy(backup.path(), place.directory.path(), &["journal.db"]);
        let journal = place.open();
        assert_eq!(journal.epoch(), restore);
        take(&journal, &mut seen);
        sound(&journal);
    }
    let journal = place.open();
    assert_eq!(journal.epoch(), 3, "a reopen is no restore");
}

#[test]
fn counters_without_an_epoch_do_not_repeat_in_the_same_place() {
    let place = Place::new();
    let backup = tempfile::tempdir().unwrap();
    place.open().close();
    copy(place.directory.path(), backup.path(), &["journal.db"]);
    let first = place.open().reserve_numbers("unb", 5).unwrap();
    copy(backup.path(), place.directory.path(), &["journal.db"]);
    let second = place.open().reserve_numbers("unb", 5).unwrap();
    assert_eq!((first, second), (1..6, 6..11));
}

#[test]
fn a_missing_side_file_and_a_journal_in_anothers_place_begin_an_epoch() {
    let place = Place::new();
    let mut seen = HashSet::new();
    take(&place.open(), &mut seen);
    std::fs::remove_file(place.directory.path().join("numbers.high")).unwrap();
    let journal = place.open();
    assert_eq!(journal.epoch(), 1);
    take(&journal, &mut seen);
    drop(journal);
    std::fs::remove_file(place.path()).unwrap();
    let journal = place.open();
    assert_eq!(journal.epoch(), 2);
    take(&journal, &mut seen);
}

#[test]
fn after_99_restores_a_new_instance_is_asked_for() {
    let place = Place::new();
    let side = place.directory.path().join("numbers.high");
    for _ in 0..100 {
        place.open().close();
        std::fs::remove_file(&side).unwrap();
    }
    let error = Journal::open(&place.options(), at(0)).unwrap_err();
    assert!(matches!(error, JournalError::Epochs { .. }), "{error}");
}

#[test]
fn a_range_that_is_used_up_says_so() {
    let journal = &fresh();
    journal.reserve_numbers("docnum", 99_999_999_990).unwrap();
    let error = journal.reserve_numbers("docnum", 20).unwrap_err();
    assert!(matches!(error, JournalError::Commit(CommitError::NumbersUsedUp { .. })), "{error}");
    assert_eq!(journal.reserve_numbers("docnum", 2).unwrap().start, 99_999_999_991);
    sound(journal);
}

#[test]
fn numbers_of_a_transaction_that_failed_are_not_lost_and_not_doubled() {
    let place = Place::new();
    let journal = place.open();
    let first = journal.reserve_numbers("docnum", 5).unwrap();
    sql(
        &journal,
        "CREATE TRIGGER stop BEFORE INSERT ON commits BEGIN SELECT RAISE(ABORT, 'x'); END",
    );
    assert!(journal.reserve_numbers("docnum", 5).is_err());
    sql(&journal, "DROP TRIGGER stop");
    assert_eq!(journal.reserve_numbers("docnum", 5).unwrap().start, first.end);
    drop(journal);
    assert_eq!(place.open().epoch(), 0);
}

/// What a kill leaves behind: the files as they are, without a close.
#[test]
fn a_killed_journal_has_all_that_was_answered() {
    let (place, other) = (Place::new(), Place::new());
    let journal = place.open();
    for number in 0..50 {
        commit(&journal, vec![to(decision(&number.to_string(), "VIN1"), "sap")]);
    }
    settle(&journal, 1, delivered()).unwrap();
    let names = ["journal.db", "journal.db-wal", "numbers.high"];
    copy(place.directory.path(), other.directory.path(), &names);
    let after = other.open();
    assert_eq!(after.due("sap", 0, 100).unwrap(), journal.due("sap", 0, 100).unwrap());
    assert_eq!(after.anchor().unwrap(), journal.anchor().unwrap());
    assert_eq!(after.epoch(), 0, "a kill is no restore");
    sound(&after);
}

#[test]
fn an_upgrade_keeps_a_backup_and_a_newer_journal_is_refused() {
    let place = Place::new();
    let journal = place.open();
    commit(&journal, vec![decision("1", "VIN1")]);
    journal.close();
    let next: Vec<&str> =
        schema::MIGRATIONS.iter().copied().chain(["CREATE TABLE later (x)"]).collect();
    let mut connection = rusqlite::Connection::open(place.path()).unwrap();
    schema::migrate(&mut connection, &place.path(), &next, 0).unwrap();
    assert_eq!(schema::version(&connection).unwrap(), 5);
    let backup = rusqlite::Connection::open(place.directory.path().join("journal.db.v4")).unwrap();
    assert_eq!(schema::version(&backup).unwrap(), 4);
    let events: i64 = backup.query_row("SELECT count(*) FROM events", [], |r| r.get(0)).unwrap();
    assert_eq!(events, 1);
    drop(connection);
    for error in [
        Journal::open(&place.options(), at(0)).unwrap_err(),
        Journal::open_read_only(&place.path()).unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::Newer { found: 5, known: 4, .. }), "{error}");
    }
}

#[test]
fn a_journal_of_an_older_version_is_read_after_its_owner_brought_it_up_to_date() {
    let place = Place::new();
    let mut connection = rusqlite::Connection::open(place.path()).unwrap();
    schema::migrate(&mut connection, &place.path(), &schema::MIGRATIONS[..2], 0).unwrap();
    drop(connection);
    let error = Journal::open_read_only(&place.path()).unwrap_err();
    assert!(matches!(error, JournalError::Older { found: 2, known: 4, .. }), "{error}");
    let journal = place.open();
    commit(&journal, vec![decision("1", "VIN1")]);
    sound(&journal);
    assert!(place.directory.path().join("journal.db.v2").exists());
    Journal::open_read_only(&place.path()).unwrap();
}

#[test]
fn an_open_without_news_writes_nothing() {
    let place = Place::new();
    place.open().close();
    let side = place.directory.path().join("numbers.high");
    let written = std::fs::metadata(&side).unwrap().modified().unwrap();
    let journal = place.open();
    let wal = std::fs::metadata(store::wal_of(&place.path())).map_or(0, |wal| wal.len());
    assert_eq!(wal, 0, "it has to open on a full disk");
    assert_eq!(std::fs::metadata(&side).unwrap().modified().unwrap(), written);
    drop(journal);
}

#[test]
fn an_instance_has_three_digits() {
    let options = Options { instance: 1000, ..Place::new().options() };
    assert!(matches!(Journal::open(&options, at(0)), Err(JournalError::Instance(1000))));
}
