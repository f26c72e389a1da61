//! What follows from an event, decided by the pipeline on the mappings that ship, without a clock,
//! a disk or a network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

mod support;

use std::sync::Arc;

use jiff::Timestamp;
use support::{OTHER_VIN, Site, VIN, event};
use waybill::cloudevent::binary::{Head, Value};
use waybill::event::{
    Arrival, Beside, Decision, Digest, FailedMapping, Header, Shortened, Verdict,
};
use waybill::facts::Facts;
use waybill::pipeline::{self, Outcome};
use waybill::plan::Plan;
use waybill::trace::Trace;

/// A plan and everything that was decided so far.
struct World {
    plan: Plan,
    facts: Facts,
    numbers: std::ops::Range<u64>,
    _site: Site,
}

impl World {
    fn new() -> Self {
        Self::of(Site::new("q", ", max_message: 4KiB"))
    }

    fn of(site: Site) -> Self {
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
            beside: Beside::default(),
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
fn an_illegal_step_is_known_as_such_in_every_mode() {
    for (mode, verdict, applied, causes) in [
        ("shadow", Verdict::Accepted, true, 0),
        ("warn", Verdict::Accepted, true, 1),
        ("enforce", Verdict::Refused, false, 1),
    ] {
        let site = Site::new("q", "");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/lifecycles/vehicle.yaml");
        let lifecycle = std::fs::read_to_string(shipped).unwrap();
        let lifecycle = lifecycle.replace("mode: enforce", &format!("mode: {mode}"));
        std::fs::write(site.path("vehicle.yaml"), lifecycle).unwrap();
        let config = std::fs::read_to_string(site.config()).unwrap();
        let start = config.find("lifecycles: [").unwrap();
        let end = start + config[start..].find('\n').unwrap();
        let config = format!("{}lifecycles: [ vehicle.yaml ]{}", &config[..start], &config[end..]);
        std::fs::write(site.config(), config).unwrap();
        let mut world = World::of(site);
        let first = world.decide(&event("e1", VIN, "sold")).transition.unwrap();
        assert!(first.legal && first.applied);
        let decision = world.decide(&event("e2", VIN, "built"));
        let step = decision.transition.unwrap();
        assert_eq!((decision.verdict, decision.causes.len()), (verdict, causes), "{mode}");
        assert_eq!((step.legal, step.applied), (false, applied), "{mode}");
    }
}

#[test]
fn the_same_bytes_again_are_a_redelivery() {
    let mut world = World::new();
    world.decide(&event("e1", VIN, "sold"));
    assert!(matches!(world.take(&event("e1", VIN, "sold")), Outcome::Redelivery));
}

/// An event in binary mode: its attributes beside its data.
fn binary(id: &str, data: &[u8], trace: Option<&str>) -> Arrival {
    let mut head = Head::of(Some("application/json"));
    let time = "2026-03-01T10:20:30Z";
    let kind = "vehicle.status.changed";
    for (name, value) in [("specversion", "1.0"), ("id", id), ("type", kind), ("time", time)] {
        head.add(name, Ok(Value::Text(value.to_owned())));
    }
    let trace = trace.and_then(|parent| Trace::read(parent, ""));
    let mut arrival = World::arrival(data, None);
    arrival.beside = Beside { head: Some(Arc::new(head)), trace };
    arrival
}

#[test]
fn an_event_in_binary_mode_is_decided_the_same_from_headers_and_from_what_is_kept_of_it() {
    let whole: serde_json::Value = serde_json::from_slice(&event("e1", VIN, "sold")).unwrap();
    let data = serde_json::to_vec(&whole["data"]).unwrap();
    let mut world = World::new();
    let parents = ["11", "22"].map(|span| format!("00-{}-{}-01", "ab".repeat(16), span.repeat(8)));
    let mut take = |arrival| {
        let read = pipeline::read(&world.plan, arrival);
        pipeline::process(
            &world.plan,
            read,
            &mut world.facts,
            &mut world.numbers,
            Timestamp::UNIX_EPOCH,
        )
    };
    let first = decided(take(binary("e1", &data, Some(&parents[0]))));
    assert_eq!(first.verdict, Verdict::Accepted, "{:?}", first.causes);
    assert_eq!((first.header.id.as_str(), first.header.key.as_str()), ("e1", VIN));
    assert_eq!(first.header.trace.as_ref().unwrap().parent(), parents[0]);
    // Sent again in another span, it is the same event.
    assert!(matches!(take(binary("e1", &data, Some(&parents[1]))), Outcome::Redelivery));
    // The journal keeps the bytes alone.
    let kept = pipeline::read(&world.plan, World::arrival(&first.raw, Some("e1")));
    let header = Header { trace: None, ..first.header };
    assert_eq!(*kept.header(), header);
}

#[test]
fn a_trace_context_is_read_from_the_attributes_where_the_transport_has_none() {
    let mut whole: serde_json::Value = serde_json::from_slice(&event("e1", VIN, "sold")).unwrap();
    let parent = format!("00-{}-{}-00", "ab".repeat(16), "cd".repeat(8));
    whole["traceparent"] = parent.as_str().into();
    let first = World::new().decide(&serde_json::to_vec(&whole).unwrap());
    assert_eq!(first.header.trace.unwrap().parent(), parent);
    whole["traceparent"] = "nonsense".into();
    let second = World::new().decide(&serde_json::to_vec(&whole).unwrap());
    assert_eq!((second.verdict, second.header.trace), (Verdict::Accepted, None));
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
fn an_id_that_another_publisher_has_used_does_not_fail_an_event() {
    let from = |publisher: &str, status: &str| {
        let text = String::from_utf8(event("e1", VIN, status)).unwrap();
        text.replace("/vms/test", publisher).into_bytes()
    };
    let mut world = World::new();
    let first = world.decide(&from("/vms/test", "sold"));
    assert_eq!(first.header.origin.as_deref(), Some("/vms/test"));
    let other = world.decide(&from("/dms", "delivered"));
    assert_eq!((other.verdict, other.causes.len()), (Verdict::Accepted, 0), "{:?}", other.causes);
    assert_ne!(other.header.identity, first.header.identity);
    for (publisher, status) in [("/vms/test", "sold"), ("/dms", "delivered")] {
        assert!(matches!(world.take(&from(publisher, status)), Outcome::Redelivery));
    }
    for (publisher, status) in [("/vms/test", "built"), ("/dms", "built")] {
        let reused = world.decide(&from(publisher, status));
        assert!(reused.causes[0].contains("used before"), "{publisher}: {:?}", reused.causes);
        assert!(matches!(world.take(&from(publisher, status)), Outcome::Redelivery));
    }
}

#[test]
fn an_event_of_a_version_that_kept_no_origin_is_recognised() {
    let mut world = World::new();
    let raw = event("e1", VIN, "sold");
    let first = world.decide(&raw);
    for seen in world.facts.seen.values_mut() {
        (seen.event, seen.sent_by) = (1, None);
    }
    assert!(matches!(world.take(&raw), Outcome::Redelivery));
    let reused = world.decide(&event("e1", VIN, "delivered"));
    assert!(reused.causes[0].contains("used before"), "{:?}", reused.causes);
    assert_ne!(reused.header.identity, first.header.identity);
}

#[test]
fn a_source_that_is_no_attribute_of_a_cloudevent_is_no_origin() {
    let text = String::from_utf8(event("e1", VIN, "sold")).unwrap();
    let plain = text.replace(r#""specversion":"1.0","#, "");
    let mut world = World::new();
    assert_eq!(world.decide(plain.as_bytes()).header.origin, None);
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
fn a_repeated_key_on_the_way_to_what_identifies_an_event_fails_it() {
    let text = String::from_utf8(event("e1", VIN, "sold")).unwrap();
    let vin = format!(r#""vin":"{VIN}""#);
    for (once, again, path) in [
        (r#""id":"e1""#, r#""id":"e1","id":"e2""#, "`id`"),
        (r#""type""#, r#""type":"other","type""#, "`type`"),
        (&*vin, &format!(r#""vin":"{OTHER_VIN}",{vin}"#), "`data.vin`"),
        (r#""data""#, r#""data":{},"data""#, "`data.vin`"),
        (r#""status":"sold""#, r#""status":"built","st\u0061tus":"sold""#, "`data.status`"),
    ] {
        let decision = World::new().decide(text.replacen(once, again, 1).as_bytes());
        assert_eq!(decision.verdict, Verdict::Failed, "{again}");
        let cause = format!("ambiguous: a key on {path} occurs again in its object");
        assert_eq!(decision.causes[0], cause);
        assert!(!decision.parks, "{again}");
        if path != "`data.status`" {
            assert_eq!(decision.header.key, "", "{again}");
            assert!(decision.header.id.starts_with("sha256:"), "it uses up no id");
        }
    }
}

#[test]
fn a_repeated_key_elsewhere_is_a_warning_and_its_first_value_counts() {
    let text = String::from_utf8(event("e1", VIN, "sold")).unwrap();
    let text = text.replace(r#""plant":"0815""#, r#""plant":"0815","plant":"9999","x":1,"x":2"#);
    let decision = World::new().decide(text.as_bytes());
    assert_eq!(decision.verdict, Verdict::Accepted, "{:?}", decision.causes);
    assert_eq!(decision.deliveries.len(), 1, "plant 9999 takes no route");
    let [cause] = decision.causes.as_slice() else { panic!("{:?}", decision.causes) };
    assert!(cause.starts_with("warning: a key occurs again in its object (line 1, column "));
    assert!(cause.ends_with(", and 1 more): its first value counts"), "{cause}");
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
fn what_was_kept_of_a_larger_message_fails_whatever_the_limit_is_now() {
    let kept = |bytes| {
        let shortened = Shortened { bytes, digest: Digest::of(b"all of it") };
        shortened.text(&event("e-1", VIN, "delivered"))
    };
    let mut world = World::new();
    let cause = world.decide(&kept(5000)).causes.remove(0);
    assert!(cause.starts_with("5000 bytes; `max_message` allows 4096; raise it"), "{cause}");
    let cause = world.decide(&kept(4096)).causes.remove(0);
    assert!(cause.starts_with("4096 bytes; `max_message` allowed fewer when it came"), "{cause}");
    let redelivered = kept(5000);
    assert!(matches!(world.take(&redelivered), Outcome::Redelivery));
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

/// An event of a vehicle with that many options, of which the mapping makes a segment each.
fn with_options(count: usize) -> Vec<u8> {
    let mut event: serde_json::Value = serde_json::from_slice(&event("e1", VIN, "sold")).unwrap();
    let option = serde_json::json!({ "code": "P9AA", "text": "Panoramadach" });
    event["data"]["options"] = vec![option; count].into();
    serde_json::to_vec(&event).unwrap()
}

#[test]
fn a_document_that_costs_more_than_its_limits_fails_with_the_limit_and_the_place() {
    let limited = |limits: &str| {
        let site = Site::new("q", "");
        let text = std::fs::read_to_string(site.config()).unwrap();
        std::fs::write(site.config(), format!("{text}limits: {{ {limits} }}\n")).unwrap();
        World::of(site).decide(&with_options(500))
    };
    for (limits, causes) in [
        ("steps: 5000", ["Z1VHHDR/Z1VHOPT[", "takes more than 5000 steps (`limits.steps`)"]),
        ("nodes: 1100", ["data/options[365]", "more than 1100 values (`limits.nodes`)"]),
        (
            "document: 256KiB",
            ["Z1VHHDR/Z1VHOPT[", "an IDoc of more than 262144 bytes (`limits.document`)"],
        ),
    ] {
        let decision = limited(limits);
        assert_eq!(decision.verdict, Verdict::Failed, "{limits}");
        let [found] = decision.causes.as_slice() else { panic!("{:?}", decision.causes) };
        assert!(causes.iter().all(|cause| found.contains(cause)), "{found}");
    }
    assert_eq!(limited("steps: 100000").verdict, Verdict::Accepted);
    let over = &limited("steps: 5000").failed_mappings[0];
    assert!(over.over_budget);
}

#[test]
fn an_event_that_is_given_up_fails_for_its_cause_and_is_recognised_again() {
    let mut world = World::new();
    let raw = event("e1", VIN, "sold");
    let give_up = |world: &mut World| {
        let arrival = World::arrival(&raw, None);
        let read = pipeline::given_up(&world.plan, arrival, "it ended the agent".to_owned());
        let now = Timestamp::from_second(1_772_360_430).unwrap();
        pipeline::process(&world.plan, read, &mut world.facts, &mut world.numbers, now)
    };
    let decision = decided(give_up(&mut world));
    assert_eq!((decision.verdict, decision.parks), (Verdict::Failed, false));
    assert_eq!(decision.causes, ["it ended the agent"]);
    assert!(decision.header.id.starts_with("sha256:"), "{}", decision.header.id);
    assert!(matches!(give_up(&mut world), Outcome::Redelivery));
}

#[test]
fn a_failed_mapping_parks_its_key_and_no_other() {
    let mut world = World::new();
    let bad = String::from_utf8(event("e1", VIN, "built")).unwrap().replace("0815", "08155");
    let failed = world.decide(bad.as_bytes());
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(failed.parks && !failed.transition.unwrap().applied);
    let mapping = "vehicle-registration".into();
    assert_eq!(failed.failed_mappings, [FailedMapping { mapping, over_budget: false }]);
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

// --- IDocs ------------------------------------------------------------------------------------

const IDOCS: &str = r#"version: 1
agent: { name: test, instance: "007", data_dir: data }
sources:
  vms: { type: amqp, url: amqp://localhost, queue: q, format: idoc, max_message: 64KiB,
         keys: { DEBMAS: E1KNA1M/KUNNR, ALEAUD: E1ADHDR/E1STATE/DOCNUM }, newest_wins: DEBMAS }
targets:
  events: { type: file, path: out, name: "{message_type}_{docnum}.json" }
schemas: [ MAPPINGS/schemas/idoc ]
mappings: [ MAPPINGS/customer-changed/mapping.yaml, MAPPINGS/document-audit/mapping.yaml ]
routes:
  - { on: idoc.DEBMAS, mapping: customer-changed, as: customer.changed, to: events }
  - { on: idoc.ALEAUD, when: 'EDI_DC40.TEST == null', mapping: document-audit, as: document.audited, to: events }
"#;

impl World {
    fn of_idocs() -> Self {
        Self::of(Site::written(IDOCS))
    }
}

/// The case of a mapping, with some texts replaced.
fn idoc(mapping: &str, case: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let path = root.join(mapping).join("cases").join(case).join("event.idoc");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert_eq!(from.len(), to.len(), "columns must stay");
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text.into_bytes()
}

/// A customer of that number of IDoc, made at that time.
fn customer(number: &str, serial: &str) -> Vec<u8> {
    let changes = [("0000000000700001", number), ("20260302101500", serial)];
    idoc("customer-changed", "dealer-with-everything", &changes)
}

#[test]
fn an_idoc_becomes_an_event_that_its_control_record_names() {
    let decision = World::of_idocs().decide(&customer("0000000000700001", "20260302101500"));
    assert_eq!(decision.verdict, Verdict::Accepted, "{:?}", decision.causes);
    let header = &decision.header;
    assert_eq!(header.id, "100/SAPQ01/Q01CLNT100/0000000000700001/20260302101500");
    assert_eq!((header.kind.as_str(), header.key.as_str()), ("idoc.DEBMAS", "0000104711"));
    assert_eq!(header.time, "2026-03-02T10:15:00");
    let [delivery] = decision.deliveries.as_slice() else { panic!("{decision:?}") };
    assert_eq!(delivery.name, "customer.changed_0007000000000001.json");
    assert_eq!(delivery.key, "0000104711");
    let text = std::str::from_utf8(&delivery.document).unwrap();
    assert!(text.starts_with(r#"{"customer":{"number":"104711","name":"Autohaus M"#), "{text}");
}

#[test]
fn an_older_idoc_of_a_key_is_ignored_and_says_why() {
    let mut world = World::of_idocs();
    let first = world.decide(&customer("0000000000700001", "20260302101500"));
    let step = first.transition.unwrap();
    assert_eq!((&*step.lifecycle, step.object.as_str()), ("serial:vms", "idoc.DEBMAS/0000104711"));
    assert_eq!((step.from, step.to.as_str()), (None, "SERIAL 20260302101500"));
    let older = world.decide(&customer("0000000000700000", "20260302101459"));
    assert_eq!(older.verdict, Verdict::Ignored);
    let cause = "older than what was taken last of its key: SERIAL 20260302101459 comes before \
                 SERIAL 20260302101500";
    assert_eq!(older.causes, [cause]);
    assert!(older.deliveries.is_empty() && !older.transition.unwrap().applied);
    // As new is not older; and another customer has a time of its own.
    let same = world.decide(&customer("0000000000700007", "20260302101500"));
    assert_eq!(same.verdict, Verdict::Accepted);
    let other = idoc(
        "customer-changed",
        "dealer-with-everything",
        &[("0000104711", "0000104719"), ("20260302101500", "20250302101500")],
    );
    assert_eq!(world.decide(&other).verdict, Verdict::Accepted);
}

#[test]
fn a_newer_idoc_that_fails_does_not_count_as_taken() {
    let mut world = World::of_idocs();
    let changes = [("20260302101500", "20260302101600"), ("250000.00", "unlimited")];
    let failed = world.decide(&idoc("customer-changed", "dealer-with-everything", &changes));
    assert_eq!(failed.verdict, Verdict::Failed);
    assert!(!failed.transition.unwrap().applied && failed.parks);
    world.facts.parked.clear();
    let older = world.decide(&customer("0000000000700002", "20260302101500"));
    assert_eq!(older.verdict, Verdict::Accepted, "{:?}", older.causes);
}

#[test]
fn needs_name_what_was_taken_last() {
    let world = World::of_idocs();
    let arrival = World::arrival(&customer("0000000000700001", "20260302101500"), None);
    let needs = pipeline::needs(&world.plan, &[pipeline::read(&world.plan, arrival)]);
    assert_eq!(needs.objects, [("serial:vms".into(), "idoc.DEBMAS/0000104711".to_owned())]);
    assert_eq!(needs.keys, ["0000104711"]);
}

#[test]
fn an_idoc_that_breaks_rules_fails_with_all_of_them_and_no_payload() {
    let text = String::from_utf8(customer("0000000000700001", "20260302101500")).unwrap();
    let head: Vec<&str> = text.lines().collect();
    let long = format!("{}{}", head[1], "x".repeat(1200));
    let raw = [head[0], head[2], &long, head[1], ""].join("\n");
    let failed = World::of_idocs().decide(raw.as_bytes());
    assert_eq!((failed.verdict, failed.parks), (Verdict::Failed, false));
    assert!(failed.causes.len() >= 3, "{:#?}", failed.causes);
    let all = failed.causes.join("\n");
    for what in ["its parent E1KNA1M is not there", "E1KNA1M: error: ", "at most 1"] {
        assert!(all.contains(what), "{what} is not in {all}");
    }
    assert!(!all.contains("Autohaus") && !all.contains("xxx"), "{all}");
    assert_eq!(failed.header.id, "100/SAPQ01/Q01CLNT100/0000000000700001/20260302101500");
}

#[test]
fn what_is_no_single_idoc_fails() {
    let mut world = World::of_idocs();
    let one = customer("0000000000700001", "20260302101500");
    let decision = world.decide(&[one, customer("0000000000700002", "20260302101500")].concat());
    assert_eq!(decision.causes, ["more than one IDoc"]);
    assert_eq!(world.decide(b"").causes, ["no IDoc: it is empty"]);
    assert!(world.decide(b"{}").causes[0].starts_with("not an IDoc: "));
    let large = vec![b' '; 70_000];
    assert_eq!(world.decide(&large).causes, ["70000 bytes; `max_message` allows 65536"]);
}

#[test]
fn without_a_number_the_place_in_its_file_identifies_an_idoc() {
    let mut world = World::of_idocs();
    let raw = idoc(
        "customer-changed",
        "only-what-is-required",
        &[("0000000000700002", "0000000000000000")],
    );
    let decision = decided(world.take_as(&raw, Some("0f1e:3"), None));
    assert_eq!(decision.header.id, "0f1e:3");
    assert!(decided(world.take_as(&raw, None, None)).header.id.starts_with("sha256:"));
}

#[test]
fn an_idoc_without_its_key_fails_and_other_message_types_are_their_own() {
    let mut world = World::of_idocs();
    let raw = idoc("customer-changed", "only-what-is-required", &[("D-0815", "      ")]);
    assert_eq!(world.decide(&raw).causes, ["no key at `E1KNA1M.KUNNR`"]);
    let status = world.decide(&idoc("document-status", "dispatched", &[]));
    assert_eq!(status.verdict, Verdict::Ignored);
    assert_eq!(
        (status.header.kind.as_str(), &*status.header.key),
        ("idoc.STATUS", "0000000000720001")
    );
}

#[test]
fn an_idoc_of_an_unknown_type_fails_where_a_route_takes_it() {
    let mut world = World::of_idocs();
    let unknown = |message| {
        let changes = [("SYSTAT01", "SYSTAT99"), ("STATUS", message)];
        idoc("document-status", "dispatched", &changes)
    };
    assert_eq!(world.decide(&unknown("STATUS")).verdict, Verdict::Ignored);
    let site =
        Site::written(&IDOCS.replace("ALEAUD: E1ADHDR/E1STATE/DOCNUM", "STATUS: E1STATS/DOCNUM"));
    let mut keyed = World::of(site);
    // Without a definition there is no key either.
    assert_eq!(keyed.decide(&unknown("STATUS")).causes, ["no key at `E1STATS.DOCNUM`"]);
    let site =
        Site::written(&IDOCS.replace("ALEAUD: E1ADHDR/E1STATE/DOCNUM", "MATMAS: E1STATS/DOCNUM"));
    let causes = World::of(site).decide(&unknown("ALEAUD")).causes;
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert!(causes[0].starts_with("there is no definition of its IDoc type"), "{causes:?}");
}

#[test]
fn mistakes_between_source_route_and_mapping_are_found() {
    let site = Site::written(
        &IDOCS
            .replace("DEBMAS: E1KNA1M/KUNNR", "DEBMAS: E1KNA1M/KUNR")
            .replace("as: customer.changed, ", "")
            .replace("on: idoc.ALEAUD", "on: idoc.STATUS"),
    );
    let (written, mistakes) = waybill::config::load::load(&site.config());
    assert!(mistakes.is_empty(), "{mistakes:#?}");
    let texts = |path: &std::path::Path| {
        waybill::config::load::file(path).map_err(|mistake| mistake.message.clone())
    };
    let mistakes = Plan::compile(&written.unwrap(), &texts, 1).unwrap_err();
    let found: Vec<String> = mistakes
        .iter()
        .map(|one| {
            format!("{}: {}; {}", one.mark.line, one.message, one.remedy.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        found,
        [
            "5: DEBMAS: no IDoc type declares a field `E1KNA1M.KUNR`; did you mean `KUNNR`?",
            "11: route: `as` is missing; name the event that the document is, such as `as: customer.changed`",
            "12: mapping document-audit reads `idoc.ALEAUD`, but the route is on `idoc.STATUS`; -",
        ]
    );
}
