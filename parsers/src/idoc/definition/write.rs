//! A schema to a definition file.

use crate::document::Kind;
use crate::idoc::definition::{ANY_NUMBER, TYPES};
use crate::schema::{ElementId, Schema};

/// Writes a definition file. Reading it again gives an equal schema, if this one keeps the rules
/// of the file (names without blanks, texts of one line).
pub fn write_schema(schema: &Schema) -> String {
    let root = schema.element(schema.root());
    let mut out = format!("waybill-idoc 1\n\ntype {}", schema.name());
    if let Some(extension) = &root.definition {
        out += &format!(" extension {extension}");
    }
    end_line(&mut out, &root.text);
    for child in root.children() {
        out.push('\n');
        write_element(schema, *child, 0, &mut out);
    }
    out
}

fn write_element(schema: &Schema, id: ElementId, depth: usize, out: &mut String) {
    let element = schema.element(id);
    let indent = 2 * depth;
    if element.kind != Kind::Segment {
        let length = element.length.unwrap_or(0);
        *out += &format!("{:indent$}field {} {length}", "", element.name);
        if let Some((word, _)) = TYPES.iter().skip(1).find(|(_, data)| *data == element.data) {
            *out += &format!(" {word}");
        }
        end_line(out, &element.text);
        for (value, text) in &element.codes {
            *out += &format!("{:indent$}  value {}", "", quoted(value));
            end_line(out, text);
        }
        return;
    }
    let definition = element.definition.as_deref().unwrap_or(&element.name);
    *out += &format!("{:indent$}segment {} {definition} {}..", "", element.name, element.min);
    match element.max {
        ANY_NUMBER => out.push('*'),
        max => *out += &max.to_string(),
    }
    *out += &format!(" level {}", element.level);
    if element.qualified {
        *out += " qualified";
    }
    end_line(out, &element.text);
    for child in element.children() {
        write_element(schema, *child, depth + 1, out);
    }
}

fn end_line(out: &mut String, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        *out += " : ";
        out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    out.push('\n');
}

fn quoted(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | ':' | '#');
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "''"))
}
