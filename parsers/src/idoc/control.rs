//! The fixed layouts of release 4.x: control record and data record header.
//!
//! Field names and lengths are those of the SAP structures `EDI_DC40` and `EDI_DD40`, in which
//! six independent sources agree (SAP parser export, C header, RFC metadata, XSD, two readers).
//! All lengths are characters.

/// A field of a fixed layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field name.
    pub name: &'static str,
    /// The first character, from 0.
    pub offset: usize,
    /// Characters.
    pub length: usize,
}

/// The control record, the first record of every IDoc.
pub const EDI_DC40: [Column; 36] = columns([
    ("TABNAM", 10),
    ("MANDT", 3),
    ("DOCNUM", 16),
    ("DOCREL", 4),
    ("STATUS", 2),
    ("DIRECT", 1),
    ("OUTMOD", 1),
    ("EXPRSS", 1),
    ("TEST", 1),
    ("IDOCTYP", 30),
    ("CIMTYP", 30),
    ("MESTYP", 30),
    ("MESCOD", 3),
    ("MESFCT", 3),
    ("STD", 1),
    ("STDVRS", 6),
    ("STDMES", 6),
    ("SNDPOR", 10),
    ("SNDPRT", 2),
    ("SNDPFC", 2),
    ("SNDPRN", 10),
    ("SNDSAD", 21),
    ("SNDLAD", 70),
    ("RCVPOR", 10),
    ("RCVPRT", 2),
    ("RCVPFC", 2),
    ("RCVPRN", 10),
    ("RCVSAD", 21),
    ("RCVLAD", 70),
    ("CREDAT", 8),
    ("CRETIM", 6),
    ("REFINT", 14),
    ("REFGRP", 14),
    ("REFMES", 14),
    ("ARCKEY", 70),
    ("SERIAL", 20),
]);

/// Characters of a control record.
pub const EDI_DC40_LENGTH: usize = 524;

/// The header of a data record, before the segment data.
pub const EDI_DD40: [Column; 6] = columns([
    ("SEGNAM", 30),
    ("MANDT", 3),
    ("DOCNUM", 16),
    ("SEGNUM", 6),
    ("PSGNUM", 6),
    ("HLEVEL", 2),
]);

/// Characters of the header of a data record.
pub const DATA_HEADER: usize = 63;

/// Characters of the segment data (`SDATA`) of a data record.
pub const SDATA_LENGTH: usize = 1000;

/// The name of the control record's node in a document, and the value of its `TABNAM`.
pub(crate) const CONTROL: &str = "EDI_DC40";

const fn columns<const N: usize>(fields: [(&'static str, usize); N]) -> [Column; N] {
    let mut columns = [Column { name: "", offset: 0, length: 0 }; N];
    let (mut at, mut offset) = (0, 0);
    while at < N {
        let (name, length) = fields[at];
        columns[at] = Column { name, offset, length };
        offset += length;
        at += 1;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(columns: &[Column], name: &str) -> (usize, usize) {
        let found = columns.iter().find(|column| column.name == name).unwrap();
        (found.offset, found.length)
    }

    #[test]
    fn the_control_record_has_the_offsets_of_sap() {
        for (name, offset) in [("IDOCTYP", 39), ("SNDPRN", 162), ("RCVPOR", 263), ("CREDAT", 378)] {
            assert_eq!(column(&EDI_DC40, name).0, offset, "{name}");
        }
        assert_eq!(column(&EDI_DC40, "SERIAL"), (504, 20));
        assert_eq!(EDI_DC40_LENGTH, 504 + 20);
    }

    #[test]
    fn the_data_header_ends_where_the_segment_data_begins() {
        assert_eq!(column(&EDI_DD40, "SEGNUM"), (49, 6));
        assert_eq!(column(&EDI_DD40, "HLEVEL"), (DATA_HEADER - 2, 2));
    }
}
