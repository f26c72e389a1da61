//! Every column of every row is changed, emptied, given another storage class and swapped with
//! another row's; every row is deleted, and one is added to every table. One at a time, each on a
//! journal that is sound otherwise. All of it must be found.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::*;
use crate::event::FilePosition;
use crate::journal::verify::verify_on;
use crate::trace::Trace;

/// A journal in which every table has rows of every kind.
pub(super) fn full(journal: &Journal) {
    let (first, second) = (decision("1", "VIN1"), decision("2", "VIN1"));
    let mut traced = stepped(to(to(first, "sap"), "archive"), None, "built");
    traced.header.trace = Trace::read(TRACEPARENT, "a=b");
    traced.header.origin = Some("/plant/1".to_owned());
    let waiting = Decision { verdict: Verdict::Waiting, ..decision("4", "VIN2") };
    let refused = Decision {
        verdict: Verdict::Refused,
        causes: vec!["sold: not after built".to_owned()],
        ..decision("5", "VIN3")
    };
    let ignored = Decision {
        verdict: Verdict::Ignored,
        ..stepped(decision("6", "VIN4"), Some("ordered"), "built")
    };
    commit(
        journal,
        vec![
            traced,
            stepped(to(second, "sap"), Some("built"), "sold"),
            failed("3", "VIN2"),
            waiting,
            refused,
            ignored,
            failed("7", "VIN5"),
            failed("8", "VIN6"),
        ],
    );
    identities(journal);
    settle(journal, 1, Outcome::Prepared).unwrap();
    settle(journal, 1, retry(60)).unwrap();
    settle(journal, 1, delivered()).unwrap();
    settle(journal, 2, Outcome::Dead { reason: "refused".to_owned() }).unwrap();
    act(journal, What::Release(2)).unwrap();
    settle(journal, 3, Outcome::InDoubt { reason: "timeout".to_owned() }).unwrap();
    act(journal, What::Discard(3)).unwrap();
    commit(journal, (20..24).map(|n| to(decision(&n.to_string(), "VIN7"), "sap")).collect());
    settle(journal, 4, delivered()).unwrap();
    settle(journal, 5, Outcome::Prepared).unwrap();
    act(journal, What::Unpark("VIN5".to_owned())).unwrap();
    let plan = Digest::of(b"plan");
    act(journal, What::Reload { plan, generation: 2 }).unwrap();
    for again in [
        Decision { again: Some(3), ..to(decision("3", "VIN2"), "sap") },
        Decision { again: Some(6), ..decision("6", "VIN4") },
    ] {
        let operator = Some(mary("table mended"));
        journal.commit_blocking(Batch { operator, ..batch(vec![again]) }).unwrap();
    }
    files(journal);
    journal.reserve_numbers("docnum", 5).unwrap();
    journal.reserve_numbers("unb", 3).unwrap();
    block_on(journal.keep_place("sap", "/srv/sap/in")).unwrap();
    block_on(journal.keep_place("archive", "/srv/archive")).unwrap();
}

/// An id that is reused, one that another origin uses, one that was corrected.
fn identities(journal: &Journal) {
    let changed = |mut decision: Decision, bytes: &str| {
        decision.raw = Arc::from(bytes.as_bytes());
        decision.header.digest = Digest::of(bytes.as_bytes());
        decision
    };
    let mut reused = changed(Decision { parks: false, ..failed("1", "VIN1") }, "other bytes");
    let mut other = changed(decision("2", "VIN1"), "of another origin");
    let own = reused.header.identity;
    reused.header.identity = own.sent_by(None).reused_by(&reused.header.digest);
    other.header.origin = Some("/plant/2".to_owned());
    other.header.identity = other.header.identity.sent_by(other.header.origin.as_deref());
    let corrected = changed(failed("8", "VIN6"), "corrected, and wrong again");
    commit(journal, vec![reused, other, corrected]);
}

