//! One record on complete input: its columns, counted in characters.

use nom::IResult;

use crate::document::{trim_end, trimmed};
use crate::encoding::Encoding;

/// A record as text, with what makes its columns cheap to find.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    text: &'a str,
    /// A character is a byte.
    ascii: bool,
    /// Blanks that follow the text. Records are mostly padding: it is only counted.
    blanks: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self::padded(text, 0)
    }

    /// A text with blanks behind it.
    pub(crate) fn padded(text: &'a str, blanks: usize) -> Self {
        Self { text, ascii: text.is_ascii(), blanks }
    }

    /// The next `count` characters without trailing blanks. A record that ends before has blanks.
    pub(crate) fn field(&mut self, count: usize) -> &'a str {
        trim_end(self.take(count))
    }

    /// The next `count` characters, as far as they are not among the blanks at the end.
    pub(crate) fn take(&mut self, count: usize) -> &'a str {
        if self.ascii
            && let Some((taken, rest)) = self.text.split_at_checked(count)
            && !rest.is_empty()
        {
            self.text = rest;
            return taken;
        }
        // The parser takes what there is, so it has no error.
        let (rest, text) = up_to(self.ascii, count)(self.text).unwrap_or(("", self.text));
        if rest.is_empty() {
            let taken = if self.ascii { text.len() } else { text.chars().count() };
            self.blanks = self.blanks.saturating_sub(count - taken.min(count));
        }
        self.text = rest;
        text
    }

    /// What was not taken yet, without trailing blanks.
    pub(crate) fn rest(self) -> &'a str {
        trim_end(self.text)
    }

    /// The last character is a blank.
    pub(crate) fn ends_blank(self) -> bool {
        self.blanks > 0 || self.text.ends_with(' ')
    }

    /// Nothing but blanks is left.
    pub(crate) fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// How many characters are left, trailing blanks included.
    pub(crate) fn characters(self) -> usize {
        self.blanks + if self.ascii { self.text.len() } else { self.text.chars().count() }
    }

    /// How many bytes are left, as UTF-8.
    pub(crate) fn bytes(self) -> usize {
        self.text.len() + self.blanks
    }

    /// How many bytes are left of the record in its encoding.
    pub(crate) fn bytes_in(self, encoding: Encoding) -> usize {
        encoding.length(self.text) + self.blanks * encoding.width()
    }

    /// Whether a character is a byte.
    pub(crate) fn is_ascii(self) -> bool {
        self.ascii
    }

    /// What is left, if it is ASCII of at most that many characters.
    pub(crate) fn within(self, length: usize) -> Option<&'a str> {
        (self.ascii && self.text.len() <= length).then_some(self.text)
    }

    /// Without trailing blanks.
    pub(crate) fn trimmed(self) -> Self {
        Self { text: trim_end(self.text), blanks: 0, ..self }
    }
}

/// The bytes without trailing blanks, and how many of these there were.
pub(crate) fn unpadded(bytes: &[u8]) -> (&[u8], usize) {
    let kept = trimmed(bytes);
    (kept, bytes.len() - kept.len())
}

/// Takes `count` characters, or all there are.
fn up_to<'a>(ascii: bool, count: usize) -> impl Fn(&'a str) -> IResult<&'a str, &'a str> {
    move |text| {
        let at = if ascii { Some(count) } else { text.char_indices().nth(count).map(|(at, _)| at) };
        let (taken, rest) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        Ok((rest, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_not_bytes() {
        let mut columns = Columns::new("Müller  ß  x");
        assert_eq!(columns.field(8), "Müller");
        assert_eq!(columns.field(3), "ß");
        assert_eq!((columns.characters(), columns.field(9)), (1, "x"));
        assert_eq!(columns.field(9), "");
    }
}
