//! A message held against a definition.

use crate::definition::model::{Definition, Message, Standard, Use};
use crate::definition::nest::group_name;
use crate::definition::service::is_envelope;
use crate::definition::values;
use crate::definition::walk::{Event, Walk};
use crate::document::{Kind, Node};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Reading, Severity};
use crate::segment::ENVELOPE;

/// How much is checked. Each level has all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// Syntax and envelope only, which the readers do.
    Syntax,
    /// The elements of segments: mandatory ones, their form, their number.
    Format,
    /// The segments of messages: mandatory ones, their order and number.
    #[default]
    Structure,
    /// Values by code lists.
    Codes,
    /// Rules of one's own, by a definition that is marked `profile`.
    Profile,
}

impl Level {
    /// The level of a number from 0 to 4.
    pub fn of(number: u8) -> Option<Self> {
        let all = [Self::Syntax, Self::Format, Self::Structure, Self::Codes, Self::Profile];
        all.get(usize::from(number)).copied()
    }
}

/// Everything that breaks the definition, in the order of the message. Segments and messages that
/// the definition does not have are not judged, nor segments without positions.
///
/// Codes: `missing-segment`, `unknown-segment`, `wrong-order`, `too-many-segments`,
/// `too-many-groups`, `missing-element`, `too-many-elements`, `too-many-repetitions`, `too-long`,
/// `too-short`, `wrong-type`, `unknown-value`; all are errors. Places have the offset, the number of
/// the segment and a path such as `NAD/3/1`; they have no line.
pub fn check(
    reading: &Reading,
    kind: &str,
    definition: &Definition,
    level: Level,
    has_repetition: bool,
) -> Vec<Problem> {
    let problems = Problems::new(Limits::default().problems);
    let base = reading.span.start;
    let mut check = Check { definition, level, has_repetition, base, problems };
    let root = reading.document.root();
    let segments =
        || root.children().filter(|node| node.kind() == Kind::Segment && node.name() != ENVELOPE);
    if level >= Level::Structure
        && let Some(message) = definition.messages.get(kind)
    {
        check.structure(segments(), message);
    }
    if level >= Level::Format {
        for (at, segment) in segments().enumerate() {
            check.segment(segment, at + 1);
        }
    }
    check.problems.finish()
}

struct Check<'d> {
    definition: &'d Definition,
    level: Level,
    has_repetition: bool,
    /// Where the message begins in the input.
    base: u64,
    problems: Problems,
}

/// Where an element is: its segment and number, and element and component from 1.
#[derive(Clone, Copy)]
struct At<'d> {
    segment: Node<'d>,
    number: usize,
    element: usize,
    component: usize,
}

