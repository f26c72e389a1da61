//! What follows from an event, decided by the pipeline on the mappings that ship, without a clock,
//! a disk or a network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

mod support;

use std::sync::Arc;

use jiff::Timestamp;
use support::{OTHER_VIN, Site, VIN, event};
use waybill::event::{Arrival, Decision, Verdict};
use waybill::facts::Facts;
use waybill::pipeline::{self, Outcome};
use waybill::plan::Plan;

/// A plan and everything that was decided so far.
struct World {
    plan: Plan,
    facts: Facts,
    numbers: std::ops::Range<u64>,
    _site: Site,
}

impl World {
    fn new() -> Self {
        let site = Site::new("q", ", max_message: 4KiB");
        let plan = site.plan().1;
        Self {
            plan,
            facts: Facts::default(),
            numbers: 7_0000_0000_0001..7_0000_0000_9999,
            _site: site,
        }
    }

    fn arrival(raw: &[u8], message_id: Option<&str>) -> Arrival {
        Arrival {
            source: "vms".into(),
            raw: Arc::from(raw),
            message_id: message_id.map(str::to_owned),
            received: Timestamp::UNIX_EPOCH,
            position: None,
        }
    }

    fn take(&mut self, raw: &[u8]) -> Outcome {
        self.take_as(raw, None, None)
    }

    fn take_as(&mut self, raw: &[u8], message_id: Option<&str>, again: Option<u64>) -> Outcome {
        let read = pipeline::read(&self.plan, Self::arrival(raw, message_id));
        let read = match again {
            Some(event) => read.again(event),
            None => read,
        };
        let now = Timestamp::from_second(1_772_360_430).unwrap();
        pipeline::process(&self.plan, read, &mut self.facts, &mut self.numbers, now)
    }

    fn decide(&mut self, raw: &[u8]) -> Decision {
        decided(self.take(raw))
    }
}

fn decided(outcome: Outcome) -> Decision {
    match outcome {
        Outcome::Decided(decision) => *decision,
        Outcome::Redelivery => panic!("a redelivery"),
    }
}

#[test]
fn an_accepted_event_makes_one_delivery_for_each_target() {
    let decision = World::new().decide(&event("e1", VIN, "sold"));
    assert_eq!(decision.verdict, Verdict::Accepted, "{:?}", decision.causes);
    let [delivery] = decision.deliveries.as_slice() else { panic!("{decision:?}") };
    assert_eq!(delivery.name, "ZVEHREG_0007000000000001.idoc");
    assert_eq!((&*delivery.target, delivery.key.as_str()), ("sap-file", VIN));
    let text = String::from_utf8(delivery.document.to_vec()).unwrap();
    let mut records = text.lines();
    let control = records.next().unwrap();
    assert_eq!((control.len(), &control[13..29]), (524, "0007000000000001"));
    assert_eq!(&control[378..392], "20260301102030");
    let header = records.next().unwrap();
    assert_eq!((header.len(), &header[63..80], &header[120..124]), (1063, VIN, "SOLD"));
}

#[test]
fn the_same_bytes_again_are_a_redelivery() {
    let mut world = World::new();
    world.decide(&event("e1", VIN, "sold"));
    assert!(matches!(world.take(&event("e1", VIN, "sold")), Outcome::Redelivery));
}

#[test]
fn the_same_id_with_other_bytes_fails_once_and_moves_nothing() {
    let mut world = World::new();
    world.decide(&event("e1", VIN, "sold"));
    let reused = world.decide(&event("e1", VIN, "delivered"));
    assert_eq!(reused.verdict, Verdict::Failed);
    assert!(reused.causes[0].contains("used before"), "{:?}", reused.causes);
    assert!(!reused.parks && reused.deliveries.is_empty() && reused.transition.is_none());
    assert!(matches!(world.take(&event("e1", VIN, "delivered")), Outcome::Redelivery));
    assert_eq!(world.decide(&event("e2", VIN, "returned")).verdict, Verdict::Accepted);
}

#[test]
fn what_cannot_be_read_fails_under_the_digest_of_its_bytes() {
    let mut world = World::new();
    let whole = event("e1", VIN, "sold");
    for raw in [&b"{\"id\": "[..], &whole[..whole.len() - 1], b"\xff\xfe", b""] {
        let decision = world.decide(raw);
        assert_eq!(decision.verdict, Verdict::Failed);
        assert!(decision.header.id.starts_with("sha256:"), "{}", decision.header.id);
        assert!(decision.causes[0].starts_with("not JSON: "), "{:?}", decision.causes);
        assert!(!decision.parks);
    }
}

