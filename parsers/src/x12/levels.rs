//! Opening and closing interchanges, groups and sets.

use crate::document::{Builder, Document, Kind};
use crate::reading::Place;
use crate::segment::{
    ENVELOPE, GROUP, INTERCHANGE, Level, Nodes, Part, References, Segment, end_of, place_in,
    place_of, put_segment, value,
};
use crate::x12::checks::{CHARSET, check_text, trailer, trimmed};
use crate::x12::isa::Header;
use crate::x12::read::{Group, Interchange, State};
use crate::x12::rules;

impl State {
    pub(super) fn level(&self, start: Place) -> Level {
        Level::new(self.options.mode, &self.options.limits, start)
    }

    /// Opens an interchange and reports what was found before it.
    pub(super) fn open_interchange(
        &mut self,
        start: Place,
        header: Option<&Header>,
    ) -> &mut Interchange {
        let mut level = self.level(start);
        level.builder.open(Kind::Group, INTERCHANGE, 0);
        for (rule, place, message) in self.early.drain(..) {
            level.report(rule, &place, message);
        }
        let mut envelope = Builder::new();
        envelope.open(Kind::Group, ENVELOPE, 0);
        if let Some(header) = header {
            header.put(&mut level.builder);
            let isa = header_document(header);
            for child in isa.root().children() {
                envelope.copy_header(child);
            }
            level.reference = header.element(13).as_bytes().to_vec();
        }
        self.interchange.insert(Interchange {
            level,
            envelope: envelope.finish(),
            is_implicit: header.is_none(),
            version: header.and_then(|header| header.element(12).parse().ok()).unwrap_or(0),
            groups: 0,
            bare_sets: 0,
            services: 0,
            references: References::default(),
        })
    }

    /// The interchange that is open, or one without a header.
    pub(super) fn interchange_at(&mut self, segment: &Segment<'_>) -> &mut Interchange {
        match self.interchange.take() {
            Some(interchange) => self.interchange.insert(interchange),
            None => self.open_interchange(segment.place(), None),
        }
    }

    /// ISA.
    pub(super) fn header(&mut self, header: &Header, place: Place) {
        self.count += 1;
        self.end = place.offset + header.length as u64;
        let interchange = self.open_interchange(place.clone(), Some(header));
        let place = Place { path: "ISA".to_owned(), ..place };
        header.report(&mut interchange.level, &place);
    }

    /// GS.
    pub(super) fn open_group(&mut self, segment: Segment<'_>) {
        self.close_group();
        let mut level = self.level(segment.place());
        let mut nodes = std::mem::take(&mut self.nodes);
        let interchange = self.interchange_at(&segment);
        let place = place_of(&segment, 0);
        level.builder.open(Kind::Group, GROUP, 0);
        level.reference = trimmed(&segment, 5);
        level.put(segment, CHARSET, &mut nodes);
        let missing = |number: &usize| trimmed(&segment, *number).is_empty();
        for number in (0..8).filter(missing) {
            let place = place_in(&place, number + 1, 0, 0);
            level.report(rules::MISSING_ELEMENT, &place, "mandatory element is missing");
        }
        check_text(&mut level, &segment, 0);
        interchange.groups += 1;
        if interchange.references.is_duplicate(b'G', &value(&segment, 5)) {
            let message = "another group of the interchange has the same control number";
            level.report(rules::DUPLICATE_REFERENCE, &place_in(&place, 6, 0, 0), message);
        }
        let envelope = with_segment(&interchange.envelope, segment, &mut nodes);
        let outer = std::mem::replace(&mut interchange.envelope, envelope);
        self.nodes = nodes;
        self.group = Some(Group { level, outer, references: References::default() });
    }

    /// GE.
    pub(super) fn end_group(&mut self, segment: Segment<'_>) {
        self.close_set();
        let Some(mut group) = self.group.take() else {
            let message = "GE without GS; skipped";
            return self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
        };
        group.level.put(segment, CHARSET, &mut self.nodes);
        check_text(&mut group.level, &segment, 0);
        let count = group.level.count;
        trailer(&mut group.level, &segment, count, "sets");
        self.finish_group(group, end_of(&segment));
    }

