//! JSON Schema (2020-12) to [`Schema`]: the subset that describes events.
//!
//! | keyword | effect |
//! |---|---|
//! | `type` | object, array, string, number, integer, boolean; one of them with `"null"` |
//! | `properties`, `required`, `items` | children; a required child has `min` 1 |
//! | `additionalProperties` | `false` closes an object; objects are open without it, as the standard says |
//! | `enum`, `const` | the values allowed |
//! | `maxLength`, `minItems`, `maxItems` | length and occurrence |
//! | `format` | `date` and `time`; others say nothing |
//! | `title`, `description` | the text for people; the root's `title` is the schema's name |
//! | `$ref` | `#`, `#/$defs/name` or any other place in the same file |
//!
//! Without a `type` the keywords decide; a value that may be anything is an open text. A schema
//! that contains itself is followed once and then open. Keywords that only narrow what is valid
//! (`pattern`, `minimum`) are ignored; those that would add or remove children (`allOf`,
//! `patternProperties`) are problems, since a mapping would be checked against the wrong tree.

use crate::document::{Document, Kind, Node, NodeId};
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::schema::{DataType, Element, ElementId, Schema};

/// Reads a JSON Schema.
///
/// # Errors
///
/// Every problem with its line and column: text that is not JSON, and keywords outside of the
/// subset of the [module](super). Codes: those of [`read`](super::read), `unknown-type`,
/// `unsupported-keyword`, `unknown-ref`, `bad-keyword`, `too-large`, `too-deep`.
pub fn read_schema(bytes: &[u8]) -> Result<Schema, Vec<Problem>> {
    let limits = Limits::default();
    let reading = super::read(bytes, &limits).map_err(|error| {
        vec![Problem {
            severity: Severity::Error,
            code: error.code,
            message: error.message,
            place: error.place,
        }]
    })?;
    let mut compiler = Compiler {
        document: &reading.document,
        source: bytes,
        problems: Problems::new(limits.problems),
        within: Vec::new(),
        path: Vec::new(),
    };
    let root = reading.document.root();
    let name = root.child("title").map_or("", Node::text).to_owned();
    let mut schema = Schema::new(name, Element::new(Kind::Group, ""));
    compiler.element(root, "", &mut Target::Root(&mut schema));
    match compiler.problems.finish() {
        problems if problems.is_empty() => Ok(schema),
        problems => Err(problems),
    }
}

/// Declared elements of one schema, so that references that fan out cannot take the machine.
const MOST_ELEMENTS: usize = 1 << 16;

/// Keywords that change which children exist or what a value is.
const UNSUPPORTED: [&str; 16] = [
    "$dynamicRef",
    "$recursiveRef",
    "allOf",
    "anyOf",
    "dependencies",
    "dependentSchemas",
    "else",
    "extends",
    "if",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
];

/// Where a compiled element goes.
enum Target<'s> {
    Root(&'s mut Schema),
    Below(&'s mut Schema, ElementId, u32),
}

struct Compiler<'a> {
    document: &'a Document,
    source: &'a [u8],
    problems: Problems,
    /// The schemas being compiled, outermost first: one that comes again contains itself.
    within: Vec<NodeId>,
    path: Vec<&'a str>,
}

