//! Bytes to a document, strictly by RFC 8259 with three decisions where it leaves room:
//!
//! - a key that repeats keeps its **first** value, with a warning `duplicate-key`: peers disagree
//!   on which one counts, and paths mean the first occurrence everywhere else;
//! - a byte order mark is skipped with a warning `byte-order-mark`;
//! - an escaped surrogate without its other half is an error, since no text can hold it.
//!
//! The loop keeps its own stack, so nesting costs memory within [`Limits::depth`] and never the
//! thread's stack.

use crate::document::{Builder, Document, Kind, Node, NodeId};
use crate::json::token::{Fault, Scanned, Tokens, fault};
use crate::reading::{FrameError, Limits, Place, Problem, Problems, Reading, Severity};

/// Reads one JSON text, which must be all of `bytes`.
///
/// Node offsets are those of the values, in bytes from the start of the input.
///
/// # Errors
///
/// Text that is not JSON in UTF-8, or that exceeds `limits`: the first fault, with byte offset,
/// line, column and the path of the container it is in. Codes: `invalid-utf8`, `unexpected`,
/// `unexpected-end`, `bad-escape`, `lone-surrogate`, `control-character`, `trailing-data`,
/// `too-large`, `too-long`, `too-deep`, `too-many-nodes`.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Reading, FrameError> {
    scanned(bytes, limits).map(Scanner::finish)
}

/// The document with every value of a key that repeats.
pub(super) fn read_all(bytes: &[u8], limits: &Limits) -> Result<Document, FrameError> {
    scanned(bytes, limits).map(|mut scanner| scanner.builder.finish())
}

