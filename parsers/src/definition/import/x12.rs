//! An X12 release as JSON.
//!
//! One file or several together have these members; others are skipped:
//!
//! ```json
//! {
//!   "Release": "00401",
//!   "DocumentTypes": { "00401_121": { "DocumentType": "121", "TransactionSet": [
//!     { "Id": "ST" }, { "Id": "N7", "Min": 0 },
//!     { "Id": "VCLoop1", "Max": 9999, "Loop": [ { "Id": "VC" }, { "Id": "DTM", "Min": 0, "Max": 3 } ] }
//!   ] } },
//!   "Segments": { "VC": { "Desc": "Vehicle", "Elements": [
//!     { "Id": "539", "Desc": "VIN", "DataType": "AN", "Required": true, "MinLength": 1, "MaxLength": 25 },
//!     { "Id": "836", "Desc": "Deck", "Required": false, "QualifierRef": "Deck codes" }
//!   ] } },
//!   "Qualifiers": { "Deck codes": { "A": "Upper" } }
//! }
//! ```
//!
//! `Min` and `Max` are 1 where they are left out; `unbounded` is any number. An element with
//! `Components` is a composite. It is the layout in which schemas of X12 are found most often.

use crate::definition::import::{Faults, ImportProblem, Imported, SourceFile};
use crate::definition::model::{
    ANY_NUMBER, Class, Composite, Definition, ElementForm, Item, Message, Segment, Standard, Use,
};
use crate::document::{Document, Kind, Node};
use crate::json;
use crate::reading::{Limits, Place};

/// Levels of loops.
const DEEPEST: usize = 30;

/// Reads the files of one release.
///
/// # Errors
///
/// Where a file is no JSON, or there is no set in any of them. Codes: those of
/// [`json::read`], `no-message`, `no-name`, `bad-number`, `bad-type`,
/// `too-deep`, `several-releases`.
pub fn x12(files: &[SourceFile<'_>]) -> Result<Imported, Vec<ImportProblem>> {
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for file in files {
        match json::read(file.bytes, &Limits::default()) {
            Ok(reading) => documents.push((*file, reading.document)),
            Err(error) => {
                let mut faults = Faults::new(file.name);
                let line = usize::try_from(error.place.line).unwrap_or(0);
                faults.push(error.code, line, error.message);
                problems.extend(faults.finish());
            }
        }
    }
    let mut definition = Definition::new(Standard::X12, "");
    let mut messages = 0;
    // Code lists first: elements refer to them.
    let lists: Vec<&Document> = documents.iter().map(|(_, document)| document).collect();
    for (file, document) in &documents {
        let mut release = Release { definition: &mut definition, lists: &lists, file: *file };
        let mut faults = Faults::new(file.name);
        messages += release.read(document, &mut faults);
        problems.extend(faults.finish());
    }
    if definition.messages.is_empty() && definition.segments.is_empty() {
        let mut faults = Faults::new(files.first().map_or("(no file)", |file| file.name));
        faults.push("no-message", 0, "neither transaction sets nor segments were found");
        problems.extend(faults.finish());
        return Err(problems);
    }
    Ok(Imported { definition, messages, problems })
}

struct Release<'a> {
    definition: &'a mut Definition,
    lists: &'a [&'a Document],
    file: SourceFile<'a>,
}

