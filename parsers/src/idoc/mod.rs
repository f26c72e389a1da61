//! SAP IDocs: flat files of release 4.x, and the definitions of IDoc types.
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

mod assemble;
mod columns;
mod control;
mod definition;
mod frame;
mod nest;
mod read;
mod record;
mod types;
mod write;

pub use control::{Column, DATA_HEADER, EDI_DC40, EDI_DC40_LENGTH, EDI_DD40, SDATA_LENGTH};
pub use definition::{read_schema, write_schema};
pub use frame::{RecordKind, Records};
pub use read::Reader;
pub use types::Types;
pub use write::{Newline, RecordLength, WriteOptions, write};
