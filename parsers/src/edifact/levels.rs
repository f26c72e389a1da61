//! Opening and closing interchanges, groups and messages.

use crate::document::{Builder, Document, Kind};
use crate::edifact::checks::check;
use crate::edifact::read::{State, Then};
use crate::edifact::rules;
use crate::edifact::state::{Group, Interchange};
use crate::edifact::syntax::{Repetition, Syntax, charset, is_airline};
use crate::reading::{Place, Reading};
use crate::segment::{
    Charset, ENVELOPE, GROUP, Level, Nodes, Part, Segment, place_of, put_segment, value,
};

impl State {
    /// Whether what is open is only what stands between interchanges.
    pub(super) fn is_between(&self) -> bool {
        self.message.is_none() && self.interchange.as_ref().is_some_and(|i| i.is_implicit)
    }

    pub(super) fn level(&self, start: Place) -> Level {
        Level::new(self.options.mode, &self.options.limits, start)
    }

    /// Opens an interchange and reports what was found before it.
    pub(super) fn open_interchange(&mut self, start: Place, is_implicit: bool) -> &mut Interchange {
        let mut interchange = Interchange::new(self.level(start), is_implicit);
        let mut envelope = Builder::new();
        envelope.open(Kind::Group, ENVELOPE, 0);
        if let Some((string, place)) = self.una.take() {
            interchange.level.start = place;
            let text: String = string.iter().map(|byte| char::from(*byte)).collect();
            for builder in [&mut interchange.level.builder, &mut envelope] {
                builder.open(Kind::Segment, "UNA", 0);
                builder.put(Kind::Field, "", &text, 0);
                builder.close();
            }
        }
        for (rule, place, message) in self.early.drain(..) {
            interchange.level.report(rule, &place, message);
        }
        interchange.envelope = envelope.finish();
        self.interchange.insert(interchange)
    }

    /// The interchange that is open, or one without a header.
    pub(super) fn interchange_at(&mut self, segment: &Segment<'_>) -> &mut Interchange {
        match self.interchange.take() {
            Some(interchange) => self.interchange.insert(interchange),
            None => self.open_interchange(segment.place(), true),
        }
    }

    /// UNB.
    pub(super) fn header(&mut self, segment: Segment<'_>) -> Then {
        let una = self.una.as_ref().map(|(string, _)| *string);
        let identifier = segment.component(0, 0).unwrap_or_default();
        let version = segment.component(0, 1).unwrap_or_default();
        let known = charset(identifier.bytes());
        let version = version.bytes().first().copied().unwrap_or(b'3');
        let syntax = &mut self.syntax;
        (syntax.version, syntax.charset) = (version, known.unwrap_or(Charset::Ascii));
        let is_version_4 = syntax.is_version_4();
        let named = una.map_or(b'*', |string| string[4]);
        let wanted = match self.options.repetition {
            Repetition::Auto => is_version_4,
            Repetition::Always => true,
            Repetition::Never => false,
        };
        let separators = &mut syntax.separators;
        separators.shifts = syntax.charset.has_shifts();
        separators.repetition = (wanted && named != b' ').then_some(named);
        if separators.are_ambiguous() {
            separators.repetition = None;
        }
        let repeats = separators.repetition.is_some();
        let syntax = self.syntax;
        let place = place_of(&segment, 0);
        let mut nodes = std::mem::take(&mut self.nodes);
        let interchange = self.open_interchange(segment.place(), false);
        let level = &mut interchange.level;
        let is_foreign = known.is_none() || is_airline(identifier.bytes());
        if is_foreign || !matches!(version, b'1'..=b'4' | b'X') {
            let message = "unknown syntax identifier or version";
            level.report(rules::UNKNOWN_SYNTAX, &place, message);
        }
        if !is_version_4 && una.is_some_and(|string| string[4] != b' ') {
            let message = "UNA position 5 is reserved below version 4; its character is data";
            level.report(rules::UNUSED_REPETITION, &place, message);
        }
        if is_version_4 && !repeats {
            level.report(rules::NO_REPETITION, &place, "no repetition separator in version 4");
        }
        level.reference = value(&segment, 4);
        level.put(segment, syntax.charset, &mut nodes);
        interchange.envelope = with_segment(&interchange.envelope, segment, &syntax, &mut nodes);
        check(&mut interchange.level, &segment, &syntax, 0);
        self.nodes = nodes;
        Then::Adopt
    }

