//! The definition of an IDoc type as a file for people: a line each segment, field and value,
//! indentation for nesting.
//!
//! ```text
//! waybill-idoc 1
//! # A comment.
//! type ZVEHREG01 extension ZVEHREGX : Vehicle registration
//! segment Z1VHHDR Z2VHHDR000 1..1 level 1 : Vehicle header
//!   field VIN 17 : Vehicle identification number
//!   field STATUS 4 : Vehicle status
//!     value DLVD : Delivered
//!     value '' : Not known yet
//!   segment Z1VHPRT Z2VHPRT000 0..* level 2 qualified : Partner
//!     field PARVW 2 : Partner function
//! ```
//!
//! - The first line names the format and its version.
//! - `segment`: segment type, segment definition, occurrences (`*` is SAP's 9,999,999,999), the
//!   `level` of the type definition (else one more than the parent's), `qualified` where the first
//!   field tells occurrences apart. A segment is indented below its parent, which is the first
//!   segment of its group.
//! - `field`: name, length in characters, and unless it is text one of `digits`, `decimal`,
//!   `bool`, `date`, `time`.
//! - `value`: one allowed value of the field above. Quotes (`'`, doubled inside) keep blanks.
//! - What follows ` : ` is the description.

pub(crate) mod line;
mod read;
mod write;

use crate::schema::DataType;

pub use read::read_schema;
pub use write::write_schema;

/// "Any number" in SAP's definitions.
const ANY_NUMBER: u64 = 9_999_999_999;

/// Characters of a segment, field or type name in release 4.x.
const LONGEST_NAME: usize = 30;

const TYPES: [(&str, DataType); 6] = [
    ("text", DataType::Text),
    ("digits", DataType::Digits),
    ("decimal", DataType::Decimal),
    ("bool", DataType::Bool),
    ("date", DataType::Date),
    ("time", DataType::Time),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Problem;

    const VEHICLE: &str = include_str!("../../../../mappings/schemas/idoc/ZVEHREG01.idoc");

    fn problems(text: &str) -> Vec<String> {
        let problems = read_schema(text.as_bytes()).unwrap_err();
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_definition_is_read_as_the_tree_it_shows() {
        let schema = read_schema(VEHICLE.as_bytes()).unwrap();
        assert_eq!(schema.name(), "ZVEHREG01");
        let header = schema.child(schema.root(), "Z1VHHDR").unwrap();
        let element = schema.element(header);
        assert_eq!(element.definition.as_deref(), Some("Z2VHHDR000"));
        assert_eq!((element.min, element.max, element.level), (1, 1, 1));
        let status = schema.element(schema.child(header, "STATUS").unwrap());
        assert_eq!(status.length, Some(4));
        assert!(
            status.codes.iter().any(|(code, text)| code == "DLVD" && text.starts_with("Delivered"))
        );
        let partner = schema.element(schema.child(header, "Z1VHPRT").unwrap());
        assert!(partner.qualified && partner.max == 9 && partner.level == 2);
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_schema() {
        let odd = "waybill-idoc 1\ntype T extension /NS/X : a : b # c\n\
                   segment /NS/E1A E2A 0..* level 7 qualified\n field F 4 : ß\n  value '' : none\n  \
                   value 'a ''b' : x\n  value '#:'\n segment Z1B ZB 2..3 level 0\n field G 900 digits";
        for text in [VEHICLE, odd.trim_end()] {
            let schema = read_schema(text.as_bytes()).unwrap();
            let written = write_schema(&schema);
            assert_eq!(read_schema(written.as_bytes()).unwrap(), schema, "{written}");
            assert_eq!(write_schema(&schema), written);
        }
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "waybill-idoc 1\ntype T\nsegmnt Z1A Z2A 0..1\n  field A 1\nsegment Z1B Z2B 1-2\n  \
                    field B x date\n  field C 4 dat\n  field C 4\n    value 12345\n   field D 1\n\
                    field E 1\n  segment Z1C Z2C 0..1 levle 2\ntype U\nsegment Z1D Z2D 0..1 'x\n";
        assert_eq!(
            problems(text),
            [
                "3:1: error: unknown keyword `segmnt`; did you mean `segment`?",
                "5:17: error: occurrences are written min..max, such as 0..9 or 1..*",
                "6:11: error: a length from 1 to 1000 expected",
                "7:13: error: unknown data type `dat`; did you mean `date`?",
                "8:3: error: C is declared twice here",
                "10:1: error: the indentation is that of no line above",
                "11:1: error: a field stands below a segment",
                "12:24: error: unknown word `levle`; did you mean `level`?",
                "12:30: error: unknown word `2`; one of level, qualified expected",
                "13:1: error: a second `type`",
                "14:22: error: `'` is not closed",
            ]
        );
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        assert!(problems("")[0].ends_with("the file is empty"));
        assert!(problems("waybill-idoc 2\ntype T")[0].contains("must be `waybill-idoc 1`"));
        assert!(problems("BEGIN_SEGMENT_SECTION\nsegment A B 0..1")[1].contains("type NAME"));
        assert_eq!(read_schema(b"waybill-idoc 1\n\xff").unwrap_err()[0].code, "invalid-utf8");
    }

    #[test]
    fn a_segment_longer_than_its_record_is_refused_once() {
        let text =
            "waybill-idoc 1\ntype T\nsegment A B 0..1\n  field X 999\n  field Y 2\n  field Z 1";
        assert_eq!(problems(text), ["5:3: error: Y ends at character 1001; a segment has 1000"]);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut text = "waybill-idoc 1\ntype T\n".to_owned();
        for depth in 0..300 {
            text += &format!("{:depth$}segment S{depth} D{depth} 0..1\n", "");
        }
        assert!(problems(&text)[0].contains("at most 60 levels"));
    }
}
