//! One record on complete input: its columns, counted in characters.

use nom::{IResult, Parser};

use crate::encoding::Encoding;
use crate::idoc::control::Release;

/// A record as text, with what makes its columns cheap to find.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    text: &'a str,
    /// A character is a byte.
    ascii: bool,
}

/// The header fields of a data record, and its segment data.
pub(super) struct DataRecord<'a> {
    pub(super) definition: &'a str,
    pub(super) document_number: &'a str,
    /// `SEGNUM` and `PSGNUM`; `None` where the field is blank or not a number.
    pub(super) number: Option<u32>,
    pub(super) parent: Option<u32>,
    pub(super) data: Columns<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, ascii: text.is_ascii() }
    }

    /// The next `count` characters without trailing blanks. A record that ends before has blanks.
    pub(super) fn field(&mut self, count: usize) -> &'a str {
        // The parser takes what there is, so it has no error.
        let (rest, text) = up_to(self.ascii, count)(self.text).unwrap_or(("", self.text));
        self.text = rest;
        trim_end(text)
    }

    /// What was not taken yet, without trailing blanks.
    pub(super) fn rest(self) -> &'a str {
        trim_end(self.text)
    }

    pub(super) fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// How many characters are left, trailing blanks included.
    pub(super) fn characters(self) -> usize {
        if self.ascii { self.text.len() } else { self.text.chars().count() }
    }

    /// How many bytes are left.
    pub(super) fn bytes(self) -> usize {
        self.text.len()
    }

    /// How many bytes are left of the record in its encoding.
    pub(super) fn bytes_in(self, encoding: Encoding) -> usize {
        encoding.length(self.text)
    }

    /// Without trailing blanks.
    pub(super) fn trimmed(self) -> Self {
        Self { text: trim_end(self.text), ..self }
    }
}

/// A data record in the layout `EDI_DD40`, or `EDI_DD` of release 3.x.
pub(super) fn data_record(record: Columns<'_>, release: Release) -> DataRecord<'_> {
    let field = |count| up_to(record.ascii, count);
    let (data, (definition, document_number, number, parent)) = match release {
        Release::R4 => {
            let header = (field(30), field(3), field(16), field(6), field(6), field(2));
            let parsed: IResult<&str, _> = { header }.parse(record.text);
            let (data, (name, _, document, number, parent, _)) =
                parsed.unwrap_or(("", Default::default()));
            (data, (name, document, number, parent))
        }
        Release::R3 => {
            let start = (field(10), field(3), field(16), field(6), field(10));
            let parsed: IResult<&str, _> =
                (start, (field(6), field(2), field(2))).parse(record.text);
            let (data, ((table, _, document, number, name), (parent, _, _))) =
                parsed.unwrap_or(("", Default::default()));
            let name = if trim_end(name).is_empty() { table } else { name };
            (data, (name, document, number, parent))
        }
    };
    DataRecord {
        definition: trim_end(definition),
        document_number: trim_end(document_number),
        number: trim_end(number).parse().ok(),
        parent: trim_end(parent).parse().ok(),
        data: Columns { text: data, ascii: record.ascii },
    }
}

/// Takes `count` characters, or all there are.
fn up_to<'a>(ascii: bool, count: usize) -> impl Fn(&'a str) -> IResult<&'a str, &'a str> {
    move |text| {
        let at = if ascii { Some(count) } else { text.char_indices().nth(count).map(|(at, _)| at) };
        let (taken, rest) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        Ok((rest, taken))
    }
}

/// Without trailing blanks. Records are mostly padding, so it goes by blocks.
fn trim_end(text: &str) -> &str {
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

    #[test]
    fn a_short_header_has_blanks() {
        let record = data_record(Columns::new("E2EDK01005"), Release::R4);
        assert_eq!((record.definition, record.number), ("E2EDK01005", None));
        assert!(record.data.is_empty());
    }
}
