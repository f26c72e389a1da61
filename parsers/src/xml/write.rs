//! A document to XML.

use crate::document::{Kind, Node};
use crate::path::append_name;
use crate::reading::{Limits, Place, Problem, Problems, Severity};
use crate::xml::TEXT;

/// How the XML looks. It is always UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteOptions<'n> {
    /// The name of the root element where the document has none.
    pub root: &'n str,
    /// The declaration `<?xml version="1.0" encoding="UTF-8"?>` and a line end after it.
    pub declaration: bool,
}

impl Default for WriteOptions<'_> {
    fn default() -> Self {
        Self { root: "document", declaration: true }
    }
}

/// Appends `node` as XML, without blanks between elements.
///
/// Segments are written as groups; each item of a list is an element of the list's name; a null is
/// an empty element.
///
/// # Errors
///
/// Every problem; `out` is then as it was. Codes: `bad-name` for what is no name in XML,
/// `control-character` for characters that XML cannot hold, `not-a-field` for an attribute with
/// children.
pub fn write(node: Node<'_>, options: WriteOptions<'_>, out: &mut Vec<u8>) -> Vec<Problem> {
    let start = out.len();
    let problems = Problems::new(Limits::default().problems);
    let mut writer = Writer { out, path: Vec::new(), problems };
    if options.declaration {
        writer.out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }
    let name = if node.name().is_empty() { options.root } else { node.name() };
    if node.kind() == Kind::List {
        // A document has one root.
        writer.element(name, |writer| writer.items(node, "item"), |_| {});
    } else {
        writer.node(node, name);
    }
    let problems = writer.problems.finish();
    if !problems.is_empty() {
        out.truncate(start);
    }
    problems
}

struct Writer<'a, 'n> {
    out: &'a mut Vec<u8>,
    path: Vec<&'n str>,
    problems: Problems,
}

impl<'n> Writer<'_, 'n> {
    fn problem(&mut self, code: &'static str, name: &str, message: &str) {
        let names = &self.path;
        self.problems.push(Severity::Error, || {
            let mut path = String::new();
            for name in names.iter().copied().chain([name]) {
                append_name(&mut path, name);
            }
            let place = Place { path, ..Place::default() };
            let message = message.to_owned();
            Problem { severity: Severity::Error, code, message, place }
        });
    }

    fn node(&mut self, node: Node<'n>, name: &'n str) {
        match node.kind() {
            Kind::List => self.items(node, name),
            Kind::Group | Kind::Segment => {
                self.element(name, |writer| writer.children(node), |w| w.attributes(node));
            }
            _ if node.children().next().is_some() => {
                self.element(name, |writer| writer.children(node), |w| w.attributes(node));
            }
            _ => self.element(name, |writer| writer.text(node.text(), name, false), |_| {}),
        }
    }

    fn items(&mut self, list: Node<'n>, name: &'n str) {
        for item in list.children() {
            self.node(item, name);
        }
    }

    fn children(&mut self, node: Node<'n>) {
        for child in node.children().filter(|child| !is_attribute(*child)) {
            if child.name() == TEXT && child.is_scalar() {
                self.text(child.text(), TEXT, false);
            } else {
                self.node(child, child.name());
            }
        }
    }

    fn attributes(&mut self, node: Node<'n>) {
        for child in node.children().filter(|child| is_attribute(*child)) {
            let name = child.name().strip_prefix('@').unwrap_or(child.name());
            if !is_name(name) {
                self.problem("bad-name", child.name(), "no name in XML");
            }
            if !child.is_scalar() || child.children().next().is_some() {
                self.problem("not-a-field", child.name(), "an attribute has no children");
            }
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.text(child.text(), child.name(), true);
            self.out.push(b'"');
        }
    }

    fn element(
        &mut self,
        name: &'n str,
        content: impl FnOnce(&mut Self),
        attributes: impl FnOnce(&mut Self),
    ) {
        if !is_name(name) {
            self.problem("bad-name", name, "no name in XML");
        }
        self.path.push(name);
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        attributes(self);
        self.out.push(b'>');
        let start = self.out.len();
        content(self);
        if self.out.len() == start {
            self.out.truncate(start - 1);
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
        self.path.pop();
    }

    fn text(&mut self, text: &str, name: &str, in_attribute: bool) {
        let is_forbidden = |c: char| {
            (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
        };
        if text.chars().any(is_forbidden) {
            self.problem("control-character", name, "a character that XML cannot hold");
        }
        for byte in text.bytes() {
            match byte {
                b'<' => self.out.extend_from_slice(b"&lt;"),
                b'>' => self.out.extend_from_slice(b"&gt;"),
                b'&' => self.out.extend_from_slice(b"&amp;"),
                // A reader makes it a line feed otherwise.
                b'\r' => self.out.extend_from_slice(b"&#13;"),
                b'"' if in_attribute => self.out.extend_from_slice(b"&quot;"),
                b'\n' if in_attribute => self.out.extend_from_slice(b"&#10;"),
                b'\t' if in_attribute => self.out.extend_from_slice(b"&#9;"),
                _ => self.out.push(byte),
            }
        }
    }
}

fn is_attribute(node: Node<'_>) -> bool {
    node.kind() == Kind::Attribute || (node.name().starts_with('@') && node.is_scalar())
}

/// XML 1.0 names, without the rarer letters outside of ASCII being told from other characters.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let starts = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
    let follows = |c: char| starts(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}');
    characters.next().is_some_and(starts) && characters.all(follows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn written(text: &str) -> Result<String, Vec<String>> {
        let document = json::read(text.as_bytes(), &Limits::default()).unwrap().document;
        let mut out = Vec::new();
        let options = WriteOptions { declaration: false, ..WriteOptions::default() };
        let problems = write(document.root(), options, &mut out);
        if problems.is_empty() {
            return Ok(String::from_utf8(out).unwrap());
        }
        assert_eq!(out, b"");
        Err(problems.iter().map(|p| format!("{} {}", p.code, p.place.path)).collect())
    }

    #[test]
    fn json_becomes_elements() {
        let text = r#"{"@id":7,"part":["A<1",{"no":2}],"none":null,"ok":true,"list":[]}"#;
        let expected = "<document id=\"7\"><part>A&lt;1</part><part><no>2</no></part><none/>\
                        <ok>true</ok></document>";
        assert_eq!(written(text).unwrap(), expected);
        assert_eq!(written("[1,2]").unwrap(), "<document><item>1</item><item>2</item></document>");
    }

    #[test]
    fn what_xml_cannot_hold_is_refused() {
        let text = r#"{"a b":1,"c":{"d":"\u0001"},"":2}"#;
        let problems =
            ["bad-name document/a b", "control-character document/c/d/d", "bad-name document"];
        assert_eq!(written(text).unwrap_err(), problems);
    }
}
