//! JSON (RFC 8259) and JSON Lines: reader, writer, and the subset of JSON Schema that describes events.
//!
//! Objects become [`Kind::Group`], arrays [`Kind::List`] with unnamed items, and scalars
//! [`Kind::Text`], [`Kind::Number`] (in its source notation), [`Kind::Bool`] and [`Kind::Null`].
//! The root may be any value.
//!
//! [`Kind::Group`]: crate::Kind::Group
//! [`Kind::List`]: crate::Kind::List
//! [`Kind::Text`]: crate::Kind::Text
//! [`Kind::Number`]: crate::Kind::Number
//! [`Kind::Bool`]: crate::Kind::Bool
//! [`Kind::Null`]: crate::Kind::Null
//!
//! ```
//! use waybill_parsers::{Limits, json};
//!
//! let reading = json::read(br#"{"price": 1250.00}"#, &Limits::default())?;
//! assert_eq!(reading.document.root().child("price").unwrap().text(), "1250.00");
//!
//! let mut out = Vec::new();
//! json::write(reading.document.root(), &mut out);
//! assert_eq!(out, br#"{"price":1250.00}"#);
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

mod lines;
mod read;
mod repeats;
mod schema;
mod token;
mod write;

pub use lines::{Lines, write_line};
pub use read::read;
pub use repeats::ambiguous;
pub use schema::read_schema;
pub use write::{write, write_pretty};
