//! Delimited files: any bytes.

#![no_main]

mod laws;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::csv;

fuzz_target!(|bytes: &[u8]| {
    laws::check(bytes, csv::Reader::new(bytes, csv::ReadOptions::default(), laws::LIMITS));
});
