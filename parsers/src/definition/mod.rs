//! Definitions of EDIFACT directories and X12 releases: messages with their segment groups, segments,
//! composites, elements and code lists.
//!
//! A [`Definition`] is one release of one standard. Nothing that belongs to the United Nations or to
//! X12 ships with this crate: [`import`] compiles what a user has into our own file, which
//! [`read_definition`] reads. What ships are [`profiles()`] of some messages, written by hand.
//! [`check()`] holds a message against a definition, [`nest()`] puts its segments into their groups.
//!
//! ```text
//! waybill-edi 1
//! # A comment.
//! edifact D.21B
//! message IFTSTA : Transport status report
//!  UNH
//!  BGM
//!  DTM 0..9
//!  group 1 0..9
//!   RFF
//!   DTM 0..9
//!  UNT
//! segment RFF : Reference
//!  C506
//! composite C506 : Reference
//!  1153
//!  1154 0..1
//! element 1153 an1..3 : Reference code qualifier
//!  = AKG : Vehicle identification number
//! ```
//!
//! - The first line names the format and its version, the second the standard (`edifact`, `x12`) and
//!   its release; `profile` behind it marks rules of one's own, which add to those of the directory.
//! - `message`, with its segments and groups below; one more blank for each level of a group.
//! - `segment` and `composite`, with what is in them by position. A segment with nothing in it has a
//!   name and no rules.
//! - `element`: class and length as the standards write them (`an..35`, `n8`, `a3`; X12: `AN`,
//!   `ID`, `N0` to `N9`, `R`, `DT`, `TM`, `B`), with one allowed value on each line that begins
//!   with `=`. Quotes (`'`, doubled inside) keep blanks, `:` and `#`.
//! - Occurrences are `min..max`, `*` for any number; `1..1` is left out.
//! - What follows ` : ` is the description.

mod check;
mod file;
mod file_write;
pub mod import;
mod model;
mod nest;
mod profiles;
mod service;
mod set;
mod values;
mod walk;

pub use check::{Level, check};
pub use file::read_definition;
pub use file_write::write_definition;
pub use model::{
    ANY_NUMBER, Class, Composite, Definition, ElementForm, Item, Message, Segment, Standard, Use,
};
pub use nest::nest;
pub use profiles::{best_profile, profile_names, profiles};
pub use service::service;
pub use set::{Definitions, Found, release_of};
