//! TA1, 997 and 999 of partners, read back: what became of what we sent.

use crate::document::{Document, Node};

/// What a partner did with an interchange, a group or a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// `A`.
    Accepted,
    /// `E`: accepted, with errors.
    AcceptedWithErrors,
    /// `P`: some of the sets in the group were accepted.
    PartlyAccepted,
    /// `R`, and the refusals of security: `M`, `W`, `X`.
    Refused,
    /// Any other code.
    Other,
}

impl Status {
    fn of(code: &str) -> Self {
        match code {
            "A" => Self::Accepted,
            "E" => Self::AcceptedWithErrors,
            "P" => Self::PartlyAccepted,
            "R" | "M" | "W" | "X" => Self::Refused,
            _ => Self::Other,
        }
    }
}

/// TA1: what became of an interchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterchangeAck {
    /// ISA13 of the interchange that is answered.
    pub control_number: String,
    /// Its date and time (ISA09, ISA10).
    pub sent: (String, String),
    /// What became of it.
    pub status: Status,
    /// The note code (I18), `000` for no error.
    pub note: String,
}

/// An error in a segment or one of its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentError {
    /// The tag of the segment.
    pub tag: String,
    /// Its number in the set, ST being 1.
    pub segment: u32,
    /// The element, from 1; 0 for the segment itself.
    pub element: u32,
    /// The component, from 1; 0 where none is named.
    pub component: u32,
    /// The code: 720 for a segment, 723 for an element.
    pub code: String,
}

/// What became of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAck {
    /// ST01.
    pub kind: String,
    /// ST02.
    pub control_number: String,
    /// What became of it; [`Status::Other`] where nothing is said.
    pub status: Status,
    /// The codes of the set (718).
    pub codes: Vec<String>,
    /// The errors of its segments.
    pub errors: Vec<SegmentError>,
}

/// 997 or 999: what became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupAck {
    /// GS01.
    pub functional_id: String,
    /// GS06.
    pub control_number: String,
    /// What became of it.
    pub status: Status,
    /// Sets included, received and accepted.
    pub counts: [u64; 3],
    /// The codes of the group (716).
    pub codes: Vec<String>,
    /// The sets that are named.
    pub sets: Vec<SetAck>,
}

/// Reads every TA1 of an interchange, from its own document.
pub fn read_ta1(document: &Document) -> Vec<InterchangeAck> {
    let segments = document.root().children().filter(|child| child.name() == "TA1");
    let ack = |ta1: Node<'_>| InterchangeAck {
        control_number: text(ta1, 0),
        sent: (text(ta1, 1), text(ta1, 2)),
        status: Status::of(&text(ta1, 3)),
        note: text(ta1, 4),
    };
    segments.map(ack).collect()
}

/// Reads a 997 or 999; `None` where the document is neither.
pub fn read_ack(document: &Document) -> Option<GroupAck> {
    let root = document.root();
    let ak1 = root.child("AK1").filter(|_| matches!(root.name(), "997" | "999"))?;
    let mut ack = GroupAck {
        functional_id: text(ak1, 0),
        control_number: text(ak1, 1),
        status: Status::Other,
        counts: [0; 3],
        codes: Vec::new(),
        sets: Vec::new(),
    };
    for node in root.children() {
        let set = ack.sets.last_mut();
        match (node.name(), set) {
            ("AK2", _) => ack.sets.push(SetAck {
                kind: text(node, 0),
                control_number: text(node, 1),
                status: Status::Other,
                codes: Vec::new(),
                errors: Vec::new(),
            }),
            ("AK3" | "IK3", Some(set)) => set.errors.push(SegmentError {
                tag: text(node, 0),
                segment: text(node, 1).parse().unwrap_or(0),
                element: 0,
                component: 0,
                code: text(node, 3),
            }),
            ("AK4" | "IK4", Some(set)) => {
                let part = |at| component(node, 0, at).parse().unwrap_or(0);
                let Some(last) = set.errors.last().cloned() else { continue };
                let (element, component, code) = (part(0), part(1), text(node, 2));
                set.errors.push(SegmentError { element, component, code, ..last });
            }
            ("AK5" | "IK5", Some(set)) => {
                set.status = Status::of(&text(node, 0));
                set.codes = codes(node, 1);
            }
            ("AK9", _) => {
                ack.status = Status::of(&text(node, 0));
                ack.counts = [1, 2, 3].map(|at| text(node, at).parse().unwrap_or(0));
                ack.codes = codes(node, 4);
            }
            _ => {}
        }
    }
    Some(ack)
}

fn codes(node: Node<'_>, from: usize) -> Vec<String> {
    let all = node.children().skip(from).map(|child| child.text().to_owned());
    all.filter(|code| !code.is_empty()).collect()
}

fn component(segment: Node<'_>, element: usize, component: usize) -> &str {
    let Some(element) = segment.nth(element) else { return "" };
    match element.nth(component) {
        Some(component) => component.text(),
        None if component == 0 => element.text(),
        None => "",
    }
}

fn text(segment: Node<'_>, element: usize) -> String {
    component(segment, element, 0).to_owned()
}
