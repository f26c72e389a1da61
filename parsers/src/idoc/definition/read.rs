//! A definition file to a schema.

use std::collections::VecDeque;

use crate::document::Kind;
use crate::idoc::control::SDATA_LENGTH;
use crate::idoc::definition::line::{Word, words};
use crate::idoc::definition::{ANY_NUMBER, LONGEST_NAME, TYPES};
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{Element, ElementId, Schema, nearest};

/// Levels of segments. Real types have eight; `HLEVEL` has two digits.
const DEEPEST: usize = 60;

const KEYWORDS: [&str; 4] = ["type", "segment", "field", "value"];

/// Reads a definition file.
///
/// # Errors
///
/// Every problem with its line and column. Codes: `invalid-utf8`, `unknown-version`, `no-type`,
/// `unknown-keyword`, `misplaced`, `bad-indentation`, `missing-word`, `unknown-word`, `bad-number`,
/// `too-long`, `too-deep`, `duplicate-name`, `bad-quote`.
pub fn read_schema(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let mut reader = Reader {
        schema: None,
        open: Vec::new(),
        problems: Problems::new(Limits::default().problems),
        line: Line::default(),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => reader.lines(text),
        Err(error) => {
            reader.line.offset = error.valid_up_to();
            reader.problem(0, "invalid-utf8", "not UTF-8".to_owned());
        }
    }
    match (reader.schema.take(), reader.problems.finish()) {
        (Some(schema), problems) if problems.is_empty() => Ok(schema),
        (_, problems) => Err(problems),
    }
}

/// One line: indentation, words, and the description behind ` : `.
#[derive(Debug, Default)]
struct Line {
    number: u64,
    offset: usize,
    /// The characters of the indentation.
    indent: usize,
    words: VecDeque<Word>,
    text: String,
}

/// What later lines can hang below.
#[derive(Clone, Copy)]
struct Open {
    indent: usize,
    id: ElementId,
    /// `None` where a line had a problem: what is below it is read, and hangs nowhere.
    kind: Option<Kind>,
}

struct Reader {
    schema: Option<Schema>,
    open: Vec<Open>,
    problems: Problems,
    line: Line,
}

impl Reader {
    fn problem(&mut self, at: usize, code: &'static str, message: String) {
        let line = &self.line;
        self.problems.push(Severity::Error, || Problem {
            severity: Severity::Error,
            code,
            message,
            place: Place {
                offset: (line.offset + at) as u64,
                line: line.number,
                // Keywords and names are ASCII wherever a column helps.
                column: u32::try_from(at + 1).unwrap_or(u32::MAX),
                ..Place::default()
            },
        });
    }

    fn lines(&mut self, text: &str) {
        let mut offset = 0;
        let mut version = false;
        for (number, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.trim_end();
            self.line = Line { number: number as u64 + 1, offset, ..Line::default() };
            offset += whole.len();
            if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            self.split(line);
            if !version {
                version = true;
                self.version();
            } else {
                self.declaration();
            }
        }
        if self.schema.is_none() {
            let message = if version { "no line `type NAME`" } else { "the file is empty" };
            self.problem(0, "no-type", message.to_owned());
        }
    }

    fn split(&mut self, line: &str) {
        let (rest, words) = words(line).unwrap_or((line, Vec::new()));
        self.line.indent = line.len() - line.trim_start().len();
        self.line.words = words.into();
        if line.get(..self.line.indent).is_some_and(|indent| indent.contains('\t')) {
            self.problem(0, "bad-indentation", "indent with blanks, not with tabs".to_owned());
        }
        let at = line.len() - rest.len();
        match rest.chars().next() {
            None | Some('#') => {}
            Some(':') => self.line.text = rest.trim_start_matches(':').trim().to_owned(),
            Some(_) => self.problem(at, "bad-quote", "`'` is not closed".to_owned()),
        }
    }

    fn version(&mut self) {
        let found: Vec<&str> = self.line.words.iter().map(|word| word.text.as_str()).collect();
        if found != ["waybill-idoc", "1"] {
            let message = "the first line must be `waybill-idoc 1`".to_owned();
            self.problem(0, "unknown-version", message);
        }
    }

