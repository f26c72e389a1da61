//! YAML as people wrote it: a tree in which every scalar keeps its source text and its place.
//!
//! Typed deserialisation stops at the first mistake and turns `0010` into a number on its way
//! through untyped values. Here nothing is guessed (`000` stays `000`, `NO` stays `NO`), and a
//! reader asks for what it expects through [`Fields`], which reports every missing, unknown and
//! ill-typed key and goes on.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::{Mark, Problems, Spanned};

/// Nesting beyond this is refused; files that people write stay far below.
const MAX_DEPTH: usize = 64;

/// A node with its place.
pub type Node = Spanned<Value>;

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// A scalar: its text, and whether it was written without quotes.
    Scalar {
        /// The text between the quotes, escapes resolved.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null`, `~` or nothing at all, unquoted.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of a file. `None` where the text is not YAML; the reason is in
/// `problems`.
pub fn read(problems: &mut Problems) -> Option<Node> {
    let text = problems.file().text.clone();
    let mut reader = Reader { parser: Parser::new_from_str(&text), text: &text, problems };
    match reader.document() {
        Ok(node) => node,
        Err(error) => {
            let at = *error.marker();
            let start = at.byte_offset().unwrap_or(0);
            let mark = Mark { start, end: start, line: at.line(), column: at.col() + 1 };
            problems.add(mark, format!("not valid YAML: {}", error.info()));
            None
        }
    }
}

struct Reader<'a, 't> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    text: &'t str,
    problems: &'a mut Problems,
}

impl<'t> Reader<'_, 't> {
    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        loop {
            match self.next()? {
                Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
                Some((Event::StreamEnd | Event::DocumentEnd, _)) | None => {
                    let mark = Mark { line: 1, column: 1, ..Mark::default() };
                    self.problems.add(mark, "the file is empty");
                    return Ok(None);
                }
                Some((event, span)) => return self.node(event, span, 0).map(Some),
            }
        }
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, ScanError> {
        self.parser.next_event().transpose()
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, ScanError> {
        let mark = mark(span);
        if depth > MAX_DEPTH {
            self.problems.add(mark, "nested too deeply");
            self.skip(&event)?;
            return Ok(Node { value: Value::List(Vec::new()), mark });
        }
        let value = match event {
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(..) => {
                self.problems.advise(mark, "aliases are not supported", "write the value out");
                Value::Scalar { text: String::new(), plain: true }
            }
            Event::Scalar(text, style, ..) => {
                let plain = matches!(style, ScalarStyle::Plain);
                // The parser gives `~` for a value that is not there.
                let absent = plain && text == "~" && !self.text[mark.start..].starts_with('~');
                let text = if absent { String::new() } else { text.into_owned() };
                Value::Scalar { text, plain }
            }
            _ => Value::Scalar { text: String::new(), plain: true },
        };
        Ok(Node { value, mark })
    }

    fn list(&mut self, depth: usize) -> Result<Value, ScanError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, ScanError> {
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let value = match self.next()? {
                Some((event, span)) => self.node(event, span, depth + 1)?,
                None => break,
            };
            let Some(name) = key.text().map(str::to_owned) else {
                self.problems.add(key.mark, "a key must be text");
                continue;
            };
            if entries.iter().any(|(other, _)| other.value == name) {
                self.problems.add(key.mark, format!("`{name}` is written twice"));
                continue;
            }
            entries.push((Spanned { value: name, mark: key.mark }, value));
        }
        Ok(Value::Map(entries))
    }

    fn skip(&mut self, event: &Event<'t>) -> Result<(), ScanError> {
        let mut depth = usize::from(opens(event));
        while depth > 0 {
            match self.next()? {
                Some((event, _)) if opens(&event) => depth += 1,
                Some((Event::SequenceEnd | Event::MappingEnd, _)) => depth -= 1,
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }
}

fn opens(event: &Event<'_>) -> bool {
    matches!(event, Event::SequenceStart(..) | Event::MappingStart(..))
}

fn mark(span: Span) -> Mark {
    let start = span.start.byte_offset().unwrap_or(0);
    let end = span.end.byte_offset().unwrap_or(start);
    Mark { start, end, line: span.start.line(), column: span.start.col() + 1 }
}

/// The keys of a mapping, taken one by one by a reader that knows what may stand there.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: &'a [(Spanned<String>, Node)],
    mark: Mark,
    what: &'a str,
    asked: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which `what` names in messages; `None` (and a problem) where it is
    /// not a mapping.
    pub fn of(node: &'a Node, what: &'a str, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { entries, mark: node.mark, what, asked: Vec::new() }),
            _ => {
                problems
                    .add(node.mark, format!("{what}: a mapping is expected, not {}", node.what()));
                None
            }
        }
    }

    /// The place of the whole mapping.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether a key is written, with a value or without.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.value == key)
    }

    /// The value of an optional key; an explicit null counts as absent.
    pub fn optional(&mut self, key: &'a str) -> Option<&'a Node> {
        self.asked.push(key);
        let found = self.entries.iter().find(|(name, _)| name.value == key);
        found.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// The value of a key that must be there.
    pub fn required(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            problems.add(self.mark, format!("{}: `{key}` is missing", self.what));
        }
        found
    }

    /// The text of an optional key.
    pub fn text(&mut self, key: &'a str, problems: &mut Problems) -> Option<Spanned<String>> {
        let node = self.optional(key)?;
        text(node, key, problems)
    }

    /// The text of a key that must be there.
    pub fn required_text(
        &mut self,
        key: &'a str,
        problems: &mut Problems,
    ) -> Option<Spanned<String>> {
        let node = self.required(key, problems)?;
        text(node, key, problems)
    }

    /// An optional value that `parse` reads from text; its error becomes a problem at the value.
    pub fn parsed<T>(
        &mut self,
        key: &'a str,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let written = self.text(key, problems)?;
        parse(&written.value)
            .map_err(|reason| problems.add(written.mark, format!("{key}: {reason}")))
            .ok()
    }

    /// An optional `true` or `false`.
    pub fn flag(&mut self, key: &'a str, problems: &mut Problems) -> Option<bool> {
        self.parsed(key, problems, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`true` or `false` is expected, not `{other}`")),
        })
    }

    /// One of the words of a closed list.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'a str,
        problems: &mut Problems,
        words: &[(&str, T)],
    ) -> Option<T> {
        let written = self.text(key, problems)?;
        let found = words.iter().find(|(word, _)| *word == written.value);
        if found.is_none() {
            problems.unknown(
                written.mark,
                key,
                &written.value,
                words.iter().map(|(word, _)| *word),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (name, _) in self.entries {
            if !self.asked.contains(&name.value.as_str()) {
                let what = format!("key of {}", self.what);
                // A key that is there already is not what was meant.
                let absent = self.asked.iter().copied().filter(|asked| !self.has(asked));
                problems.unknown(name.mark, &what, &name.value, absent);
            }
        }
    }
}

/// The `version: 1` that every file begins with; the files may change, their meaning may not.
pub fn version<'a>(fields: &mut Fields<'a>, problems: &mut Problems) {
    if let Some(version) = fields.required_text("version", problems)
        && version.value != "1"
    {
        let message = format!("version {} is not known", version.value);
        problems.advise(version.mark, message, "write `version: 1`");
    }
}

