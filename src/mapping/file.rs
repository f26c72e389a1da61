//! The mapping file as it is written, with the place of everything in it.
//!
//! Reading knows the keys and nothing of schemas: paths, expressions and names stay text until
//! [`compile`](super::compile()) checks them.

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node, Value};

/// A mapping file.
#[derive(Clone, Debug)]
pub struct MappingFile {
    /// What the mapping is called in routes, messages and metrics.
    pub name: Spanned<String>,
    /// The JSON Schema of the events, as a path from the mapping file; none for any event.
    pub source_schema: Option<Spanned<String>>,
    /// The IDoc type that the mapping makes.
    pub idoc_type: Spanned<String>,
    /// The message type that travels in the control record.
    pub message: Spanned<String>,
    /// Tables: the name used here, and the path from the mapping file.
    pub tables: Vec<(Spanned<String>, Spanned<String>)>,
    /// The segments.
    pub segments: Vec<SegmentEntry>,
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

/// What stands behind the name of a field.
#[derive(Clone, Debug)]
pub enum FieldEntry {
    /// A constant.
    Constant(Spanned<String>),
    /// A rule.
    Rule(Box<RuleEntry>),
}

/// A rule as it is written.
#[derive(Clone, Debug)]
pub struct RuleEntry {
    /// Where the value comes from.
    pub value: ValueEntry,
    /// The condition.
    pub when: Option<Spanned<String>>,
    /// The text for no value.
    pub default: Option<Spanned<String>>,
    /// Whether no value is a fault.
    pub required: Option<Spanned<bool>>,
    /// The name of the table that translates the value.
    pub table: Option<Spanned<String>>,
    /// How short values are filled up.
    pub pad: Option<PadEntry>,
    /// Digits behind the point.
    pub decimals: Option<Spanned<u32>>,
}

/// Where the value of a rule comes from.
#[derive(Clone, Debug)]
pub enum ValueEntry {
    /// A path.
    From(Spanned<String>),
    /// An expression.
    Expr(Spanned<String>),
}

/// `pad:` as it is written.
#[derive(Clone, Debug)]
pub struct PadEntry {
    /// The character.
    pub with: Spanned<char>,
    /// Whether it goes in front of the value.
    pub left: bool,
    /// The length in characters to fill up to.
    pub width: Spanned<u32>,
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
    let source_schema = fields.required("from", problems).and_then(|node| from(node, problems));
    let to = fields.required("to", problems).and_then(|node| to(node, problems));
    let tables = fields.optional("tables").map_or_else(Vec::new, |node| tables(node, problems));
    let segments = match fields.required("segments", problems) {
        Some(node) => segments(node, problems),
        None => Vec::new(),
    };
    fields.finish(problems);
    let (idoc_type, message) = to?;
    Some(MappingFile {
        name: name?,
        source_schema: source_schema?,
        idoc_type,
        message,
        tables,
        segments,
    })
}

type Text = Spanned<String>;

fn from(node: &Node, problems: &mut Problems) -> Option<Option<Text>> {
    let mut fields = Fields::of(node, "from", problems)?;
    fields.required("format", problems);
    format(&mut fields, "json", problems);
    let schema = fields.text("schema", problems);
    fields.finish(problems);
    Some(schema)
}

fn to(node: &Node, problems: &mut Problems) -> Option<(Text, Text)> {
    let mut fields = Fields::of(node, "to", problems)?;
    fields.required("format", problems);
    format(&mut fields, "idoc", problems);
    let idoc_type = fields.required_text("type", problems);
    let message = fields.required_text("message", problems);
    fields.finish(problems);
    Some((idoc_type?, message?))
}

fn format(fields: &mut Fields<'_>, only: &str, problems: &mut Problems) {
    let Some(format) = fields.text("format", problems) else {
        return;
    };
    if format.value != only {
        let message = format!("format `{}` is not supported here", format.value);
        problems.advise(format.mark, message, format!("known: {only}"));
    }
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

fn segments(node: &Node, problems: &mut Problems) -> Vec<SegmentEntry> {
    let Value::List(items) = &node.value else {
        problems.add(node.mark, format!("segments: a list is expected, not {}", node.what()));
        return Vec::new();
    };
    items.iter().filter_map(|item| segment(item, problems)).collect()
}

fn segment(node: &Node, problems: &mut Problems) -> Option<SegmentEntry> {
    let mut fields = Fields::of(node, "segment", problems)?;
    let name = fields.required_text("segment", problems);
    let for_each = fields.text("for_each", problems);
    let when = fields.text("when", problems);
    let mut rules = Vec::new();
    if let Some(node) = fields.optional("fields") {
        for (name, node) in yaml::entries(node, "fields", problems) {
            rules.extend(field(name, node, problems).map(|entry| (name.clone(), entry)));
        }
    }
    let below = fields.optional("segments").map_or_else(Vec::new, |node| segments(node, problems));
    fields.finish(problems);
    Some(SegmentEntry { name: name?, for_each, when, fields: rules, segments: below })
}

fn field(name: &Text, node: &Node, problems: &mut Problems) -> Option<FieldEntry> {
    if node.is_null() {
        let message = format!("{}: a constant or a rule is expected", name.value);
        problems.add(name.mark, message);
        return None;
    }
    if let Some(text) = node.text() {
        let constant = Spanned { value: text.to_owned(), mark: node.mark };
        return Some(FieldEntry::Constant(constant));
    }
    rule(&name.value, node, problems).map(|rule| FieldEntry::Rule(Box::new(rule)))
}

fn rule(name: &str, node: &Node, problems: &mut Problems) -> Option<RuleEntry> {
    let mut fields = Fields::of(node, name, problems)?;
    let value = value(&mut fields, name, problems);
    let rule_when = fields.text("when", problems);
    let default = fields.text("default", problems);
    let required = fields
        .optional("required")
        .map(|node| node.mark)
        .and_then(|mark| Some(Spanned { value: fields.flag("required", problems)?, mark }));
    let table = fields.text("table", problems);
    let pad = fields.optional("pad").and_then(|node| pad(node, problems));
    let decimals = fields.text("decimals", problems);
    let decimals = decimals.and_then(|text| count("decimals", 0..=28, &text, problems));
    if let Some(unit) = fields.optional("unit") {
        let remedy = "convert the quantity before the mapping";
        problems.advise(unit.mark, "`unit` is not supported yet", remedy);
    }
    fields.finish(problems);
    Some(RuleEntry { value: value?, when: rule_when, default, required, table, pad, decimals })
}

fn value(fields: &mut Fields<'_>, name: &str, problems: &mut Problems) -> Option<ValueEntry> {
    let mark = fields.mark();
    match (fields.text("from", problems), fields.text("expr", problems)) {
        (Some(from), None) => Some(ValueEntry::From(from)),
        (None, Some(expr)) => Some(ValueEntry::Expr(expr)),
        (Some(_), Some(expr)) => {
            problems.add(expr.mark, format!("{name}: `from` and `expr` exclude each other"));
            None
        }
        (None, None) => {
            // A `from` or `expr` of another shape was reported where it stands.
            if fields.optional("from").is_none() && fields.optional("expr").is_none() {
                problems.add(mark, format!("{name}: `from` or `expr` is missing"));
            }
            None
        }
    }
}

fn pad(node: &Node, problems: &mut Problems) -> Option<PadEntry> {
    let mut fields = Fields::of(node, "pad", problems)?;
    let mark = fields.mark();
    let (left, right) = (fields.text("left", problems), fields.text("right", problems));
    let width = fields.required_text("width", problems);
    let width = width.and_then(|text| count("width", 1..=u32::MAX, &text, problems));
    fields.finish(problems);
    let (with, left) = match (left, right) {
        (Some(with), None) => (with, true),
        (None, Some(with)) => (with, false),
        _ => {
            problems.add(mark, "pad: one of `left` and `right` is expected");
            return None;
        }
    };
    let mut characters = with.value.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else {
        problems.add(with.mark, "pad: one character is expected");
        return None;
    };
    Some(PadEntry { with: Spanned { value: character, mark: with.mark }, left, width: width? })
}

fn count(
    what: &str,
    range: std::ops::RangeInclusive<u32>,
    text: &Text,
    problems: &mut Problems,
) -> Option<Spanned<u32>> {
    let number = text.value.parse().ok().filter(|number| range.contains(number));
    if number.is_none() {
        let (least, most) = (range.start(), range.end());
        let bounds = match most {
            &u32::MAX => format!("from {least}"),
            most => format!("from {least} to {most}"),
        };
        problems.add(text.mark, format!("{what}: a whole number {bounds} is expected"));
    }
    number.map(|value| Spanned { value, mark: text.mark })
}
