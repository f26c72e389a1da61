//! Files of fixed-length records, each of a record type that its first characters name.
//!
//! What the records are is in a definition file; nothing here knows a standard. The engine shares
//! its columns, its nesting and its rules with [`idoc`](crate::idoc), and VDA is a set of
//! definitions for it ([`vda`](crate::vda)).
//!
//! ```text
//! waybill-fixed 1
//! # A comment.
//! type STOCK01 64 : Stock at a dealer
//! record 100 1..1 : Header
//!   field RECORD 3 : Record type
//!   field DEALER 8 digits required : Dealer
//! record 200 0..* : Vehicle
//!   field RECORD 3 : Record type
//!   field VIN 17 required : Vehicle identification number
//!   field COLOR 1 : Colour
//!     value B : Blue
//!   record 210 0..9 : Option of the vehicle
//!     field RECORD 3 : Record type
//! record 900 1..1 : Trailer
//!   field RECORD 3 : Record type
//!   field COUNT_200 7 digits : Vehicles
//! ```
//!
//! - `type`: name, and the characters of a record.
//! - `record`: what its first field holds, and how often it may occur. Records nest by
//!   indentation. With the word `any` after the occurrences it stands for every record that no
//!   other one stands for: a file of rows without record types.
//! - `field`: name, characters, and optionally `digits` (filled with zeros from the left),
//!   `decimal`, `date` (`YYYYMMDD`, of six characters `YYMMDD`), `time` (`HHMMSS`, of four `HHMM`),
//!   and `required`.
//! - `value`: one allowed value of the field above.
//! - A field `COUNT_200` holds how many records 200 there are; it is checked, and filled where a
//!   document does not give it.
//!
//! A document is a group named by the type, with a segment for each record. Blank fields are left
//! out and values have no trailing blanks, as in IDocs; the first field is kept. A type whose
//! first record must occur exactly once gives a document for each of them; any other type is one
//! document a file.

mod assemble;
pub(crate) mod columns;
mod definition;
mod frame;
pub(crate) mod index;
pub(crate) mod nest;
mod read;
mod types;
mod write;

pub use definition::{read_schema, write_schema};
pub use frame::Records;
pub use read::{ReadOptions, Reader};
pub use types::Types;
pub use write::{Newline, WriteOptions, write};

use crate::schema::{DataType, Element, Schema};

/// How a field begins that counts records.
const COUNT: &str = "COUNT_";

/// Characters of a record of that type.
pub(crate) fn record_length(schema: &Schema) -> usize {
    schema.element(schema.root()).length.unwrap_or(0) as usize
}

/// The record type that a field counts.
fn counted(field: &Element) -> Option<&str> {
    field.name.strip_prefix(COUNT).filter(|name| !name.is_empty())
}

/// Whether a field is filled with digits over its whole length.
fn is_filled(field: &Element) -> bool {
    matches!(field.data, DataType::Digits | DataType::Date | DataType::Time)
}

/// Whether a value of such a field has characters that belong to another one.
fn is_foreign(field: &Element, value: &str) -> bool {
    is_filled(field) && value.bytes().any(|byte| !byte.is_ascii_digit() && byte != b' ')
}
