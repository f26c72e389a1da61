//! The segments of an interchange in their order: messages, trailers, packages.

use crate::document::{Builder, Kind};
use crate::edifact::checks::{check, check_text, is_odd, is_tag, is_unusual_tag, trailer};
use crate::edifact::read::{State, Then};
use crate::edifact::rules;
use crate::edifact::syntax::service_string;
use crate::reading::{FrameError, Place};
use crate::segment::{Part, Rule, Segment, check_header, end_of, place_of, put_segment, value};

/// The field that holds the object of a package.
pub(super) const OBJECT: &str = "object";

impl State {
    /// Takes the next segment of the input; one that looks like the start of the next interchange
    /// is handed back if it may be.
    pub(super) fn segment(
        &mut self,
        segment: Segment<'_>,
        may_begin: bool,
    ) -> Result<Then, FrameError> {
        if segment.is_empty() {
            self.report_here(&segment, rules::EMPTY_SEGMENT, "a segment without tag");
            return Ok(Then::Continue);
        }
        let tag = segment.tag();
        if self.count == 0 && !is_tag(tag) && !is_unusual_tag(tag) {
            let message = "an interchange begins with UNA or UNB".to_owned();
            return Err(FrameError { code: "not-edifact", message, place: segment.place() });
        }
        if tag.starts_with(b"UN") {
            return self.service(segment, may_begin);
        }
        self.take(segment)?;
        Ok(Then::Continue)
    }

    fn service(&mut self, segment: Segment<'_>, may_begin: bool) -> Result<Then, FrameError> {
        let tag = segment.tag();
        // Separators may have changed without an end of the interchange before.
        let bytes = segment.bytes();
        let starts_another = |bytes: &[u8]| {
            bytes.starts_with(b"UNB") && bytes.get(3).is_some_and(|b| !b.is_ascii_alphanumeric())
        };
        let is_open = self.interchange.as_ref().is_some_and(|i| !i.is_implicit);
        if may_begin && is_open && (service_string(bytes, false).is_some() || starts_another(bytes))
        {
            return Ok(Then::Again);
        }
        if matches!(tag, b"UNB" | b"UNG") {
            check_header(&segment)?;
        }
        self.count += 1;
        match tag {
            b"UNB" => {
                self.close_interchange();
                self.end = end_of(&segment);
                return Ok(self.header(segment));
            }
            b"UNG" => self.open_group(segment),
            b"UNH" => self.open_message(segment),
            b"UNT" => self.end_message(segment)?,
            b"UNE" => self.end_group(segment),
            b"UNZ" => return Ok(self.end_interchange(segment)),
            b"UNO" => return Ok(self.open_package(segment)),
            b"UNP" if self.object.is_some() => self.end_package(segment)?,
            _ => {
                self.count -= 1;
                self.take(segment)?;
            }
        }
        self.end = end_of(&segment);
        Ok(Then::Continue)
    }

    /// Takes a segment of the open message.
    #[inline]
    fn take(&mut self, segment: Segment<'_>) -> Result<(), FrameError> {
        self.count += 1;
        self.end = end_of(&segment);
        let Some(level) = &mut self.message else {
            // Once for all segments that lack the same header.
            if !std::mem::replace(&mut self.is_headless, true) {
                let message = "a segment outside of a message: is UNH missing in front of it? All up \
                               to the next UNT or UNH are skipped";
                self.report_here(&segment, rules::OUTSIDE_MESSAGE, message);
            }
            return Ok(());
        };
        level.count += 1;
        let offset = segment.offset().saturating_sub(level.start.offset);
        let size = offset + segment.bytes().len() as u64;
        let limits = &self.options.limits;
        if size > limits.document_bytes() as u64 || !level.builder.has_room(limits.nodes) {
            return Err(too_large(&segment, size, limits.document_bytes()));
        }
        let (charset, mode) = (self.syntax.charset, self.options.mode);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let how = put_segment(&mut level.builder, segment, charset, offset, &mut self.nodes);
        if is_odd(&segment, how, mode) {
            let number = level.count;
            check_text(level, &segment, &self.syntax, (number, how));
        }
        Ok(())
    }

    /// UNH.
    fn open_message(&mut self, segment: Segment<'_>) {
        self.close_message();
        let syntax = self.syntax;
        let mut level = self.level(segment.place());
        level.builder = Builder::with_room(&self.room);
        level.reference = value(&segment, 0);
        let kind = segment.component(1, 0).unwrap_or_default().unescaped();
        level.builder.open(Kind::Group, &String::from_utf8_lossy(&kind), 0);
        let interchange = self.interchange_at(&segment);
        level.builder.put_header(&interchange.envelope);
        let place = || place_of(&segment, 1);
        if interchange.references.is_duplicate(b'M', &level.reference) {
            let message = "another message of the interchange has the same reference";
            level.report(rules::DUPLICATE_REFERENCE, &place(), message);
        }
        match &mut self.group {
            Some(group) => {
                group.level.count += 1;
                if group.kind.is_empty() {
                    group.kind = kind.into_owned();
                } else if *group.kind != *kind && !syntax.is_version_4() {
                    let message = "not the type of the other messages in the group";
                    group.level.report(rules::MIXED_TYPES, &place(), message);
                }
            }
            None => {
                if let Some(interchange) = &mut self.interchange {
                    interchange.bare_messages += 1;
                }
            }
        }
        level.count = 1;
        level.put(segment, syntax.charset, &mut self.nodes);
        check(&mut level, &segment, &syntax, 1);
        self.message = Some(level);
    }

