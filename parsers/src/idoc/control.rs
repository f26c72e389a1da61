//! The fixed layouts: control record, data record header and status record.
//!
//! Field names and lengths are those of the SAP structures `EDI_DC40` and `EDI_DD40`, in which
//! six independent sources agree (SAP parser export, C header, RFC metadata, XSD, two readers).
//! All lengths are characters. Those of release 3.x were confirmed byte by byte on one real file,
//! except for `SERIAL`, `EXPRSS` and the name `DTINT2`, which are from memory.

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

/// The status record (`EDI_DS40`): what became of an IDoc, as a file port exchanges it.
pub const EDI_DS40: [Column; 24] = columns([
    ("TABNAM", 10),
    ("MANDT", 3),
    ("DOCNUM", 16),
    ("LOGDAT", 8),
    ("LOGTIM", 6),
    ("STATUS", 2),
    ("STAMQU", 3),
    ("STAMID", 20),
    ("STAMNO", 3),
    ("STATYP", 1),
    ("STAPA1", 50),
    ("STAPA2", 50),
    ("STAPA3", 50),
    ("STAPA4", 50),
    ("STATXT", 70),
    ("UNAME", 12),
    ("REPID", 30),
    ("ROUTID", 30),
    ("SEGNUM", 6),
    ("SEGFLD", 30),
    ("REFINT", 14),
    ("REFGRP", 14),
    ("REFMES", 14),
    ("ARCKEY", 70),
]);

/// Characters of a status record.
pub const EDI_DS40_LENGTH: usize = 562;

/// The control record of release 3.x, in which the receiver stands before the sender.
pub const EDI_DC: [Column; 35] = columns([
    ("TABNAM", 10),
    ("MANDT", 3),
    ("DOCNUM", 16),
    ("DOCREL", 4),
    ("STATUS", 2),
    ("DOCTYP", 8),
    ("DIRECT", 1),
    ("RCVPOR", 10),
    ("RCVPRT", 2),
    ("RCVPRN", 10),
    ("RCVSAD", 21),
    ("RCVLAD", 70),
    ("STD", 1),
    ("STDVRS", 6),
    ("STDMES", 6),
    ("MESCOD", 3),
    ("MESFCT", 3),
    ("OUTMOD", 1),
    ("TEST", 1),
    ("SNDPOR", 10),
    ("SNDPRT", 2),
    ("SNDPRN", 10),
    ("SNDSAD", 21),
    ("SNDLAD", 70),
    ("REFINT", 14),
    ("REFGRP", 14),
    ("REFMES", 14),
    ("ARCKEY", 70),
    ("CREDAT", 8),
    ("CRETIM", 6),
    ("MESTYP", 6),
    ("IDOCTYP", 8),
    ("CIMTYP", 8),
    ("RCVPFC", 2),
    ("SNDPFC", 2),
    // SERIAL and EXPRSS follow; see `EDI_DC_TAIL`.
]);

/// What follows the fields of [`EDI_DC`]: `SERIAL` and `EXPRSS`, from memory.
pub const EDI_DC_TAIL: [Column; 2] = [
    Column { name: "SERIAL", offset: 443, length: 20 },
    Column { name: "EXPRSS", offset: 463, length: 1 },
];

/// Characters of a control record of release 3.x.
pub const EDI_DC_LENGTH: usize = 464;

/// The header of a data record of release 3.x: `TABNAM`, `MANDT`, `DOCNUM`, `SEGNUM`, `SEGNAM`,
/// `PSGNUM`, `HLEVEL` and two blanks.
pub const DATA_HEADER_3X: usize = 55;

/// Which layouts a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Release {
    /// `EDI_DC` and `EDI_DD`, up to release 3.1.
    R3,
    /// `EDI_DC40` and `EDI_DD40`, from release 4.0 to today.
    #[default]
    R4,
}

impl Release {
    /// Characters of the control record.
    pub(crate) fn control_length(self) -> usize {
        match self {
            Self::R3 => EDI_DC_LENGTH,
            Self::R4 => EDI_DC40_LENGTH,
        }
    }

    /// Characters of a data record.
    pub(crate) fn data_length(self) -> usize {
        SDATA_LENGTH
            + match self {
                Self::R3 => DATA_HEADER_3X,
                Self::R4 => DATA_HEADER,
            }
    }

    /// Where the control record has a field of [`EDI_DC40`].
    pub(crate) fn control_column(self, name: &str) -> Option<Column> {
        let named = |column: &&Column| column.name == name;
        match self {
            Self::R3 => EDI_DC.iter().chain(&EDI_DC_TAIL).find(named).copied(),
            Self::R4 => EDI_DC40.iter().find(named).copied(),
        }
    }
}

/// The name of the control record's node in a document, and the value of its `TABNAM`.
pub(crate) const CONTROL: &str = "EDI_DC40";

/// The name of a status record's document and node, and the value of its `TABNAM`.
pub(crate) const STATUS: &str = "EDI_DS40";

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
    fn the_other_layouts_have_their_lengths() {
        assert_eq!(column(&EDI_DS40, "SEGFLD"), (420, 30));
        assert_eq!(column(&EDI_DS40, "ARCKEY"), (EDI_DS40_LENGTH - 70, 70));
        assert_eq!(column(&EDI_DC, "SNDPRN"), (190, 10));
        assert_eq!(column(&EDI_DC, "IDOCTYP"), (423, 8));
        assert_eq!(column(&EDI_DC, "SNDPFC"), (441, 2));
        assert_eq!(column(&EDI_DC_TAIL, "EXPRSS"), (EDI_DC_LENGTH - 1, 1));
    }

    #[test]
    fn the_data_header_ends_where_the_segment_data_begins() {
        assert_eq!(column(&EDI_DD40, "SEGNUM"), (49, 6));
        assert_eq!(column(&EDI_DD40, "HLEVEL"), (DATA_HEADER - 2, 2));
    }
}
