//! The header of a data record.

use nom::{IResult, Parser};

use crate::fixed::columns::{Columns, trim_end, up_to};
use crate::idoc::control::Release;

/// The header fields of a data record, and its segment data.
pub(super) struct DataRecord<'a> {
    pub(super) definition: &'a str,
    pub(super) document_number: &'a str,
    /// `SEGNUM` and `PSGNUM`; `None` where the field is blank or not a number.
    pub(super) number: Option<u32>,
    pub(super) parent: Option<u32>,
    pub(super) data: Columns<'a>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_header_has_blanks() {
        let record = data_record(Columns::new("E2EDK01005"), Release::R4);
        assert_eq!((record.definition, record.number), ("E2EDK01005", None));
        assert!(record.data.is_empty());
    }
}
