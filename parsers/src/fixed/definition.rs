//! The definition of a record type as a file for people. See the [module above](super).

use std::collections::VecDeque;

use crate::document::Kind;
use crate::idoc::definition::line::{Word, words};
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{DataType, Element, ElementId, Schema, nearest};

/// "Any number" of records.
const ANY_NUMBER: u64 = u64::MAX;

/// The longest record: a line of a mainframe file has at most 32,760 bytes.
const LONGEST: u64 = 32_760;

/// Levels of records.
const DEEPEST: usize = 60;

const TYPES: [(&str, DataType); 5] = [
    ("text", DataType::Text),
    ("digits", DataType::Digits),
    ("decimal", DataType::Decimal),
    ("date", DataType::Date),
    ("time", DataType::Time),
];

/// Reads a definition file.
///
/// # Errors
///
/// Every problem with its line. Codes: `invalid-utf8`, `unknown-version`, `no-type`,
/// `unknown-keyword`, `misplaced`, `missing-word`, `unknown-word`, `bad-number`, `too-long`,
/// `too-deep`, `duplicate-name`, `bad-quote`.
pub fn read_schema(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let mut reader = Reader {
        schema: None,
        open: Vec::new(),
        place: Place::default(),
        problems: Problems::new(Limits::default().problems),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => reader.lines(text),
        Err(error) => {
            reader.place = Place::in_text(bytes, error.valid_up_to());
            reader.problem("invalid-utf8", "not UTF-8");
        }
    }
    match (reader.schema.take(), reader.problems.finish()) {
        (Some(schema), problems) if problems.is_empty() => Ok(schema),
        (_, problems) => Err(problems),
    }
}

struct Reader {
    schema: Option<Schema>,
    /// Indentation, element and kind of what later lines can hang below.
    open: Vec<(usize, ElementId, Kind)>,
    place: Place,
    problems: Problems,
}

/// The words of a line, and the description behind ` : `.
struct Line {
    indent: usize,
    words: VecDeque<Word>,
    text: String,
}

impl Reader {
    fn problem(&mut self, code: &'static str, message: impl Into<String>) {
        let (severity, place) = (Severity::Error, self.place.clone());
        self.problems.push(severity, || Problem { severity, code, message: message.into(), place });
    }

    fn lines(&mut self, text: &str) {
        let mut offset = 0;
        let mut begun = false;
        for (number, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.trim_end();
            let indent = line.len() - line.trim_start().len();
            self.place = Place {
                offset: (offset + indent) as u64,
                line: number as u64 + 1,
                column: u32::try_from(indent + 1).unwrap_or(u32::MAX),
                ..Place::default()
            };
            offset += whole.len();
            if line.is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let line = self.split(line, indent);
            if begun {
                self.declaration(line);
            } else {
                begun = true;
                let found: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
                if found != ["waybill-fixed", "1"] {
                    self.problem("unknown-version", "the first line must be `waybill-fixed 1`");
                }
            }
        }
        if self.schema.is_none() {
            self.problem("no-type", "no line `type NAME LENGTH`");
        }
    }

    fn split(&mut self, line: &str, indent: usize) -> Line {
        let (rest, words) = words(line).unwrap_or((line, Vec::new()));
        let mut text = String::new();
        match rest.chars().next() {
            None | Some('#') => {}
            Some(':') => rest.trim_start_matches(':').trim().clone_into(&mut text),
            Some(_) => self.problem("bad-quote", "`'` is not closed"),
        }
        Line { indent, words: words.into(), text }
    }

    fn declaration(&mut self, mut line: Line) {
        let keyword = line.words.pop_front().map(|word| word.text).unwrap_or_default();
        while self.open.pop_if(|(indent, ..)| *indent >= line.indent).is_some() {}
        match (keyword.as_str(), self.schema.is_some()) {
            ("type", false) => self.begin_type(&mut line),
            ("type", true) => self.problem("misplaced", "a second `type`"),
            (_, false) => {
                self.problem("no-type", "the first declaration must be `type NAME LENGTH`");
                self.schema = Some(Schema::new("", Element::new(Kind::Group, "")));
            }
            ("record", _) => self.record(&mut line),
            ("field", _) => self.field(&mut line),
            ("value", _) => self.value(&mut line),
            (other, _) => {
                let known = ["type", "record", "field", "value"];
                let near = nearest(other, known).map(|near| format!("; did you mean `{near}`?"));
                let message = format!("unknown keyword `{other}`{}", near.unwrap_or_default());
                return self.problem("unknown-keyword", message);
            }
        }
        if !line.words.is_empty() {
            self.problem("unknown-word", "unexpected word; a description begins with ` : `");
        }
    }

    fn begin_type(&mut self, line: &mut Line) {
        let name = self.word(line, "the name of a type");
        let mut root = Element::new(Kind::Group, name.clone());
        (root.min, root.text) = (1, std::mem::take(&mut line.text));
        root.length = Some(self.number(line, LONGEST));
        self.schema = Some(Schema::new(name, root));
    }

    fn record(&mut self, line: &mut Line) {
        let mut element = Element::new(Kind::Segment, self.word(line, "a record type"));
        element.text = std::mem::take(&mut line.text);
        (element.min, element.max) = self.occurrence(line);
        if line.words.front().is_some_and(|word| word.text == "any") {
            line.words.pop_front();
            element.open = true;
        }
        if self.open.len() >= DEEPEST {
            return self.problem("too-deep", format!("records nest at most {DEEPEST} levels deep"));
        }
        self.add(line.indent, element, &[Kind::Group, Kind::Segment]);
    }