    /// UNG.
    pub(super) fn open_group(&mut self, segment: Segment<'_>) {
        self.close_group();
        let syntax = self.syntax;
        let mut level = self.level(segment.place());
        let mut nodes = std::mem::take(&mut self.nodes);
        let interchange = self.interchange_at(&segment);
        let place = place_of(&segment, 0);
        level.builder.open(Kind::Group, GROUP, 0);
        level.reference = value(&segment, 4);
        level.put(segment, syntax.charset, &mut nodes);
        check(&mut level, &segment, &syntax, 0);
        interchange.groups += 1;
        if interchange.references.is_duplicate(b'G', &level.reference) {
            let message = "another group of the interchange has the same reference";
            level.report(rules::DUPLICATE_REFERENCE, &place, message);
        }
        let envelope = with_segment(&interchange.envelope, segment, &syntax, &mut nodes);
        let outer = std::mem::replace(&mut interchange.envelope, envelope);
        self.nodes = nodes;
        self.group = Some(Group { level, kind: Vec::new(), outer });
    }

    pub(super) fn finish_group(&mut self, mut group: Group, end: u64) {
        if group.level.count == 0 {
            let place = group.level.start.clone();
            group.level.report(rules::EMPTY_GROUP, &place, "no message in the group");
        }
        if let Some(interchange) = &mut self.interchange {
            interchange.envelope = group.outer;
        }
        self.ready.push_back(Part::Group(group.level.finish(end)));
    }

    /// Where a trailer is missing: behind what was read last.
    fn end_place(&self, tag: &str) -> Place {
        Place { offset: self.end, path: tag.to_owned(), ..Place::default() }
    }

    /// Ends a group whose trailer did not come.
    pub(super) fn close_group(&mut self) {
        self.close_message();
        if let Some(mut group) = self.group.take() {
            let place = self.end_place("UNE");
            group.level.report(rules::MISSING_TRAILER, &place, "no UNE ends the group");
            let end = self.end;
            self.finish_group(group, end);
        }
    }

    /// Ends a message whose trailer did not come.
    pub(super) fn close_message(&mut self) {
        self.is_headless = false;
        self.object = None;
        if let Some(mut level) = self.message.take() {
            let place = self.end_place("UNT");
            level.report(rules::MISSING_MESSAGE_TRAILER, &place, "no UNT ends the message");
            let end = self.end;
            self.ready.push_back(Part::Message(level.finish(end)));
        }
    }

    /// Ends the interchange, if one is open, whose trailer did not come.
    pub(super) fn close_interchange(&mut self) {
        self.close_group();
        if let Some(mut interchange) = self.interchange.take() {
            if !interchange.is_implicit {
                let place = self.end_place("UNZ");
                let message = "no UNZ ends the interchange";
                interchange.level.report(rules::MISSING_TRAILER, &place, message);
            }
            self.finish_interchange(interchange);
        }
    }

    pub(super) fn finish_interchange(&mut self, mut interchange: Interchange) {
        let is_empty = interchange.groups + interchange.bare_messages == 0;
        let place = interchange.level.start.clone();
        if is_empty && !interchange.is_implicit {
            let message = "neither message nor group in the interchange";
            interchange.level.report(rules::EMPTY_INTERCHANGE, &place, message);
        }
        if !is_empty && interchange.is_implicit {
            let message = "messages without an interchange around them";
            interchange.level.report(rules::NO_INTERCHANGE, &place, message);
        }
        if interchange.groups > 0 && interchange.bare_messages > 0 {
            let message = "messages inside and outside of groups";
            interchange.level.report(rules::MIXED_GROUPS, &place, message);
        }
        let reading: Reading = interchange.level.finish(self.end);
        self.ready.push_back(Part::Interchange(reading));
    }
}

/// A copy of an envelope with one more segment.
fn with_segment(
    envelope: &Document,
    segment: Segment<'_>,
    syntax: &Syntax,
    nodes: &mut Nodes,
) -> Document {
    let mut builder = Builder::new();
    builder.open(Kind::Group, envelope.root().name(), 0);
    for child in envelope.root().children() {
        builder.copy_header(child);
    }
    // Headers stand before the documents that they are copied into.
    put_segment(&mut builder, segment, syntax.charset, 0, nodes);
    builder.finish()
}
