//! The EDIFACT reader on any bytes: no panic, no loop, within its limits.

#![no_main]

mod interchanges;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::edifact::{
    Contrl, ContrlOptions, ReadOptions, Reader, WriteOptions, read_contrl, write,
};
use waybill_parsers::segment::{Mode, Part};

fuzz_target!(|bytes: &[u8]| {
    let options =
        ContrlOptions { reference: "1", date: "20261122", time: "1200", ..Default::default() };
    for mode in [Mode::Lenient, Mode::Strict] {
        let read = ReadOptions { mode, limits: interchanges::LIMITS, ..Default::default() };
        let mut contrl = Contrl::new();
        for part in interchanges::parts(bytes, Reader::new(bytes, read)) {
            if let Some(answer) = contrl.part(&part, &options) {
                // References of the sender may be too long or hold what cannot be sent.
                let mut out = Vec::new();
                if write(&answer, &WriteOptions::default(), &mut out).is_empty() {
                    let again = interchanges::first_message(Reader::new(out.as_slice(), read));
                    assert!(read_contrl(&again.document).is_some());
                }
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