#[test]
fn a_missing_id_key_or_kind_is_named_with_its_path() {
    let decision = World::new().decide(br#"{"data":{}}"#);
    assert_eq!(decision.causes, ["no id at `id`, no kind at `type`, no key at `data.vin`"]);
}

#[test]
fn the_message_id_of_the_transport_serves_where_the_content_has_none() {
    let mut world = World::new();
    let raw = event("", VIN, "sold");
    let decision = decided(world.take_as(&raw, Some("m-1"), None));
    assert_eq!((decision.header.id.as_str(), decision.header.key.as_str()), ("m-1", VIN));
}

#[test]
fn a_message_beyond_the_limit_fails_and_its_bytes_are_kept() {
    let raw = vec![b' '; 5000];
    let decision = World::new().decide(&raw);
    assert_eq!(decision.causes, ["5000 bytes; `max_message` allows 4096"]);
    assert_eq!(decision.raw.len(), 5000);
}

#[test]
fn an_illegal_transition_is_refused_and_the_status_stays() {
    let mut world = World::new();
    world.decide(&event("e1", VIN, "ordered"));
    let refused = world.decide(&event("e2", VIN, "sold"));
    assert_eq!(refused.verdict, Verdict::Refused);
    let expected = "vehicle: ordered -> sold is illegal; ordered may be followed by confirmed";
    assert_eq!(refused.causes, [expected]);
    assert!(refused.deliveries.is_empty() && !refused.transition.unwrap().applied);
    assert_eq!(world.decide(&event("e3", VIN, "confirmed")).verdict, Verdict::Accepted);
}

#[test]
fn an_event_that_no_route_takes_is_ignored_but_steps_its_object() {
    let mut world = World::new();
    let raw = String::from_utf8(event("e1", VIN, "built")).unwrap().replace("0815", "9999");
    let ignored = world.decide(raw.as_bytes());
    assert_eq!(ignored.verdict, Verdict::Ignored);
    assert!(ignored.transition.unwrap().applied);
    assert_eq!(world.decide(&event("e2", VIN, "sold")).verdict, Verdict::Refused);
    assert_eq!(world.decide(&event("e3", VIN, "shipped")).verdict, Verdict::Accepted);
}

#[test]
fn a_failed_mapping_parks_its_key_and_no_other() {
    let mut world = World::new();
    let bad = String::from_utf8(event("e1", VIN, "built")).unwrap().replace("0815", "08155");
    let failed = world.decide(bad.as_bytes());
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(failed.parks && !failed.transition.unwrap().applied);
    assert_eq!(failed.failed_mappings, ["vehicle-registration".into()]);
    assert!(!failed.causes[0].contains("08155"), "payload in {:?}", failed.causes);
    let waiting = world.decide(&event("e2", VIN, "shipped"));
    assert_eq!(waiting.verdict, Verdict::Waiting);
    assert!(waiting.deliveries.is_empty() && waiting.transition.is_none());
    assert_eq!(world.decide(&event("e3", OTHER_VIN, "sold")).verdict, Verdict::Accepted);
}

#[test]
fn the_event_that_parked_its_key_can_be_decided_again_and_the_waiting_one_cannot_yet() {
    let mut world = World::new();
    world.facts.parked.insert(VIN.to_owned(), 41);
    let waiting = decided(world.take_as(&event("e2", VIN, "shipped"), None, Some(42)));
    assert_eq!(waiting.causes, ["event 41 of its key failed; it waits for that one"]);
    let mended = decided(world.take_as(&event("e1", VIN, "built"), None, Some(41)));
    assert_eq!((mended.verdict, mended.again), (Verdict::Accepted, Some(41)));
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let document = || World::new().decide(&event("e1", VIN, "sold")).deliveries[0].document.clone();
    assert_eq!(document(), document());
}

#[test]
fn needs_name_every_identity_object_and_key_of_a_batch() {
    let world = World::new();
    let reads: Vec<_> = [event("e1", VIN, "sold"), b"{".to_vec(), event("e2", OTHER_VIN, "sold")]
        .iter()
        .map(|raw| pipeline::read(&world.plan, World::arrival(raw, None)))
        .collect();
    let needs = pipeline::needs(&world.plan, &reads);
    assert_eq!(needs.identities.len(), 3);
    let objects = [("vehicle".into(), VIN.to_owned()), ("vehicle".into(), OTHER_VIN.to_owned())];
    assert_eq!(needs.objects, objects);
    assert_eq!(needs.keys, [VIN, OTHER_VIN]);
}
