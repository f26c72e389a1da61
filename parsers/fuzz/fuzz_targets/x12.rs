//! The X12 reader on any bytes: no panic, no loop, within its limits.

#![no_main]

mod interchanges;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::x12::{AckOptions, Acks, ReadOptions, Reader, WriteOptions, write};

fuzz_target!(|bytes: &[u8]| {
    let options =
        AckOptions { control_number: "1", date: "20261122", time: "1200", ..Default::default() };
    for mode in [Mode::Lenient, Mode::Strict] {
        let read = ReadOptions { mode, limits: interchanges::LIMITS };
        let mut acks = Acks::new();
        for part in interchanges::parts(bytes, Reader::new(bytes, read)) {
            if let Some(answer) = acks.part(&part, &options) {
                let mut out = Vec::new();
                write(&answer, &WriteOptions::default(), &mut out);
            }
            let Part::Message(reading) = part else { continue };
            let mut out = Vec::new();
            if write(&reading.document, &WriteOptions::default(), &mut out).is_empty() {
                let read = ReadOptions::default();
                let again = interchanges::first_message(Reader::new(out.as_slice(), read));
                let mut twice = Vec::new();
                assert!(write(&again.document, &WriteOptions::default(), &mut twice).is_empty());
                assert_eq!(out, twice);
            }
        }
    }
});
