//! The elements of one IDoc to one document.

use crate::document::{Document, Room, trim_end};
use crate::encoding::Spot;
use crate::fixed::index::Index;
use crate::idoc::assemble::{Assembly, Value};
use crate::idoc::control::CONTROL;
use crate::idoc::types::Types;
use crate::reading::{FrameError, Problem};
use crate::xml::events::Events;
use std::io::BufRead;

/// What an open element is.
enum Open {
    Control,
    /// A declared segment, and where its next field is looked for.
    Segment {
        hint: usize,
    },
    Unknown,
}

/// One IDoc of a SAP dialect, from the element `IDOC` on.
pub(super) struct Tree<'t> {
    assembly: Assembly<'t>,
    types: &'t Types,
    /// The element around `IDOC`.
    root: &'t str,
    open: Vec<Open>,
    /// An element that is a field unless an element comes in it.
    pending: bool,
    value: Value,
    control: Vec<Value>,
    begun: bool,
    /// The type, kept here so that it need not be asked for with every field.
    kind: Option<&'t Index>,
}

impl<'t> Tree<'t> {
    pub(super) fn new(assembly: Assembly<'t>, types: &'t Types, root: &'t str) -> Self {
        Self {
            assembly,
            types,
            root,
            open: Vec::new(),
            pending: false,
            value: Value::default(),
            control: Vec::new(),
            begun: false,
            kind: None,
        }
    }

    /// An element begins; `marked` where it says that it is a segment.
    pub(super) fn start(&mut self, name: &str, marked: bool, spot: Spot) {
        if self.pending {
            // What looked like a field has elements.
            let value = std::mem::take(&mut self.value);
            self.pending = false;
            if value.text.bytes().any(|byte| !byte.is_ascii_whitespace()) {
                self.assembly.stray_text(value.spot);
            }
            self.segment(&value.name, false, value.spot);
        }
        let is_segment = match self.open.last() {
            None if name == CONTROL && !self.begun => {
                return self.open.push(Open::Control);
            }
            None => true,
            Some(Open::Control) => false,
            // One that is not marked shows itself by the elements in it.
            Some(_) => marked,
        };
        if is_segment {
            return self.segment(&decoded(name), marked, spot);
        }
        self.pending = true;
        self.value.name.clear();
        push_decoded(name, &mut self.value.name);
        self.value.text.clear();
        self.value.spot = spot;
    }

    /// Puts an element that holds nothing but text, if it is a declared field without a fault, as
    /// nearly all are.
    pub(super) fn plain_field(&mut self, name: &str, text: &str, offset: u64) -> bool {
        match (self.kind, self.open.last_mut()) {
            (Some(kind), Some(Open::Segment { hint })) if !self.pending => {
                self.assembly.tree_plain_field((name, trim_end(text)), offset, hint, kind)
            }
            _ => false,
        }
    }

    /// An element begins and ends, with nothing but text in it.
    pub(super) fn field(&mut self, name: &str, text: &str, spot: Spot) {
        self.start(name, false, spot);
        self.value.text.push_str(text);
        self.end_field();
    }

    /// Whether an element that is not marked is a field here.
    pub(super) fn is_in_segment(&self) -> bool {
        !self.open.is_empty()
    }

    /// The element that holds only text ends.
    fn end_field(&mut self) {
        self.pending = false;
        let kept = trim_end(&self.value.text).len();
        self.value.text.truncate(kept);
        let Value { name, text, spot } = &self.value;
        let value = (name.as_str(), text.as_str());
        match self.open.last_mut() {
            Some(Open::Control) => self.control.push(std::mem::take(&mut self.value)),
            Some(Open::Segment { hint }) => {
                self.assembly.tree_field(value, *spot, hint, self.kind);
            }
            _ => self.assembly.tree_field(value, *spot, &mut 0, None),
        }
    }

    fn segment(&mut self, name: &str, marked: bool, spot: Spot) {
        self.begin(spot);
        let in_known = !matches!(self.open.last(), Some(Open::Unknown));
        let open = if in_known && self.assembly.tree_open(name, spot) {
            Open::Segment { hint: 0 }
        } else {
            if !in_known {
                self.assembly.tree_unknown(name);
            }
            Open::Unknown
        };
        if !marked {
            self.assembly.unmarked("", spot);
        }
        self.open.push(open);
    }

    /// Opens the document, with what is known of its control record.
    fn begin(&mut self, spot: Spot) {
        if !self.begun {
            self.begun = true;
            let control = std::mem::take(&mut self.control);
            self.assembly.tree_control(spot, &control, &decoded(self.root), self.types);
            self.kind = self.assembly.kind();
        }
    }

    pub(super) fn text<R: BufRead>(&mut self, text: &str, events: &mut Events<R>) {
        if self.pending {
            self.value.text.push_str(text);
        } else if text.bytes().any(|byte| !byte.is_ascii_whitespace()) {
            self.assembly.stray_text(events.spot());
        }
    }

