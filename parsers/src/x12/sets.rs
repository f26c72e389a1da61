//! The segments of an interchange in their order.

use crate::document::{Builder, Kind};
use crate::reading::{FrameError, Limits};
use crate::segment::Part;
use crate::segment::{
    Charset, Level, Rule, Segment, check_header, end_of, place_in, place_of, put_segment, value,
};
use crate::x12::checks::{CHARSET, check_text, is_odd, trailer, trimmed};
use crate::x12::isa;
use crate::x12::levels::with_segment;
use crate::x12::read::{State, Then};
use crate::x12::rules;

/// The first version (ISA12) whose ISX segment declares a release character.
pub(super) const RELEASE_SINCE: u32 = 704;

impl State {
    /// Takes the next segment of the input.
    pub(super) fn segment(&mut self, segment: Segment<'_>) -> Result<Then, FrameError> {
        if segment.is_empty() {
            self.report_here(&segment, rules::EMPTY_SEGMENT, "a segment without tag");
            return Ok(Then::Continue);
        }
        if isa::is_start(segment.bytes()) {
            return Ok(Then::Again);
        }
        if matches!(segment.tag(), b"GS" | b"ISX") {
            check_header(&segment)?;
        }
        match segment.tag() {
            b"ST" => self.open_set(segment),
            b"SE" => return self.end_set(segment),
            b"GS" => self.open_group(segment),
            b"GE" => self.end_group(segment),
            b"IEA" => self.end_interchange(segment),
            b"BIN" => return Ok(binary(&segment, 2)),
            b"BDS" => return Ok(binary(&segment, 3)),
            b"TA1" | b"TA3" | b"ISB" | b"ISE" | b"ISX" if self.is_between_groups() => {
                return self.service(segment);
            }
            _ => {
                self.take(segment, CHARSET)?;
                return Ok(Then::Continue);
            }
        }
        self.count += 1;
        self.end = end_of(&segment);
        Ok(Then::Continue)
    }

    /// BIN or BDS, whose data is counted; `is_whole` says whether it ends at a terminator.
    pub(super) fn binary(
        &mut self,
        segment: Segment<'_>,
        is_whole: bool,
    ) -> Result<(), FrameError> {
        if !is_whole {
            let message = "the length of the data is no number, or no terminator follows the data";
            self.report_here(&segment, rules::BINARY_LENGTH, message);
        }
        // A character for each byte, whatever the bytes are.
        self.take(segment, Charset::Latin1)
    }

    fn is_between_groups(&self) -> bool {
        let is_open = self.interchange.as_ref().is_some_and(|i| !i.is_implicit);
        is_open && self.group.is_none() && self.set.is_none()
    }

    /// TA1, and the segments that stand like it between ISA and the groups.
    fn service(&mut self, segment: Segment<'_>) -> Result<Then, FrameError> {
        self.count += 1;
        self.end = end_of(&segment);
        let Some(interchange) = &mut self.interchange else { return Ok(Then::Continue) };
        let Limits { nodes, .. } = self.options.limits;
        let size = interchange.level.builder.text_len() + segment.bytes().len();
        if size > self.options.limits.document_bytes() || !interchange.level.builder.has_room(nodes)
        {
            let message = "more segments between ISA and the groups than the limits allow";
            let (code, message) = ("too-many-nodes", message.to_owned());
            return Err(FrameError { code, message, place: segment.place() });
        }
        interchange.services += 1;
        interchange.level.put(segment, CHARSET, &mut self.nodes);
        check_text(&mut interchange.level, &segment, 0);
        // One more is kept in the interchange, but is none of the headers of a set.
        if segment.tag() == b"ISX" && interchange.envelope.root().child("ISX").is_none() {
            interchange.envelope = with_segment(&interchange.envelope, segment, &mut self.nodes);
        }
        let release = segment.component(0, 0).unwrap_or_default();
        Ok(match release.bytes() {
            [byte] if segment.tag() == b"ISX" && interchange.version >= RELEASE_SINCE => {
                Then::Release(*byte)
            }
            _ => Then::Continue,
        })
    }