    /// UNT.
    fn end_message(&mut self, segment: Segment<'_>) -> Result<(), FrameError> {
        if self.message.is_none() {
            if std::mem::take(&mut self.is_headless) {
                return Ok(());
            }
            let message = "UNT without UNH; skipped";
            self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
            return Ok(());
        }
        self.count -= 1;
        self.take(segment)?;
        let Some(mut level) = self.message.take() else { return Ok(()) };
        let (syntax, count) = (self.syntax, level.count);
        check(&mut level, &segment, &syntax, count);
        trailer(&mut level, &segment, count, "segments");
        if count == 2 {
            let place = place_of(&segment, count);
            level.report(rules::EMPTY_MESSAGE, &place, "no segment between UNH and UNT");
        }
        self.room.remember(&level.builder);
        self.ready.push_back(Part::Message(level.finish(end_of(&segment))));
        Ok(())
    }

    /// UNE.
    fn end_group(&mut self, segment: Segment<'_>) {
        self.close_message();
        let Some(mut group) = self.group.take() else {
            let message = "UNE without UNG; skipped";
            return self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
        };
        let syntax = self.syntax;
        group.level.put(segment, syntax.charset, &mut self.nodes);
        check(&mut group.level, &segment, &syntax, 0);
        let count = group.level.count;
        trailer(&mut group.level, &segment, count, "messages");
        self.finish_group(group, end_of(&segment));
    }

    /// UNZ.
    fn end_interchange(&mut self, segment: Segment<'_>) -> Then {
        self.close_group();
        self.end = end_of(&segment);
        let is_implicit = self.interchange.as_ref().is_none_or(|i| i.is_implicit);
        let found = if is_implicit { None } else { self.interchange.take() };
        let Some(mut interchange) = found else {
            let message = "UNZ without UNB; skipped";
            self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
            return Then::Continue;
        };
        let syntax = self.syntax;
        interchange.level.put(segment, syntax.charset, &mut self.nodes);
        check(&mut interchange.level, &segment, &syntax, 0);
        let (count, what) = match interchange.groups {
            0 => (interchange.bare_messages, "messages"),
            groups => (groups, "groups"),
        };
        trailer(&mut interchange.level, &segment, count, what);
        self.finish_interchange(interchange);
        Then::Continue
    }

    /// UNO: a package, whose object is counted (ISO 9735-8).
    fn open_package(&mut self, segment: Segment<'_>) -> Then {
        self.close_message();
        self.end = end_of(&segment);
        let syntax = self.syntax;
        let mut level = self.level(segment.place());
        level.builder.open(Kind::Group, "UNO", 0);
        level.reference = value(&segment, 0);
        let interchange = self.interchange_at(&segment);
        level.builder.put_header(&interchange.envelope);
        match &mut self.group {
            Some(group) => group.level.count += 1,
            None => {
                if let Some(interchange) = &mut self.interchange {
                    interchange.bare_messages += 1;
                }
            }
        }
        level.count = 1;
        level.put(segment, syntax.charset, &mut self.nodes);
        check(&mut level, &segment, &syntax, 1);
        self.message = Some(level);
        let length = segment.component(3, 0).and_then(|raw| raw.as_number());
        if length.is_none() {
            self.report_here(&segment, rules::BAD_OBJECT, "no length of the object");
        }
        Then::Object(length.unwrap_or(0))
    }

    /// UNP.
    fn end_package(&mut self, segment: Segment<'_>) -> Result<(), FrameError> {
        self.count -= 1;
        self.take(segment)?;
        let Some(mut level) = self.message.take() else { return Ok(()) };
        let (syntax, count) = (self.syntax, level.count);
        check(&mut level, &segment, &syntax, count);
        trailer(&mut level, &segment, self.object.take().unwrap_or(0), "bytes");
        self.ready.push_back(Part::Message(level.finish(end_of(&segment))));
        Ok(())
    }

    /// The object of the package that is open.
    pub(super) fn object(&mut self, bytes: &[u8], place: &Place, length: usize) {
        let Some(level) = &mut self.message else { return };
        let offset = place.offset.saturating_sub(level.start.offset);
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        level.builder.put(
            Kind::Field,
            OBJECT,
            &text,
            usize::try_from(offset).unwrap_or(usize::MAX),
        );
        self.end = place.offset + bytes.len() as u64;
        self.object = Some(bytes.len() as u64);
        if bytes.len() < length {
            let message = format!("the object has {} of {length} bytes", bytes.len());
            level.report(rules::BAD_OBJECT, place, message);
        }
    }

    /// Reports at the innermost level that is open.
    fn report_here(&mut self, segment: &Segment<'_>, rule: Rule, message: &str) {
        let (level, number) = match (&mut self.message, &mut self.group) {
            (Some(message), _) => {
                let number = message.count + 1;
                (message, number)
            }
            (None, Some(group)) => (&mut group.level, 0),
            (None, None) => (&mut self.interchange_at(segment).level, 0),
        };
        level.report_at(rule, || place_of(segment, number), message);
    }
}

fn too_large(segment: &Segment<'_>, size: u64, most: usize) -> FrameError {
    let (code, message) = if size > most as u64 {
        ("too-large", format!("a message of more than {most} bytes"))
    } else {
        ("too-many-nodes", "a message of more elements than the limit".to_owned())
    };
    FrameError { code, message, place: segment.place() }
}