fn files(journal: &Journal) {
    let new = |name: &str, documents| NewFile {
        source: Arc::from("drop"),
        name: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
        size: 100,
        documents,
    };
    let begun = block_on(journal.begin_files(vec![new("a.idoc", 3), new("b.idoc", 9)], at(4)));
    let files = begun.unwrap();
    let part = |file, index: u64, decision| FilePart {
        position: FilePosition {
            file,
            index,
            start: index * 10,
            length: 10,
            next_offset: index * 10 + 10,
        },
        decision,
    };
    let bad = |id| Decision { parks: false, ..failed(id, "VIN8") };
    let decisions = vec![bad("30"), bad("31"), decision("32", "VIN9")];
    let parts = vec![part(1, 0, Some(0)), part(1, 1, Some(1)), part(2, 0, Some(2))];
    journal.commit_blocking(Batch { files: parts, ..batch(decisions) }).unwrap();
    let redelivered = Batch { files: vec![part(1, 2, None)], ..batch(vec![]) };
    journal.commit_blocking(redelivered).unwrap();
    block_on(journal.end_files(vec![(files[0], FileOutcome::Done)], at(5))).unwrap();
}

/// One table of a journal.
struct Table {
    name: String,
    columns: Vec<String>,
    /// Columns that name a row.
    key: Vec<usize>,
    rows: Vec<Vec<Value>>,
}

fn tables(connection: &Connection) -> Vec<Table> {
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let names = list("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let table = |name: String| {
        let of = |what: &str| list(&format!("SELECT name FROM pragma_table_info('{name}') {what}"));
        let (columns, keys) = (of("ORDER BY cid"), of("WHERE pk > 0 ORDER BY pk"));
        let place = |key: &String| columns.iter().position(|column| column == key).unwrap();
        let key = keys.iter().map(place).collect();
        let sql = format!("SELECT * FROM {name} ORDER BY {}", keys.join(", "));
        let mut statement = connection.prepare(&sql).unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            (0..columns.len()).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>()
        };
        let rows = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
        Table { name, columns, key, rows }
    };
    names.into_iter().map(table).collect()
}

/// What was done to one value or row, for the message.
struct Attempt {
    what: String,
    sql: String,
    values: Vec<Value>,
}

impl Table {
    fn named(&self, row: &[Value]) -> (String, Vec<Value>) {
        let conditions = self.key.iter().map(|key| format!("{} IS ?", self.columns[*key]));
        let values = self.key.iter().map(|key| row[*key].clone()).collect();
        (conditions.collect::<Vec<_>>().join(" AND "), values)
    }

    fn set(&self, row: &[Value], column: usize, value: Value, what: &str) -> Attempt {
        let (name, column) = (&self.name, &self.columns[column]);
        let (condition, mut values) = self.named(row);
        values.insert(0, value.clone());
        let sql = format!("UPDATE {name} SET {column} = ? WHERE {condition}");
        Attempt { what: format!("{name}.{column} of {row:?}: {what} {value:?}"), sql, values }
    }

    fn changes(&self, row: &[Value], column: usize) -> Vec<Attempt> {
        let old = &row[column];
        let others: Vec<Value> = match old {
            Value::Null => vec![Value::Integer(1), Value::Text("x".into()), Value::Blob(vec![7])],
            Value::Integer(number) => vec![
                Value::Integer(number + 1),
                Value::Integer(-number - 1),
                Value::Integer(0),
                Value::Text("x".into()),
                Value::Null,
            ],
            Value::Real(_) => vec![Value::Null],
            Value::Text(text) => vec![
                Value::Text(format!("{text}x")),
                Value::Text(format!("{text}\n")),
                Value::Text(String::new()),
                Value::Blob(text.clone().into_bytes()),
                Value::Null,
            ],
            Value::Blob(bytes) => {
                let mut other = bytes.clone();
                match other.last_mut() {
                    Some(last) => *last ^= 1,
                    None => other.push(0),
                }
                let text = Value::Text("x".repeat(bytes.len()));
                vec![
                    Value::Blob(other),
                    Value::Blob(bytes[1.min(bytes.len())..].to_vec()),
                    text,
                    Value::Null,
                ]
            }
        };
        let others = others.into_iter().filter(|other| other != old);
        others.map(|other| self.set(row, column, other, "set to")).collect()
    }

    fn delete(&self, row: &[Value]) -> Attempt {
        let (condition, values) = self.named(row);
        let what = format!("{}: deleted {row:?}", self.name);
        Attempt { what, sql: format!("DELETE FROM {} WHERE {condition}", self.name), values }
    }

