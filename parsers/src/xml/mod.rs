//! XML of any vocabulary: reader and writer.
//!
//! | XML | document |
//! |---|---|
//! | element with elements or attributes | group |
//! | element with text only, or nothing | text |
//! | attribute | attribute, its name after `@` |
//! | text beside elements or attributes | text named `#text`, in its place |
//!
//! Names are kept as they are written, with their prefix; namespace declarations are attributes
//! like others. Blanks between elements are left out, comments and processing instructions too.
//! Nothing is ever expanded or fetched: a document type declaration is an error.
//!
//! ```
//! use waybill_parsers::{Limits, Path, xml};
//!
//! let text = br#"<claim id="7"><vin>WAY1ZZZA6TB000017</vin><part>A1</part><part>B2</part></claim>"#;
//! let document = xml::read(text, &Limits::default())?.document;
//! let text_of = |path: &str| Path::parse(path).unwrap().text(document.root()).map(str::to_owned);
//! assert_eq!(text_of("part[1]").as_deref(), Some("B2"));
//! assert_eq!(text_of("@id").as_deref(), Some("7"));
//!
//! let mut out = Vec::new();
//! assert!(xml::write(document.root(), xml::WriteOptions::default(), &mut out).is_empty());
//! assert!(out.ends_with(text));
//! # Ok::<(), waybill_parsers::FrameError>(())
//! ```

pub(crate) mod events;
mod read;
mod write;

pub use read::read;
pub use write::{WriteOptions, write};

/// The name of text that stands beside elements or attributes.
const TEXT: &str = "#text";
