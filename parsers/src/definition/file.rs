//! A definition file to a definition. See the [module above](super).

use std::collections::VecDeque;

use crate::definition::file_write::{GROUP, description};
use crate::definition::model::{
    ANY_NUMBER, Class, Composite, Definition, ElementForm, Item, Message, Segment, Standard, Use,
};
use crate::idoc::definition::line::words;
use crate::reading::{Limits, Place, Problem, Problems, Severity};

/// Levels of groups.
const DEEPEST: usize = 30;

/// Lines of a file: the largest release of X12 has about 60,000.
const MOST_LINES: usize = 1_000_000;

/// Reads a definition file.
///
/// # Errors
///
/// Every problem with its line. Codes: `invalid-utf8`, `unknown-version`, `no-standard`,
/// `unknown-keyword`, `misplaced`, `missing-word`, `unknown-word`, `bad-number`, `too-deep`,
/// `too-long`, `duplicate-name`, `bad-quote`, `empty-group`.
pub fn read_definition(bytes: &[u8]) -> Result<Definition, Vec<Problem>> {
    let mut reader = Reader {
        definition: None,
        block: Block::None,
        groups: Vec::new(),
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
    match (reader.definition.take(), reader.problems.finish()) {
        (Some(definition), problems) if problems.is_empty() => Ok(definition),
        (_, problems) => Err(problems),
    }
}

/// What the lines below belong to.
enum Block {
    None,
    Message(String, Message),
    Segment(String, Segment),
    Composite(String, Composite),
    Element(String, ElementForm),
}

struct Reader {
    definition: Option<Definition>,
    block: Block,
    /// The rows of the groups that are open, from the outside in.
    groups: Vec<usize>,
    place: Place,
    problems: Problems,
}

/// The words of a line, and the description behind ` : `.
struct Line {
    indent: usize,
    /// Whether the first word stands in quotes, so that it is a name.
    is_quoted: bool,
    words: VecDeque<String>,
    text: String,
}

impl Line {
    fn word(&mut self) -> String {
        self.words.pop_front().unwrap_or_default()
    }
}

impl Reader {
    fn problem(&mut self, code: &'static str, message: impl Into<String>) {
        let (severity, place) = (Severity::Error, self.place.clone());
        self.problems.push(severity, || Problem { severity, code, message: message.into(), place });
    }

    fn lines(&mut self, text: &str) {
        let (mut offset, mut begun) = (0, false);
        for (number, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.trim_end();
            let indent = line.len() - line.trim_start_matches(' ').len();
            self.place = Place {
                offset: (offset + indent) as u64,
                line: number as u64 + 1,
                column: u32::try_from(indent + 1).unwrap_or(u32::MAX),
                ..Place::default()
            };
            offset += whole.len();
            if number >= MOST_LINES {
                return self.problem("too-long", format!("more than {MOST_LINES} lines"));
            }
            if line.is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let line = self.split(line, indent);
            if begun {
                self.line(line);
            } else {
                begun = true;
                if line.words != ["waybill-edi", "1"] {
                    self.problem("unknown-version", "the first line must be `waybill-edi 1`");
                }
            }
        }
        self.close();
        if self.definition.is_none() {
            self.problem("no-standard", "no line `edifact RELEASE` or `x12 RELEASE`");
        }
    }

    fn split(&mut self, line: &str, indent: usize) -> Line {
        let (rest, words) = words(line).unwrap_or((line, Vec::new()));
        let is_quoted = line.trim_start().starts_with('\'');
        let words = words.into_iter().map(|word| word.text).collect();
        let mut text = String::new();
        match rest.chars().next() {
            None | Some('#') => {}
            Some(':') => text = description(rest.trim_start_matches(':')),
            Some(_) => self.problem("bad-quote", "`'` is not closed"),
        }
        Line { indent, is_quoted, words, text }
    }

    fn line(&mut self, mut line: Line) {
        if self.definition.is_none() {
            return self.standard(line);
        }
        if line.indent == 0 {
            self.close();
            return self.open(line);
        }
        let first = line.word();
        match std::mem::replace(&mut self.block, Block::None) {
            Block::None => self.problem("misplaced", "stands below nothing"),
            Block::Message(name, mut message) => {
                self.item(first, line, &mut message);
                self.block = Block::Message(name, message);
            }
            Block::Segment(name, mut segment) => {
                segment.uses.extend(self.place(first, line));
                self.block = Block::Segment(name, segment);
            }
            Block::Composite(name, mut composite) => {
                composite.uses.extend(self.place(first, line));
                self.block = Block::Composite(name, composite);
            }
            Block::Element(name, mut element) => {
                if first == "=" && !line.words.is_empty() {
                    element.codes.push((line.word(), line.text));
                } else {
                    self.problem("unknown-word", "a value is written `= VALUE : its meaning`");
                }
                self.block = Block::Element(name, element);
            }
        }
    }

    fn standard(&mut self, mut line: Line) {
        let standard = match line.word().as_str() {
            "edifact" => Standard::Edifact,
            "x12" => Standard::X12,
            _ => return self.problem("no-standard", "`edifact RELEASE` or `x12 RELEASE` expected"),
        };
        let release = line.word();
        if release.is_empty() {
            self.problem("missing-word", "the release is missing, such as D.21B or 004010");
        }
        let mut definition = Definition::new(standard, release);
        match line.word().as_str() {
            "" => {}
            "profile" => definition.is_profile = true,
            _ => self.problem("unknown-word", "only `profile` may stand here"),
        }
        self.definition = Some(definition);
    }

    /// A line that begins a block.
    fn open(&mut self, mut line: Line) {
        let keyword = line.word();
        let name = line.word();
        if name.is_empty() && matches!(&*keyword, "message" | "segment" | "composite" | "element") {
            return self.problem("missing-word", format!("`{keyword}` needs a name"));
        }
        let text = std::mem::take(&mut line.text);
        self.block = match keyword.as_str() {
            "message" => Block::Message(name, Message { text, items: Vec::new() }),
            "segment" => Block::Segment(name, Segment { text, uses: Vec::new() }),
            "composite" => Block::Composite(name, Composite { text, uses: Vec::new() }),
            "element" => {
                let form = line.word();
                let Some((class, min, max)) = form_of(&form) else {
                    let message = "a form such as an..35, n8, AN2..80 or DT8 expected";
                    self.block = Block::Element(name, ElementForm::default());
                    return self.problem("bad-number", message);
                };
                Block::Element(name, ElementForm { text, class, min, max, codes: Vec::new() })
            }
            _ => {
                let message = format!(
                    "unknown keyword `{}`; one of message, segment, composite, element expected",
                    keyword.chars().take(20).collect::<String>()
                );
                return self.problem("unknown-keyword", message);
            }
        };
        self.rest(&line);
    }

    /// Ends the block that is open.
    fn close(&mut self) {
        self.groups.clear();
        let Some(mut definition) = self.definition.take() else { return };
        let is_new = match std::mem::replace(&mut self.block, Block::None) {
            Block::None => true,
            Block::Message(name, message) => {
                if message.items.iter().any(|item| item.is_group() && item.end == NO_END) {
                    self.problem("empty-group", "a group of the message above is empty");
                }
                definition.messages.insert(name, message).is_none()
            }
            Block::Segment(name, segment) => definition.segments.insert(name, segment).is_none(),
            Block::Composite(name, it) => definition.composites.insert(name, it).is_none(),
            Block::Element(name, mut element) => {
                element.sort_codes();
                definition.elements.insert(name, element).is_none()
            }
        };
        if !is_new {
            self.problem("duplicate-name", "what ends here is defined twice");
        }
        self.definition = Some(definition);
    }

    /// A row of a message.
    fn item(&mut self, first: String, mut line: Line, message: &mut Message) {
        let depth = line.indent - 1;
        if depth > self.groups.len() {
            return self.problem("misplaced", "indented below nothing: one blank for each group");
        }
        if depth > DEEPEST {
            return self.problem("too-deep", format!("at most {DEEPEST} levels of groups"));
        }
        self.groups.truncate(depth);
        let is_group = first == GROUP && !line.is_quoted;
        let name = if is_group { line.word() } else { first };
        let Some((min, max)) = self.occurrence(&line.word()) else { return };
        self.rest(&line);
        let at = message.items.len();
        let parent = self.groups.last().copied();
        let end = if is_group { NO_END } else { 0 };
        message.items.push(Item { name, min, max, parent, end });
        if !is_group {
            for group in &self.groups {
                if let Some(group) = message.items.get_mut(*group) {
                    group.end = at + 1;
                }
            }
        } else {
            self.groups.push(at);
        }
    }

    /// A position of a segment or composite.
    fn place(&mut self, id: String, mut line: Line) -> Option<Use> {
        let (min, max) = self.occurrence(&line.word())?;
        self.rest(&line);
        Some(Use { id, mandatory: min > 0, max, text: line.text })
    }

    fn occurrence(&mut self, word: &str) -> Option<(u32, u32)> {
        if word.is_empty() {
            return Some((1, 1));
        }
        let found = word.split_once("..").and_then(|(min, max)| {
            let max = if max == "*" { ANY_NUMBER } else { max.parse().ok()? };
            Some((min.parse().ok()?, max)).filter(|(min, max): &(u32, u32)| min <= max && *max > 0)
        });
        if found.is_none() {
            let message = "occurrences are written min..max, such as 0..9 or 1..*";
            self.problem("bad-number", message);
        }
        found
    }

    fn rest(&mut self, line: &Line) {
        if let Some(word) = line.words.front() {
            let word: String = word.chars().take(20).collect();
            self.problem("unknown-word", format!("unknown word `{word}`"));
        }
    }
}

/// The end of a group before anything was seen in it.
const NO_END: usize = usize::MAX;

/// `an..35`, `n8`, `AN2..80`, `ID..*`: class, least and greatest length.
pub(super) fn form_of(form: &str) -> Option<(Class, u32, u32)> {
    let at = form.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(form.len());
    let (mut class, mut length) = form.split_at(at);
    // N0 to N9 have a digit in their name.
    if class == "N" && length.starts_with(|c: char| c.is_ascii_digit()) {
        (class, length) = form.split_at(2);
    }
    let class = match class {
        "a" => Class::Letters,
        "an" | "AN" | "ID" => Class::Any,
        "n" | "R" => Class::Number,
        "DT" => Class::Date,
        "TM" => Class::Time,
        "B" => Class::Bytes,
        _ => Class::Digits(class.strip_prefix('N')?.parse().ok()?),
    };
    let (min, max) = match length.split_once("..") {
        None => (length.parse().ok()?, length.parse().ok()?),
        Some((min, max)) => {
            let max = if max == "*" { ANY_NUMBER } else { max.parse().ok()? };
            (if min.is_empty() { 1 } else { min.parse().ok()? }, max)
        }
    };
    (min <= max && max > 0).then_some((class, min, max))
}