impl<'a> Compiler<'a> {
    fn problem(&mut self, node: Node<'_>, code: &'static str, message: impl Into<String>) {
        let (source, path) = (self.source, &self.path);
        self.problems.push(Severity::Error, || Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: Place { path: path.join("/"), ..Place::in_text(source, node.offset()) },
        });
    }

    /// Compiles the schema at `node` into an element called `name`, with all below it.
    fn element(&mut self, node: Node<'a>, name: &str, target: &mut Target<'_>) {
        let Some((node, text)) = self.follow(node) else {
            return;
        };
        if self.within.len() >= Limits::default().depth {
            return self.problem(node, "too-deep", "more levels than a document may have");
        }
        let again = self.within.contains(&node.id());
        let mut element = Element { text, ..self.declaration(node, name) };
        if again {
            (element.kind, element.open) = (Kind::Group, true);
        }
        let (schema, id) = match target {
            Target::Root(schema) => {
                **schema = Schema::new(schema.name().to_owned(), element);
                (&mut **schema, None)
            }
            Target::Below(schema, parent, min) => {
                element.min = *min;
                if schema.elements().len() >= MOST_ELEMENTS {
                    let message = format!("more than {MOST_ELEMENTS} elements");
                    return self.problem(node, "too-large", message);
                }
                let id = schema.add(*parent, element);
                (&mut **schema, Some(id))
            }
        };
        let id = id.unwrap_or(schema.root());
        if !again {
            self.within.push(node.id());
            self.children(node, schema, id);
            self.within.pop();
        }
    }

    /// The schema that `node` means after its references, and its text for people.
    fn follow(&mut self, mut node: Node<'a>) -> Option<(Node<'a>, String)> {
        let mut text = text_of(node);
        // A chain longer than this one refers to itself.
        for _ in 0..32 {
            self.unsupported(node);
            let Some(reference) = node.child("$ref") else {
                return Some((node, text));
            };
            if let Some(other) = node.children().find(|child| changes_children(child.name())) {
                let message = format!("`{}` beside `$ref` is not supported", other.name());
                self.problem(other, "unsupported-keyword", message);
            }
            let Some(next) = self.pointer(reference.text()) else {
                self.problem(reference, "unknown-ref", "`$ref` leads to nothing in this file");
                return None;
            };
            node = next;
            if text.is_empty() {
                text = text_of(node);
            }
        }
        self.problem(node, "unknown-ref", "`$ref` refers to itself");
        None
    }

    /// RFC 6901, within this file.
    fn pointer(&self, reference: &str) -> Option<Node<'a>> {
        let mut node = self.document.root();
        let pointer = reference.strip_prefix('#')?;
        for step in pointer.split('/').skip(1) {
            node = node.child(&step.replace("~1", "/").replace("~0", "~"))?;
        }
        (pointer.is_empty() || pointer.starts_with('/')).then_some(node)
    }

    fn unsupported(&mut self, node: Node<'a>) {
        if !matches!(node.kind(), Kind::Group | Kind::Bool) {
            self.problem(node, "bad-keyword", "a schema is an object, `true` or `false`");
        }
        for child in node.children() {
            if UNSUPPORTED.contains(&child.name()) {
                let message = format!("`{}` is not supported", child.name());
                self.problem(child, "unsupported-keyword", message);
            }
        }
    }

    /// The element that `node` declares, without its children.
    fn declaration(&mut self, node: Node<'a>, name: &str) -> Element {
        let (kind, data, open) = self.kind_of(node);
        let mut element = Element::new(kind, name);
        (element.data, element.open) = (data, open);
        if let Some(length) = self.count(node, "maxLength") {
            element.length = Some(u32::try_from(length).unwrap_or(u32::MAX));
        }
        if let Some(values) = node.child("enum") {
            let values = values.children().filter(|value| value.is_scalar());
            element.codes = values.map(|value| (value.text().to_owned(), String::new())).collect();
        } else if let Some(value) = node.child("const").filter(|value| value.is_scalar()) {
            element.codes = vec![(value.text().to_owned(), String::new())];
        }
        element
    }

    /// Kind, meaning and openness, from `type` or else from the other keywords.
    fn kind_of(&mut self, node: Node<'a>) -> (Kind, DataType, bool) {
        let anything = (Kind::Text, DataType::Text, true);
        let has = |name| node.child(name).is_some();
        let word = match node.child("type") {
            Some(word) => self.one_type(word),
            None if has("properties") || has("required") || has("additionalProperties") => "object",
            None if has("items") => "array",
            None if has("enum") || has("const") || has("maxLength") => "string",
            None => return anything,
        };
        match word {
            "object" => (Kind::Group, DataType::Text, self.is_open(node)),
            "array" => (Kind::List, DataType::Text, !has("items")),
            "number" => (Kind::Number, DataType::Decimal, false),
            // An integer may still be written `-5` or `1e3`; it is not a string of digits.
            "integer" => (Kind::Number, DataType::Decimal, false),
            "boolean" => (Kind::Bool, DataType::Bool, false),
            "string" => match node.child("format").map_or("", Node::text) {
                "date" => (Kind::Text, DataType::Date, false),
                "time" => (Kind::Text, DataType::Time, false),
                _ => (Kind::Text, DataType::Text, false),
            },
            "null" => (Kind::Null, DataType::Text, false),
            _ => anything,
        }
    }

    /// The type that is not `null`. Lists of several others are a problem.
    fn one_type(&mut self, word: Node<'a>) -> &'a str {
        const KNOWN: [&str; 7] =
            ["object", "array", "string", "number", "integer", "boolean", "null"];
        let mut words: Vec<&str> = match word.kind() {
            Kind::List => word.children().map(Node::text).collect(),
            _ => vec![word.text()],
        };
        if words.iter().any(|word| !KNOWN.contains(word)) {
            let message = format!("`type` is one of {}", KNOWN.join(", "));
            self.problem(word, "unknown-type", message);
            return "";
        }
        if words.len() > 1 {
            words.retain(|word| *word != "null");
        }
        if let [one] = words.as_slice() {
            return one;
        }
        self.problem(word, "unsupported-keyword", "more than one `type` besides `null`");
        ""
    }

    fn is_open(&self, node: Node<'a>) -> bool {
        // A schema for the others restricts their values; their names are still free.
        node.child("additionalProperties")
            .is_none_or(|others| others.kind() != Kind::Bool || others.text() == "true")
    }

    fn count(&mut self, node: Node<'a>, keyword: &str) -> Option<u64> {
        let value = node.child(keyword)?;
        let count = value.text().parse();
        if count.is_err() || value.kind() != Kind::Number {
            self.problem(value, "bad-keyword", format!("`{keyword}` is a whole number from 0"));
        }
        count.ok()
    }

    fn children(&mut self, node: Node<'a>, schema: &mut Schema, id: ElementId) {
        match schema.element(id).kind {
            Kind::Group => self.properties(node, schema, id),
            Kind::List => {
                let Some(items) = node.child("items") else {
                    return;
                };
                let (min, max) = (self.count(node, "minItems"), self.count(node, "maxItems"));
                self.path.push("items");
                self.element(items, "", &mut Target::Below(schema, id, 0));
                self.path.pop();
                let item = schema.element(id).children().first().copied();
                if let Some(item) = item.and_then(|item| schema.element_mut(item)) {
                    item.min = u32::try_from(min.unwrap_or(0)).unwrap_or(u32::MAX);
                    item.max = max.unwrap_or(u64::MAX);
                }
            }
            _ => {}
        }
    }

    fn properties(&mut self, node: Node<'a>, schema: &mut Schema, id: ElementId) {
        let required: Vec<&str> = node
            .child("required")
            .map_or_else(Vec::new, |required| required.children().map(Node::text).collect());
        for property in node.child("properties").into_iter().flat_map(Node::children) {
            let min = u32::from(required.contains(&property.name()));
            self.path.push(property.name());
            self.element(property, property.name(), &mut Target::Below(schema, id, min));
            self.path.pop();
        }
        for name in required {
            if schema.child(id, name).is_none() {
                let free = Element { min: 1, open: true, ..Element::new(Kind::Text, name) };
                schema.add(id, free);
            }
        }
    }
}

fn changes_children(keyword: &str) -> bool {
    matches!(
        keyword,
        "type" | "properties" | "required" | "items" | "additionalProperties" | "enum"
    )
}

fn text_of(node: Node<'_>) -> String {
    let text = node.child("description").or_else(|| node.child("title"));
    text.map_or("", Node::text).to_owned()
}

#[cfg(test)]
mod tests;
