//! What a message type declares: its segments, groups and fields, as one tree for all formats.
//!
//! A schema answers three questions: does a path exist (so that a mapping is checked before its
//! first event), how do records nest (so that a reader needs no hint from the sender), and does a
//! document keep the rules (so that a problem names its segment and field).
//!
//! Segments that form a group hang below the group's first segment, as SAP's own nesting does; a
//! [`Kind::Group`] element is only needed where a format has groups without a leading segment.

use crate::document::Kind;
use crate::path::{Path, Step};

/// A message type: an IDoc basic type, an EDI message of a directory, a JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    name: String,
    elements: Vec<Element>,
}

/// The place of an [`Element`] in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementId(u32);

impl ElementId {
    /// The root element of every schema.
    pub(crate) const ROOT: Self = Self(0);

    /// The position in declaration order, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the characters of a field mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DataType {
    /// Any characters.
    #[default]
    Text,
    /// Digits only, leading zeros kept (NUMC).
    Digits,
    /// A decimal number; the sign is written behind in IDocs (`123.45-`).
    Decimal,
    /// `true` or `false`; one character `X` or blank in IDocs.
    Bool,
    /// A date, `YYYYMMDD` in IDocs.
    Date,
    /// A time, `HHMMSS` in IDocs.
    Time,
}

/// One declared group, segment or field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The name that paths use: segment type, field name, JSON key. Empty for list items.
    pub name: String,
    /// What a node of this element is.
    pub kind: Kind,
    /// What it means, for people.
    pub text: String,
    /// The segment definition that travels in flat files (`E2EDK01005`), where it differs.
    pub definition: Option<String>,
    /// How often it must occur below its parent.
    pub min: u32,
    /// How often it may occur. SAP writes 9,999,999,999 for "any number", more than a `u32`.
    pub max: u64,
    /// The greatest length in characters; for IDoc fields it is the length in the record.
    pub length: Option<u32>,
    /// What the characters mean.
    pub data: DataType,
    /// The values allowed, with their texts; empty for any.
    pub codes: Vec<(String, String)>,
    /// The hierarchy level of an IDoc segment (`HLEVEL`); not the nesting depth.
    pub level: u8,
    /// Whether the first field is the qualifier that tells occurrences apart.
    pub qualified: bool,
    /// Whether children that are not declared are allowed.
    pub open: bool,
    pub(crate) children: Vec<ElementId>,
    /// Those of them that are segments.
    pub(crate) segments: Vec<ElementId>,
}

impl Element {
    /// An optional element that occurs at most once, with nothing else known.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            text: String::new(),
            definition: None,
            min: 0,
            max: 1,
            length: None,
            data: DataType::Text,
            codes: Vec::new(),
            level: 0,
            qualified: false,
            open: false,
            children: Vec::new(),
            segments: Vec::new(),
        }
    }

    /// The elements declared below this one, in their order.
    pub fn children(&self) -> &[ElementId] {
        &self.children
    }

    /// The segments among them.
    pub(crate) fn segments(&self) -> &[ElementId] {
        &self.segments
    }
}

/// What a path means in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// A declared element.
    Declared(ElementId),
    /// Below something that allows more than it declares.
    Open,
    /// Nothing: the first step that does not exist, and the declared name nearest to it.
    Unknown {
        /// The step of the path, from 0.
        step: usize,
        /// The name that was written.
        name: String,
        /// What the author may have meant.
        near: Option<String>,
    },
}

impl Schema {
    /// A schema with a root element and nothing below it.
    pub fn new(name: impl Into<String>, root: Element) -> Self {
        Self { name: name.into(), elements: vec![root] }
    }

    /// A schema that allows everything, for documents whose shape nobody declared.
    pub fn open(name: impl Into<String>) -> Self {
        Self::new(name, Element { open: true, ..Element::new(Kind::Group, "") })
    }

    /// The name of the type.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The root element.
    pub fn root(&self) -> ElementId {
        ElementId(0)
    }

    /// Declares `element` as the last child of `parent`.
    pub fn add(&mut self, parent: ElementId, element: Element) -> ElementId {
        let id = ElementId(self.elements.len() as u32);
        let is_segment = element.kind == Kind::Segment;
        self.elements.push(element);
        if let Some(parent) = self.elements.get_mut(parent.0 as usize) {
            parent.children.push(id);
            if is_segment {
                parent.segments.push(id);
            }
        }
        id
    }

