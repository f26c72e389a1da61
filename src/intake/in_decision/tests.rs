//! Events that were in decision at unclean ends, as a kill leaves their file.

use std::sync::Arc;

use super::*;
use crate::event::Beside;

fn arrival(text: &str) -> Arrival {
    Arrival {
        source: "vms".into(),
        raw: Arc::from(text.as_bytes()),
        message_id: None,
        received: Timestamp::UNIX_EPOCH,
        position: None,
        beside: Beside::default(),
    }
}

fn texts(parts: &[Vec<Arrival>]) -> Vec<Vec<&str>> {
    let text = |arrival: &Arrival| std::str::from_utf8(&arrival.raw).unwrap().to_owned();
    let parts: Vec<Vec<String>> =
        parts.iter().map(|part| part.iter().map(text).collect()).collect();
    parts.into_iter().map(|part| part.into_iter().map(|text| &*text.leak()).collect()).collect()
}

/// An end of the process with `events` in decision.
fn killed(path: &Path, events: &[&str]) {
    let in_decision = InDecision::open(path).unwrap();
    let events: Vec<_> = events.iter().map(|text| arrival(text)).collect();
    let deciding = in_decision.begin(&events, Timestamp::UNIX_EPOCH);
    // What a kill leaves is the file as it is now.
    let left = std::fs::read(path).unwrap();
    drop(deciding);
    std::fs::write(path, left).unwrap();
}

#[test]
fn an_event_that_was_in_decision_at_two_unclean_ends_is_decided_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in-decision");
    killed(&path, &["a", "bad", "b"]);
    killed(&path, &["bad", "c"]);
    let in_decision = InDecision::open(&path).unwrap();
    let batch = ["a", "b", "bad", "c", "d"].map(arrival).to_vec();
    assert_eq!(texts(&in_decision.cut(batch)), [vec!["a", "b"], vec!["bad"], vec!["c", "d"]]);
    assert_eq!(in_decision.ends(&arrival("bad")), 2);
    assert_eq!((in_decision.ends(&arrival("a")), in_decision.ends(&arrival("d"))), (1, 0));
}

#[test]
fn an_event_that_was_decided_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in-decision");
    killed(&path, &["a", "b"]);
    let in_decision = InDecision::open(&path).unwrap();
    in_decision.begin(&[arrival("a"), arrival("b")], Timestamp::UNIX_EPOCH).decided(1);
    drop(in_decision);
    let in_decision = InDecision::open(&path).unwrap();
    assert_eq!((in_decision.ends(&arrival("a")), in_decision.ends(&arrival("b"))), (0, 1));
}

#[test]
fn an_orderly_end_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in-decision");
    let in_decision = InDecision::open(&path).unwrap();
    let now = Timestamp::from_second(5).unwrap();
    let deciding = in_decision.begin(&[arrival("a")], now);
    assert_eq!(in_decision.since(), Some(now));
    drop(deciding);
    assert_eq!(in_decision.since(), None);
    let again = InDecision::open(&path).unwrap();
    assert_eq!(again.ends(&arrival("a")), 0);
}

#[test]
fn a_file_that_is_cut_off_or_of_another_kind_counts_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in-decision");
    killed(&path, &["a", "b"]);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(InDecision::open(&path).unwrap().ends(&arrival("a")), 0, "{length} bytes");
    }
    std::fs::write(&path, [0xff; 100]).unwrap();
    assert_eq!(InDecision::open(&path).unwrap().ends(&arrival("a")), 0);
}

#[test]
fn what_is_remembered_is_bounded_and_the_worst_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in-decision");
    for life in 0..8 {
        let batch: Vec<_> = (0..255).map(|at| format!("event {life} {at}")).collect();
        let mut batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        batch.push("bad");
        killed(&path, &batch);
    }
    let in_decision = InDecision::open(&path).unwrap();
    assert_eq!(in_decision.ends(&arrival("bad")), 8);
    assert_eq!(in_decision.state().remembered.len(), MOST_REMEMBERED);
}
