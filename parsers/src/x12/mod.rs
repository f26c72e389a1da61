//! ANSI X12 interchanges, functional groups and transaction sets.
//!
//! [`Reader`] gives one document for each set, and one for each group and interchange around them.
//! What is wrong is reported, not thrown: [`RULES`] has every rule with its severity in the three
//! [`Mode`](crate::segment::Mode)s.
//!
//! ```
//! use waybill_parsers::segment::Part;
//! use waybill_parsers::x12::{ReadOptions, Reader};
//!
//! let isa = format!("ISA*00*{:10}*00*{:10}*ZZ*{:15}*ZZ*{:15}*261122*1200*U*00401*000000001*0*P*>~",
//!     "", "", "SENDER", "RECEIVER");
//! let file = isa + "GS*VB*S*R*20261122*1200*1*X*004010~ST*121*0001~BVS*SCAC~SE*3*0001~GE*1*1~IEA*1*000000001~";
//! let mut reader = Reader::new(file.as_bytes(), ReadOptions::default());
//! let Some(Part::Message(reading)) = reader.next().transpose()? else { panic!() };
//! assert_eq!(reading.document.root().name(), "121");
//! assert_eq!(reading.problems, []);
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

mod ack;
mod ack_codes;
mod checks;
mod isa;
mod levels;
mod read;
mod report;
mod rules;
mod sets;
mod write;

pub use ack::{AckOptions, AckSet, Acks};
pub use read::{ReadOptions, Reader};
pub use report::{GroupAck, InterchangeAck, SegmentError, SetAck, Status, read_ack, read_ta1};
pub use rules::RULES;
pub use write::{WriteOptions, Writer, write};