    /// An element ends; says whether it was the IDoc.
    pub(super) fn end<R: BufRead>(&mut self, events: &mut Events<R>) -> Result<bool, FrameError> {
        if self.pending {
            self.end_field();
            return Ok(false);
        }
        match self.open.pop() {
            None => {
                self.begin(events.spot());
                return Ok(true);
            }
            Some(Open::Control) => self.begin(events.spot()),
            Some(Open::Segment { .. }) => self.assembly.tree_close(),
            Some(Open::Unknown) => self.assembly.tree_close_unknown(),
        }
        let end = events.position();
        self.check_limits(end, events)?;
        Ok(false)
    }

    /// The limits inside of a segment, which may have any number of fields.
    pub(super) fn check_open<R: BufRead>(
        &mut self,
        events: &mut Events<R>,
    ) -> Result<(), FrameError> {
        let end = events.passed();
        self.check_limits(end, events)
    }

    fn check_limits<R: BufRead>(
        &mut self,
        end: u64,
        events: &mut Events<R>,
    ) -> Result<(), FrameError> {
        let checked = self.assembly.check_tree_limits(end, self.control.len());
        checked.map_err(|error| FrameError { place: events.spot().place(), ..error })
    }

    pub(super) fn finish(self, room: &mut Room) -> (Document, Vec<Problem>) {
        self.assembly.finish(room)
    }
}

/// One IDoc of the Microsoft dialect, from the element `idocData` on.
pub(super) struct Records<'t> {
    assembly: Assembly<'t>,
    types: &'t Types,
    /// Elements that are open: groups, then a segment, then a field.
    depth: usize,
    /// The depth at which a segment is open.
    segment: Option<usize>,
    name: String,
    spot: Spot,
    values: Vec<Value>,
    begun: bool,
    /// The flat file, where there are no elements.
    pub(super) text: String,
    /// Where that text begins.
    pub(super) begin: Option<u64>,
}

const HEADER: &str = "DATAHEADERCOLUMN_";

impl<'t> Records<'t> {
    pub(super) fn new(assembly: Assembly<'t>, types: &'t Types) -> Self {
        Self {
            assembly,
            types,
            depth: 0,
            segment: None,
            name: String::new(),
            spot: Spot::default(),
            values: Vec::new(),
            begun: false,
            text: String::new(),
            begin: None,
        }
    }

    pub(super) fn start(&mut self, name: &str, spot: Spot) {
        self.depth += 1;
        match self.segment {
            None if name.ends_with("GRP") => {}
            None => {
                self.segment = Some(self.depth);
                self.name = decoded(name);
                self.spot = spot;
                self.values.clear();
            }
            Some(_) => self.values.push(Value { name: decoded(name), text: String::new(), spot }),
        }
    }

    pub(super) fn text(&mut self, text: &str, spot: Spot) {
        match (self.segment, self.values.last_mut()) {
            (Some(at), Some(value)) if self.depth > at => value.text.push_str(text),
            (None, _) if self.depth == 0 => {
                self.begin.get_or_insert(spot.offset);
                self.text.push_str(text);
            }
            _ => {}
        }
    }

    /// An element ends at byte `end`; says whether it was the IDoc.
    pub(super) fn end(&mut self, end: u64) -> Result<bool, FrameError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            self.begin_document();
            return Ok(true);
        };
        if self.segment == Some(self.depth) {
            self.segment = None;
            self.put();
        }
        self.depth = depth;
        self.check_limits(end)?;
        Ok(false)
    }

    /// The limits, at byte `end` of the input or behind it.
    pub(super) fn check_limits(&mut self, end: u64) -> Result<(), FrameError> {
        self.assembly.check_tree_limits(end, self.values.len())
    }

    fn put(&mut self) {
        for value in &mut self.values {
            let kept = value.text.trim_end_matches([' ', '\n', '\r', '\t']).len();
            value.text.truncate(kept);
        }
        if self.name == CONTROL && !self.begun {
            return self.begin_document();
        }
        self.begin_document();
        let header = |name: &str| {
            let found = self.values.iter().find(|v| v.name.strip_prefix(HEADER) == Some(name));
            found.and_then(|value| value.text.trim().parse().ok())
        };
        let numbers = (header("SEGNUM"), header("PSGNUM"));
        self.values.retain(|value| !value.name.starts_with(HEADER) && value.name != "SEGMENTPAD");
        self.assembly.tree_record(&self.name, numbers, (&self.values, self.spot));
    }

    fn begin_document(&mut self) {
        if !self.begun {
            self.begun = true;
            let control = if self.name == CONTROL { self.values.as_slice() } else { &[] };
            self.assembly.tree_control(self.spot, control, "", self.types);
        }
    }

    pub(super) fn finish(self, room: &mut Room) -> (Document, Vec<Problem>) {
        self.assembly.finish(room)
    }
}

/// The name of a segment or field: `_-RB04_-ANR` is `/RB04/ANR`.
fn decoded(element: &str) -> String {
    let mut name = String::new();
    push_decoded(element, &mut name);
    name
}

fn push_decoded(element: &str, name: &mut String) {
    if memchr::memchr(b'_', element.as_bytes()).is_none() {
        return name.push_str(element);
    }
    let mut rest = element;
    while let Some(at) = rest.find("_-") {
        name.push_str(rest.get(..at).unwrap_or_default());
        name.push('/');
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    name.push_str(rest);
}
