//! VDA messages of fixed-length records: 4905 (delivery call-off) and 4913 (delivery note).
//!
//! They are definition files for the engine of [`fixed`](crate::fixed). Any other message of the
//! family (4906, 4908, 4915, 4927, ...) is one more file, added with [`fixed::Types::add`].
//!
//! - A file is a transmission after another, each from its header (511, 711) to its trailer (519,
//!   719), which counts the records of each type.
//! - Each record has a version of its own; real files mix them, so they are not compared.
//! - Numbers are digits, filled with zeros from the left. Some have implied decimals; which, is
//!   not marked in the definitions, because it could not be verified.
//! - Dates are `YYMMDD` and times `HHMM`; `000000` is no date. In the schedules of 4905 (513, 514)
//!   some values are not dates but signs (`222222`, `333333`, `444444`, `555555`), so those are
//!   digits only.
//!
//! Field lengths and positions are those of the guidelines; each record adds up to 128 characters.
//!
//! ```
//! use std::sync::Arc;
//! use waybill_parsers::{Limits, fixed, vda};
//!
//! let file = format!("{:128}\n{:128}\n", "71103", "71902");
//! let mut reader =
//!     fixed::Reader::new(file.as_bytes(), Arc::new(vda::types()), Limits::default());
//! let reading = reader.next().unwrap()?;
//! assert_eq!(reading.document.root().name(), "VDA4913");
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

use std::sync::Arc;

use crate::fixed::{self, Types};

/// The definition files, for people and as a pattern for others.
pub const DEFINITIONS: [(&str, &str); 2] =
    [("VDA4905", include_str!("VDA4905.fixed")), ("VDA4913", include_str!("VDA4913.fixed"))];

/// The types of this module.
pub fn types() -> Types {
    let mut types = Types::new();
    for (_, text) in DEFINITIONS {
        // They are tested; one that could not be read would only be missing.
        if let Ok(schema) = fixed::read_schema(text.as_bytes()) {
            types.add(Arc::new(schema));
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;
    use crate::schema::Schema;

    #[test]
    fn every_record_adds_up_to_128_characters() {
        for (name, text) in DEFINITIONS {
            let schema: Schema = fixed::read_schema(text.as_bytes()).unwrap();
            assert_eq!(schema.name(), name);
            for (_, record) in schema.elements().filter(|(_, e)| e.kind == Kind::Segment) {
                let fields = record.children().iter().map(|id| schema.element(*id));
                let fields = fields.filter(|field| field.kind == Kind::Field);
                assert_eq!(
                    fields.filter_map(|field| field.length).sum::<u32>(),
                    128,
                    "{}",
                    record.name
                );
            }
            let again = fixed::read_schema(fixed::write_schema(&schema).as_bytes()).unwrap();
            assert_eq!(again, schema);
        }
        assert!(types().find("VDA4913").is_some());
    }
}
