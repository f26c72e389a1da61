//! IDoc-XML: any bytes, and back.

#![no_main]

mod laws;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use waybill_parsers::{Severity, idoc};

static TYPES: LazyLock<Arc<idoc::Types>> = LazyLock::new(|| {
    let mut types = idoc::Types::new();
    let text = include_str!("../../../mappings/schemas/idoc/ZVEHREG01.idoc");
    types.add(Arc::new(idoc::read_schema(text.as_bytes()).unwrap()));
    Arc::new(types)
});

fuzz_target!(|bytes: &[u8]| {
    let options = idoc::ReadOptions { values: Some(Severity::Warning), ..Default::default() };
    let reader = idoc::xml::Reader::with_options(bytes, Arc::clone(&TYPES), laws::LIMITS, options);
    for reading in laws::check(bytes, reader) {
        let Some(schema) = TYPES.find(reading.document.root().name(), "") else { continue };
        let mut out = Vec::new();
        let shape = idoc::xml::WriteOptions::default();
        if idoc::xml::write(&[&reading.document], schema, shape, &mut out).is_empty() {
            let again =
                idoc::xml::Reader::new(out.as_slice(), Arc::clone(&TYPES), Default::default());
            assert_eq!(again.map(|reading| reading.unwrap()).count(), 1);
        }
    }
});