impl Check<'_> {
    fn report(&mut self, code: &'static str, place: Place, message: String) {
        let severity = Severity::Error;
        self.problems.push(severity, || Problem { severity, code, message, place });
    }

    fn place(&self, offset: usize, number: usize, path: String) -> Place {
        let segment = u32::try_from(number).unwrap_or(u32::MAX);
        Place { offset: self.base + offset as u64, segment, path, ..Place::default() }
    }

    fn structure<'n>(&mut self, segments: impl Iterator<Item = Node<'n>>, message: &Message) {
        let mut walk = Walk::new(message);
        let mut events = Vec::new();
        let (mut number, mut last) = (0, 0);
        for segment in segments {
            number += 1;
            last = segment.offset();
            events.clear();
            walk.segment(segment.name(), &mut events);
            for event in &events {
                self.event(*event, segment, number, message);
            }
        }
        events.clear();
        walk.finish(&mut events);
        for event in events {
            if let Event::Missing(row) = event {
                self.missing(row, (last, number), message);
            }
        }
    }

    fn event(&mut self, event: Event, segment: Node<'_>, number: usize, message: &Message) {
        let mut path = String::new();
        append_name(&mut path, segment.name());
        let place = self.place(segment.offset(), number, path);
        match event {
            Event::Missing(row) => {
                // A missing segment is said to be behind the one before (ISO 9735-4, 0096).
                self.missing(row, (segment.offset(), number.saturating_sub(1)), message);
            }
            Event::TooMany(row) => {
                let Some(item) = message.items.get(row) else { return };
                let max = item.max;
                if item.is_group() {
                    let group = group_name(&item.name, self.definition.standard);
                    let text = format!("group {group} occurs more than {max} times");
                    self.report("too-many-groups", place, text);
                } else {
                    self.report("too-many-segments", place, format!("more than {max} here"));
                }
            }
            Event::WrongOrder => {
                self.report("wrong-order", place, "not at this place of the message".to_owned());
            }
            Event::Unknown => {
                self.report("unknown-segment", place, "the message has no such segment".to_owned());
            }
            Event::Open(_) | Event::Close | Event::Segment => {}
        }
    }

    fn missing(&mut self, row: usize, (offset, number): (usize, usize), message: &Message) {
        let Some(item) = message.items.get(row) else { return };
        let first = message.items.get(row..).unwrap_or_default().iter().find(|i| !i.is_group());
        let tag = first.map_or("", |item| item.name.as_str());
        let text = if item.is_group() {
            let group = group_name(&item.name, self.definition.standard);
            format!("mandatory group {group} is missing, which begins with {tag}")
        } else {
            format!("mandatory segment {tag} is missing")
        };
        let place = self.place(offset, number, tag.to_owned());
        self.report("missing-segment", place, text);
    }

    /// The elements of a segment.
    fn segment(&mut self, segment: Node<'_>, number: usize) {
        let definition = self.definition;
        let tag = segment.name();
        let is_known = definition.segments.get(tag).is_some_and(|segment| !segment.uses.is_empty());
        // A segment without positions has a name and no rules.
        if is_envelope(definition.standard, tag) || !is_known {
            return;
        }
        let is_element = |node: &Node<'_>| node.kind() != Kind::Attribute;
        let mut at = At { segment, number, element: 0, component: 0 };
        let mut elements = segment.children().filter(is_element);
        loop {
            let node = elements.next();
            at.element += 1;
            match (definition.place_of(tag, at.element - 1, self.has_repetition), node) {
                (Some(place), node) => {
                    let is_first = at.element == 1
                        || definition
                            .place_of(tag, at.element - 2, self.has_repetition)
                            .is_none_or(|before| !std::ptr::eq(before, place));
                    self.element(at, node, place, is_first);
                }
                (None, Some(node)) if is_used(node) => {
                    let count = at.element - 1;
                    self.fault(
                        at,
                        Some(node),
                        "too-many-elements",
                        format!("more than {count} elements"),
                    );
                    return;
                }
                (None, Some(_)) => {}
                (None, None) => return,
            }
            if at.element > 2_000 {
                return;
            }
        }
    }

    fn fault(&mut self, at: At<'_>, node: Option<Node<'_>>, code: &'static str, message: String) {
        let mut path = String::new();
        append_name(&mut path, at.segment.name());
        path += &format!("/{}", at.element);
        if at.component > 0 {
            path += &format!("/{}", at.component);
        }
        let offset = node.map_or(at.segment.offset(), Node::offset);
        let place = self.place(offset, at.number, path);
        self.report(code, place, message);
    }

    /// An element with its repetitions; `is_first` where its position is not one for repeating the
    /// element before.
    fn element(&mut self, at: At<'_>, node: Option<Node<'_>>, place: &Use, is_first: bool) {
        let Some(node) = node.filter(|node| is_used(*node)) else {
            if place.mandatory && is_first {
                let text = "mandatory element is missing".to_owned();
                self.fault(at, node, "missing-element", text);
            }
            return;
        };
        if node.kind() != Kind::List {
            return self.value(at, node, place);
        }
        let count = node.children().count();
        if count > place.max as usize {
            let text = format!("{count} repetitions, at most {} are allowed", place.max);
            self.fault(at, Some(node), "too-many-repetitions", text);
        }
        node.children().filter(|item| is_used(*item)).for_each(|item| self.value(at, item, place));
    }

    /// One occurrence of an element or composite.
    fn value(&mut self, at: At<'_>, node: Node<'_>, place: &Use) {
        let definition = self.definition;
        let Some(composite) = definition.composites.get(&place.id) else {
            let is_simple = node.children().next().is_none();
            if !is_simple && definition.elements.contains_key(&place.id) {
                let extra = node.children().nth(1);
                let at = At { component: 2, ..at };
                let text = "an element without components".to_owned();
                return self.fault(at, extra, "too-many-elements", text);
            }
            return self.simple(at, node, place, false);
        };
        let is_foreign = is_foreign(node, &composite.uses, definition.standard);
        let mut components: Vec<Node<'_>> = node.children().collect();
        if components.is_empty() {
            components.push(node);
        }
        for (index, place) in composite.uses.iter().enumerate() {
            let at = At { component: index + 1, ..at };
            match components.get(index).filter(|component| !component.text().is_empty()) {
                Some(component) => self.simple(at, *component, place, is_foreign),
                None if place.mandatory => {
                    let node = components.get(index).copied().unwrap_or(node);
                    let text = "mandatory component is missing".to_owned();
                    self.fault(at, Some(node), "missing-element", text);
                }
                None => {}
            }
        }
        let count = composite.uses.len();
        let extra = components.iter().skip(count).find(|component| !component.text().is_empty());
        if let Some(extra) = extra {
            let at = At { component: count + 1, ..at };
            let text = format!("more than {count} components");
            self.fault(at, Some(*extra), "too-many-elements", text);
        }
    }

    fn simple(&mut self, at: At<'_>, node: Node<'_>, place: &Use, is_foreign: bool) {
        let Some(element) = self.definition.elements.get(&place.id) else { return };
        let text = node.text();
        if let Some((code, message)) = values::form(text, element, self.definition.standard) {
            return self.fault(at, Some(node), code, message);
        }
        let is_listed = element.codes.is_empty() || element.code(text).is_some();
        if self.level >= Level::Codes && !is_listed && !is_foreign {
            let message = format!("not a value of the code list of element {}", place.id);
            self.fault(at, Some(node), "unknown-value", message);
        }
    }
}

/// Whether the values of a composite are of another code list: 1131 names it, or 3055 names another
/// agency than the United Nations (6).
fn is_foreign(node: Node<'_>, uses: &[Use], standard: Standard) -> bool {
    let value = |id: &str| {
        let at = uses.iter().position(|place| place.id == id);
        at.and_then(|at| node.nth(at)).map_or("", Node::text)
    };
    standard == Standard::Edifact
        && (!value("1131").is_empty() || !matches!(value("3055"), "" | "6"))
}

/// Whether there is any text in an element.
fn is_used(node: Node<'_>) -> bool {
    node.descendants().any(|part| !part.text().is_empty())
}