    /// A copy of a row under other keys.
    fn add(&self, row: &[Value]) -> Vec<Attempt> {
        let marks = vec!["?"; row.len()].join(", ");
        let sql = format!("INSERT INTO {} VALUES ({marks})", self.name);
        let last = self.key.last().copied().unwrap_or(0);
        let keys = match &row[last] {
            Value::Integer(number) => [1000, -7, number + 1].map(Value::Integer).to_vec(),
            Value::Text(text) => vec![Value::Text(format!("{text}y"))],
            Value::Blob(bytes) => {
                vec![
                    Value::Blob(bytes.iter().map(|byte| byte ^ 3).collect()),
                    Value::Text("y".into()),
                ]
            }
            _ => vec![],
        };
        let copy = |key: Value| {
            let mut values = row.to_vec();
            values[last] = key;
            Attempt { what: format!("{}: added {values:?}", self.name), sql: sql.clone(), values }
        };
        keys.into_iter().map(copy).collect()
    }
}

/// What came of the attempts on one table.
#[derive(Default)]
struct Tally {
    tried: usize,
    found: usize,
}

/// Runs an attempt; `None` where SQLite forbids it or it changes nothing.
fn is_found(connection: &Connection, attempts: &[Attempt]) -> Option<bool> {
    connection.execute_batch("BEGIN").unwrap();
    let before = connection.total_changes();
    let done = attempts.iter().all(|attempt| {
        let values = rusqlite::params_from_iter(&attempt.values);
        connection.execute(&attempt.sql, values).is_ok()
    });
    let changed = done && connection.total_changes() > before;
    let found = changed.then(|| !verify_on(connection, None).unwrap().breaks.is_empty());
    connection.execute_batch("ROLLBACK").unwrap();
    found
}

/// Tries everything; what was not found.
fn try_everything(path: &Path) -> (Vec<String>, BTreeSet<String>) {
    let connection = Connection::open(path).unwrap();
    connection.set_prepared_statement_cache_capacity(200);
    assert_eq!(verify_on(&connection, None).unwrap().breaks, []);
    let (mut missed, mut empty) = (Vec::new(), BTreeSet::new());
    println!("{:15} {:>5} {:>8} {:>6} {:>6}", "table", "rows", "columns", "tried", "found");
    for table in tables(&connection) {
        if table.rows.is_empty() {
            empty.insert(table.name.clone());
        }
        let mut tally = Tally::default();
        let mut attempt = |attempts: &[Attempt]| {
            if let Some(found) = is_found(&connection, attempts) {
                tally.tried += 1;
                tally.found += usize::from(found);
                if !found {
                    let what: Vec<_> = attempts.iter().map(|one| one.what.as_str()).collect();
                    missed.push(what.join(" AND "));
                }
            }
        };
        for (at, row) in table.rows.iter().enumerate() {
            for column in 0..table.columns.len() {
                for change in table.changes(row, column) {
                    attempt(&[change]);
                }
                let other = table.rows[at + 1..].iter().find(|other| other[column] != row[column]);
                if let Some(other) = other {
                    attempt(&[
                        table.set(row, column, other[column].clone(), "swapped"),
                        table.set(other, column, row[column].clone(), "swapped"),
                    ]);
                }
            }
            attempt(&[table.delete(row)]);
            for added in table.add(row) {
                attempt(&[added]);
            }
        }
        let (rows, columns) = (table.rows.len(), table.columns.len());
        let Tally { tried, found } = tally;
        println!("{:15} {rows:>5} {columns:>8} {tried:>6} {found:>6}", table.name);
    }
    (missed, empty)
}

