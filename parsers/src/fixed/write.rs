//! Documents to records.

use std::collections::HashMap;

use crate::document::{Document, Kind, Node};
use crate::encoding::Encoding;
use crate::fixed::{counted, record_length};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{DataType, Element, ElementId, Schema, nearest};

/// What stands after each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Newline {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    CrLf,
    /// Nothing.
    None,
}

/// The shape of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct WriteOptions {
    /// What stands after each record.
    pub newline: Newline,
    /// The encoding; one of one byte, or UTF-8.
    pub encoding: Encoding,
}

/// Appends the records of `document`, each filled to its length.
///
/// The first field of a record is its name where it is not given, `digits` are filled with zeros
/// from the left, and `COUNT_` fields are counted where they are not given.
///
/// # Errors
///
/// Every problem, all of them errors; `out` is then as it was. Codes: `missing-record`,
/// `too-many-records`, `unknown-record`, `wrong-order`, `unknown-field`, `duplicate-field`,
/// `missing-field`, `wrong-count`, `too-long`, `control-character`, `not-encodable`.
pub fn write(
    document: &Document,
    schema: &Schema,
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Vec<Problem> {
    let mut writer = Writer {
        schema,
        options,
        text: String::new(),
        counts: HashMap::new(),
        path: Vec::new(),
        records: 0,
        problems: Problems::new(Limits::default().problems),
    };
    let root = document.root();
    writer.count(root);
    writer.children(root, schema.root());
    let mut problems = writer.problems.finish();
    if problems.is_empty() && options.encoding.encode(&writer.text, out).is_err() {
        let message = "a character that the encoding does not have".to_owned();
        let (severity, code) = (Severity::Error, "not-encodable");
        problems.push(Problem { severity, code, message, place: Place::default() });
    }
    problems
}

struct Writer<'a> {
    schema: &'a Schema,
    options: WriteOptions,
    text: String,
    counts: HashMap<&'a str, u64>,
    path: Vec<&'a str>,
    records: u32,
    problems: Problems,
}

impl<'a> Writer<'a> {
    fn problem(&mut self, code: &'static str, name: &str, message: impl Into<String>) {
        let mut path = String::new();
        for name in self.path.iter().copied().chain([name]) {
            append_name(&mut path, name);
        }
        let (severity, segment) = (Severity::Error, self.records);
        let place = Place { segment, path, ..Place::default() };
        self.problems.push(severity, || Problem { severity, code, message: message.into(), place });
    }

    /// Counts the records of the document.
    fn count(&mut self, node: Node<'a>) {
        for child in node.children() {
            match child.kind() {
                Kind::Segment | Kind::Group => {
                    *self.counts.entry(child.name()).or_default() += 1;
                    self.count(child);
                }
                Kind::List => {
                    let items = child.children().count() as u64;
                    *self.counts.entry(child.name()).or_default() += items;
                    child.children().for_each(|item| self.count(item));
                }
                _ => {}
            }
        }
    }

    fn children(&mut self, node: Node<'a>, parent: ElementId) {
        let schema = self.schema;
        let mut counts: HashMap<ElementId, u64> = HashMap::new();
        let mut furthest = 0;
        for child in node.children() {
            let items: Vec<_> = match child.kind() {
                Kind::Segment | Kind::Group => vec![child],
                Kind::List => child.children().collect(),
                _ => continue,
            };
            for item in items {
                let declared = schema.element(parent).children().iter();
                let is = |id: &&ElementId| {
                    let element = schema.element(**id);
                    element.kind == Kind::Segment && element.name == child.name()
                };
                let Some((position, id)) = declared.enumerate().find(|(_, id)| is(id)) else {
                    self.problem("unknown-record", child.name(), "not declared here");
                    continue;
                };
                if position < furthest {
                    let message = "stands behind a record that it must precede";
                    self.problem("wrong-order", child.name(), message);
                }
                furthest = furthest.max(position);
                *counts.entry(*id).or_default() += 1;
                self.record(item, *id);
            }
        }
        for id in schema.element(parent).children() {
            let element = schema.element(*id);
            let count = counts.get(id).copied().unwrap_or(0);
            if element.kind != Kind::Segment {
            } else if count < u64::from(element.min) {
                self.problem("missing-record", &element.name, "mandatory record is missing");
            } else if count > element.max {
                let message = format!("more often than declared, at most {}", element.max);
                self.problem("too-many-records", &element.name, message);
            }
        }
    }

