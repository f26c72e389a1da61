//! CSV and other delimited files, a document each row.
//!
//! A row is a group named `row` of texts named by the header, or `c1`, `c2`, ... where there is
//! none. Empty fields are left out. Quoting is that of RFC 4180, with any delimiter; where it is
//! not given, the first line tells it (`;` is common where the comma is the decimal sign).
//!
//! ```
//! use waybill_parsers::{Limits, csv};
//!
//! let file = b"dealer;name\r\n0000104711;\"Autohaus; Werkstatt\"\r\n";
//! let mut rows = csv::Reader::new(file.as_slice(), csv::ReadOptions::default(), Limits::default());
//! let row = rows.next().unwrap()?.document;
//! assert_eq!(row.root().child("name").unwrap().text(), "Autohaus; Werkstatt");
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

mod read;
mod write;

pub use read::{ReadOptions, Reader};
pub use write::{WriteOptions, write};

/// The name of the root of each document.
const ROW: &str = "row";