/// The text of a scalar node, which `what` names in messages.
pub fn text(node: &Node, what: &str, problems: &mut Problems) -> Option<Spanned<String>> {
    match node.text() {
        Some(text) => Some(Spanned { value: text.to_owned(), mark: node.mark }),
        None => {
            problems.add(node.mark, format!("{what}: text is expected, not {}", node.what()));
            None
        }
    }
}

/// The items of a list; a single node that is no list counts as a list of one.
pub fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// The entries of a mapping, for those whose keys are names chosen by the author.
pub fn entries<'a>(
    node: &'a Node,
    what: &str,
    problems: &mut Problems,
) -> &'a [(Spanned<String>, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => {
            problems.add(node.mark, format!("{what}: a mapping is expected, not {}", node.what()));
            &[]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    fn parsed(text: &str) -> (Option<Node>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("t.yaml", text));
        let node = read(&mut problems);
        (node, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn scalars_keep_their_source_text() {
        let (node, problems) = parsed("{ a: 0010, b: NO, c: \"000\", d: 1e3, e: , f: '~' }");
        assert_eq!(problems, Vec::<String>::new());
        let node = node.unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        let texts: Vec<_> = entries.iter().map(|(_, node)| node.text().unwrap()).collect();
        assert_eq!(texts, ["0010", "NO", "000", "1e3", "", "~"]);
        let nulls: Vec<_> = entries.iter().map(|(_, node)| node.is_null()).collect();
        assert_eq!(nulls, [false, false, false, false, true, false]);
    }

    #[test]
    fn every_problem_of_a_mapping_is_reported_with_its_place() {
        let text = "# a comment\nversion: 1\nqeue: x\nprefetch: [1]\nprefetch: 2\n";
        let mut problems = Problems::new(SourceFile::new("t.yaml", text));
        let node = read(&mut problems).unwrap();
        let mut fields = Fields::of(&node, "source", &mut problems).unwrap();
        fields.text("version", &mut problems);
        fields.required_text("queue", &mut problems);
        fields.text("prefetch", &mut problems);
        fields.finish(&mut problems);
        let list: Vec<_> = problems.into_list().iter().map(ToString::to_string).collect();
        assert_eq!(
            list,
            [
                "t.yaml:2:1: source: `queue` is missing",
                "t.yaml:3:1: unknown key of source `qeue`; did you mean `queue`?",
                "t.yaml:4:11: prefetch: text is expected, not a list",
                "t.yaml:5:1: `prefetch` is written twice",
            ]
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let (node, problems) = parsed("a: 1\nb: [1, 2\nc: 3\n");
        assert!(node.is_none());
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("t.yaml:"), "{problems:?}");
    }

    #[test]
    fn an_empty_file_says_so() {
        assert_eq!(parsed("# nothing\n").1, ["t.yaml:1:1: the file is empty"]);
    }
}
