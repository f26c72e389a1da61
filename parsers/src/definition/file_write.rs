//! A definition to a definition file.

use crate::definition::model::{
    ANY_NUMBER, Class, Definition, ElementForm, Item, Message, Standard, Use,
};

/// The word before the name of a group; a segment of this name stands in quotes.
pub(super) const GROUP: &str = "group";

/// Writes a definition file. Reading it again gives an equal definition, but for control characters
/// in descriptions, which become blanks, and blanks around them. A definition without a release has
/// no file that could be read.
pub fn write_definition(definition: &Definition) -> String {
    let Definition { standard, release, is_profile, .. } = definition;
    let profile = if *is_profile { " profile" } else { "" };
    let mut out = format!("waybill-edi 1\n{} {}{profile}\n", standard.name(), quoted(release));
    for (name, message) in &definition.messages {
        out += &format!("message {}", quoted(name));
        end_line(&mut out, &message.text);
        items(message, &mut out);
    }
    for (tag, segment) in &definition.segments {
        out += &format!("segment {}", quoted(tag));
        end_line(&mut out, &segment.text);
        segment.uses.iter().for_each(|place| write_use(place, &mut out));
    }
    for (id, composite) in &definition.composites {
        out += &format!("composite {}", quoted(id));
        end_line(&mut out, &composite.text);
        composite.uses.iter().for_each(|place| write_use(place, &mut out));
    }
    for (id, element) in &definition.elements {
        out += &format!("element {} {}", quoted(id), form(element, *standard));
        end_line(&mut out, &element.text);
        for (code, text) in &element.codes {
            out += &format!(" = {}", quoted(code));
            end_line(&mut out, text);
        }
    }
    out
}

fn items(message: &Message, out: &mut String) {
    for item in &message.items {
        let mut depth = 1;
        let mut parent = item.parent;
        while let Some(at) = parent {
            depth += 1;
            parent = message.items.get(at).and_then(|group| group.parent);
        }
        let Item { name, min, max, .. } = item;
        *out += &" ".repeat(depth);
        if item.is_group() {
            *out += GROUP;
            out.push(' ');
        }
        *out += &quoted(name);
        occurrence(*min, *max, out);
        out.push('\n');
    }
}

fn write_use(place: &Use, out: &mut String) {
    *out += &format!(" {}", quoted(&place.id));
    occurrence(u32::from(place.mandatory), place.max, out);
    end_line(out, &place.text);
}

fn occurrence(min: u32, max: u32, out: &mut String) {
    match (min, max) {
        (1, 1) => {}
        (min, ANY_NUMBER) => *out += &format!(" {min}..*"),
        (min, max) => *out += &format!(" {min}..{max}"),
    }
}

fn form(element: &ElementForm, standard: Standard) -> String {
    let class = match (element.class, standard) {
        (Class::Letters, _) => "a".to_owned(),
        (Class::Any, Standard::Edifact) => "an".to_owned(),
        (Class::Any, Standard::X12) => "AN".to_owned(),
        (Class::Number, Standard::Edifact) => "n".to_owned(),
        (Class::Number, Standard::X12) => "R".to_owned(),
        (Class::Digits(decimals), _) => format!("N{decimals}"),
        (Class::Date, _) => "DT".to_owned(),
        (Class::Time, _) => "TM".to_owned(),
        (Class::Bytes, _) => "B".to_owned(),
    };
    match (element.min, element.max) {
        (min, max) if min == max => format!("{class}{min}"),
        (min, ANY_NUMBER) => format!("{class}{min}..*"),
        (1, max) => format!("{class}..{max}"),
        (min, max) => format!("{class}{min}..{max}"),
    }
}

fn end_line(out: &mut String, text: &str) {
    let text = description(text);
    if !text.is_empty() {
        *out += " : ";
        *out += &text;
    }
    out.push('\n');
}

/// A description as it stands on a line.
pub(super) fn description(text: &str) -> String {
    let blanked: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    blanked.trim().to_owned()
}

/// A name or value; in quotes where it could be taken for something else.
fn quoted(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | ':' | '#');
    if !matches!(value, "" | GROUP) && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "''"))
}
