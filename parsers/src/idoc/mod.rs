//! SAP IDocs: flat files, status records, and the definitions of IDoc types.
//!
//! A flat file is one control record ([`EDI_DC40`]) and data records ([`EDI_DD40`] and 1000
//! characters of segment data) for each IDoc. What the characters mean, and how the segments nest,
//! is in the definition of the IDoc type: a [`Schema`](crate::Schema) whose
//!
//! - root is a [`Kind::Group`](crate::Kind::Group) named by the basic type (`IDOCTYP`), with the
//!   extension (`CIMTYP`) as its `definition`, if it is one;
//! - segments are [`Kind::Segment`](crate::Kind::Segment)s named by the segment type (`E1EDK01`)
//!   with the segment definition that travels (`E2EDK01005`), the first segment of a group being
//!   the parent of the others;
//! - fields are [`Kind::Field`](crate::Kind::Field)s with their length, in the order of the record.
//!
//! A document has the same shape, with the control record as a segment `EDI_DC40` before the
//! others. Blank fields are left out, and values have no trailing blanks.
//! Values stay as they are sent: the sign of a decimal field stands behind it (`12.50-`).
//!
//! ```
//! use std::sync::Arc;
//! use waybill_parsers::{Limits, idoc, json};
//!
//! let definition = b"waybill-idoc 1
//! type ZNOTE01
//! segment Z1NOTE Z2NOTE000 1..9 level 1
//!   field TEXT 40";
//! let schema = Arc::new(idoc::read_schema(definition).unwrap());
//!
//! // Any document of that shape can be written; here one from JSON.
//! let event = br#"{"EDI_DC40": {"DOCNUM": "0000000000000001"}, "Z1NOTE": [{"TEXT": "ready"}]}"#;
//! let document = json::read(event, &Limits::default())?.document;
//! let mut file = Vec::new();
//! let problems = idoc::write(&document, &schema, idoc::WriteOptions::default(), &mut file);
//! assert!(problems.is_empty());
//!
//! let mut types = idoc::Types::new();
//! types.add(schema);
//! let mut reader = idoc::Reader::new(file.as_slice(), Arc::new(types), Limits::default());
//! let reading = reader.next().unwrap()?;
//! let note = reading.document.root().child("Z1NOTE").unwrap();
//! assert_eq!(note.child("TEXT").unwrap().text(), "ready");
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

mod assemble;
pub(crate) mod check;
mod control;
pub(crate) mod definition;
mod frame;
mod header;
pub mod import;
mod read;
mod record;
mod types;
mod write;
pub mod xml;

pub use control::{
    Column, DATA_HEADER, DATA_HEADER_3X, EDI_DC, EDI_DC_LENGTH, EDI_DC_TAIL, EDI_DC40,
    EDI_DC40_LENGTH, EDI_DD40, EDI_DS40, EDI_DS40_LENGTH, Release, SDATA_LENGTH,
};
pub use definition::{read_schema, write_schema};
pub use frame::{RecordKind, Records};
pub use read::{ReadOptions, Reader};
pub use types::Types;
pub use write::{Newline, RecordLength, WriteOptions, write, write_status};
