//! CONTRL, 997, 999 and TA1: made from any input and read back, and read from any input.

#![no_main]

mod interchanges;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::{Document, edifact, x12};

use edifact::{Contrl, ContrlOptions, ContrlVersion, read_contrl};
use x12::{AckOptions, AckSet, Acks, read_ack, read_ta1};

fuzz_target!(|bytes: &[u8]| {
    for mode in [Mode::Lenient, Mode::Normal, Mode::Strict] {
        for (version, set) in
            [(ContrlVersion::V3, AckSet::Functional), (ContrlVersion::V4, AckSet::Implementation)]
        {
            contrl(bytes, mode, version);
            acks(bytes, mode, set);
        }
    }
});

fn contrl(bytes: &[u8], mode: Mode, version: ContrlVersion) {
    let read = edifact::ReadOptions { mode, limits: interchanges::LIMITS, ..Default::default() };
    let options = ContrlOptions {
        version,
        reference: "1",
        date: "20261122",
        time: "1200",
        ..Default::default()
    };
    let mut contrl = Contrl::new();
    for part in interchanges::parts(bytes, edifact::Reader::new(bytes, read)) {
        if let Part::Message(reading) = &part {
            let _ = read_contrl(&reading.document);
        }
        let Some(answer) = contrl.part(&part, &options) else { continue };
        let said = read_contrl(&answer);
        assert!(said.is_some(), "an answer is a CONTRL");
        // References of the sender may be too long or hold what cannot be sent.
        let mut out = Vec::new();
        if edifact::write(&answer, &Default::default(), &mut out).is_empty() {
            // The syntax is that of the sender, which may be one that only a lenient reader takes.
            let reader = edifact::Reader::new(out.as_slice(), Default::default());
            assert_eq!(read_contrl(&interchanges::first_message(reader).document), said);
        }
    }
}

fn acks(bytes: &[u8], mode: Mode, set: AckSet) {
    let read = x12::ReadOptions { mode, limits: interchanges::LIMITS };
    let options = AckOptions {
        set,
        control_number: "1",
        date: "20261122",
        time: "1200",
        ..Default::default()
    };
    let mut acks = Acks::new();
    for part in interchanges::parts(bytes, x12::Reader::new(bytes, read)) {
        match &part {
            Part::Message(reading) => drop(read_ack(&reading.document)),
            Part::Interchange(reading) => drop(read_ta1(&reading.document)),
            Part::Group(_) => {}
        }
        let Some(answer) = acks.part(&part, &options) else { continue };
        match answer.root().name() {
            "997" | "999" => functional(&answer),
            _ => interchange(&answer),
        }
    }
}

fn functional(answer: &Document) {
    let said = read_ack(answer);
    assert!(said.is_some(), "an answer is a 997 or 999");
    let mut out = Vec::new();
    if x12::write(answer, &Default::default(), &mut out).is_empty() {
        let reader = x12::Reader::new(out.as_slice(), Default::default());
        assert_eq!(read_ack(&interchanges::first_message(reader).document), said);
    }
}

fn interchange(answer: &Document) {
    let said = read_ta1(answer);
    assert_eq!(said.len(), 1);
    let mut out = Vec::new();
    let mut writer = x12::Writer::new(Default::default(), &mut out);
    let problems = writer.services(answer);
    if problems.is_empty() && writer.finish().is_empty() {
        let mut reader = x12::Reader::new(out.as_slice(), Default::default());
        let Some(Ok(Part::Interchange(reading))) = reader.next() else {
            panic!("a TA1 is an interchange");
        };
        assert!(!reading.is_refused(), "{:?}", reading.problems);
        assert_eq!(read_ta1(&reading.document), said);
    }
}
