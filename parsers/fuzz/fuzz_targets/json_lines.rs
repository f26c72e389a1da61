//! JSON Lines: any bytes.

#![no_main]

mod laws;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::json;

fuzz_target!(|bytes: &[u8]| {
    laws::check(bytes, json::Lines::new(bytes, laws::LIMITS));
});
