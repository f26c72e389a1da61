//! Rules, and what is open: an interchange, a group or a message with its problems.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use crate::document::Builder;
use crate::path::append_name;
use crate::reading::{FrameError, Limits, Place, Problem, Problems, Reading, Severity};
use crate::segment::lexer::Segments;
use crate::segment::text::Charset;
use crate::segment::token::Segment;
use crate::segment::tree::{Nodes, put_plain, put_released, put_segment};

/// The name of the group of header segments in every document of a message.
pub const ENVELOPE: &str = "envelope";
/// The name of the root of an interchange's document.
pub const INTERCHANGE: &str = "interchange";
/// The name of the root of a group's document.
pub const GROUP: &str = "group";

/// How strict a reader is. It reads the same from the same bytes in both modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// What is understood without doubt is a warning, even where a count, a reference or a missing
    /// trailer says that something may be lost.
    Lenient,
    /// What is seen in the wild and understood without doubt is a warning. What says that something
    /// may be lost is an error.
    #[default]
    Normal,
    /// What the standard forbids is an error.
    Strict,
}

/// One rule of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The code of its problems.
    pub code: &'static str,
    /// How bad it is in [`Mode::Lenient`]; `None` where it is not even reported.
    pub lenient: Option<Severity>,
    /// The same in [`Mode::Normal`].
    pub normal: Option<Severity>,
    /// How bad it is in [`Mode::Strict`].
    pub strict: Severity,
}

impl Rule {
    /// An error in strict mode, else a warning.
    pub(crate) const fn tolerated(code: &'static str) -> Self {
        let warning = Some(Severity::Warning);
        Self { code, lenient: warning, normal: warning, strict: Severity::Error }
    }

    /// A warning in lenient mode, else an error: it says that something may be lost.
    pub(crate) const fn guarded(code: &'static str) -> Self {
        let (lenient, normal) = (Some(Severity::Warning), Some(Severity::Error));
        Self { code, lenient, normal, strict: Severity::Error }
    }

    /// An error in every mode.
    pub(crate) const fn refused(code: &'static str) -> Self {
        let error = Some(Severity::Error);
        Self { code, lenient: error, normal: error, strict: Severity::Error }
    }

    /// A warning in every mode.
    pub(crate) const fn noted(code: &'static str) -> Self {
        let warning = Some(Severity::Warning);
        Self { code, lenient: warning, normal: warning, strict: Severity::Warning }
    }

    /// A warning in strict mode, else nothing.
    pub(crate) const fn ignored(code: &'static str) -> Self {
        Self { code, lenient: None, normal: None, strict: Severity::Warning }
    }

    fn severity(&self, mode: Mode) -> Option<Severity> {
        match mode {
            Mode::Lenient => self.lenient,
            Mode::Normal => self.normal,
            Mode::Strict => Some(self.strict),
        }
    }
}

/// References are remembered to find duplicates, up to this many.
const MOST_REFERENCES: usize = 50_000;

/// One open level: where it began, what was found, and its document.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) builder: Builder,
    problems: Problems,
    pub(crate) mode: Mode,
    /// Where it begins in the input.
    pub(crate) start: Place,
    pub(crate) reference: Vec<u8>,
    /// Messages or groups in it, or segments of a message.
    pub(crate) count: u64,
}

impl Level {
    pub(crate) fn new(mode: Mode, limits: &Limits, start: Place) -> Self {
        let builder = Builder::new();
        let problems = Problems::new(limits.problems);
        Self { builder, problems, mode, start, reference: Vec::new(), count: 0 }
    }

    /// Reports a violation at `place`.
    pub(crate) fn report(&mut self, rule: Rule, place: &Place, message: impl Into<String>) {
        self.report_at(rule, || place.clone(), message);
    }

    /// Reports a violation at a place that is only made if the problem is kept.
    pub(crate) fn report_at(
        &mut self,
        rule: Rule,
        place: impl FnOnce() -> Place,
        message: impl Into<String>,
    ) {
        if let Some(severity) = rule.severity(self.mode) {
            self.problems.push(severity, || Problem {
                severity,
                code: rule.code,
                message: message.into(),
                place: place(),
            });
        }
    }

