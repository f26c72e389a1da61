//! IDoc-XML: the dialects of SAP, read and written, and that of Microsoft, read.
//!
//! | dialect | form |
//! |---|---|
//! | XML file port, XML over HTTP | `<ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">...` without a namespace |
//! | IDoc-SOAP | the same tree in the namespace `urn:sap-com:document:sap:idoc:soap:messages`, alone or in a SOAP envelope |
//! | Microsoft (WCF-SAP, Logic Apps) | `<Receive><idocData>` with segments by definition, `GRP` elements around groups and header columns as elements; or the flat file as text in `<SendIdoc><idocData>` |
//!
//! Names in elements are those of the type, with `_-` for `/` (from file names seen; the rule for
//! XML itself is from memory). The root is named by the extension where there is one, so the type
//! is that of the control record. Documents have the shape of those of flat files.
//!
//! | problem | severity | when |
//! |---|---|---|
//! | `no-control-record` | warning | the first element is not `EDI_DC40`: the root names the type |
//! | `unmarked-segment` | warning | a segment without the attribute `SEGMENT` |
//! | `unknown-segment`, `unknown-field` | warning | not declared: kept as it came |
//! | `stray-text` | error | text between fields, which is not kept |
//! | `too-long` | error | more characters than the field has; a warning in the control record |
//!
//! and those of flat files for types, order, occurrences, control characters and values.

mod read;
mod tree;
mod write;

pub use read::Reader;
pub use write::{Namespace, WriteOptions, write};

/// The namespace of IDoc-SOAP.
pub const SOAP_NAMESPACE: &str = "urn:sap-com:document:sap:idoc:soap:messages";
