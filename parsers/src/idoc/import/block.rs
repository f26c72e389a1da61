//! What is open while a parser export is read.

use crate::schema::{Element, ElementId};

/// An open block.
pub(super) enum Block {
    RecordSection,
    SegmentSection,
    Idoc,
    Group {
        head: Option<ElementId>,
        occurrence: Occurrence,
    },
    Segment {
        id: ElementId,
        occurrence: Occurrence,
        /// It is the first one of its group, which says how often it occurs.
        is_head: bool,
    },
    Record(ElementId),
    /// The fields of a segment or record, and where the next one begins, from 1.
    Fields {
        id: ElementId,
        of_record: bool,
        next: u64,
    },
}

impl Block {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::RecordSection => "RECORD_SECTION",
            Self::SegmentSection => "SEGMENT_SECTION",
            Self::Idoc => "IDOC",
            Self::Group { .. } => "GROUP",
            Self::Segment { .. } => "SEGMENT",
            Self::Record(_) => "RECORD",
            Self::Fields { .. } => "FIELDS",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Occurrence {
    pub(super) mandatory: bool,
    pub(super) min: u32,
    pub(super) max: u64,
}

impl Occurrence {
    pub(super) const ONCE: Self = Self { mandatory: false, min: 1, max: 1 };

    pub(super) fn give(self, element: &mut Element) {
        // An optional segment has LOOPMIN 1 as well.
        element.min = if self.mandatory { self.min.max(1) } else { 0 };
        element.max = self.max;
    }
}

/// Blocks of the record section, and the records that they describe.
pub(super) const RECORDS: [(&str, &str); 3] =
    [("CONTROL_RECORD", "EDI_DC40"), ("DATA_RECORD", "EDI_DD40"), ("STATUS_RECORD", "EDI_DS40")];
