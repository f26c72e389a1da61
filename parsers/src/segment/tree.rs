//! A segment to nodes of a document.
//!
//! A segment is a [`Kind::Segment`] named by its tag. An element is a [`Kind::Field`] without a
//! name; a composite element has its components as fields below it; an element with repetitions is
//! a [`Kind::List`] of such fields. Empty elements keep their places; trailing ones are as sent.

use crate::document::{Builder, Kind};
use crate::segment::text::{Charset, Decoded};
use crate::segment::token::{Ends, Mark, Segment, unescape};

/// The name of the node that keeps the nesting written behind a tag (`SEG:1:2`), as `1:2`. It is
/// behind the elements, so that they keep their places.
pub(crate) const NESTING: &str = "nesting";

/// Makes nodes of segments; keeps its working space from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    text: String,
    bytes: Vec<u8>,
    /// Where tokens end in the text and in the source.
    ends: Vec<(u32, u32)>,
}

/// A segment whose text is on its way into a document.
struct Source<'a, 's> {
    segment: Segment<'s>,
    /// The whole segment, where it can be taken as it is.
    text: Option<&'s str>,
    charset: Charset,
    offset: usize,
    worst: Decoded,
    nodes: &'a mut Nodes,
}

/// Puts `segment`, which begins at byte `offset` of its document. Says how its text was decoded.
pub(crate) fn put_segment(
    builder: &mut Builder,
    segment: Segment<'_>,
    charset: Charset,
    offset: usize,
    nodes: &mut Nodes,
) -> Decoded {
    if segment.is_plain() && !charset.has_shifts() {
        put_plain(builder, &segment, offset);
        return Decoded::Exact;
    }
    if segment.is_simple() && !charset.has_shifts() {
        put_released(builder, &segment, offset, nodes);
        return Decoded::Exact;
    }
    let is_plain = !segment.is_escaped() && !segment.may_be_high() && !charset.has_shifts();
    let text = std::str::from_utf8(segment.bytes()).ok().filter(|_| is_plain);
    let mut source = Source { segment, text, charset, offset, worst: Decoded::Exact, nodes };
    let marks = segment.marks();
    let Some(tag) = marks.first().copied() else { return Decoded::Exact };
    match text.and_then(|text| text.get(..tag.at())) {
        Some(tag) => builder.open(Kind::Segment, tag, offset),
        None => {
            let tag = String::from_utf8_lossy(segment.tag());
            builder.open(Kind::Segment, &tag, offset)
        }
    };
    let mut at =
        1 + marks.iter().take_while(|mark| segment.ends(**mark) == Ends::Component).count();
    let mut from = marks.get(at - 1).map_or(0, |mark| mark.at() + 1);
    while let Some(mark) = marks.get(at).copied() {
        if matches!(segment.ends(mark), Ends::Element | Ends::Segment) {
            source.put(builder, from, mark);
            (at, from) = (at + 1, mark.at() + 1);
        } else {
            (at, from) = source.put_compound(builder, at, from);
        }
    }
    if segment.ends(tag) == Ends::Component {
        let nesting: Vec<_> = segment.nesting().map(|raw| raw.as_ascii()).collect();
        builder.put(Kind::Attribute, NESTING, &nesting.join(":"), offset);
    }
    builder.close();
    source.worst
}

/// Puts a segment that is [plain](Segment::is_plain).
pub(super) fn put_plain(builder: &mut Builder, segment: &Segment<'_>, offset: usize) {
    let ends = segment.marks().iter().map(|mark| mark.at() as u32);
    builder.put_elements(0, segment.separators().component, ends, offset);
    builder.text(std::str::from_utf8(segment.bytes()).unwrap_or_default());
}

