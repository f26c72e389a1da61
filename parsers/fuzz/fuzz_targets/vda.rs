//! VDA: any bytes, and back.

#![no_main]

mod laws;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use waybill_parsers::{Severity, fixed, vda};

static TYPES: LazyLock<Arc<fixed::Types>> = LazyLock::new(|| Arc::new(vda::types()));

fuzz_target!(|bytes: &[u8]| {
    let options = fixed::ReadOptions { values: Some(Severity::Warning), ..Default::default() };
    let reader = fixed::Reader::with_options(bytes, Arc::clone(&TYPES), laws::LIMITS, options);
    for reading in laws::check(bytes, reader) {
        let Some(schema) = TYPES.find(reading.document.root().name()) else { continue };
        let mut out = Vec::new();
        let shape = fixed::WriteOptions::default();
        if fixed::write(&reading.document, schema, shape, &mut out).is_empty() {
            let again = fixed::Reader::new(out.as_slice(), Arc::clone(&TYPES), Default::default());
            assert!(again.into_iter().all(|reading| !reading.unwrap().is_refused()));
        }
    }
});
