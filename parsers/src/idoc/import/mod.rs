//! Definitions of IDoc types from what SAP systems export, into our own.
//!
//! | source | has | has not |
//! |---|---|---|
//! | [`parser_export`]: WE60 or report RSEIDOC3, "parser" | everything but data types | data types |
//! | [`xsd`]: WE60, "XML schema" | tree, lengths, occurrences, values | versions of definitions, levels, qualifiers, data types |
//! | [`read_complete`]: function module IDOCTYPE_READ_COMPLETE, as JSON | everything | |
//!
//! Layouts as found in 20 real parser exports, 8 real XSDs, and the metadata of the function
//! module's tables. The descriptions are SAP's and belong to the system that they come from.

mod block;
mod parser;
mod read_complete;
mod xsd;

use crate::reading::{Limits, Place, Problem, Problems, Severity};

pub use parser::parser_export;
pub use read_complete::read_complete;
pub use xsd::xsd;

/// "Any number" in SAP's definitions.
const ANY_NUMBER: u64 = 9_999_999_999;

/// The problems of one import.
struct Faults {
    problems: Problems,
}

impl Faults {
    fn new() -> Self {
        Self { problems: Problems::new(Limits::default().problems) }
    }

    fn push(&mut self, place: Place, code: &'static str, message: impl Into<String>) {
        let severity = Severity::Error;
        self.problems.push(severity, || Problem { severity, code, message: message.into(), place });
    }

    fn finish(mut self) -> Vec<Problem> {
        self.problems.finish()
    }
}

/// What a definition of a segment type is called by SAP's rule, without its version.
fn definition_of(segment_type: &str) -> String {
    match segment_type.split_at_checked(2) {
        Some(("E1", rest)) => format!("E2{rest}"),
        Some(("Z1", rest)) => format!("Z2{rest}"),
        _ => segment_type.to_owned(),
    }
}