#[test]
fn every_change_of_every_column_of_every_row_is_found() {
    let place = Place::new();
    let journal = place.open();
    full(&journal);
    sound(&journal);
    journal.close();
    let (missed, empty) = try_everything(&place.path());
    assert!(empty.is_empty(), "tables without rows: {empty:?}");
    assert!(missed.is_empty(), "{} not found:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn a_wrong_storage_class_is_a_finding_with_table_row_and_column() {
    let place = Place::new();
    let journal = place.open();
    full(&journal);
    for (change, expected) in [
        (
            "UPDATE events SET received = 'x' WHERE id = 1",
            "table events, row 1, column received: holds Text",
        ),
        (
            "UPDATE payloads SET raw = 'x' WHERE event = 1",
            "table events, row 1, column payloads.raw: holds Text",
        ),
        (
            "UPDATE deliveries SET due = X'00' WHERE id = 1",
            "table deliveries, row 1, column due: holds Blob",
        ),
        (
            "UPDATE commits SET hash = 'x' WHERE number = 3",
            "table commits, row 3, column hash: holds Text",
        ),
        ("UPDATE actions SET at = 'x' WHERE id = 1", "table actions, row 1, column at: holds Text"),
        (
            "UPDATE attempts SET reason = X'00' WHERE id = 1",
            "table attempts, row 1, column reason: holds Blob",
        ),
        ("UPDATE files SET size = 'x' WHERE id = 1", "table files, row 1, column size: holds Text"),
    ] {
        sql(&journal, change);

        let found = journal.verify(None).unwrap();
        let named = found.breaks.iter().any(|at| at.what.starts_with(expected));
        assert!(named, "{change}: {:?}", found.breaks);
    }
    let error = journal.events(&EventFilter::default(), 1).unwrap_err();
    assert!(error.to_string().contains("column received holds Text"), "{error}");
}

/// A journal that the version before made, and this one has brought up to date.
fn upgraded(place: &Place) {
    let old = include_str!("../../../testdata/journal/v3.sql");
    Connection::open(place.path()).unwrap().execute_batch(old).unwrap();
    let side = "journal 316a\nepoch 0\n";
    std::fs::write(place.directory.path().join("numbers.high"), side).unwrap();
    place.open().close();
}

#[test]
fn a_journal_of_the_version_before_is_verified_by_its_rules_and_goes_on_by_the_new_ones() {
    let place = Place::new();
    upgraded(&place);
    assert!(place.directory.path().join("journal.db.v3").exists(), "what was there is kept");
    let journal = place.open();
    sound(&journal);
    assert_eq!(journal.trail("VIN1").unwrap().len(), 4);
    let first = decision("1", "VIN1");
    let mut redelivered = first.clone();
    redelivered.header.origin = Some("/plant/1".to_owned());
    let facts = journal.facts(&needs(&redelivered)).unwrap();
    let seen = facts.seen[&first.header.identity];
    assert_eq!((seen.event, seen.digest), (1, first.header.digest), "it is a redelivery");
    settle(&journal, 5, delivered()).unwrap();
    act(&journal, What::Unpark("VIN6".to_owned())).unwrap();
    let operator = Some(mary("again"));
    let again = vec![Decision { again: Some(4), ..to(decision("4", "VIN2"), "sap") }];
    journal.commit_blocking(Batch { operator, ..batch(again) }).unwrap();
    commit(&journal, vec![to(decision("40", "VIN1"), "sap"), failed("41", "VIN1")]);
    sound(&journal);
}

#[test]
fn every_change_of_an_upgraded_journal_is_found() {
    let place = Place::new();
    upgraded(&place);
    let (mut missed, _) = try_everything(&place.path());
    // The one exception, in docs/journal.md: version 3 left words behind where it decided again.
    // One more finds nothing, because what is found is compared with what was looked for.
    missed.retain(|what| {
        let is_word = what.starts_with("words");
        let is_again = what.contains("Integer(3)]") || what.contains("Integer(6)]");
        !(is_word && is_again)
    });
    assert!(missed.is_empty(), "{} not found:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn a_payload_that_is_deleted_does_not_cover_what_is_changed_with_it() {
    let place = Place::new();
    let journal = place.open();
    full(&journal);
    sql(
        &journal,
        "DELETE FROM payloads WHERE event = 3;
         UPDATE events SET external = 'x', key = 'VIN9', causes = 'forged' WHERE id = 3",
    );
    let found = journal.verify(None).unwrap();
    let said: Vec<_> = found.breaks.iter().map(|at| at.what.as_str()).collect();
    assert!(said.iter().any(|what| what.starts_with("event 3: its id, kind, key")), "{said:?}");
    assert!(said.iter().any(|what| what.starts_with("payload 3 is gone")), "{said:?}");
}