    fn record(&mut self, node: Node<'a>, id: ElementId) {
        let schema = self.schema;
        let element = schema.element(id);
        self.records += 1;
        self.path.push(&element.name);
        let mut written = 0;
        let mut found = 0;
        let mut given = node.children();
        for (at, id) in element.children().iter().enumerate() {
            let field = schema.element(*id);
            if field.kind == Kind::Field {
                // Fields mostly come in their order: then each is found where the last one was.
                let mut ahead = given.clone();
                let next = ahead.next().filter(|child| child.name() == field.name);
                let value = match next {
                    Some(child) => {
                        given = ahead;
                        Some(child)
                    }
                    None => node.child(&field.name),
                };
                found += usize::from(value.is_some());
                let key = (at == 0 && !element.open).then_some(element.name.as_str());
                self.field(value.map_or("", Node::text), field, key);
                written += field.length.unwrap_or(0) as usize;
            }
        }
        if node.children().filter(|child| child.is_scalar()).count() != found {
            self.unknown_fields(node, element);
        }
        self.pad(record_length(schema).saturating_sub(written));
        self.text += match self.options.newline {
            Newline::Lf => "\n",
            Newline::CrLf => "\r\n",
            Newline::None => "",
        };
        self.children(node, id);
        self.path.pop();
    }

    fn unknown_fields(&mut self, node: Node<'a>, element: &'a Element) {
        let schema = self.schema;
        let names = || element.children().iter().map(|id| schema.element(*id).name.as_str());
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children().filter(|child| child.is_scalar()) {
            let name = child.name();
            if seen.contains(&name) {
                self.problem("duplicate-field", name, "occurs more than once");
            } else if !names().any(|known| known == name) {
                let near = nearest(name, names()).map(|near| format!("; did you mean {near}?"));
                self.problem(
                    "unknown-field",
                    name,
                    format!("unknown field{}", near.unwrap_or_default()),
                );
            }
            seen.push(name);
        }
    }

    fn field(&mut self, given: &str, field: &'a Element, key: Option<&str>) {
        let length = field.length.unwrap_or(0) as usize;
        let given = given.trim_end_matches(' ');
        let count = counted(field).map(|record| self.counts.get(record).copied().unwrap_or(0));
        if let (Some(count), Ok(given)) = (count, given.trim_start().parse::<u64>())
            && count != given
        {
            let message = format!("there are {count} of these records, but {given} are counted");
            self.problem("wrong-count", &field.name, message);
        }
        let count = count.filter(|_| given.is_empty()).map(|count| count.to_string());
        let value = match (&count, key) {
            (Some(count), _) => count.as_str(),
            (None, Some(key)) if given.is_empty() => key,
            _ => given,
        };
        let characters = value.chars().count();
        if value.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return self.problem(
                "control-character",
                &field.name,
                "control character in the value",
            );
        }
        if let Some(at) = self.options.encoding.lacks(value) {
            let encoding = self.options.encoding.name();
            let message = format!("{encoding} has no character {} of it", at + 1);
            return self.problem("not-encodable", &field.name, message);
        }
        if characters > length {
            let message = format!("{characters} characters, but the field has {length}");
            return self.problem("too-long", &field.name, message);
        }
        if value.is_empty() {
            if field.min > 0 {
                self.problem("missing-field", &field.name, "required, but not given");
            }
            return self.pad(length);
        }
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        if field.data == DataType::Digits && is_number {
            self.text.extend(std::iter::repeat_n('0', length - characters));
            self.text += value;
        } else {
            self.text += value;
            self.pad(length - characters);
        }
    }

    fn pad(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }
}
