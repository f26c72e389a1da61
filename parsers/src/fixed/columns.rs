//! One record on complete input: its columns, counted in characters.

use nom::IResult;

use crate::encoding::Encoding;

/// A record as text, with what makes its columns cheap to find.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) text: &'a str,
    /// A character is a byte.
    pub(crate) ascii: bool,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, ascii: text.is_ascii() }
    }

    /// The next `count` characters without trailing blanks. A record that ends before has blanks.
    pub(crate) fn field(&mut self, count: usize) -> &'a str {
        // The parser takes what there is, so it has no error.
        let (rest, text) = up_to(self.ascii, count)(self.text).unwrap_or(("", self.text));
        self.text = rest;
        trim_end(text)
    }

    /// What was not taken yet, without trailing blanks.
    pub(crate) fn rest(self) -> &'a str {
        trim_end(self.text)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// How many characters are left, trailing blanks included.
    pub(crate) fn characters(self) -> usize {
        if self.ascii { self.text.len() } else { self.text.chars().count() }
    }

    /// How many bytes are left.
    pub(crate) fn bytes(self) -> usize {
        self.text.len()
    }

    /// How many bytes are left of the record in its encoding.
    pub(crate) fn bytes_in(self, encoding: Encoding) -> usize {
        encoding.length(self.text)
    }

    /// Without trailing blanks.
    pub(crate) fn trimmed(self) -> Self {
        Self { text: trim_end(self.text), ..self }
    }
}

/// Takes `count` characters, or all there are.
pub(crate) fn up_to<'a>(
    ascii: bool,
    count: usize,
) -> impl Fn(&'a str) -> IResult<&'a str, &'a str> {
    move |text| {
        let at = if ascii { Some(count) } else { text.char_indices().nth(count).map(|(at, _)| at) };
        let (taken, rest) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        Ok((rest, taken))
    }
}

/// Without trailing blanks. Records are mostly padding, so it goes by blocks.
pub(crate) fn trim_end(text: &str) -> &str {
    const BLOCK: usize = 16;
    let mut bytes = text.as_bytes();
    while let Some((head, [b' ', ..])) = bytes.split_last_chunk::<BLOCK>()
        && bytes.ends_with(&[b' '; BLOCK])
    {
        bytes = head;
    }
    while let Some((b' ', head)) = bytes.split_last() {
        bytes = head;
    }
    text.get(..bytes.len()).unwrap_or(text)
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
