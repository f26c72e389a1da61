//! The EDIFACT reader on any bytes: no panic, no loop, within its limits.

#![no_main]

mod interchanges;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::edifact::{ReadOptions, Reader, WriteOptions, write};
use waybill_parsers::segment::{Mode, Part};

fuzz_target!(|bytes: &[u8]| {
    for mode in [Mode::Lenient, Mode::Normal, Mode::Strict] {
        let read = ReadOptions { mode, limits: interchanges::LIMITS, ..Default::default() };
        for part in interchanges::parts(bytes, Reader::new(bytes, read)) {
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
