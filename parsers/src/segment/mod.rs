//! Segments with separators: what EDIFACT (ISO 9735) and X12 share.
//!
//! [`Segments`] lends one segment after the other out of a bounded buffer. Separators are data
//! ([`Separators`]); where they stand is kept as marks in one arena that every segment reuses, so
//! that reading allocates nothing per segment. Framing is all it does: it knows no tag, no
//! interchange and no message. [`edifact`](crate::edifact) and [`x12`](crate::x12) do.
//!
//! | byte | where | what happens |
//! |---|---|---|
//! | CR, LF, blank, tabulator | between segments | skipped; lines are counted |
//! | any below 0x20 | inside of a segment | data, and [`Segment::has_controls`] says so |
//! | a release character | before any byte | that byte is data |
//! | ESC of ISO 2022 | where [`Separators::shifts`] is set | data until the shift back to ASCII |

mod emit;
mod level;
mod lexer;
mod output;
mod parts;
mod scan;
mod separators;
mod text;
mod token;
mod tree;
mod window;

pub use level::{ENVELOPE, GROUP, INTERCHANGE, Mode, Rule};
pub use lexer::Segments;
pub use parts::Part;
pub use separators::Separators;
pub use text::{Charset, Decoded};
pub use token::{Element, Raw, Segment};

pub(crate) use emit::Emitter;
pub(crate) use level::{
    Level, References, check_header, end_of, is_wrapped, miscounted, place_in, place_of, value,
};
pub(crate) use output::{Opened, Output};
pub(crate) use tree::{Nodes, put_segment, put_values};
