//! The importer of the parser export on small exports.

use super::*;
use crate::idoc::{read_schema, write_schema};

const EXPORT: &str = "BEGIN_SEGMENT_SECTION
  BEGIN_IDOC                    ZCLAIM01
    EXTENSION           ZCLAIMX
    BEGIN_SEGMENT       Z2CLHDR001
      SEGMENTTYPE         Z1CLHDR
      LEVEL               01
      STATUS              MANDATORY
      LOOPMIN             0000000001
      LOOPMAX             0000000001
      BEGIN_FIELDS
        NAME                CLAIM
        TEXT                Claim
        TYPE                CHARACTER
        LENGTH              000010
        FIELD_POS           0001
        CHARACTER_FIRST     000064
        CHARACTER_LAST      000073

        NAME                STATE
        TEXT
        TYPE                CHARACTER
        LENGTH              000002
        FIELD_POS           0002
        BYTE_FIRST          000074
        BYTE_LAST           000075
        VALUE               ''
        VALUE_TEXT          Not known
        VALUE               '01'
        VALUE_TEXT          Open
      END_FIELDS
    END_SEGMENT
    BEGIN_GROUP         1
      LEVEL               02
      STATUS              OPTIONAL
      LOOPMIN             0000000001
      LOOPMAX             9999999999
      BEGIN_SEGMENT       Z2CLPOS
        SEGMENTTYPE         Z1CLPOS
        QUALIFIED
        LEVEL               02
        STATUS              MANDATORY
        LOOPMIN             0000000001
        LOOPMAX             0000000001
      END_SEGMENT
      BEGIN_SEGMENT       Z2CLTXT
        SEGMENTTYPE         Z1CLTXT
        LEVEL               03
        STATUS              OPTIONAL
        LOOPMIN             0000000001
        LOOPMAX             0000000005
      END_SEGMENT
    END_GROUP
  END_IDOC
END_SEGMENT_SECTION
";

const DEFINITION: &str = "waybill-idoc 1

type ZCLAIM01 extension ZCLAIMX

segment Z1CLHDR Z2CLHDR001 1..1 level 1
  field CLAIM 10 : Claim
  field STATE 2
    value '' : Not known
    value 01 : Open

segment Z1CLPOS Z2CLPOS 0..* level 2 qualified
  segment Z1CLTXT Z2CLTXT 0..5 level 3
";

fn problems(text: &str) -> Vec<String> {
    parser_export(text.as_bytes()).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn the_first_segment_of_a_group_is_the_parent_of_the_others() {
    let expected = read_schema(DEFINITION.as_bytes()).unwrap();
    for text in [EXPORT.to_owned(), EXPORT.replace('\n', "\r\n")] {
        let schema = parser_export(text.as_bytes()).unwrap();
        assert_eq!(write_schema(&schema), DEFINITION);
        assert_eq!(schema, expected);
    }
}

#[test]
fn texts_may_be_latin_1() {
    let text = EXPORT.replace("Open", "Gew\u{e4}hrt");
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    assert_eq!(parser_export(&latin).unwrap(), parser_export(text.as_bytes()).unwrap());
}

#[test]
fn a_damaged_line_is_named_once() {
    let cut =
        EXPORT.replace("    BEGIN_SEGMENT       Z2CLTXT\n", "                      Z2CLTXT\n");
    assert_eq!(problems(&cut), ["45:25: error: a keyword of the parser export expected"]);
}

#[test]
fn positions_must_follow_from_the_lengths() {
    let moved = EXPORT
        .replace("000074", "000075")
        .replace("000075\n        VALUE", "000077\n        VALUE");
    assert_eq!(
        problems(&moved),
        [
            "24:9: error: the field before ends at 73",
            "25:9: error: by its length the field ends at 75",
        ]
    );
}

#[test]
fn a_cut_file_is_refused() {
    assert!(problems(&EXPORT[..EXPORT.len() / 2])[0].contains("is missing"));
    assert!(problems("")[0].contains("neither"));
    assert!(problems("waybill-idoc 1\ntype T\n")[0].contains("1:1"));
}
