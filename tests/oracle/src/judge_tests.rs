//! The judge is shown logs with a fault in them: it must find each one, and nothing where there is
//! none.

use super::*;

const SECOND: Micros = 1_000_000;

fn event(n: usize, kind: Kind) -> Published {
    Published {
        kind,
        event_id: format!("e{n}"),
        vin: format!("VIN{}", n % 3),
        code: ["ORDR", "CONF", "BULT"][n / 3 % 3],
        at: n as Micros * SECOND,
    }
}

fn file(docnum: usize, event: &Published) -> Consumed {
    let docnum = format!("{docnum:016}");
    Consumed {
        name: format!("ZVEHREG_{docnum}.idoc"),
        digest: format!("digest of {}", event.event_id),
        docnum,
        vin: event.vin.clone(),
        event_id: event.event_id.clone(),
        code: event.code.to_owned(),
        marks: Default::default(),
        seen: event.at + SECOND / 2,
        appeared: event.at as i64 * 1000 + 100,
        problem: None,
    }
}

/// Nine events of three vehicles, each with its file.
fn kept() -> Evidence {
    let published: Vec<_> = (0..9).map(|n| event(n, Kind::Fresh)).collect();
    let consumed = published.iter().enumerate().map(|(n, event)| file(n, event)).collect();
    Evidence { published, consumed, kills: Vec::new() }
}

fn only(evidence: &Evidence, check: Check) {
    let judgement = judge(evidence);
    let found: Vec<_> = judgement.findings.keys().copied().collect();
    assert_eq!(found, [check], "{judgement}");
    assert!(judgement.to_string().starts_with("verdict: BROKEN"), "{judgement}");
}

#[test]
fn a_run_that_keeps_its_promises_is_clean() {
    let judgement = judge(&kept());
    assert!(judgement.is_clean(), "{judgement}");
    assert_eq!((judgement.expected, judgement.files, judgement.ordered_vins), (9, 9, 3));
    assert!(judgement.to_string().starts_with("verdict: KEPT"));
}

#[test]
fn files_of_different_vehicles_may_overtake_each_other() {
    let mut evidence = kept();
    evidence.consumed.swap(0, 1);
    assert!(judge(&evidence).is_clean());
}

#[test]
fn a_lost_file_is_missing() {
    let mut evidence = kept();
    evidence.consumed.remove(4);
    only(&evidence, Check::Missing);
}

#[test]
fn a_second_document_for_one_event_is_doubled() {
    let mut evidence = kept();
    let again = file(99, &evidence.published[8]);
    evidence.consumed.push(again);
    only(&evidence, Check::Doubled);
}

#[test]
fn a_file_for_a_refused_event_is_unexpected() {
    let mut evidence = kept();
    let refused = event(9, Kind::Illegal);
    evidence.consumed.push(file(9, &refused));
    evidence.published.push(refused);
    only(&evidence, Check::Unexpected);
}

#[test]
fn a_file_that_nobody_ordered_is_unexpected() {
    let mut evidence = kept();
    evidence.consumed.push(file(9, &event(77, Kind::Fresh)));
    only(&evidence, Check::Unexpected);
}

#[test]
fn another_status_than_the_events_is_changed_content() {
    let mut evidence = kept();
    evidence.consumed[2].code = "RETN".to_owned();
    only(&evidence, Check::ChangedContent);
}

#[test]
fn another_vehicle_than_the_events_is_changed_content() {
    let mut evidence = kept();
    evidence.consumed[2].vin = "VIN0".to_owned();
    only(&evidence, Check::ChangedContent);
}

#[test]
fn a_vehicle_whose_files_are_taken_out_of_order_is_found() {
    let mut evidence = kept();
    evidence.consumed.swap(0, 3);
    only(&evidence, Check::WrongOrder);
}

#[test]
fn a_file_that_appeared_too_early_is_found_even_when_it_was_taken_in_order() {
    let mut evidence = kept();
    evidence.consumed[3].appeared = evidence.consumed[0].appeared - 1;
    only(&evidence, Check::WrongOrder);
}

#[test]
fn files_of_one_clock_tick_are_in_order() {
    let mut evidence = kept();
    evidence.consumed[3].appeared = evidence.consumed[0].appeared;
    assert!(judge(&evidence).is_clean());
}

#[test]
fn a_file_that_comes_again_without_a_kill_is_found() {
    let mut evidence = kept();
    let again = evidence.consumed[8].clone();
    evidence.consumed.push(again);
    only(&evidence, Check::ReappearedUnexcused);
}

#[test]
fn a_file_in_flight_at_a_kill_may_come_again_unchanged() {
    let mut evidence = kept();
    let mut again = evidence.consumed[8].clone();
    again.seen += 2 * SECOND;
    evidence.kills = vec![evidence.consumed[8].seen + SECOND];
    evidence.consumed.push(again);
    let judgement = judge(&evidence);
    assert!(judgement.is_clean(), "{judgement}");
    assert_eq!(judgement.reappeared_identical, 1);
}

#[test]
fn a_kill_long_after_does_not_excuse() {
    let mut evidence = kept();
    let mut again = evidence.consumed[8].clone();
    again.seen += 60 * SECOND;
    evidence.kills = vec![evidence.consumed[8].seen + 30 * SECOND];
    evidence.consumed.push(again);
    only(&evidence, Check::ReappearedUnexcused);
}

#[test]
fn other_bytes_under_the_same_name_are_never_excused() {
    let mut evidence = kept();
    let mut again = evidence.consumed[8].clone();
    again.seen += SECOND;
    again.digest = "another".to_owned();
    evidence.kills = vec![evidence.consumed[8].seen + 1];
    evidence.consumed.push(again);
    only(&evidence, Check::ReappearedChanged);
}

#[test]
fn half_a_file_is_unreadable_and_its_event_missing() {
    let mut evidence = kept();
    evidence.consumed[8] = Consumed {
        name: evidence.consumed[8].name.clone(),
        problem: Some("cut off".to_owned()),
        ..Consumed::default()
    };
    let judgement = judge(&evidence);
    assert!(judgement.found(Check::Unreadable) && judgement.found(Check::Missing), "{judgement}");
}

#[test]
fn a_name_that_is_not_the_document_number_is_found() {
    let mut evidence = kept();
    evidence.consumed[8].name = "ZVEHREG_0000000000000077.idoc".to_owned();
    let judgement = judge(&evidence);
    assert!(judgement.found(Check::Unreadable), "{judgement}");
}

#[test]
fn no_file_is_due_for_what_is_not_fresh() {
    let mut evidence = kept();
    for kind in [Kind::Redelivery, Kind::ReusedId, Kind::Malformed, Kind::Illegal] {
        evidence.published.push(Published { event_id: "x".to_owned(), ..event(9, kind) });
    }
    let judgement = judge(&evidence);
    assert!(judgement.is_clean(), "{judgement}");
    assert_eq!(judgement.expected, 9);
}
