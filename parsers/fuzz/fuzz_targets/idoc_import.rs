//! Exports and definition files: any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_parsers::{fixed, idoc};

fuzz_target!(|bytes: &[u8]| {
    let _ = idoc::import::parser_export(bytes);
    let _ = idoc::import::xsd(bytes);
    let _ = idoc::import::read_complete(bytes);
    let _ = idoc::read_schema(bytes);
    let _ = fixed::read_schema(bytes);
});
