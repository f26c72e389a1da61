//! One record on complete input: its columns, counted in characters.

use nom::IResult;

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
    fn take(&mut self, count: usize) -> &'a str {
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

/// Without trailing blanks.
pub(crate) fn trim_end(text: &str) -> &str {
    text.get(..trimmed(text.as_bytes()).len()).unwrap_or(text)
}

/// Without trailing blanks. Records are mostly padding, so it goes by blocks.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    const BLOCK: usize = 32;
    if !bytes.ends_with(b"  ") {
        return bytes.strip_suffix(b" ").unwrap_or(bytes);
    }
    while let Some((head, block)) = bytes.split_last_chunk::<BLOCK>()
        && *block == [b' '; BLOCK]
    {
        bytes = head;
    }
    while let Some((b' ', head)) = bytes.split_last() {
        bytes = head;
    }
    bytes
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

    #[test]
    fn blanks_behind_a_value_are_trimmed_at_any_length() {
        for blanks in 0..70 {
            for text in ["", "x", " x", "0123456789abcdef", "ü"] {
                let padded = format!("{text}{}", " ".repeat(blanks));
                assert_eq!(trim_end(&padded), text);
            }
        }
    }
}
