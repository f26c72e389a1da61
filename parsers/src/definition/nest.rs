//! The segments of a message in their groups.

use crate::definition::model::{Message, Standard};
use crate::definition::walk::{Event, Walk};
use crate::document::{Builder, Document, Kind, Node};
use crate::segment::ENVELOPE;

/// The document of a message, which has its segments one after the other, with a
/// [`Kind::Group`] around those of each segment group: `SG1` by an EDIFACT directory, else the name
/// of the group. Segments that the table does not have stay where they are. Offsets stay, too, and
/// the writers take the outcome as they take the flat document.
pub fn nest(document: &Document, message: &Message, standard: Standard) -> Document {
    let root = document.root();
    let mut builder = Builder::with_capacity(document.len() + 16, document.len() * 4);
    builder.open(root.kind(), root.name(), root.offset());
    let mut walk = Walk::new(message);
    let mut events = Vec::new();
    for node in root.children() {
        if node.name() == ENVELOPE || node.kind() != Kind::Segment {
            copy(&mut builder, node);
            continue;
        }
        events.clear();
        walk.segment(node.name(), &mut events);
        for event in &events {
            match event {
                Event::Open(row) => {
                    let name = message.items.get(*row).map_or("", |item| &item.name);
                    let name = group_name(name, standard);
                    builder.open(Kind::Group, &name, node.offset());
                }
                Event::Close => builder.close(),
                Event::Segment => copy(&mut builder, node),
                _ => {}
            }
        }
    }
    builder.finish()
}

/// What a group is called in documents.
pub(super) fn group_name(name: &str, standard: Standard) -> String {
    match standard {
        // Directories number their groups; profiles call them as what they begin with.
        Standard::Edifact if name.starts_with(|c: char| c.is_ascii_digit()) => format!("SG{name}"),
        Standard::Edifact | Standard::X12 => name.to_owned(),
    }
}

/// How many segments of a message its table does not have, or not at their place, or not so often.
pub(super) fn misfits(document: &Document, message: &Message) -> usize {
    let mut walk = Walk::new(message);
    let mut events = Vec::new();
    let mut count = 0;
    let segments = document.root().children();
    for node in segments.filter(|node| node.kind() == Kind::Segment && node.name() != ENVELOPE) {
        events.clear();
        walk.segment(node.name(), &mut events);
        let is_misfit =
            |event: &Event| matches!(event, Event::Unknown | Event::WrongOrder | Event::TooMany(_));
        count += usize::from(events.iter().any(is_misfit));
    }
    count
}

/// Copies a node with its offsets. A composite element is a field with fields below it.
fn copy(builder: &mut Builder, node: Node<'_>) {
    let is_leaf = node.children().next().is_none();
    if is_leaf && node.is_scalar() || node.kind() == Kind::Null {
        builder.put(node.kind(), node.name(), node.text(), node.offset());
        return;
    }
    builder.open(node.kind(), node.name(), node.offset());
    node.children().for_each(|child| copy(builder, child));
    builder.close();
}
