//! What is open: interchange, group, message, and the problems of each.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::document::{Builder, Document, Kind};
use crate::edifact::rules::{Mode, Rule};
use crate::edifact::syntax::Syntax;
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Reading};
use crate::segment::{Nodes, Segment, put_segment};

/// The name of the group of header segments in every document.
pub const ENVELOPE: &str = "envelope";
/// The name of the root of an interchange's document.
pub const INTERCHANGE: &str = "interchange";
/// The name of the root of a group's document.
pub const GROUP: &str = "group";

/// References are remembered to find duplicates, up to this many for one interchange.
const MOST_REFERENCES: usize = 50_000;

/// One open level: where it began, what was found, and its document.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) builder: Builder,
    problems: Problems,
    mode: Mode,
    /// Where it begins in the input.
    pub(super) start: Place,
    pub(super) reference: Vec<u8>,
    /// Messages or groups in it, or segments of a message.
    pub(super) count: u64,
}

impl Level {
    pub(super) fn new(mode: Mode, limits: &Limits, start: Place) -> Self {
        let builder = Builder::new();
        let problems = Problems::new(limits.problems);
        Self { builder, problems, mode, start, reference: Vec::new(), count: 0 }
    }

    /// Reports a violation at `place`.
    pub(super) fn report(&mut self, rule: Rule, place: &Place, message: impl Into<String>) {
        if let Some(severity) = rule.severity(self.mode) {
            self.problems.push(severity, || Problem {
                severity,
                code: rule.code,
                message: message.into(),
                place: place.clone(),
            });
        }
    }

    /// Puts a segment and reports nothing.
    pub(super) fn put(&mut self, segment: Segment<'_>, syntax: &Syntax, nodes: &mut Nodes) {
        let offset = segment.offset().saturating_sub(self.start.offset);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        put_segment(&mut self.builder, segment, syntax.charset, offset, nodes);
    }

    pub(super) fn finish(mut self, end: u64) -> Reading {
        let document = self.builder.finish();
        let start = self.start.offset;
        Reading { document, problems: self.problems.finish(), span: start..end.max(start) }
    }
}

/// The open interchange.
#[derive(Debug)]
pub(super) struct Interchange {
    pub(super) level: Level,
    /// UNA, UNB and UNG, to be copied into every message.
    pub(super) envelope: Document,
    /// Whether there is no UNB: messages, or what is no message, on their own.
    pub(super) is_implicit: bool,
    pub(super) groups: u64,
    pub(super) bare_messages: u64,
    references: HashSet<u64>,
    hashes: RandomState,
}

impl Interchange {
    pub(super) fn new(mut level: Level, is_implicit: bool) -> Self {
        level.builder.open(Kind::Group, INTERCHANGE, 0);
        Self {
            level,
            envelope: Document::default(),
            is_implicit,
            groups: 0,
            bare_messages: 0,
            references: HashSet::new(),
            hashes: RandomState::new(),
        }
    }

    /// Remembers a reference; says whether it was there before.
    pub(super) fn is_duplicate(&mut self, kind: u8, reference: &[u8]) -> bool {
        let hash = self.hashes.hash_one((kind, reference));
        let is_full = self.references.len() >= MOST_REFERENCES;
        if is_full { self.references.contains(&hash) } else { !self.references.insert(hash) }
    }
}

/// The open group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) level: Level,
    pub(super) kind: Vec<u8>,
    /// The envelope of the interchange, without the group.
    pub(super) outer: Document,
}

/// The place of a segment in its message, with its tag as the path.
pub(super) fn place_of(segment: &Segment<'_>, number: u64) -> Place {
    let mut path = String::new();
    let tag = segment.tag();
    let is_name = tag.len() <= 8 && tag.iter().all(u8::is_ascii_alphanumeric);
    append_name(&mut path, if is_name { std::str::from_utf8(tag).unwrap_or("?") } else { "?" });
    Place { segment: u32::try_from(number).unwrap_or(u32::MAX), path, ..segment.place() }
}

/// The place of an element in a segment, both counted from 1 without the tag; 0 for the whole of
/// it. `at` is the offset in the segment.
pub(super) fn place_in(segment: &Place, element: usize, component: usize, at: usize) -> Place {
    let mut place = segment.clone();
    if element > 0 {
        place.path += &format!("/{element}");
    }
    if component > 0 {
        place.path += &format!("/{component}");
    }
    place.offset += at as u64;
    if place.line > 0 {
        place.column = place.column.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    }
    place
}