    /// The element at `id`, to complete it.
    pub(crate) fn element_mut(&mut self, id: ElementId) -> Option<&mut Element> {
        self.elements.get_mut(id.0 as usize)
    }

    /// The element at `id`; the root where `id` is of another schema.
    pub fn element(&self, id: ElementId) -> &Element {
        self.elements.get(id.0 as usize).unwrap_or(&self.elements[0])
    }

    /// The element at a position in declaration order.
    pub(crate) fn at(&self, index: usize) -> Option<&Element> {
        self.elements.get(index)
    }

    /// Every element with its place, in declaration order, the root first.
    pub fn elements(&self) -> impl ExactSizeIterator<Item = (ElementId, &Element)> {
        self.elements.iter().enumerate().map(|(at, element)| (ElementId(at as u32), element))
    }

    /// The child of `parent` with that name.
    pub fn child(&self, parent: ElementId, name: &str) -> Option<ElementId> {
        let children = self.element(parent).children.iter().copied();
        children.into_iter().find(|child| self.element(*child).name == name)
    }

    /// What `path` means, starting at `from`.
    pub fn resolve(&self, from: ElementId, path: &Path) -> Resolved {
        let mut at = from;
        for (number, step) in path.steps().iter().enumerate() {
            let next = match step {
                // An index among the siblings of one name stays at the declared element.
                Step::Index(_) => Some(self.item(at)),
                Step::Name(name) => self.child(self.item(at), name),
            };
            match (next, step) {
                (Some(next), _) => at = next,
                (None, _) if self.element(self.item(at)).open => return Resolved::Open,
                (None, Step::Name(name)) => {
                    let names = self.element(self.item(at)).children.iter();
                    let names = names.map(|child| self.element(*child).name.as_str());
                    let near = nearest(name, names).map(str::to_owned);
                    return Resolved::Unknown { step: number, name: name.clone(), near };
                }
                (None, Step::Index(_)) => return Resolved::Open,
            }
        }
        Resolved::Declared(at)
    }

    /// The item of a list, the element itself otherwise.
    fn item(&self, id: ElementId) -> ElementId {
        match self.element(id) {
            Element { kind: Kind::List, children, .. } => children.first().copied().unwrap_or(id),
            _ => id,
        }
    }
}

/// The one of `names` that `written` is most likely a misspelling of: at most a third of its
/// characters differ (optimal string alignment distance, ignoring case).
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[i][j] = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Schema {
        let mut schema = Schema::new("claim", Element::new(Kind::Group, ""));
        let claim = schema.add(schema.root(), Element::new(Kind::Group, "claim"));
        schema.add(claim, Element::new(Kind::Text, "currency"));
        let items = schema.add(claim, Element::new(Kind::List, "items"));
        let item = schema.add(items, Element::new(Kind::Group, ""));
        schema.add(item, Element::new(Kind::Number, "price"));
        let open = Element { open: true, ..Element::new(Kind::Group, "extra") };
        schema.add(claim, open);
        schema
    }

    #[test]
    fn a_misspelt_path_names_the_step_and_the_nearest_name() {
        let schema = claim();
        let resolve = |path: &str| schema.resolve(schema.root(), &Path::parse(path).unwrap());
        assert!(matches!(resolve("claim.items[0].price"), Resolved::Declared(_)));
        assert!(matches!(resolve("claim.items.price"), Resolved::Declared(_)));
        assert_eq!(resolve("claim.extra.anything"), Resolved::Open);
        let unknown = Resolved::Unknown {
            step: 1,
            name: "currancy".to_owned(),
            near: Some("currency".to_owned()),
        };
        assert_eq!(resolve("claim.currancy"), unknown);
    }

    #[test]
    fn the_nearest_name_forgives_a_swap_but_not_another_word() {
        assert_eq!(nearest("CURRCY", ["CURCY", "BELNR"]), Some("CURCY"));
        assert_eq!(nearest("prefetch_", ["prefetch", "path"]), Some("prefetch"));
        assert_eq!(nearest("qeue", ["queue", "key"]), Some("queue"));
        assert_eq!(nearest("zebra", ["queue", "key"]), None);
    }
}