impl Release<'_> {
    fn unnamed(&self, node: Node<'_>, faults: &mut Faults<'_>) {
        faults.push("no-name", self.line(node), "a name is empty or has control characters");
    }

    fn line(&self, node: Node<'_>) -> usize {
        let place = Place::in_text(self.file.bytes, node.offset());
        usize::try_from(place.line).unwrap_or(0)
    }

    /// Reads a file; returns how many sets it has.
    fn read(&mut self, document: &Document, faults: &mut Faults<'_>) -> usize {
        let root = document.root();
        let release = version(name(text(root, "Release")).unwrap_or_default());
        if self.definition.release.is_empty() {
            self.definition.release = release;
        } else if !release.is_empty() && release != self.definition.release {
            let message = format!("release {release} beside {}", self.definition.release);
            faults.push("several-releases", 1, message);
        }
        for segment in members(root, "Segments") {
            let Some(tag) = name(segment.name()) else {
                self.unnamed(segment, faults);
                continue;
            };
            let uses = self.uses(segment, "Elements", faults);
            let text = text(segment, "Desc").to_owned();
            self.definition.segments.insert(tag.to_owned(), Segment { text, uses });
        }
        let mut count = 0;
        for set in members(root, "DocumentTypes") {
            count += 1;
            let (_, own) = set.name().rsplit_once('_').unwrap_or(("", set.name()));
            let Some(kind) = name(text(set, "DocumentType")).or_else(|| name(own)) else {
                self.unnamed(set, faults);
                continue;
            };
            let kind = kind.to_owned();
            let mut message = Message { text: text(set, "Desc").to_owned(), items: Vec::new() };
            let is_good = match set.child("TransactionSet") {
                Some(rows) => self.items(rows, (None, 0), &mut message, faults),
                None => {
                    let line = self.line(set);
                    faults.push("no-message", line, format!("set {kind} has no TransactionSet"));
                    false
                }
            };
            if is_good {
                self.definition.messages.insert(kind, message);
            }
        }
        count
    }

    /// Reads rows and the loops in them; says whether all were good.
    fn items(
        &self,
        rows: Node<'_>,
        (parent, depth): (Option<usize>, usize),
        message: &mut Message,
        faults: &mut Faults<'_>,
    ) -> bool {
        let mut is_good = true;
        for row in rows.children() {
            let range = number(row, "Min").zip(number(row, "Max").map(|max| max.max(1)));
            let range = range.filter(|(min, max)| min <= max);
            let Some((name, (min, max))) = name(text(row, "Id")).zip(range) else {
                let message = "a row needs an Id, and numbers as Min and Max";
                faults.push("bad-number", self.line(row), message);
                is_good = false;
                continue;
            };
            let at = message.items.len();
            let inner = row.child("Loop");
            let end = if inner.is_some() { at + 1 } else { 0 };
            message.items.push(Item { name: name.to_owned(), min, max, parent, end });
            let Some(inner) = inner else { continue };
            if depth >= DEEPEST {
                let message = format!("at most {DEEPEST} levels of loops");
                faults.push("too-deep", self.line(row), message);
                return false;
            }
            is_good &= self.items(inner, (Some(at), depth + 1), message, faults);
            let end = message.items.len();
            if let Some(item) = message.items.get_mut(at) {
                item.end = end;
            }
            if end == at + 1 {
                faults.push("no-message", self.line(row), "a loop without segments");
                is_good = false;
            }
        }
        is_good
    }

    /// The positions of a segment or composite; defines the elements in them.
    fn uses(&mut self, holder: Node<'_>, member: &str, faults: &mut Faults<'_>) -> Vec<Use> {
        let rows: Vec<_> = holder.child(member).into_iter().flat_map(Node::children).collect();
        let mut uses = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            let desc = text(row, "Desc").to_owned();
            let own = format!("{}{:02}", holder.name(), at + 1);
            let id = name(text(row, "Id")).unwrap_or(&own).to_owned();
            let is_composite = row.child("Components").is_some();
            let known = if is_composite {
                let uses = self.uses(row, "Components", faults);
                let composite = Composite { text: desc.clone(), uses };
                let known = self.definition.composites.entry(id.clone()).or_insert(composite);
                known.text.clone()
            } else {
                self.element(row, &id, faults)
            };
            let max = number(row, "Max").unwrap_or(1).max(1);
            let mandatory = text(row, "Required") == "true";
            let text = if desc == known { String::new() } else { desc };
            uses.push(Use { id, mandatory, max, text });
        }
        uses
    }

    /// Defines an element where it is not known yet; returns its name.
    fn element(&mut self, row: Node<'_>, id: &str, faults: &mut Faults<'_>) -> String {
        if let Some(known) = self.definition.elements.get(id) {
            return known.text.clone();
        }
        let mut element = ElementForm { text: text(row, "Desc").to_owned(), ..Default::default() };
        let word = text(row, "DataType");
        match class(word) {
            Some(class) => element.class = class,
            None => {
                let message = format!("element {id} has the unknown type `{word}`");
                faults.push("bad-type", self.line(row), message);
            }
        }
        let length = |member| row.child(member).and_then(|node| node.text().parse().ok());
        let fixed: Option<u32> = length("Length");
        element.min = fixed.or_else(|| length("MinLength")).unwrap_or(1).max(1);
        let max = fixed.or_else(|| length("MaxLength")).unwrap_or(ANY_NUMBER);
        element.max = max.max(element.min);
        let list = text(row, "QualifierRef");
        let lists = self.lists.iter().flat_map(|document| members(document.root(), "Qualifiers"));
        for list in lists.filter(|known| known.name() == list) {
            let codes = list.children().filter(|code| is_printable(code.name()));
            let codes = codes.map(|code| (code.name().to_owned(), code.text().to_owned()));
            element.codes.extend(codes);
        }
        element.sort_codes();
        let name = element.text.clone();
        self.definition.elements.insert(id.to_owned(), element);
        name
    }
}

/// The version as GS08 has it: 004010 for 00401.
fn version(release: &str) -> String {
    if release.len() == 5 { format!("{release}0") } else { release.to_owned() }
}

fn class(word: &str) -> Option<Class> {
    Some(match word {
        "" | "AN" | "ID" => Class::Any,
        "R" => Class::Number,
        "DT" => Class::Date,
        "TM" => Class::Time,
        "B" => Class::Bytes,
        "N" => Class::Digits(0),
        _ => Class::Digits(word.strip_prefix('N')?.parse().ok().filter(|digit| *digit <= 9)?),
    })
}

fn members<'d>(root: Node<'d>, member: &str) -> impl Iterator<Item = Node<'d>> {
    root.child(member)
        .filter(|node| node.kind() == Kind::Group)
        .into_iter()
        .flat_map(Node::children)
}

/// A text that can name something.
fn name(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && is_printable(text))
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn text<'d>(node: Node<'d>, member: &str) -> &'d str {
    node.child(member).map_or("", Node::text)
}

/// A number of occurrences; 1 where it is left out.
fn number(row: Node<'_>, member: &str) -> Option<u32> {
    match row.child(member) {
        None => Some(1),
        Some(node) if node.text() == "unbounded" => Some(ANY_NUMBER),
        Some(node) => node.text().parse().ok(),
    }
}
