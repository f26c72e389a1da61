//! The mapping file as it is written, with the place of everything in it.
//!
//! Reading knows the keys and nothing of schemas: paths, expressions and names stay text until
//! [`compile`](super::compile()) checks them.

use super::entry::{self, FieldEntry};
use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node, Value};

/// A mapping file.
#[derive(Clone, Debug)]
pub struct MappingFile {
    /// What the mapping is called in routes, messages and metrics.
    pub name: Spanned<String>,
    /// What it reads.
    pub from: FormatEntry,
    /// What it makes.
    pub to: FormatEntry,
    /// Tables: the name used here, and the path from the mapping file.
    pub tables: Vec<(Spanned<String>, Spanned<String>)>,
    /// The segments, where it makes an IDoc.
    pub segments: Vec<SegmentEntry>,
    /// Where it makes JSON: paths and what fills them.
    pub fields: Vec<(Spanned<String>, FieldEntry)>,
    /// Where it makes JSON: the lists.
    pub lists: Vec<ListEntry>,
}

/// `from:` or `to:`.
#[derive(Clone, Debug)]
pub enum FormatEntry {
    /// `format: json`, with its JSON Schema as a path from the mapping file; none for any.
    Json(Option<Spanned<String>>),
    /// `format: idoc`.
    Idoc {
        /// The IDoc type.
        idoc_type: Spanned<String>,
        /// The message type that travels in the control record.
        message: Spanned<String>,
    },
}

/// One entry of `segments:`.
#[derive(Clone, Debug)]
pub struct SegmentEntry {
    /// The segment type.
    pub name: Spanned<String>,
    /// `path as name`.
    pub for_each: Option<Spanned<String>>,
    /// The condition.
    pub when: Option<Spanned<String>>,
    /// Field name and what fills it.
    pub fields: Vec<(Spanned<String>, FieldEntry)>,
    /// The segments below this one.
    pub segments: Vec<Self>,
}

/// One entry of `lists:`.
#[derive(Clone, Debug)]
pub struct ListEntry {
    /// The path of the list in the JSON.
    pub path: Spanned<String>,
    /// `path as name`.
    pub for_each: Option<Spanned<String>>,
    /// The condition.
    pub when: Option<Spanned<String>>,
    /// What an item is.
    pub item: ItemEntry,
}

/// What an item of a list is.
#[derive(Clone, Debug)]
pub enum ItemEntry {
    /// An object.
    Object {
        /// Path and what fills it.
        fields: Vec<(Spanned<String>, FieldEntry)>,
        /// The lists below it.
        lists: Vec<ListEntry>,
    },
    /// A single value; the name is the key `value`, for messages.
    Value(Spanned<String>, FieldEntry),
}

/// Reads the mapping file that `problems` are about; `None` where so much is missing that the
/// rest makes no sense. All mistakes are in `problems`.
pub fn read(problems: &mut Problems) -> Option<MappingFile> {
    let root = yaml::read(problems)?;
    let mut fields = Fields::of(&root, "mapping file", problems)?;
    if let Some(version) = fields.required_text("version", problems)
        && version.value != "1"
    {
        let message = format!("version `{}` is not supported", version.value);
        problems.advise(version.mark, message, "this program reads version 1");
    }
    let name = fields.required_text("mapping", problems);
    let from = fields.required("from", problems).and_then(|node| format(node, "from", problems));
    let to = fields.required("to", problems).and_then(|node| format(node, "to", problems));
    let tables = fields.optional("tables").map_or_else(Vec::new, |node| tables(node, problems));
    let (mut segments, mut object) = (Vec::new(), Default::default());
    if let Some(FormatEntry::Json(_)) = &to {
        object = self::object(&mut fields, problems);
    } else if let Some(node) = fields.required("segments", problems) {
        segments = list(node, "segments", problems, segment);
    }
    fields.finish(problems);
    let (fields, lists) = object;
    Some(MappingFile { name: name?, from: from?, to: to?, tables, segments, fields, lists })
}

type Text = Spanned<String>;

fn format(node: &Node, what: &str, problems: &mut Problems) -> Option<FormatEntry> {
    let mut fields = Fields::of(node, what, problems)?;
    fields.required("format", problems);
    let is_idoc = fields.choice("format", problems, &[("json", false), ("idoc", true)]);
    // Under an unknown format the other keys still show what was meant.
    let entry = if is_idoc.unwrap_or(fields.optional("type").is_some()) {
        let idoc_type = fields.required_text("type", problems);
        let message = fields.required_text("message", problems);
        idoc_type.zip(message).map(|(idoc_type, message)| FormatEntry::Idoc { idoc_type, message })
    } else {
        Some(FormatEntry::Json(fields.text("schema", problems)))
    };
    fields.finish(problems);
    entry
}

fn tables(node: &Node, problems: &mut Problems) -> Vec<(Text, Text)> {
    let mut found = Vec::new();
    for (name, path) in yaml::entries(node, "tables", problems) {
        if let Some(path) = yaml::text(path, &name.value, problems) {
            found.push((name.clone(), path));
        }
    }
    found
}

fn list<T>(
    node: &Node,
    what: &str,
    problems: &mut Problems,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let Value::List(items) = &node.value else {
        problems.add(node.mark, format!("{what}: a list is expected, not {}", node.what()));
        return Vec::new();
    };
    items.iter().filter_map(|item| read(item, problems)).collect()
}

fn segment(node: &Node, problems: &mut Problems) -> Option<SegmentEntry> {
    let mut fields = Fields::of(node, "segment", problems)?;
    let name = fields.required_text("segment", problems);
    let for_each = fields.text("for_each", problems);
    let when = fields.text("when", problems);
    let rules = rules(&mut fields, problems);
    let below = fields.optional("segments");
    let below = below.map(|node| list(node, "segments", problems, segment)).unwrap_or_default();
    fields.finish(problems);
    Some(SegmentEntry { name: name?, for_each, when, fields: rules, segments: below })
}

/// `fields`.
fn rules(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<(Text, FieldEntry)> {
    let mut rules = Vec::new();
    if let Some(node) = fields.optional("fields") {
        for (name, node) in yaml::entries(node, "fields", problems) {
            rules.extend(entry::field(name, node, problems).map(|entry| (name.clone(), entry)));
        }
    }
    rules
}

/// `fields` and `lists` of a JSON object.
fn object(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> (Vec<(Text, FieldEntry)>, Vec<ListEntry>) {
    let rules = rules(fields, problems);
    let lists = fields.optional("lists");
    (rules, lists.map(|node| list(node, "lists", problems, list_entry)).unwrap_or_default())
}

fn list_entry(node: &Node, problems: &mut Problems) -> Option<ListEntry> {
    let mut fields = Fields::of(node, "list", problems)?;
    let path = fields.required_text("list", problems);
    let for_each = fields.text("for_each", problems);
    let when = fields.text("when", problems);
    let item = match fields.optional("value") {
        Some(node) => {
            let name = Spanned { value: "value".to_owned(), mark: node.mark };
            entry::field(&name, node, problems).map(|entry| ItemEntry::Value(name, entry))
        }
        None => {
            let (fields, lists) = object(&mut fields, problems);
            Some(ItemEntry::Object { fields, lists })
        }
    };
    fields.finish(problems);
    Some(ListEntry { path: path?, for_each, when, item: item? })
}