    /// The offset in the level of something in the input.
    pub(crate) fn offset(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.start.offset)).unwrap_or(usize::MAX)
    }

    /// Puts a segment and reports nothing.
    pub(crate) fn put(&mut self, segment: Segment<'_>, charset: Charset, nodes: &mut Nodes) {
        let offset = self.offset(segment.offset());
        put_segment(&mut self.builder, segment, charset, offset, nodes);
    }

    /// Takes segments as long as they need no second look: simple ones without
    /// needless release characters whose tag passes.
    ///
    /// The last result is whether a segment is left that does, as [`Segments::last`]; without one
    /// the input has ended.
    #[inline]
    pub(crate) fn take_simple<R: Read>(
        &mut self,
        segments: &mut Segments<R>,
        (limits, nodes): (&Limits, &mut Nodes),
        passes: impl Fn(&[u8]) -> bool,
    ) -> Result<Taken, FrameError> {
        let mut taken = Taken { count: 0, end: None, is_left: true };
        loop {
            match self.take_window(segments, limits, &passes, &mut taken) {
                Stop::Refused => break,
                Stop::Released => {}
                Stop::Short => {
                    if segments.next()?.is_none() {
                        taken.is_left = false;
                        break;
                    }
                }
            }
            let segment = segments.last();
            let end = self.offset(segment.offset()).saturating_add(segment.bytes().len());
            if !self.has_room(limits, end)
                || !passes(segment.tag())
                || !segment.is_simple()
                || segment.has_needless_release()
            {
                break;
            }
            let offset = self.offset(segment.offset());
            if segment.is_escaped() {
                put_released(&mut self.builder, &segment, offset, nodes);
            } else {
                put_plain(&mut self.builder, &segment, offset);
            }
            taken.count += 1;
            taken.end = Some(end_of(&segment));
        }
        self.count += taken.count;
        Ok(taken)
    }

    /// Takes the plain segments that are whole in the window, and copies their text at once.
    #[inline]
    fn take_window<R: Read>(
        &mut self,
        segments: &mut Segments<R>,
        limits: &Limits,
        passes: &impl Fn(&[u8]) -> bool,
        taken: &mut Taken,
    ) -> Stop {
        let (before, component) = (taken.count, segments.separators().component);
        let (mut text, mut end) = (0..0, 0);
        let stop = loop {
            let Some(lent) = segments.next_in_window() else { break Stop::Short };
            let offset = self.offset(lent.offset);
            let behind = offset.saturating_add(lent.window.len());
            if !(lent.is_simple && passes(lent.tag) && self.has_room(limits, behind)) {
                break Stop::Refused;
            }
            if lent.is_escaped {
                break Stop::Released;
            }
            if taken.count == before {
                text.start = lent.window.start;
            }
            let ends = lent.marks.iter().map(|mark| mark.at() as u32);
            let at = lent.window.start - text.start;
            self.builder.put_elements(at, component, ends, offset);
            text.end = lent.window.end;
            end = lent.offset + lent.window.len() as u64 + 1;
            taken.count += 1;
        };
        if taken.count > before {
            taken.end = Some(end);
            self.builder.text(std::str::from_utf8(segments.window(text)).unwrap_or_default());
        }
        stop
    }

    /// Whether a segment may be put that ends at that byte of the level.
    #[inline]
    fn has_room(&self, limits: &Limits, end: usize) -> bool {
        end <= limits.document_bytes() && self.builder.has_room_for_sure(limits.nodes)
    }

    pub(crate) fn finish(mut self, end: u64) -> Reading {
        let document = self.builder.finish();
        let start = self.start.offset;
        Reading { document, problems: self.problems.finish(), span: start..end.max(start) }
    }
}

/// Why no more segments were taken from the window.
enum Stop {
    /// The window ends.
    Short,
    /// The segment lent last has release characters.
    Released,
    /// The segment lent last is not to be taken.
    Refused,
}

