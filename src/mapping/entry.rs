//! What fills a field, as it is written.

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{Fields, Node};

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
    /// The character that is taken away at an end of the value.
    pub trim: Option<TrimEntry>,
    /// How short values are filled up.
    pub pad: Option<PadEntry>,
    /// Digits behind the point.
    pub decimals: Option<Spanned<u32>>,
    /// The type in JSON, where the schema does not tell.
    pub typed: Option<Spanned<Typed>>,
}

/// Where the value of a rule comes from.
#[derive(Clone, Debug)]
pub enum ValueEntry {
    /// A path.
    From(Spanned<String>),
    /// An expression.
    Expr(Spanned<String>),
}

/// A type that a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// `number: true`.
    Number,
    /// `bool: true`.
    Bool,
}

/// `trim:` as it is written.
#[derive(Clone, Debug)]
pub struct TrimEntry {
    /// The character.
    pub what: Spanned<char>,
    /// Whether it is taken away in front of the value.
    pub left: bool,
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

type Text = Spanned<String>;

/// Reads what stands behind the name of a field.
pub(super) fn field(name: &Text, node: &Node, problems: &mut Problems) -> Option<FieldEntry> {
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
    let trim = fields.optional("trim").and_then(|node| trim(node, problems));
    let pad = fields.optional("pad").and_then(|node| pad(node, problems));
    let typed = typed(&mut fields, problems);
    let decimals = fields.text("decimals", problems);
    let decimals = decimals.and_then(|text| count("decimals", 0..=28, &text, problems));
    if let Some(unit) = fields.optional("unit") {
        let remedy = "convert the quantity before the mapping";
        problems.advise(unit.mark, "`unit` is not supported yet", remedy);
    }
    fields.finish(problems);
    Some(RuleEntry {
        value: value?,
        when: rule_when,
        default,
        required,
        table,
        trim,
        pad,
        decimals,
        typed,
    })
}

fn typed(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Spanned<Typed>> {
    let mut found = None;
    for (key, typed) in [("number", Typed::Number), ("bool", Typed::Bool)] {
        let Some(mark) = fields.optional(key).map(|node| node.mark) else { continue };
        if !fields.flag(key, problems).unwrap_or(false) {
            continue;
        }
        if found.is_some() {
            problems.add(mark, "`number` and `bool` exclude each other");
        }
        found = Some(Spanned { value: typed, mark });
    }
    found
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

fn trim(node: &Node, problems: &mut Problems) -> Option<TrimEntry> {
    let mut fields = Fields::of(node, "trim", problems)?;
    let side = side(&mut fields, "trim", problems);
    fields.finish(problems);
    let (what, left) = side?;
    Some(TrimEntry { what, left })
}

fn pad(node: &Node, problems: &mut Problems) -> Option<PadEntry> {
    let mut fields = Fields::of(node, "pad", problems)?;
    let side = side(&mut fields, "pad", problems);
    let width = fields.required_text("width", problems);
    let width = width.and_then(|text| count("width", 1..=u32::MAX, &text, problems));
    fields.finish(problems);
    let (with, left) = side?;
    Some(PadEntry { with, left, width: width? })
}

/// The character of `left` or `right`, and whether it is that of `left`.
fn side(
    fields: &mut Fields<'_>,
    what: &str,
    problems: &mut Problems,
) -> Option<(Spanned<char>, bool)> {
    let mark = fields.mark();
    let (left, right) = (fields.text("left", problems), fields.text("right", problems));
    let (text, left) = match (left, right) {
        (Some(text), None) => (text, true),
        (None, Some(text)) => (text, false),
        _ => {
            problems.add(mark, format!("{what}: one of `left` and `right` is expected"));
            return None;
        }
    };
    let mut characters = text.value.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else {
        problems.add(text.mark, format!("{what}: one character is expected"));
        return None;
    };
    Some((Spanned { value: character, mark: text.mark }, left))
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
