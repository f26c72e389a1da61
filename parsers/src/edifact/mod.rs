//! UN/EDIFACT (ISO 9735, syntax versions 1 to 4): interchanges, groups and messages.
//!
//! [`Reader`] gives one document for each message, and one for each group and interchange around
//! them. What is wrong is reported, not thrown: [`RULES`] has every rule with its severity in the
//! two [`Mode`](crate::segment::Mode)s.
//!
//! ```
//! use waybill_parsers::edifact::{ReadOptions, Reader};
//! use waybill_parsers::segment::Part;
//!
//! let file = b"UNB+UNOC:3+SENDER+RECEIVER+261122:1200+1'UNH+1+IFTSTA:D:10B:UN'BGM+23+77'UNT+3+1'UNZ+1+1'";
//! let mut reader = Reader::new(file.as_slice(), ReadOptions::default());
//! let Some(Part::Message(reading)) = reader.next().transpose()? else { panic!() };
//! assert_eq!(reading.document.root().name(), "IFTSTA");
//! let number = waybill_parsers::Path::parse("BGM[0][1]").unwrap();
//! assert_eq!(number.text(reading.document.root()), Some("77"));
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

mod checks;
mod contrl;
mod levels;
mod message;
mod read;
mod report;
mod rules;
mod service;
mod state;
mod syntax;
mod syntax_errors;
mod write;

pub use contrl::{Contrl, ContrlOptions, ContrlVersion, is_requested};
pub use read::{ReadOptions, Reader};
pub use report::{Acknowledgement, Action, Answer, SyntaxError, read_contrl};
pub use rules::RULES;
pub use syntax::{Repetition, Syntax, charset};
pub use syntax_errors::syntax_error_text;
pub use write::{WriteOptions, Writer, write};