/// Puts a segment that is [simple](Segment::is_simple) but for its release characters.
pub(super) fn put_released(
    builder: &mut Builder,
    segment: &Segment<'_>,
    offset: usize,
    nodes: &mut Nodes,
) {
    let Nodes { bytes, ends, .. } = nodes;
    let source = segment.bytes();
    let Some(release) = segment.separators().release else { return };
    let next =
        |from: usize| memchr::memchr(release, source.get(from..)?).map(|distance| from + distance);
    bytes.clear();
    ends.clear();
    let (mut from, mut found, mut removed) = (0, next(0), 0);
    for mark in segment.marks() {
        while let Some(at) = found.filter(|at| *at < mark.at()) {
            bytes.extend_from_slice(source.get(from..at).unwrap_or_default());
            // What is released is data, be it a release character itself.
            (from, found, removed) = (at + 1, next(at + 2), removed + 1);
        }
        ends.push(((mark.at() - removed) as u32, mark.at() as u32));
    }
    bytes.extend_from_slice(source.get(from..).unwrap_or_default());
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    builder.put_released(text, segment.separators().component, ends, offset);
}

/// Puts a segment of these elements, each a list of its components, up to the last that is used.
pub(crate) fn put_values(builder: &mut Builder, tag: &str, elements: &[&[&str]]) {
    builder.open(Kind::Segment, tag, 0);
    let is_used = |values: &&[&str]| values.iter().any(|value| !value.is_empty());
    let count = elements.iter().rposition(is_used).map_or(0, |last| last + 1);
    for values in elements.iter().take(count) {
        match values {
            [] => {
                builder.put(Kind::Field, "", "", 0);
            }
            [value] => {
                builder.put(Kind::Field, "", value, 0);
            }
            _ => {
                builder.open(Kind::Field, "", 0);
                for value in *values {
                    builder.put(Kind::Field, "", value, 0);
                }
                builder.close();
            }
        }
    }
    builder.close();
}

impl Source<'_, '_> {
    /// Puts the token from `from` to the mark.
    #[inline]
    fn put(&mut self, builder: &mut Builder, from: usize, mark: Mark) {
        match self.text.and_then(|text| text.get(from..mark.at())) {
            Some(text) => {
                builder.put(Kind::Field, "", text, self.offset + from);
            }
            None => self.put_decoded(builder, from, mark),
        }
    }

    fn put_decoded(&mut self, builder: &mut Builder, from: usize, mark: Mark) {
        let Nodes { text, bytes, .. } = &mut *self.nodes;
        let raw = self.segment.bytes().get(from..mark.at()).unwrap_or_default();
        text.clear();
        let raw = match self.segment.separators().release {
            Some(release) if self.segment.is_escaped() => {
                bytes.clear();
                unescape(raw, release, bytes);
                bytes.as_slice()
            }
            _ => raw,
        };
        let how = self.charset.decode(raw, text);
        if how != Decoded::Exact {
            self.worst = how;
        }
        builder.put(Kind::Field, "", text, self.offset + from);
    }

    /// Puts the composite or repeated element whose first token ends with mark `at`; returns where
    /// the next element begins.
    fn put_compound(&mut self, builder: &mut Builder, at: usize, from: usize) -> (usize, usize) {
        let rest = self.segment.marks().get(at..).unwrap_or_default();
        let segment = self.segment;
        let ends = |mark: &Mark| matches!(segment.ends(*mark), Ends::Element | Ends::Segment);
        let count = rest.iter().position(ends).map_or(rest.len(), |last| last + 1);
        let marks = rest.get(..count).unwrap_or_default();
        let is_list = marks.iter().any(|mark| segment.ends(*mark) == Ends::Repetition);
        if is_list {
            builder.open(Kind::List, "", self.offset + from);
        }
        let (mut from, mut is_open) = (from, false);
        for mark in marks.iter().copied() {
            let has_more = segment.ends(mark) == Ends::Component;
            if has_more && !is_open {
                builder.open(Kind::Field, "", self.offset + from);
                is_open = true;
            }
            self.put(builder, from, mark);
            if is_open && !has_more {
                builder.close();
                is_open = false;
            }
            from = mark.at() + 1;
        }
        if is_list {
            builder.close();
        }
        (at + count, from)
    }
}
