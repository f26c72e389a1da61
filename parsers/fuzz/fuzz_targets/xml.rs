//! XML: any bytes, and back.

#![no_main]

mod laws;

use libfuzzer_sys::fuzz_target;
use waybill_parsers::{Limits, xml};

fuzz_target!(|bytes: &[u8]| {
    for reading in laws::check(bytes, [xml::read(bytes, &laws::LIMITS)].into_iter()) {
        let mut out = Vec::new();
        let options = xml::WriteOptions::default();
        if xml::write(reading.document.root(), options, &mut out).is_empty() {
            let again = xml::read(&out, &Limits::default()).unwrap();
            assert_eq!(again.document, reading.document);
        }
    }
});
