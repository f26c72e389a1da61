//! The shape of a flat file.

use crate::encoding::Encoding;

/// How long a record is. Readers of all three exist; SAP reads all three with line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RecordLength {
    /// 524 characters for the control record and 1063 for each data record.
    #[default]
    Full,
    /// Data records end with the last field of their segment, as SAP's own file port writes them.
    Segment,
    /// Trailing blanks are left out of all records.
    Trimmed,
}

/// What stands after each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Newline {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    CrLf,
    /// Nothing; only possible with [`RecordLength::Full`].
    None,
}

/// The shape of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct WriteOptions {
    /// How long a record is.
    pub record_length: RecordLength,
    /// What stands after each record.
    pub newline: Newline,
    /// The encoding. No byte order mark is written.
    pub encoding: Encoding,
    /// Bytes of one IDoc, before they are encoded; `None` for no limit. A full record has 1063
    /// characters, so that a small document can become a large file.
    pub limit: Option<usize>,
}
