//! The header of a data record.

use crate::document::trim_end;
use crate::fixed::columns::Columns;
use crate::idoc::control::{DATA_HEADER, Release};

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
pub(super) fn data_record(mut record: Columns<'_>, release: Release) -> DataRecord<'_> {
    let (definition, document_number, number, parent);
    match release {
        Release::R4 if record.is_ascii() && record.within(DATA_HEADER - 1).is_none() => {
            let header = record.take(DATA_HEADER);
            let field = |from: usize, to: usize| trim_end(header.get(from..to).unwrap_or_default());
            (definition, document_number) = (field(0, 30), field(33, 49));
            (number, parent) = (field(49, 55), field(55, 61));
        }
        Release::R4 => {
            definition = record.field(30);
            record.field(3);
            document_number = record.field(16);
            number = record.field(6);
            parent = record.field(6);
            record.field(2);
        }
        Release::R3 => {
            let table = record.field(10);
            record.field(3);
            document_number = record.field(16);
            number = record.field(6);
            let name = record.field(10);
            definition = if name.is_empty() { table } else { name };
            parent = record.field(6);
            record.field(4);
        }
    }
    DataRecord {
        definition,
        document_number,
        number: number.parse().ok(),
        parent: parent.parse().ok(),
        data: record,
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
