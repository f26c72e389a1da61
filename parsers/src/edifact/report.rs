//! CONTRL messages of partners, read back: what became of what we sent.

use crate::document::{Document, Node};
use crate::edifact::contrl::text;

/// What a partner did with an interchange, group or message (data element 0083).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Refused, with all that is in it (4).
    Refused,
    /// Accepted, and all in it that is not refused by name (7, and 1 of old systems).
    Accepted,
    /// Received, and nothing more is said (8).
    Received,
    /// Any other code.
    Other,
}

impl Action {
    fn of(code: &str) -> Self {
        match code {
            "4" => Self::Refused,
            "7" | "1" => Self::Accepted,
            "8" => Self::Received,
            _ => Self::Other,
        }
    }
}

/// An error, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The code (0085); see [`syntax_error_text`](super::syntax_error_text).
    pub code: u8,
    /// The service segment (0135); empty below the level of a message.
    pub tag: String,
    /// The segment in its message, UNH being 1; 0 where none is named.
    pub segment: u32,
    /// The element in its segment, from 1 without the tag as in problems; 0 where none is named.
    pub element: u32,
    /// The component in its element, from 1; 0 where none is named.
    pub component: u32,
}

/// What is said of one interchange, group or message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its control reference.
    pub reference: String,
    /// The type of the message (0065); empty for interchanges and groups.
    pub kind: String,
    /// What became of it.
    pub action: Action,
    /// What was wrong with it.
    pub errors: Vec<SyntaxError>,
}

/// A CONTRL message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The interchange that is answered.
    pub interchange: Answer,
    /// Groups that are named.
    pub groups: Vec<Answer>,
    /// Messages that are named.
    pub messages: Vec<Answer>,
}

/// Reads a CONTRL message of version 3 or 4; `None` where the document is none.
pub fn read_contrl(document: &Document) -> Option<Acknowledgement> {
    let root = document.root();
    let uci = root.child("UCI").filter(|_| root.name() == "CONTRL")?;
    let mut found =
        Acknowledgement { interchange: answer(uci, 3), groups: Vec::new(), messages: Vec::new() };
    let mut segment = 0;
    for node in root.children() {
        match node.name() {
            "UCF" => found.groups.push(answer(node, 3)),
            "UCM" => {
                let kind = text(node, 1, 0).to_owned();
                found.messages.push(Answer { kind, ..answer(node, 2) });
            }
            "UCS" => {
                segment = text(node, 0, 0).parse().unwrap_or(0);
                if let Some((message, code)) = found.messages.last_mut().zip(code(node, 1)) {
                    let tag = String::new();
                    let error = SyntaxError { code, tag, segment, element: 0, component: 0 };
                    message.errors.push(error);
                }
            }
            "UCD" => {
                if let Some((message, code)) = found.messages.last_mut().zip(code(node, 0)) {
                    let (element, component) = position(node, 1);
                    let tag = String::new();
                    message.errors.push(SyntaxError { code, tag, segment, element, component });
                }
            }
            _ => {}
        }
    }
    Some(found)
}

/// Reads a segment whose action is element `at`, from 0, followed by error, tag and position.
fn answer(node: Node<'_>, at: usize) -> Answer {
    let (element, component) = position(node, at + 3);
    let tag = text(node, at + 2, 0).to_owned();
    let error = code(node, at + 1);
    let error = error.map(|code| SyntaxError { code, tag, segment: 0, element, component });
    Answer {
        reference: text(node, 0, 0).to_owned(),
        kind: String::new(),
        action: Action::of(text(node, at, 0)),
        errors: error.into_iter().collect(),
    }
}

fn code(node: Node<'_>, at: usize) -> Option<u8> {
    text(node, at, 0).parse().ok()
}

/// S011. The tag is position 1 in CONTRL, and no element here.
fn position(node: Node<'_>, at: usize) -> (u32, u32) {
    let number = |component| text(node, at, component).parse::<u32>().unwrap_or(0);
    (number(0).saturating_sub(1), number(1))
}
