//! Readers and writers for the documents of enterprise integration.
//!
//! Every format reads into one [`Document`] and writes from it. Readers report everything that is
//! wrong with a document ([`Reading::problems`]) and never panic, loop or outgrow their
//! [`Limits`]. The crate is pure: no clock, no files, no async.
//!
//! | module | format |
//! |---|---|
//! | [`edifact`] | UN/EDIFACT interchanges (ISO 9735), versions 1 to 4, and CONTRL |
//! | [`csv`] | CSV and other delimited files |
//! | [`definition`] | no format: EDIFACT directories and X12 releases as definitions |
//! | [`fixed`], [`vda`] | files of fixed-length records by definition; VDA 4905 and 4913 |
//! | [`idoc`] | SAP IDocs: flat files, IDoc-XML, status records, definitions of IDoc types |
//! | [`json`] | JSON, JSON Lines, JSON Schema |
//! | [`segment`] | segments with separators, which EDIFACT and X12 share |
//! | [`x12`] | ANSI X12 interchanges, and TA1, 997 and 999 |
//! | [`xml`] | XML of any vocabulary |

pub mod csv;
pub mod definition;
pub mod document;
pub mod edifact;
pub mod encoding;
pub mod fixed;
pub mod format;
pub mod idoc;
pub mod json;
pub mod path;
pub mod reading;
pub mod schema;
pub mod segment;
pub mod vda;
pub mod x12;
pub mod xml;

pub use document::{Builder, Document, Kind, Node, NodeId};
pub use encoding::Encoding;
pub use format::{Format, UnknownFormat};
pub use path::{Path, PathError, Step};
pub use reading::{FrameError, Limits, Place, Problem, Reading, Severity};
pub use schema::{DataType, Element, ElementId, Resolved, Schema};