    fn declaration(&mut self) {
        let Some(keyword) = self.line.words.pop_front() else {
            return self.problem(self.line.indent, "missing-word", expected_one_of(&KEYWORDS));
        };
        if keyword.text != "type" && self.schema.is_none() {
            let message = "the first declaration must be `type NAME`".to_owned();
            self.problem(keyword.at, "no-type", message);
            self.schema = Some(Schema::new("", Element::new(Kind::Group, "")));
        }
        let parent = self.parent();
        match keyword.text.as_str() {
            "type" => self.begin_type(keyword.at),
            "segment" => self.segment(keyword.at, parent),
            "field" => self.field(keyword.at, parent),
            "value" => self.value(keyword.at, parent),
            other => {
                let message = did_you_mean("keyword", other, &KEYWORDS);
                self.problem(keyword.at, "unknown-keyword", message);
                let indent = self.line.indent;
                self.open.push(Open { indent, id: parent.id, kind: None });
                self.line.words.clear();
            }
        }
        if let Some(word) = self.line.words.pop_front() {
            let message = "unexpected word; a description begins with ` : `".to_owned();
            self.problem(word.at, "unknown-word", message);
        }
    }

    /// The declaration that this line is indented below.
    fn parent(&mut self) -> Open {
        let mut sibling = None;
        while let Some(open) = self.open.pop_if(|open| open.indent >= self.line.indent) {
            sibling = Some(open.indent);
        }
        if sibling.is_some_and(|indent| indent != self.line.indent) {
            let message = "the indentation is that of no line above".to_owned();
            self.problem(0, "bad-indentation", message);
        }
        let root = self.schema.as_ref().map(Schema::root).unwrap_or(ElementId::ROOT);
        let root = Open { indent: 0, id: root, kind: Some(Kind::Group) };
        self.open.last().copied().unwrap_or(root)
    }

    fn begin_type(&mut self, at: usize) {
        let name = self.name(at, "a type name");
        let mut root = Element::new(Kind::Group, name.clone());
        (root.min, root.text) = (1, std::mem::take(&mut self.line.text));
        if self.line.words.front().is_some_and(|word| word.text == "extension") {
            self.line.words.pop_front();
            root.definition = Some(self.name(at, "the name of the extension"));
        }
        match self.schema {
            Some(_) => self.problem(at, "misplaced", "a second `type`".to_owned()),
            None => self.schema = Some(Schema::new(name, root)),
        }
    }

    fn segment(&mut self, at: usize, parent: Open) {
        if self.open.len() >= DEEPEST {
            let message = format!("segments nest at most {DEEPEST} levels deep");
            return self.problem(at, "too-deep", message);
        }
        let mut element = Element::new(Kind::Segment, self.name(at, "a segment type"));
        element.definition = Some(self.name(at, "a segment definition"));
        element.text = std::mem::take(&mut self.line.text);
        element.level = self
            .schema
            .as_ref()
            .map_or(0, |s| s.element(parent.id).level)
            .saturating_add(1)
            .min(99);
        (element.min, element.max) = self.occurrence(at).unwrap_or((0, ANY_NUMBER));
        while let Some(word) = self.line.words.pop_front() {
            match word.text.as_str() {
                "qualified" => element.qualified = true,
                "level" => {
                    let level = self.number(word.at, "a level from 0 to 99");
                    element.level = level.unwrap_or(u64::from(element.level)).min(99) as u8;
                }
                other => {
                    let message = did_you_mean("word", other, &["level", "qualified"]);
                    self.problem(word.at, "unknown-word", message);
                }
            }
        }
        let wanted = "a segment stands below the type or a segment";
        self.add(at, element, parent, (&[Kind::Group, Kind::Segment], wanted));
    }

    fn field(&mut self, at: usize, parent: Open) {
        let mut element = Element::new(Kind::Field, self.name(at, "a field name"));
        element.text = std::mem::take(&mut self.line.text);
        let length = self.number(at, "a length from 1 to 1000").unwrap_or(1);
        if !(1..=SDATA_LENGTH as u64).contains(&length) {
            self.problem(at, "bad-number", "a field has 1 to 1000 characters".to_owned());
        }
        element.length = Some(length.clamp(1, SDATA_LENGTH as u64) as u32);
        if let Some(word) = self.line.words.pop_front() {
            let known = TYPES.iter().find(|(name, _)| *name == word.text);
            match known {
                Some((_, data)) => element.data = *data,
                None => {
                    let message = did_you_mean("data type", &word.text, &TYPES.map(|t| t.0));
                    self.problem(word.at, "unknown-word", message);
                }
            }
        }
        let length = u64::from(element.length.unwrap_or(0));
        let wanted = "a field stands below a segment";
        if let Some(id) = self.add(at, element, parent, (&[Kind::Segment], wanted)) {
            self.check_length(at, id, parent.id, length);
        }
    }