/// What [`Level::take_simple`] took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) count: u64,
    /// Where the last of them ends.
    pub(crate) end: Option<u64>,
    /// Whether a segment is left.
    pub(crate) is_left: bool,
}

/// The references of one interchange or group.
#[derive(Debug, Default)]
pub(crate) struct References {
    seen: HashSet<u64>,
    hashes: RandomState,
}

impl References {
    /// Remembers a reference; says whether it was there before.
    pub(crate) fn is_duplicate(&mut self, kind: u8, reference: &[u8]) -> bool {
        let hash = self.hashes.hash_one((kind, reference));
        let is_full = self.seen.len() >= MOST_REFERENCES;
        if is_full { self.seen.contains(&hash) } else { !self.seen.insert(hash) }
    }
}

/// Bytes of a segment that is copied into every message, or a small file of small messages takes
/// all memory. The standards have some hundred characters for it.
const MOST_HEADER: usize = 2048;

/// Refuses a header that is too long to be copied into every message.
pub(crate) fn check_header(segment: &Segment<'_>) -> Result<(), FrameError> {
    if segment.bytes().len() <= MOST_HEADER {
        return Ok(());
    }
    let message = format!("a header of more than {MOST_HEADER} bytes");
    Err(FrameError { code: "too-long", message, place: segment.place() })
}

/// The place of a segment in its message, with its tag as the path.
pub(crate) fn place_of(segment: &Segment<'_>, number: u64) -> Place {
    let mut path = String::new();
    let tag = segment.tag();
    let is_name = tag.len() <= 8 && tag.iter().all(u8::is_ascii_alphanumeric);
    append_name(&mut path, if is_name { std::str::from_utf8(tag).unwrap_or("?") } else { "?" });
    Place { segment: u32::try_from(number).unwrap_or(u32::MAX), path, ..segment.place() }
}

/// The place of an element in a segment, both counted from 1 without the tag; 0 for the whole of
/// it. `at` is the offset in the segment.
pub(crate) fn place_in(segment: &Place, element: usize, component: usize, at: usize) -> Place {
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

/// What is wrong with the count of a trailer, with both numbers.
pub(crate) fn miscounted(declared: Option<u64>, count: u64, what: &str) -> String {
    match declared {
        Some(declared) => format!("the trailer counts {declared} {what}, there are {count}"),
        None => format!("the count is not a number; there are {count} {what}"),
    }
}

/// The offset behind a segment and its terminator.
pub(crate) fn end_of(segment: &Segment<'_>) -> u64 {
    segment.offset() + segment.bytes().len() as u64 + u64::from(segment.is_terminated())
}

/// The value of the first component of an element, from 0.
pub(crate) fn value(segment: &Segment<'_>, element: usize) -> Vec<u8> {
    segment.component(element, 0).unwrap_or_default().unescaped().into_owned()
}

/// Whether lines have a fixed width that cuts through segments, judged by the first lines.
pub(crate) fn is_wrapped(start: &[u8], terminator: u8) -> bool {
    let lines: Vec<&[u8]> = start.split(|byte| *byte == b'\n').take(4).collect();
    let [first, second, third, _] = lines.as_slice() else { return false };
    let width = first.trim_ascii_end().len();
    let cut = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).last() != Some(&terminator);
    let same = [second, third].iter().all(|l| l.strip_suffix(b"\r").unwrap_or(l).len() == width);
    width >= 10 && same && [first, second, third].into_iter().any(|line| cut(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_end_with_segments_are_not_wrapped() {
        assert!(is_wrapped(b"UNB+UNOA:3\n+1234567:1\n+0987654:1\n+1'", b'\''));
        assert!(!is_wrapped(b"UNB+UNOA:3'\nBGM+12345'\nBGM+54321'\nX'", b'\''));
        assert!(!is_wrapped(b"UNB+UNOA:3'\nBGM+1'\n\n", b'\''));
    }
}
