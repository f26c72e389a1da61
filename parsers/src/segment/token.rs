//! One segment: its tag, elements, repetitions and components, all borrowed.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::reading::Place;
use crate::segment::separators::Separators;

/// The end of a token, counted from the first byte of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u32);

/// What ends a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Element,
    Component,
    Repetition,
    Segment,
}

impl Mark {
    #[inline]
    pub(super) fn new(at: usize) -> Self {
        Self(at as u32)
    }

    #[inline]
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// One segment, lent by [`Segments`](super::Segments).
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) marks: &'a [Mark],
    pub(super) separators: &'a Separators,
    pub(super) offset: u64,
    /// Line ends before the segment, and where its line begins in the input.
    pub(super) lines: u64,
    pub(super) line_start: u64,
    pub(super) controls: bool,
    pub(super) high: bool,
    pub(super) escaped: bool,
    pub(super) terminated: bool,
}

impl<'a> Segment<'a> {
    /// The bytes of the segment, without the terminator.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The ends of all tokens.
    #[inline]
    pub(crate) fn marks(&self) -> &'a [Mark] {
        self.marks
    }

    /// The separators that it was read with.
    pub fn separators(&self) -> &'a Separators {
        self.separators
    }

    /// Where the segment begins in the input.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the segment begins, for a problem.
    pub fn place(&self) -> Place {
        place(self.offset, self.lines, self.line_start)
    }

    /// Whether a byte below 0x20 stands in the segment that is no separator.
    pub fn has_controls(&self) -> bool {
        self.controls
    }

    /// Whether the segment has release characters.
    #[inline]
    pub(crate) fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Whether the segment may hold bytes above 0x7f.
    #[inline]
    pub(crate) fn may_be_high(&self) -> bool {
        self.high
    }

    /// Whether the segment has its terminator. The last one of an input may lack it.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// Whether it is ASCII that means what it says.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_simple() && !self.escaped
    }

    /// Whether it is ASCII in which only release characters mean something else: no control
    /// characters, no repetitions, nothing behind the tag but elements, and a terminator.
    #[inline]
    pub(crate) fn is_simple(&self) -> bool {
        !(self.controls | self.high | !self.terminated)
            && is_flat(self.bytes, self.tag().len(), self.separators)
    }

    /// Whether a release character stands before one that is no separator.
    #[inline]
    pub(crate) fn has_needless_release(&self) -> bool {
        self.escaped && self.separators.release.is_some_and(|release| self.is_needless(release))
    }

    fn is_needless(&self, release: u8) -> bool {
        let mut rest = self.bytes;
        while let Some(at) = memchr::memchr(release, rest) {
            match rest.get(at + 1) {
                Some(byte) if self.separators.bytes().any(|separator| separator == *byte) => {}
                _ => return true,
            }
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        false
    }

    /// Whether nothing stands before the terminator.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The tag, without the nesting and repetition that EDIFACT may write behind it.
    #[inline]
    pub fn tag(&self) -> &'a [u8] {
        let end = self.marks.first().map_or(0, |mark| mark.at());
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The data elements, in order. The tag is not one of them, as in the standards' own counting
    /// of `BGM01`.
    pub fn elements(&self) -> Elements<'a> {
        let mut all = Elements { segment: *self, next: 0 };
        all.next();
        all
    }

    /// The element at `index`, from 0, without the tag.
    pub fn element(&self, index: usize) -> Option<Element<'a>> {
        self.elements().nth(index)
    }

    /// The component at `index` of the first repetition of an element, both from 0.
    pub fn component(&self, element: usize, index: usize) -> Option<Raw<'a>> {
        self.element(element)?.components().nth(index)
    }

    /// The nesting and repetition written behind the tag (`SEG:1:2`), from the outside in.
    pub fn nesting(&self) -> impl Iterator<Item = Raw<'a>> {
        Elements { segment: *self, next: 0 }
            .next()
            .into_iter()
            .flat_map(|tag| tag.tokens(0))
            .skip(1)
    }

    /// The element and component that byte `at` stands in, from 1; zeros for the tag.
    pub(crate) fn position_of(&self, at: usize) -> (usize, usize) {
        let (mut element, mut component) = (0, 1);
        for mark in self.marks.iter().take_while(|mark| mark.at() < at) {
            match self.ends(*mark) {
                Ends::Component => component += 1,
                Ends::Repetition => component = 1,
                Ends::Element | Ends::Segment => (element, component) = (element + 1, 1),
            }
        }
        if element == 0 { (0, 0) } else { (element, component) }
    }

    /// Whether the last element, or the last component or repetition of one, is empty.
    pub(crate) fn ends_with_separators(&self) -> bool {
        let mut from = 0;
        let mut was_inner = false;
        self.marks.iter().any(|mark| {
            let is_empty = mark.at() == from;
            let is_inner = was_inner;
            was_inner = matches!(self.ends(*mark), Ends::Component | Ends::Repetition);
            let is_first = from == 0;
            from = mark.at() + 1;
            is_empty
                && !is_first
                && match self.ends(*mark) {
                    Ends::Component => false,
                    Ends::Repetition | Ends::Element => is_inner,
                    Ends::Segment => true,
                }
        })
    }

    /// What ends the token of a mark.
    #[inline]
    pub(crate) fn ends(&self, mark: Mark) -> Ends {
        match self.bytes.get(mark.at()).copied() {
            None => Ends::Segment,
            Some(byte) if byte == self.separators.element => Ends::Element,
            Some(byte) if byte == self.separators.component => Ends::Component,
            Some(_) => Ends::Repetition,
        }
    }

    fn raw(&self, mark: usize) -> Raw<'a> {
        let from =
            mark.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(0, |m| m.at() + 1);
        let Some(mark) = self.marks.get(mark) else {
            return Raw { bytes: b"", at: from, release: None };
        };
        let release = if self.escaped { self.separators.release } else { None };
        Raw { bytes: self.bytes.get(from..mark.at()).unwrap_or_default(), at: from, release }
    }
}