    fn finish_group(&mut self, mut group: Group, end: u64) {
        if group.level.count == 0 {
            let place = Place { path: "GS".to_owned(), ..group.level.start.clone() };
            group.level.report(rules::EMPTY_GROUP, &place, "no set in the group");
        }
        if let Some(interchange) = &mut self.interchange {
            interchange.envelope = group.outer;
        }
        self.ready.push_back(Part::Group(group.level.finish(end)));
    }

    /// IEA.
    pub(super) fn end_interchange(&mut self, segment: Segment<'_>) {
        self.close_group();
        self.end = end_of(&segment);
        let is_implicit = self.interchange.as_ref().is_none_or(|i| i.is_implicit);
        let found = if is_implicit { None } else { self.interchange.take() };
        let Some(mut interchange) = found else {
            let message = "IEA without ISA; skipped";
            return self.report_here(&segment, rules::UNEXPECTED_TRAILER, message);
        };
        interchange.level.put(segment, CHARSET, &mut self.nodes);
        check_text(&mut interchange.level, &segment, 0);
        let groups = interchange.groups;
        trailer(&mut interchange.level, &segment, groups, "groups");
        self.finish_interchange(interchange);
    }

    /// Where a trailer is missing: behind what was read last.
    fn end_place(&self, tag: &str) -> Place {
        Place { offset: self.end, path: tag.to_owned(), ..Place::default() }
    }

    /// Ends a set whose trailer did not come.
    pub(super) fn close_set(&mut self) {
        self.is_headless = false;
        if let Some(mut level) = self.set.take() {
            let place = self.end_place("SE");
            level.report(rules::MISSING_SET_TRAILER, &place, "no SE ends the set");
            self.ready.push_back(Part::Message(level.finish(self.end)));
        }
    }

    /// Ends a group whose trailer did not come.
    pub(super) fn close_group(&mut self) {
        self.close_set();
        if let Some(mut group) = self.group.take() {
            let place = self.end_place("GE");
            group.level.report(rules::MISSING_TRAILER, &place, "no GE ends the group");
            self.finish_group(group, self.end);
        }
    }

    /// Ends the interchange, if one is open, whose trailer did not come.
    pub(super) fn close_interchange(&mut self) {
        self.close_group();
        if let Some(mut interchange) = self.interchange.take() {
            if !interchange.is_implicit {
                let place = self.end_place("IEA");
                let message = "no IEA ends the interchange";
                interchange.level.report(rules::MISSING_TRAILER, &place, message);
            }
            self.finish_interchange(interchange);
        }
    }

    /// Ends an interchange of which nothing but the header could be read.
    pub(super) fn drop_interchange(&mut self) {
        if let Some(interchange) = self.interchange.take() {
            self.ready.push_back(Part::Interchange(interchange.level.finish(self.end)));
        }
    }

    fn finish_interchange(&mut self, mut interchange: Interchange) {
        let place = interchange.level.start.clone();
        let is_empty = interchange.groups + interchange.bare_sets + interchange.services == 0;
        if is_empty && !interchange.is_implicit {
            let message = "no group in the interchange";
            interchange.level.report(rules::EMPTY_INTERCHANGE, &place, message);
        }
        if interchange.is_implicit && interchange.groups + interchange.bare_sets > 0 {
            let message = "sets without an interchange around them";
            interchange.level.report(rules::NO_INTERCHANGE, &place, message);
        }
        if !interchange.is_implicit && interchange.bare_sets > 0 {
            interchange.level.report(rules::NO_GROUP, &place, "sets without a group around them");
        }
        self.ready.push_back(Part::Interchange(interchange.level.finish(self.end)));
    }
}

fn header_document(header: &Header) -> Document {
    let mut builder = Builder::new();
    builder.open(Kind::Group, ENVELOPE, 0);
    header.put(&mut builder);
    builder.finish()
}

/// A copy of an envelope with one more segment.
pub(super) fn with_segment(
    envelope: &Document,
    segment: Segment<'_>,
    nodes: &mut Nodes,
) -> Document {
    let mut builder = Builder::new();
    builder.open(Kind::Group, ENVELOPE, 0);
    for child in envelope.root().children() {
        builder.copy_header(child);
    }
    put_segment(&mut builder, segment, CHARSET, 0, nodes);
    builder.finish()
}
