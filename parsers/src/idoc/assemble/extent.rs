//! Whether an IDoc is all there, as far as its end tells.
//!
//! Nothing in an IDoc says how many segments it has. A file that is still being written ends before a
//! mandatory segment that could still come, or inside of a record. What is trimmed is not cut: a
//! record is only called cut where no line end follows it, and it ends with a blank or the records
//! before show that it would be longer.

use crate::fixed::columns::Columns;
use crate::idoc::assemble::Assembly;
use crate::idoc::control::{Release, SDATA_LENGTH};
use crate::reading::{INCOMPLETE, Severity};

/// What came behind the last record of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::idoc) enum Next {
    Document,
    /// The end of the input; the record had its line end, or its fixed length.
    End,
    /// The end of the input instead of a line end.
    NoLineEnd,
    /// The end of the input instead of the last characters of a record of fixed length.
    Short,
}

/// The lengths of the data records of a document.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// Characters of the record read last.
    last: usize,
    ends_blank: bool,
    /// The record read last is of the very version that the definition has.
    pub(super) is_exact: bool,
    /// Records before it, and those of them that had their full length.
    before: u64,
    full: u64,
    /// One before it ended with a blank: blanks are not trimmed.
    is_padded: bool,
    /// The control record ended before its last column, and with no blank.
    pub(super) is_control_trimmed: bool,
}

impl Extent {
    /// Takes the next data record.
    pub(super) fn record(&mut self, columns: Columns<'_>, release: Release) {
        if self.last > 0 {
            self.before += 1;
            self.full += u64::from(self.last >= release.data_length());
            self.is_padded |= self.ends_blank;
        }
        (self.last, self.ends_blank) = (columns.characters(), columns.ends_blank());
        self.is_exact = false;
    }

    /// How many characters the record read last should have, where it has less. `fields` are those
    /// of its definition.
    fn expected(&self, fields: usize, release: Release) -> Option<usize> {
        let full = release.data_length();
        // The header ends with a number; only in release 3.x two blanks follow.
        let header = full - SDATA_LENGTH - if release == Release::R3 { 2 } else { 0 };
        let is_full = self.before > 0 && self.full == self.before;
        let expected = match (self.is_padded || self.ends_blank) && self.is_exact {
            _ if is_full => full,
            true => full - SDATA_LENGTH + fields,
            false => header,
        };
        Some(expected).filter(|expected| self.last < *expected)
    }

    /// Whether the record read last ends with a blank, in a file whose records are trimmed.
    fn ends_open(&self) -> bool {
        let is_trimmed = !self.is_padded && (self.before > 0 || self.is_control_trimmed);
        self.ends_blank && is_trimmed
    }
}

impl Assembly<'_> {
    /// Reports a document that the end of the input has cut short.
    pub(in crate::idoc) fn check_end(&mut self, next: Next) {
        let fields = self.nest.last().zip(self.kind).and_then(|(open, kind)| {
            let layout = kind.layouts.of(open.id)?;
            Some(layout.length)
        });
        let expected = match next {
            Next::Document => return,
            Next::End => None,
            Next::NoLineEnd => self.extent.expected(fields.unwrap_or(0), self.release),
            Next::Short => Some(self.release.data_length()),
        };
        let due = self.kind.and_then(|kind| self.nest.due(kind)).map(|element| &element.name);
        // A type may have no mandatory segment, but every IDoc of a system has one.
        let is_empty = self.place.segment == 0 && (due.is_some() || self.kind.is_none());
        let message = match (expected, due) {
            _ if is_empty => "nothing follows the control record".to_owned(),
            _ if self.place.segment == 0 => return,
            (Some(expected), _) => {
                let last = self.extent.last;
                format!("the input ends inside of this record: {last} of {expected} characters")
            }
            (None, _) if next == Next::NoLineEnd && self.extent.ends_open() => {
                "the input ends inside of this record: behind a blank, which others have not"
                    .to_owned()
            }
            (None, Some(name)) => format!("the input ends before the mandatory segment {name}"),
            (None, None) => return,
        };
        self.problem(Severity::Error, INCOMPLETE, "", message);
    }
}