/// Whether there are no repetitions, and nothing behind a tag of that length but elements.
#[inline]
pub(super) fn is_flat(bytes: &[u8], tag: usize, separators: &Separators) -> bool {
    bytes.get(tag) != Some(&separators.component)
        && separators.repetition.is_none_or(|byte| memchr::memchr(byte, bytes).is_none())
}

impl fmt::Debug for Segment<'_> {
    /// The tag's length and the place; never the text, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, bytes, tokens) = (self.offset, self.bytes.len(), self.marks.len());
        write!(f, "segment at byte {offset}, {bytes} bytes, {tokens} tokens")
    }
}

/// The place of byte `offset` behind that many line ends, in a line that begins at `line_start`.
pub(super) fn place(offset: u64, lines: u64, line_start: u64) -> Place {
    let column = offset.saturating_sub(line_start) + 1;
    let column = u32::try_from(column).unwrap_or(u32::MAX);
    Place { offset, line: lines + 1, column, ..Place::default() }
}

/// The elements of a segment. See [`Segment::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    segment: Segment<'a>,
    next: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let segment = self.segment;
        let rest = segment.marks.get(self.next..)?;
        let ends = |mark: &Mark| matches!(segment.ends(*mark), Ends::Element | Ends::Segment);
        let len = rest.iter().position(ends)? + 1;
        let marks = self.next..self.next + len;
        self.next = marks.end;
        Some(Element { segment: self.segment, marks })
    }
}

/// One data element: simple, composite, repeated, or both.
#[derive(Clone, Debug)]
pub struct Element<'a> {
    segment: Segment<'a>,
    marks: Range<usize>,
}

impl<'a> Element<'a> {
    /// The components of the first repetition; a simple element has one.
    pub fn components(&self) -> impl Iterator<Item = Raw<'a>> {
        self.tokens(0)
    }

    /// How many repetitions there are, 1 for an element that is not repeated.
    pub fn repetitions(&self) -> usize {
        let marks = self.segment.marks.get(self.marks.clone()).unwrap_or_default();
        let ends = |mark: &&Mark| self.segment.ends(**mark) == Ends::Repetition;
        marks.iter().filter(ends).count() + 1
    }

    /// The components of a repetition, from 0.
    pub fn repetition(&self, index: usize) -> impl Iterator<Item = Raw<'a>> {
        self.tokens(index)
    }

    /// Whether all of it is empty.
    pub fn is_empty(&self) -> bool {
        let segment = self.segment;
        self.marks.clone().all(|mark| segment.raw(mark).is_empty())
    }

    fn tokens(&self, repetition: usize) -> impl Iterator<Item = Raw<'a>> + use<'a> {
        let segment = self.segment;
        let ends = move |mark: usize| segment.marks.get(mark).map(|mark| segment.ends(*mark));
        let mut from = self.marks.start;
        for _ in 0..repetition {
            let until = self.marks.clone().skip(from - self.marks.start);
            from = until
                .take_while(|mark| ends(*mark) != Some(Ends::Repetition))
                .last()
                .map_or(from, |m| m + 1)
                + 1;
        }
        let mut ended = from >= self.marks.end;
        (from..self.marks.end).map_while(move |mark| {
            let token = (!ended).then(|| segment.raw(mark));
            ended |= ends(mark) != Some(Ends::Component);
            token
        })
    }
}

/// The bytes between two separators, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Raw<'a> {
    bytes: &'a [u8],
    at: usize,
    release: Option<u8>,
}

impl<'a> Raw<'a> {
    /// The bytes, with release characters.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where they begin, from the first byte of the segment.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes without release characters.
    pub fn unescaped(&self) -> Cow<'a, [u8]> {
        match self.release {
            None => Cow::Borrowed(self.bytes),
            Some(release) if memchr::memchr(release, self.bytes).is_none() => {
                Cow::Borrowed(self.bytes)
            }
            Some(release) => {
                let mut out = Vec::with_capacity(self.bytes.len());
                unescape(self.bytes, release, &mut out);
                Cow::Owned(out)
            }
        }
    }

    fn is_escaped(&self) -> bool {
        self.release.is_some_and(|release| self.bytes.contains(&release))
    }

    /// The text, where it is ASCII without release characters; else nothing.
    pub fn as_ascii(&self) -> &'a str {
        match std::str::from_utf8(self.bytes) {
            Ok(text) if text.is_ascii() && !self.is_escaped() => text,
            _ => "",
        }
    }

    /// The digits as a number; `None` for anything else, and above 18 digits.
    pub fn as_number(&self) -> Option<u64> {
        let digits = self.as_ascii();
        let plain = !digits.is_empty() && digits.len() <= 18;
        if plain && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    }
}

/// Appends `bytes` without release characters. One at the very end stands for nothing.
pub(crate) fn unescape(bytes: &[u8], release: u8, out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(release, rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend(rest.get(at + 1));
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
