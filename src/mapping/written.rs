//! Text inside a scalar of the mapping file, and where each of its characters stands.

use std::ops::Range;

use super::expr::Spot;
use crate::diagnostic::{Mark, Problems, SourceFile, Spanned};

/// The text of one scalar with its place.
#[derive(Clone, Debug)]
pub(crate) struct Written<'a> {
    whole: &'a str,
    /// The part of `whole` that is meant, in bytes.
    part: Range<usize>,
    mark: Mark,
    file: SourceFile,
}

impl<'a> Written<'a> {
    /// The scalar `scalar` of the file that `problems` are about.
    pub(crate) fn new(scalar: &'a Spanned<String>, problems: &Problems) -> Self {
        let whole = scalar.value.as_str();
        Self { whole, part: 0..whole.len(), mark: scalar.mark, file: problems.file().clone() }
    }

    /// The same scalar, but only these bytes of its text.
    pub(crate) fn part(&self, part: Range<usize>) -> Self {
        let from = self.part.start;
        Self { part: from + part.start..from + part.end, ..self.clone() }
    }

    /// The text.
    pub(crate) fn text(&self) -> &'a str {
        self.whole.get(self.part.clone()).unwrap_or("")
    }

    /// Where byte `at` of the text stands in the file.
    ///
    /// Quotes and escapes take room in the file and none in the text. Scalars over several lines
    /// are folded; in them every place is that of their beginning.
    pub(crate) fn mark(&self, at: usize) -> Mark {
        let Some(source) = self.file.text.get(self.mark.start..) else {
            return self.mark;
        };
        let characters =
            self.whole.get(..self.part.start + at).map_or(0, |head| head.chars().count());
        let Some((bytes, columns)) = skip(source, characters) else {
            return self.mark;
        };
        let start = self.mark.start + bytes;
        Mark {
            start,
            end: self.mark.end.max(start),
            column: self.mark.column + columns,
            ..self.mark
        }
    }

    /// As [`mark`](Self::mark), line and column only.
    pub(crate) fn spot(&self, at: usize) -> Spot {
        let Mark { line, column, .. } = self.mark(at);
        Spot { line, column }
    }
}

/// How many bytes and characters of `source`, which begins with a scalar, stand before its
/// character number `count`; `None` where the scalar goes over the end of its line.
fn skip(source: &str, count: usize) -> Option<(usize, usize)> {
    let quote = source.chars().next().filter(|first| matches!(first, '\'' | '"'));
    if matches!(source.chars().next(), Some('|' | '>')) {
        return None;
    }
    let (mut bytes, mut columns) = if quote.is_some() { (1, 1) } else { (0, 0) };
    for _ in 0..count {
        let rest = source.get(bytes..)?;
        let long = match (quote, rest.as_bytes()) {
            (Some('\''), [b'\'', b'\'', ..]) => 2,
            (Some('"'), [b'\\', b'x', ..]) => 4,
            (Some('"'), [b'\\', b'u', ..]) => 6,
            (Some('"'), [b'\\', b'U', ..]) => 10,
            (Some('"'), [b'\\', _, ..]) => 2,
            _ => 1,
        };
        for character in rest.chars().take(long) {
            if character == '\n' {
                return None;
            }
            bytes += character.len_utf8();
            columns += 1;
        }
    }
    Some((bytes, columns))
}
