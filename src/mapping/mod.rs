//! From the document that came in to the document that goes out, as a file declares it.
//!
//! The life of a mapping: [`read`] takes the file as written, [`compile`] checks every path,
//! expression, segment, field and code in it against both schemas and the tables, and
//! [`Mapping::apply`] makes one document of one source. A mapping is compiled or absent; all
//! mistakes of a file are reported at once, each with its line and column.
//!
//! Pure: the caller brings the texts of all files, and nothing here reads a clock, a disk or a
//! network. The language is described in `docs/mapping.md`, whose examples are tests.

mod apply;
mod budget;
mod compile;
mod condition;
mod entry;
mod expr;
mod field;
mod file;
mod fill;
mod lookup;
mod members;
mod number;
mod object;
mod rule;
mod written;

pub use apply::{Fault, FaultKind, Mapping, Product};
pub use budget::{Budget, STEP_BYTES};
pub use compile::{Inputs, compile, idoc_source};
pub use condition::Condition;
pub use entry::{FieldEntry, PadEntry, RuleEntry, TrimEntry, Typed, ValueEntry};
pub use file::{FormatEntry, ItemEntry, ListEntry, MappingFile, SegmentEntry, read};

#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod tests;