fn scanned<'a>(bytes: &'a [u8], limits: &'a Limits) -> Result<Scanner<'a>, FrameError> {
    let frame_error = |fault: Fault, path: String| FrameError {
        code: fault.code,
        message: fault.message,
        place: Place { path, ..Place::in_text(bytes, fault.at) },
    };
    let most = limits.document_bytes();
    if bytes.len() > most {
        let message = format!("{} bytes, but the limit is {most}", bytes.len());
        return Err(frame_error(fault(most, "too-large", message), String::new()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        frame_error(fault(at, "invalid-utf8", "not UTF-8"), String::new())
    })?;
    let mut scanner = Scanner::new(text, limits);
    match scanner.run() {
        Ok(()) => Ok(scanner),
        Err(fault) => Err(frame_error(fault, scanner.builder.path())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

struct Scanner<'a> {
    tokens: Tokens<'a>,
    limits: &'a Limits,
    builder: Builder,
    open: Vec<Container>,
    /// Whether the container opened last is still empty, so that no comma is due.
    fresh: bool,
    key: String,
    value: String,
    seen: Vec<u32>,
    repeated: Vec<NodeId>,
    problems: Problems,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, limits: &'a Limits) -> Self {
        Self {
            tokens: Tokens { text, at: 0, longest: limits.record },
            limits,
            // Short values: a node for every 16 bytes, and names are stored once.
            builder: Builder::with_capacity(text.len() / 16 + 1, text.len() / 2),
            open: Vec::new(),
            fresh: false,
            key: String::new(),
            value: String::new(),
            seen: Vec::new(),
            repeated: Vec::new(),
            problems: Problems::new(limits.problems),
        }
    }

    fn run(&mut self) -> Result<(), Fault> {
        if self.tokens.text.starts_with('\u{feff}') {
            self.tokens.at = '\u{feff}'.len_utf8();
            self.problems.push(Severity::Warning, || Problem {
                severity: Severity::Warning,
                code: "byte-order-mark",
                message: "byte order mark before the JSON text".to_owned(),
                place: Place::in_text(&[], 0),
            });
        }
        self.tokens.blank();
        self.put_value("")?;
        while let Some(container) = self.open.last() {
            match container {
                Container::Object => self.member()?,
                Container::Array => self.item()?,
            }
        }
        self.tokens.blank();
        if self.tokens.at < self.tokens.text.len() {
            return Err(fault(self.tokens.at, "trailing-data", "data after the JSON text"));
        }
        Ok(())
    }

    fn finish(mut self) -> Reading {
        let mut document = self.builder.finish();
        if !self.repeated.is_empty() {
            self.repeated.sort_unstable();
            document = without(&document, &self.repeated);
        }
        Reading {
            document,
            problems: self.problems.finish(),
            span: 0..self.tokens.text.len() as u64,
        }
    }

    /// Steps over a comma, or over the end of the container; says whether a child follows.
    fn child_follows(&mut self, end: u8, wanted: &str) -> Result<bool, Fault> {
        self.tokens.blank();
        match self.tokens.peek() {
            Some(byte) if byte == end => {
                self.tokens.at += 1;
                self.close();
                Ok(false)
            }
            Some(b',') if !self.fresh => {
                self.tokens.at += 1;
                self.tokens.blank();
                Ok(true)
            }
            _ if self.fresh => Ok(true),
            _ => Err(self.tokens.unexpected(wanted)),
        }
    }

    fn member(&mut self) -> Result<(), Fault> {
        if !self.child_follows(b'}', "`,` or `}`")? {
            return Ok(());
        }
        let wanted = if self.fresh { "a key or `}`" } else { "a key" };
        self.fresh = false;
        if self.tokens.peek() != Some(b'"') {
            return Err(self.tokens.unexpected(wanted));
        }
        let mut scratch = std::mem::take(&mut self.key);
        let key = self.tokens.string(&mut scratch)?;
        self.tokens.blank();
        if self.tokens.peek() != Some(b':') {
            return Err(self.tokens.unexpected("`:`"));
        }
        self.tokens.at += 1;
        self.tokens.blank();
        match key {
            Scanned::Plain(key) => self.put_value(key)?,
            Scanned::Unescaped => self.put_value(&scratch)?,
        }
        self.key = scratch;
        Ok(())
    }

    fn item(&mut self) -> Result<(), Fault> {
        if !self.child_follows(b']', "`,` or `]`")? {
            return Ok(());
        }
        self.fresh = false;
        self.put_value("")
    }

    /// Puts a scalar, or opens a container whose children the main loop reads.
    fn put_value(&mut self, name: &str) -> Result<(), Fault> {
        if !self.builder.has_room(self.limits.nodes) {
            let message = format!("more than {} values", self.limits.nodes);
            return Err(fault(self.tokens.at, "too-many-nodes", message));
        }
        let from = self.tokens.at;
        match self.tokens.peek() {
            Some(b'"') => {
                let mut scratch = std::mem::take(&mut self.value);
                let text = match self.tokens.string(&mut scratch)? {
                    Scanned::Plain(text) => text,
                    Scanned::Unescaped => &scratch,
                };
                self.builder.put(Kind::Text, name, text, from);
                self.value = scratch;
                Ok(())
            }
            Some(b'{') => self.open(Container::Object, name),
            Some(b'[') => self.open(Container::Array, name),
            Some(b't') => self.word("true", Kind::Bool, name),
            Some(b'f') => self.word("false", Kind::Bool, name),
            Some(b'n') => self.word("null", Kind::Null, name),
            Some(b'-' | b'0'..=b'9') => {
                let number = self.tokens.number()?;
                self.builder.put(Kind::Number, name, number, from);
                Ok(())
            }
            _ => Err(self.tokens.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, kind: Kind, name: &str) -> Result<(), Fault> {
        let from = self.tokens.at;
        self.tokens.word(word)?;
        let text = if kind == Kind::Null { "" } else { word };
        self.builder.put(kind, name, text, from);
        Ok(())
    }

    fn open(&mut self, container: Container, name: &str) -> Result<(), Fault> {
        if self.open.len() >= self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(fault(self.tokens.at, "too-deep", message));
        }
        let kind = match container {
            Container::Object => Kind::Group,
            Container::Array => Kind::List,
        };
        self.builder.open(kind, name, self.tokens.at);
        self.open.push(container);
        self.tokens.at += 1;
        self.fresh = true;
        Ok(())
    }

    fn close(&mut self) {
        if self.open.pop() == Some(Container::Object) {
            let known = self.repeated.len();
            self.builder.repeated(&mut self.seen, &mut self.repeated);
            for at in known..self.repeated.len() {
                self.report_repeated(at);
            }
        }
        self.builder.close();
        self.fresh = false;
    }

    fn report_repeated(&mut self, at: usize) {
        let Some(node) = self.repeated.get(at).copied() else {
            return;
        };
        let (text, builder) = (self.tokens.text, &self.builder);
        self.problems.push(Severity::Warning, || Problem {
            severity: Severity::Warning,
            code: "duplicate-key",
            message: "the key occurs again in its object; its first value is kept".to_owned(),
            place: Place {
                path: builder.path(),
                ..Place::in_text(text.as_bytes(), builder.offset(node))
            },
        });
    }
}

/// A copy of the document without these nodes, which are in order.
fn without(document: &Document, dropped: &[NodeId]) -> Document {
    fn copy(builder: &mut Builder, node: Node<'_>, dropped: &[NodeId]) {
        if !matches!(node.kind(), Kind::Group | Kind::List) {
            builder.put(node.kind(), node.name(), node.text(), node.offset());
            return;
        }
        builder.open(node.kind(), node.name(), node.offset());
        for child in node.children() {
            if dropped.binary_search(&child.id()).is_err() {
                copy(builder, child, dropped);
            }
        }
        builder.close();
    }
    let mut builder = Builder::with_capacity(document.len(), 0);
    copy(&mut builder, document.root(), dropped);
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> FrameError {
        read(text.as_bytes(), &Limits::default()).unwrap_err()
    }

    #[test]
    fn escapes_become_their_characters() {
        let text = r#"["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude97", "plain"]"#;
        let reading = read(text.as_bytes(), &Limits::default()).unwrap();
        let texts: Vec<_> = reading.document.root().children().map(Node::text).collect();
        assert_eq!(texts, ["\"\\/\u{8}\u{c}\n\r\té🚗", "plain"]);
    }

    #[test]
    fn an_error_names_line_column_and_path() {
        let error = refused("{\"claim\": {\n  \"items\": [1, {\"ö\": tru }]}}");
        assert_eq!(error.to_string(), "2:25: claim/items[1]: true expected");
        assert_eq!(error.place.offset, 37);
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        for (text, code) in [
            ("", "unexpected-end"),
            ("{", "unexpected-end"),
            ("[1,]", "unexpected"),
            ("{,}", "unexpected"),
            ("{\"a\"}", "unexpected"),
            ("[1 2]", "unexpected"),
            ("01", "trailing-data"),
            ("-", "unexpected-end"),
            ("1.", "unexpected-end"),
            ("1e+", "unexpected-end"),
            (".5", "unexpected"),
            ("NaN", "unexpected"),
            ("'a'", "unexpected"),
            ("\"\u{1}\"", "control-character"),
            (r#""\x""#, "bad-escape"),
            (r#""\ud800""#, "lone-surrogate"),
            (r#""\ud800\u0041""#, "lone-surrogate"),
            (r#""\udc00""#, "lone-surrogate"),
            (r#""\u12g4""#, "unexpected"),
            ("\"abc", "unexpected-end"),
            ("{} {}", "trailing-data"),
        ] {
            assert_eq!(refused(text).code, code, "{text}");
        }
    }

    #[test]
    fn a_repeated_key_keeps_its_first_value() {
        let text = br#"{"a": {"b": 1, "c": {"b": 2}, "b": {"x": 3}}, "d": 4}"#;
        let reading = read(text, &Limits::default()).unwrap();
        let again = read(br#"{"a": {"b": 1, "c": {"b": 2}}, "d": 4}"#, &Limits::default());
        assert_eq!(reading.document, again.unwrap().document);
        let [problem] = reading.problems.as_slice() else {
            panic!("{:?}", reading.problems);
        };
        assert_eq!((problem.code, problem.place.column), ("duplicate-key", 36));
        assert_eq!(problem.place.path, "a");
        assert!(!reading.is_refused());
    }

    #[test]
    fn every_limit_is_kept() {
        let limits = Limits { document: 40, record: 8, depth: 3, nodes: 6, problems: 1 };
        let code = |text: &str| read(text.as_bytes(), &limits).map_err(|error| error.code);
        assert_eq!(code(&" ".repeat(41)), Err("too-large"));
        assert_eq!(code("\"123456789\""), Err("too-long"));
        assert_eq!(code("123456789"), Err("too-long"));
        assert_eq!(code("[[[[]]]]"), Err("too-deep"));
        assert_eq!(code("[1,2,3,4,5,6]"), Err("too-many-nodes"));
        assert!(code("[[[1]],2]").is_ok());
        let problems = code(r#"{"a":1,"a":2,"a":3}"#).unwrap().problems;
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["duplicate-key", "more-problems"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_name_their_place() {
        let error = read(b"{\"a\":\n\"\xff\"}", &Limits::default()).unwrap_err();
        assert_eq!((error.code, error.place.line, error.place.column), ("invalid-utf8", 2, 2));
    }
}