    fn field(&mut self, line: &mut Line) {
        let mut element = Element::new(Kind::Field, self.word(line, "the name of a field"));
        element.text = std::mem::take(&mut line.text);
        element.length = Some(self.number(line, LONGEST));
        while let Some(word) = line.words.pop_front() {
            match TYPES.iter().find(|(name, _)| *name == word.text) {
                Some((_, data)) => element.data = *data,
                None if word.text == "required" => element.min = 1,
                None => {
                    let known = TYPES.map(|(name, _)| name);
                    let expected = format!("{} or required expected", known.join(", "));
                    self.problem("unknown-word", expected);
                }
            }
        }
        let segment = self.open.last().map(|(_, id, _)| *id);
        self.add(line.indent, element, &[Kind::Segment]);
        let (Some(schema), Some(segment)) = (&self.schema, segment) else { return };
        let fields = schema.element(segment).children().iter();
        let total: u32 = fields.filter_map(|id| schema.element(*id).length).sum();
        if total as usize > super::record_length(schema) {
            let message = format!("ends at character {total}, behind the end of the record");
            self.problem("too-long", message);
        }
    }

    fn value(&mut self, line: &mut Line) {
        let value = self.word(line, "a value");
        let text = std::mem::take(&mut line.text);
        let field = match self.open.last() {
            Some((_, id, Kind::Field)) => *id,
            _ => return self.problem("misplaced", "a value stands below its field"),
        };
        if let Some(field) = self.schema.as_mut().and_then(|schema| schema.element_mut(field)) {
            field.codes.push((value, text));
        }
    }

    fn add(&mut self, indent: usize, element: Element, below: &[Kind]) {
        let Some(schema) = &mut self.schema else { return };
        let root = (0, schema.root(), Kind::Group);
        let (_, parent, kind) = self.open.last().copied().unwrap_or(root);
        if !below.contains(&kind) {
            return self.problem("misplaced", "does not stand here");
        }
        if schema.child(parent, &element.name).is_some() {
            let message = format!("{} is declared twice here", element.name);
            return self.problem("duplicate-name", message);
        }
        let kind = element.kind;
        let id = schema.add(parent, element);
        self.open.push((indent, id, kind));
    }

    fn word(&mut self, line: &mut Line, wanted: &str) -> String {
        match line.words.pop_front() {
            Some(word) => word.text,
            None => {
                self.problem("missing-word", format!("{wanted} expected"));
                String::new()
            }
        }
    }

    fn number(&mut self, line: &mut Line, most: u64) -> u32 {
        let text = self.word(line, "a length");
        match text.parse::<u32>() {
            Ok(number) if number > 0 && u64::from(number) <= most => number,
            _ => {
                self.problem("bad-number", format!("a length from 1 to {most} expected"));
                1
            }
        }
    }

    fn occurrence(&mut self, line: &mut Line) -> (u32, u64) {
        let text = self.word(line, "occurrences such as 0..9");
        let range = text.split_once("..").and_then(|(min, max)| {
            let max = if max == "*" { ANY_NUMBER } else { max.parse().ok()? };
            let min: u32 = min.parse().ok()?;
            (u64::from(min) <= max && max > 0).then_some((min, max))
        });
        if range.is_none() {
            self.problem("bad-number", "occurrences are written min..max, such as 0..9 or 1..*");
        }
        range.unwrap_or((0, ANY_NUMBER))
    }
}

/// Writes a definition file. Reading it again gives an equal schema, if this one keeps the rules
/// of the file.
pub fn write_schema(schema: &Schema) -> String {
    let root = schema.element(schema.root());
    let mut out = format!("waybill-fixed 1\n\ntype {} {}", schema.name(), root.length.unwrap_or(0));
    describe(&mut out, &root.text);
    for child in root.children() {
        out.push('\n');
        write_element(schema, *child, 0, &mut out);
    }
    out
}

fn write_element(schema: &Schema, id: ElementId, depth: usize, out: &mut String) {
    let element = schema.element(id);
    let indent = 2 * depth;
    if element.kind == Kind::Segment {
        let max = match element.max {
            ANY_NUMBER => "*".to_owned(),
            max => max.to_string(),
        };
        *out += &format!("{:indent$}record {} {}..{max}", "", element.name, element.min);
        if element.open {
            *out += " any";
        }
    } else {
        *out += &format!("{:indent$}field {} {}", "", element.name, element.length.unwrap_or(0));
        if let Some((word, _)) = TYPES.iter().skip(1).find(|(_, data)| *data == element.data) {
            *out += &format!(" {word}");
        }
        if element.min > 0 {
            *out += " required";
        }
    }
    describe(out, &element.text);
    for (value, text) in &element.codes {
        *out += &format!("{:indent$}  value '{}'", "", value.replace('\'', "''"));
        describe(out, text);
    }
    for child in element.children() {
        write_element(schema, *child, depth + 1, out);
    }
}

fn describe(out: &mut String, text: &str) {
    if !text.is_empty() {
        *out += " : ";
        *out += text;
    }
    out.push('\n');
}
