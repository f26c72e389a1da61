//! Mistakes in files that people write: what, where, and the remedy.
//!
//! Every reader of such a file collects [`Diagnostic`]s in a [`Problems`] and goes on, so that
//! `waybill check` shows all mistakes at once. Secrets are in none of them: what people see of a file
//! is what [`Problems::into_list`] lets through.

mod mask;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file as written: its name for people and its text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as the user would type it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl SourceFile {
    /// A file of that name and text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// A stretch of a [`SourceFile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

/// A value with the place where it was written.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub mark: Mark,
}

/// The place is for people: the same value elsewhere is the same.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> Spanned<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), mark: self.mark }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user would type it.
    pub file: Arc<str>,
    /// Where in the file.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The line of the file, for display, without secrets.
    pub excerpt: String,
    /// The bytes of [`excerpt`](Self::excerpt) that it is about.
    pub span: Range<usize>,
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message; remedy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { line, column, .. } = self.mark;
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The mistakes found in one file so far.
#[derive(Clone, Debug)]
pub struct Problems {
    file: SourceFile,
    list: Vec<Diagnostic>,
}

impl Problems {
    /// None yet, for `file`.
    pub fn new(file: SourceFile) -> Self {
        Self { file, list: Vec::new() }
    }

    /// The file that they are about.
    pub fn file(&self) -> &SourceFile {
        &self.file
    }

    /// Adds a mistake at `mark`.
    pub fn add(&mut self, mark: Mark, message: impl Into<String>) {
        self.push(mark, message.into(), None);
    }

    /// Adds a mistake at `mark` with what to do about it.
    pub fn advise(&mut self, mark: Mark, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(mark, message.into(), Some(remedy.into()));
    }

    /// Adds a name that does not exist, with the one it may be a misspelling of.
    pub fn unknown<'n>(
        &mut self,
        mark: Mark,
        what: &str,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) {
        let names: Vec<&str> = names.into_iter().collect();
        let remedy = match waybill_parsers::schema::nearest(written, names.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if names.is_empty() => None,
            None if names.len() <= 12 => Some(format!("known: {}", names.join(", "))),
            None => None,
        };
        self.push(mark, format!("unknown {what} `{written}`"), remedy);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them, in the order of their places, with their lines. Secrets are masked here, for
    /// every reader of every file.
    pub fn into_list(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.mark.start);
        if self.list.is_empty() {
            return self.list;
        }
        let lines = mask::lines(&self.file.text);
        for diagnostic in &mut self.list {
            let Mark { line, column, start, end } = diagnostic.mark;
            let line = line.checked_sub(1).and_then(|line| lines.get(line));
            let line = line.unwrap_or(const { &mask::Line::EMPTY });
            diagnostic.message = line.message(&diagnostic.message);
            let stretch = line.stretch(column, end.saturating_sub(start));
            (diagnostic.excerpt, diagnostic.span) = line.shown(stretch);
        }
        self.list
    }

    fn push(&mut self, mark: Mark, message: String, remedy: Option<String>) {
        let (file, excerpt) = (self.file.name.clone(), String::new());
        self.list.push(Diagnostic { file, mark, message, remedy, excerpt, span: 0..0 });
    }
}
