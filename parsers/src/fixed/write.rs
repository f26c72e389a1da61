//! Documents to records.

use crate::document::{Document, Fields, Kind, Node};
use crate::encoding::Encoding;
use crate::fixed::columns::Columns;
use crate::fixed::{counted, is_filled, is_foreign, record_length};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{Element, ElementId, Schema, nearest};

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
/// `missing-field`, `wrong-count`, `too-long`, `control-character`, `not-encodable`, `not-digits`.
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
        counts: Vec::new(),
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
    /// How many records of each name there are.
    counts: Vec<(&'a str, u64)>,
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
        for child in node.nested() {
            match child.kind() {
                Kind::Segment | Kind::Group => {
                    self.add(child.name(), 1);
                    self.count(child);
                }
                Kind::List => {
                    self.add(child.name(), child.children().count() as u64);
                    child.children().for_each(|item| self.count(item));
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, name: &'a str, more: u64) {
        match self.counts.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += more,
            None => self.counts.push((name, more)),
        }
    }

    /// How many records of that name there are.
    fn records_of(&self, name: &str) -> u64 {
        self.counts.iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| *count)
    }

    fn children(&mut self, node: Node<'a>, parent: ElementId) {
        let mut run = Run::default();
        for child in node.nested() {
            match child.kind() {
                Kind::Segment | Kind::Group => self.child(child, child.name(), parent, &mut run),
                Kind::List => {
                    for item in child.children() {
                        self.child(item, child.name(), parent, &mut run);
                    }
                }
                _ => {}
            }
        }
        let schema = self.schema;
        for (position, id) in schema.element(parent).segments().iter().enumerate() {
            let element = schema.element(*id);
            let count = run.counts.get(position).copied().unwrap_or(0);
            if count < u64::from(element.min) {
                self.problem("missing-record", &element.name, "mandatory record is missing");
            } else if count > element.max {
                let message = format!("more often than declared, at most {}", element.max);
                self.problem("too-many-records", &element.name, message);
            }
        }
    }

    fn child(&mut self, node: Node<'a>, name: &str, parent: ElementId, run: &mut Run) {
        let schema = self.schema;
        let declared = schema.element(parent).segments();
        let is = |id: &ElementId| schema.element(*id).name == name;
        // A record is mostly of the type of the one before, or of a later one.
        let ahead = declared.get(run.furthest..).unwrap_or_default().iter().position(is);
        let found = ahead.map(|at| run.furthest + at).or_else(|| declared.iter().position(is));
        let Some((position, id)) = found.and_then(|at| Some((at, *declared.get(at)?))) else {
            return self.problem("unknown-record", name, "not declared here");
        };
        if position < run.furthest {
            let message = "stands behind a record that it must precede";
            self.problem("wrong-order", name, message);
        }
        run.furthest = run.furthest.max(position);
        if run.counts.len() <= position {
            run.counts.resize(declared.len(), 0);
        }
        if let Some(count) = run.counts.get_mut(position) {
            *count += 1;
        }
        self.record(node, id);
    }

    fn record(&mut self, node: Node<'a>, id: ElementId) {
        let schema = self.schema;
        let element = schema.element(id);
        self.records += 1;
        self.path.push(&element.name);
        let packed = node.record(schema, id).filter(Fields::is_filled);
        let written = match packed.filter(|fields| !has_foreign(schema, element, fields)) {
            Some(fields) => {
                self.text += fields.text;
                fields.text.len()
            }
            None => self.fields(node, element),
        };
        self.pad(record_length(schema).saturating_sub(written));
        self.text += match self.options.newline {
            Newline::Lf => "\n",
            Newline::CrLf => "\r\n",
            Newline::None => "",
        };
        self.children(node, id);
        self.path.pop();
    }

    /// Writes the fields of a record; returns how many characters these are.
    fn fields(&mut self, node: Node<'a>, element: &'a Element) -> usize {
        let schema = self.schema;
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
        written
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
        let count = counted(field).map(|record| self.records_of(record));
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
        let characters = if value.is_ascii() { value.len() } else { value.chars().count() };
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
        if is_foreign(field, value) {
            return self.problem("not-digits", &field.name, "digits only expected");
        }
        if value.is_empty() {
            if field.min > 0 {
                self.problem("missing-field", &field.name, "required, but not given");
            }
            return self.pad(length);
        }
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        if is_filled(field) && is_number {
            self.text.extend(std::iter::repeat_n('0', length - characters));
            self.text += value;
        } else {
            self.text += value;
            self.pad(length - characters);
        }
    }

    fn pad(&mut self, count: usize) {
        const BLANKS: &str = "                                                                ";
        let mut missing = count;
        while missing > 0 {
            let blanks = BLANKS.get(..missing).unwrap_or(BLANKS);
            self.text += blanks;
            missing -= blanks.len();
        }
    }
}

/// Whether a number of a record that was read has characters of another field.
fn has_foreign(schema: &Schema, element: &Element, fields: &Fields<'_>) -> bool {
    let mut columns = Columns::new(fields.text);
    let mut declared = element.children().iter().map(|id| schema.element(*id));
    declared.any(|field| {
        let is_field = field.kind == Kind::Field;
        is_field && is_foreign(field, columns.field(field.length.unwrap_or(0) as usize))
    })
}

/// Where the writer is among the records declared below one parent.
#[derive(Default)]
struct Run {
    furthest: usize,
    /// How many of the record at each position there were.
    counts: Vec<u64>,
}
