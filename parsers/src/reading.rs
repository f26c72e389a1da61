//! What a reader returns: the document, everything that is wrong with it, and where it came from.
//!
//! Readers are lenient in content and strict in framing. A violated rule becomes a [`Problem`] and
//! reading goes on, so that one answer can report all of them; a broken frame ends the reader with
//! a [`FrameError`], because nobody knows where the next document begins.

use std::fmt;
use std::ops::Range;

use crate::document::Document;

/// One document read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The document, as far as it could be understood.
    pub document: Document,
    /// Every violation, in the order of their places.
    pub problems: Vec<Problem>,
    /// The bytes of the document, as offsets into the whole input.
    pub span: Range<u64>,
}

impl Reading {
    /// Whether a problem makes the document unusable for further processing.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether the input ended before the document did, as far as this can be told: a file that is
    /// read while it is written. Reading it again later may give a document without this problem.
    ///
    /// Told by readers of flat IDocs and of fixed-length records; those of other formats give a
    /// [`FrameError`] or report the missing trailer.
    pub fn is_incomplete(&self) -> bool {
        self.problems.iter().any(|problem| problem.code == INCOMPLETE)
    }
}

/// The code of the problem that makes a reading incomplete.
pub(crate) const INCOMPLETE: &str = "incomplete";

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Seen in the wild and understood without doubt.
    Warning,
    /// The document must not be used as it stands.
    Error,
}

impl Severity {
    /// The word in files and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One violation of one rule, with its place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs, such as `too-long`.
    pub code: &'static str,
    /// What is wrong, for people. It names lengths and rules, never the payload's text.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// Where in the input something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the input.
    pub offset: u64,
    /// Line, from 1; 0 where the format has no lines.
    pub line: u64,
    /// Character in the line, from 1; 0 where the format has no lines.
    pub column: u32,
    /// The segment in its document, from 1; 0 outside of a segment.
    pub segment: u32,
    /// Names from the outside in: `E1EDK01/CURCY`. Empty where no name is known.
    pub path: String,
}

impl Place {
    /// The place of byte `offset` in a text: line and column are counted from its start, in time
    /// linear in `offset`. Bytes that are no UTF-8 count as a character each.
    pub fn in_text(text: &[u8], offset: usize) -> Self {
        let head = text.get(..offset).unwrap_or(text);
        let line_start = memchr::memrchr(b'\n', head).map_or(0, |at| at + 1);
        let line = head.get(line_start..).unwrap_or_default();
        let characters = line.iter().filter(|byte| (**byte as i8) >= -0x40).count();
        Self {
            offset: offset as u64,
            line: memchr::memchr_iter(b'\n', head).count() as u64 + 1,
            column: u32::try_from(characters + 1).unwrap_or(u32::MAX),
            ..Self::default()
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column.max(1))?;
        } else {
            write!(f, "byte {}: ", self.offset)?;
        }
        if self.segment > 0 {
            write!(f, "segment {}: ", self.segment)?;
        }
        if self.path.is_empty() { Ok(()) } else { write!(f, "{}: ", self.path) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.place, self.severity.as_str(), self.message)
    }
}

/// The input is not what the reader reads: no document can be told from the next one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct FrameError {
    /// A stable word for programs.
    pub code: &'static str,
    /// What was expected and what was found, without the payload's text.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// Bounds on what a reader accepts, so that no input can take the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document. Default 64 MiB, and never more than 1 GiB.
    pub document: usize,
    /// Bytes of one record, segment or string. Default 16 MiB.
    pub record: usize,
    /// Nesting of groups, objects and lists. Default 64.
    pub depth: usize,
    /// Nodes of one document. Default 4 Mi.
    pub nodes: usize,
    /// Problems kept for one document; the last one says that there are more. Default 100.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document: 64 << 20, record: 16 << 20, depth: 64, nodes: 4 << 20, problems: 100 }
    }
}

impl Limits {
    /// The bytes that one document may have. Places in a document have 32 bits: a byte may become
    /// three in UTF-8, and a token has two numbers.
    #[inline]
    pub(crate) fn document_bytes(&self) -> usize {
        self.document.min(1 << 30)
    }
}

/// The problems of one document, kept up to [`Limits::problems`].
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    limit: usize,
    more: u64,
    worst_of_more: Option<Severity>,
}

impl Problems {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Keeps the problem, or counts it where there is no more room. The problem is only made when
    /// it is kept, so that a document full of faults costs no more than its first hundred.
    pub(crate) fn push(&mut self, severity: Severity, problem: impl FnOnce() -> Problem) {
        if self.kept.len() < self.limit.max(1) {
            self.kept.push(problem());
        } else {
            self.more += 1;
            self.worst_of_more = self.worst_of_more.max(Some(severity));
        }
    }

    /// The problems in the order of their places. Where some were not kept, the last one says how
    /// many, as severe as the worst of them: a refused document is never taken for a good one.
    pub(crate) fn finish(&mut self) -> Vec<Problem> {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|problem| problem.place.offset);
        if let Some(severity) = self.worst_of_more.take() {
            let more = std::mem::take(&mut self.more);
            let place = kept.last().map(|last| last.place.clone());
            kept.push(Problem {
                severity,
                code: "more-problems",
                message: format!("{more} more problems are not listed"),
                place: place.unwrap_or_default(),
            });
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity, offset: u64) -> Problem {
        Problem {
            severity,
            code: "too-long",
            message: "too long".to_owned(),
            place: Place { offset, ..Place::default() },
        }
    }

    #[test]
    fn an_error_past_the_limit_still_refuses_the_document() {
        let mut problems = Problems::new(2);
        for offset in [9, 3, 5] {
            problems.push(Severity::Warning, || problem(Severity::Warning, offset));
        }
        problems.push(Severity::Error, || problem(Severity::Error, 1));
        let found = problems.finish();
        let places: Vec<_> = found.iter().map(|p| p.place.offset).collect();
        assert_eq!(places, [3, 9, 9]);
        assert_eq!(found[2].message, "2 more problems are not listed");
        assert_eq!(found[2].severity, Severity::Error);
    }

    #[test]
    fn a_place_counts_characters_and_not_bytes() {
        let text = "a\nß€x".as_bytes();
        let place = Place::in_text(text, text.len() - 1);
        assert_eq!((place.line, place.column, place.offset), (2, 3, 7));
        assert_eq!(Place::in_text(text, 99).line, 2);
    }
}