    /// Takes a segment of the open set.
    fn take(&mut self, segment: Segment<'_>, charset: Charset) -> Result<(), FrameError> {
        self.count += 1;
        self.end = end_of(&segment);
        let Some(level) = &mut self.set else {
            // Once for all segments that lack the same header.
            if !std::mem::replace(&mut self.is_headless, true) {
                let message = "a segment outside of a set: is ST missing in front of it? All up to \
                               the next SE or ST are skipped";
                self.report_here(&segment, rules::OUTSIDE_SET, message);
            }
            return Ok(());
        };
        level.count += 1;
        let offset = level.offset(segment.offset());
        let size = offset.saturating_add(segment.bytes().len());
        let limits = &self.options.limits;
        let most = limits.document_bytes();
        if size > most || !level.builder.has_room(limits.nodes) {
            let (code, message) = if size > most {
                ("too-large", format!("a set of more than {most} bytes"))
            } else {
                ("too-many-nodes", format!("a set of more than {} elements", limits.nodes))
            };
            return Err(FrameError { code, message, place: segment.place() });
        }
        let how = put_segment(&mut level.builder, segment, charset, offset, &mut self.nodes);
        if charset == CHARSET && is_odd(&segment, how, level.mode) {
            let number = level.count;
            check_text(level, &segment, number);
        }
        Ok(())
    }

    /// ST.
    fn open_set(&mut self, segment: Segment<'_>) {
        self.close_set();
        let mut level = self.level(segment.place());
        level.builder = Builder::with_room(&self.room);
        level.reference = trimmed(&segment, 1);
        level.builder.open(Kind::Group, &String::from_utf8_lossy(&value(&segment, 0)), 0);
        let has_group = self.group.is_some();
        let interchange = self.interchange_at(&segment);
        level.builder.put_header(&interchange.envelope);
        if !has_group {
            interchange.bare_sets += 1;
        }
        let place = || place_of(&segment, 1);
        for number in (0..2).filter(|number| trimmed(&segment, *number).is_empty()) {
            let place = place_in(&place(), number + 1, 0, 0);
            level.report(rules::MISSING_ELEMENT, &place, "mandatory element is missing");
        }
        let references = match &mut self.group {
            Some(group) => {
                group.level.count += 1;
                &mut group.references
            }
            None => &mut self.interchange_at(&segment).references,
        };
        if references.is_duplicate(b'S', &value(&segment, 1)) {
            let message = "another set of the group has the same control number";
            level.report(rules::DUPLICATE_REFERENCE, &place_in(&place(), 2, 0, 0), message);
        }
        level.count = 1;
        level.put(segment, CHARSET, &mut self.nodes);
        check_text(&mut level, &segment, 1);
        self.set = Some(level);
    }

    /// SE.
    fn end_set(&mut self, segment: Segment<'_>) -> Result<Then, FrameError> {
        if self.set.is_none() {
            self.count += 1;
            self.end = end_of(&segment);
            if !std::mem::take(&mut self.is_headless) {
                let message = "SE without ST; skipped";
                self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
            }
            return Ok(Then::Continue);
        }
        self.take(segment, CHARSET)?;
        let Some(mut level) = self.set.take() else { return Ok(Then::Continue) };
        let count = level.count;
        trailer(&mut level, &segment, count, "segments");
        if count == 2 {
            let place = place_of(&segment, count);
            level.report(rules::EMPTY_SET, &place, "no segment between ST and SE");
        }
        self.room.remember(&level.builder);
        self.ready.push_back(Part::Message(level.finish(end_of(&segment))));
        Ok(Then::Continue)
    }

    /// Reports at the innermost level that is open.
    pub(super) fn report_here(&mut self, segment: &Segment<'_>, rule: Rule, message: &str) {
        let (level, number): (&mut Level, u64) = match (&mut self.set, &mut self.group) {
            (Some(set), _) => {
                let number = set.count + 1;
                (set, number)
            }
            (None, Some(group)) => (&mut group.level, 0),
            (None, None) => (&mut self.interchange_at(segment).level, 0),
        };
        level.report_at(rule, || place_of(segment, number), message);
    }
}

/// The end of the data that token `token` holds, by the length in the token before.
fn binary(segment: &Segment<'_>, token: usize) -> Then {
    let length = segment.component(token - 2, 0).and_then(|raw| raw.as_number());
    let start = segment.marks().get(token - 1).map(|mark| mark.at() + 1);
    let length = length.and_then(|length| usize::try_from(length).ok());
    let length = start.zip(length).and_then(|(start, length)| start.checked_add(length));
    Then::Binary { token, length }
}
