//! What the writers of interchanges share: segments on their way out, and what is wrong with them.

use crate::document::Node;
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::segment::emit::Emitter;

/// Appends segments, and keeps their problems with their places.
#[derive(Debug)]
pub(crate) struct Output<'o> {
    pub(crate) bytes: &'o mut Vec<u8>,
    /// Where the interchange begins in `bytes`.
    pub(crate) start: usize,
    pub(crate) emitter: Emitter,
    /// Whether a line feed stands behind every terminator.
    pub(crate) newline: bool,
    /// The number of the current segment in its message.
    pub(crate) segment: u32,
    pub(crate) problems: Problems,
}

/// A header that waits for its trailer.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its bytes, to tell whether the next message belongs to it.
    pub(crate) bytes: Vec<u8>,
    pub(crate) reference: String,
    /// Messages, or groups, in it.
    pub(crate) count: u64,
    pub(crate) groups: u64,
}

impl Opened {
    pub(crate) fn new(bytes: Vec<u8>, reference: &str) -> Self {
        Self { bytes, reference: reference.to_owned(), count: 0, groups: 0 }
    }

    /// Whether a header of these bytes is open.
    pub(crate) fn is(open: Option<&Self>, bytes: &[u8]) -> bool {
        open.is_some_and(|open| open.bytes == bytes)
    }
}

impl<'o> Output<'o> {
    pub(crate) fn new(emitter: Emitter, newline: bool, bytes: &'o mut Vec<u8>) -> Self {
        let problems = Problems::new(Limits::default().problems);
        Self { start: bytes.len(), bytes, emitter, newline, segment: 0, problems }
    }

    /// Appends a segment.
    pub(crate) fn put(&mut self, node: Node<'_>) {
        self.segment += 1;
        self.emitter.segment(node, self.bytes);
        self.end_segment();
        for fault in std::mem::take(&mut self.emitter.faults) {
            let mut path = String::new();
            append_name(&mut path, node.name());
            for number in [fault.element, fault.component] {
                if number > 0 {
                    path += &format!("/{number}");
                }
            }
            self.problem(fault.code, &path, fault.message);
        }
    }

    /// Appends a trailer, which has a count and the reference of its header.
    pub(crate) fn trailer(&mut self, tag: &[u8], count: u64, reference: &str) {
        let element = self.emitter.separators.element;
        self.bytes.extend_from_slice(tag);
        self.bytes.push(element);
        self.bytes.extend_from_slice(count.to_string().as_bytes());
        self.bytes.push(element);
        self.emitter.text(reference, self.bytes);
        self.emitter.faults.clear();
        self.end_segment();
    }

    pub(crate) fn end_segment(&mut self) {
        let separators = &self.emitter.separators;
        self.bytes.push(separators.terminator);
        self.bytes.extend_from_slice(separators.tail_bytes());
        if self.newline && separators.terminator != b'\n' {
            self.bytes.push(b'\n');
        }
    }

    pub(crate) fn problem(&mut self, code: &'static str, path: &str, message: &str) {
        let offset = self.bytes.len().saturating_sub(self.start) as u64;
        let segment = self.segment;
        self.problems.push(Severity::Error, || {
            let place = Place { offset, segment, path: path.to_owned(), ..Place::default() };
            Problem { severity: Severity::Error, code, message: message.to_owned(), place }
        });
    }
}
