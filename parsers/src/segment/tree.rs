//! A segment to nodes of a document.
//!
//! A segment is a [`Kind::Segment`] named by its tag. An element is a [`Kind::Field`] without a
//! name; a composite element has its components as fields below it; an element with repetitions is
//! a [`Kind::List`] of such fields. Empty elements keep their places; trailing ones are as sent.

use crate::document::{Builder, Kind, Node};
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
#[inline]
pub(super) fn put_plain(builder: &mut Builder, segment: &Segment<'_>, offset: usize) {
    let text = std::str::from_utf8(segment.bytes()).unwrap_or_default();
    let component = segment.separators().component;
    let Some((tag, marks)) = segment.marks().split_first() else { return };
    builder.open(Kind::Segment, text.get(..tag.at()).unwrap_or_default(), offset);
    let (mut from, mut is_open) = (tag.at() + 1, false);
    for mark in marks {
        let at = mark.at();
        let has_more = text.as_bytes().get(at) == Some(&component);
        if has_more && !is_open {
            builder.open(Kind::Field, "", offset + from);
            is_open = true;
        }
        builder.put(Kind::Field, "", text.get(from..at).unwrap_or_default(), offset + from);
        if is_open && !has_more {
            builder.close();
            is_open = false;
        }
        from = at + 1;
    }
    builder.close();
}

/// Copies a header and all below it into a document that begins behind it. A composite element is a field with fields below it.
pub(crate) fn copy_node(builder: &mut Builder, node: Node<'_>) {
    if node.children().next().is_none() {
        match node.kind() {
            Kind::Group | Kind::Segment | Kind::List => {
                builder.open(node.kind(), node.name(), 0);
                builder.close();
            }
            kind => {
                builder.put(kind, node.name(), node.text(), 0);
            }
        }
        return;
    }
    builder.open(node.kind(), node.name(), 0);
    for child in node.children() {
        copy_node(builder, child);
    }
    builder.close();
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
        let Nodes { text, bytes } = &mut *self.nodes;
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