    /// Reports the first field of a segment that does not fit into its record.
    fn check_length(&mut self, at: usize, field: ElementId, segment: ElementId, length: u64) {
        let Some(schema) = &self.schema else { return };
        let ids = schema.element(segment).children().iter();
        let fields = ids.map(|id| schema.element(*id)).filter(|e| e.kind == Kind::Field);
        let end: u64 = fields.map(|field| u64::from(field.length.unwrap_or(0))).sum();
        let fits = SDATA_LENGTH as u64;
        if end > fits && end - length <= fits {
            let name = &schema.element(field).name;
            let message = format!("{name} ends at character {end}; a segment has {SDATA_LENGTH}");
            self.problem(at, "too-long", message);
        }
    }

    fn value(&mut self, at: usize, parent: Open) {
        let kind = parent.kind.map(|_| Kind::Text);
        self.open.push(Open { indent: self.line.indent, id: parent.id, kind });
        let text = std::mem::take(&mut self.line.text);
        let Some(word) = self.line.words.pop_front() else {
            return self.problem(at, "missing-word", "a value expected".to_owned());
        };
        if parent.kind.is_some_and(|kind| kind != Kind::Field) {
            let message = "a value stands below its field".to_owned();
            return self.problem(at, "misplaced", message);
        }
        let Some(field) = self.schema.as_mut().and_then(|schema| schema.element_mut(parent.id))
        else {
            return;
        };
        let length = field.length.unwrap_or(u32::MAX) as usize;
        let fits = word.text.chars().count() <= length || parent.kind.is_none();
        if parent.kind.is_some() {
            field.codes.push((word.text, text));
        }
        if !fits {
            let message = format!("the value is longer than its field ({length})");
            self.problem(word.at, "too-long", message);
        }
    }

    fn add(
        &mut self,
        at: usize,
        element: Element,
        parent: Open,
        (kinds, wanted): (&[Kind], &str),
    ) -> Option<ElementId> {
        let indent = self.line.indent;
        let kind = element.kind;
        let Some(parent_kind) = parent.kind else {
            self.open.push(Open { indent, id: parent.id, kind: None });
            return None;
        };
        if !kinds.contains(&parent_kind) {
            self.problem(at, "misplaced", wanted.to_owned());
            self.open.push(Open { indent, id: parent.id, kind: None });
            return None;
        }
        let schema = self.schema.as_mut()?;
        if schema.child(parent.id, &element.name).is_some() {
            let message = format!("{} is declared twice here", element.name);
            self.problem(at, "duplicate-name", message);
            self.open.push(Open { indent, id: parent.id, kind: None });
            return None;
        }
        let id = schema.add(parent.id, element);
        self.open.push(Open { indent, id, kind: Some(kind) });
        Some(id)
    }

    fn name(&mut self, at: usize, wanted: &str) -> String {
        let Some(word) = self.line.words.pop_front() else {
            self.problem(at, "missing-word", format!("{wanted} expected"));
            return String::new();
        };
        if word.text.chars().count() > LONGEST_NAME {
            let message = format!("a name has at most {LONGEST_NAME} characters");
            self.problem(word.at, "too-long", message);
        }
        word.text
    }

    fn number(&mut self, at: usize, wanted: &str) -> Option<u64> {
        let Some(word) = self.line.words.pop_front() else {
            self.problem(at, "missing-word", format!("{wanted} expected"));
            return None;
        };
        let number = word.text.parse().ok();
        if number.is_none() {
            self.problem(word.at, "bad-number", format!("{wanted} expected"));
        }
        number
    }

    fn occurrence(&mut self, at: usize) -> Option<(u32, u64)> {
        let Some(word) = self.line.words.pop_front() else {
            self.problem(at, "missing-word", "occurrences such as 0..9 expected".to_owned());
            return None;
        };
        let range = word.text.split_once("..").and_then(|(min, max)| {
            let max = if max == "*" { ANY_NUMBER } else { max.parse().ok()? };
            let min: u32 = min.parse().ok()?;
            (u64::from(min) <= max && max > 0).then_some((min, max))
        });
        if range.is_none() {
            let message = "occurrences are written min..max, such as 0..9 or 1..*".to_owned();
            self.problem(word.at, "bad-number", message);
        }
        range
    }
}

fn expected_one_of(words: &[&str]) -> String {
    format!("one of {} expected", words.join(", "))
}

fn did_you_mean(what: &str, written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{written}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{written}`; {}", expected_one_of(known)),
    }
}
