//! The flat writer: what it writes, and what it refuses.

use super::*;
use crate::document::Builder;
use crate::idoc::read_schema;
use crate::json;

const VEHICLE: &str = include_str!("../../../../mappings/schemas/idoc/ZVEHREG01.idoc");

fn schema() -> Schema {
    read_schema(VEHICLE.as_bytes()).unwrap()
}

/// A document from JSON, whose objects are taken as segments.
fn document(text: &str) -> Document {
    json::read(text.as_bytes(), &Limits::default()).unwrap().document
}

fn written(text: &str, options: WriteOptions) -> Vec<String> {
    let mut out = Vec::new();
    let problems = write(&document(text), &schema(), options, &mut out);
    assert_eq!(problems, []);
    String::from_utf8(out).unwrap().split('\n').map(str::to_owned).collect()
}

fn refused(text: &str) -> Vec<String> {
    let mut out = b"before".to_vec();
    let problems = write(&document(text), &schema(), WriteOptions::default(), &mut out);
    assert_eq!(out, b"before");
    problems.iter().map(|p| format!("{} {}: {}", p.code, p.place.path, p.message)).collect()
}

const TWO: &str = r#"{
    "EDI_DC40": {"MANDT": "100", "DOCNUM": "0000000000000042", "MESTYP": "ZVEHREG"},
    "Z1VHHDR": {"VIN": "WAY1ZZZA6TB000017", "STATUS": "DLVD", "MILEAGE": -12.5,
        "Z1VHPRT": [{"PARVW": "AG", "NAME1": "Müller"}, {"NAME1": "B", "PARVW": "WE"}]}}"#;

#[test]
fn records_are_numbered_and_filled_to_their_length() {
    let lines = written(TWO, WriteOptions::default());
    let lengths: Vec<_> = lines.iter().map(|line| line.chars().count()).collect();
    assert_eq!(lengths, [524, 1063, 1063, 1063, 0]);
    assert!(lines[0].starts_with("EDI_DC40  1000000000000000042"));
    assert!(lines[0][39..].starts_with("ZVEHREG01 "));
    assert!(lines[0][99..].starts_with("ZVEHREG "));
    let header = format!("{:30}100000000000000004200000100000001WAY1ZZZA6TB", "Z2VHHDR000");
    assert!(lines[1].starts_with(&header), "{}", lines[1]);
    assert_eq!(lines[1][63 + 107..63 + 117].trim_end(), "12.5-");
    assert!(lines[2].starts_with("Z2VHPRT000 "));
    assert_eq!(&lines[2][49..65], "00000200000102AG");
    assert_eq!(&lines[3][49..63 + 13], "00000300000102WE          B");
}

#[test]
fn an_idoc_above_its_limit_is_refused_at_the_segment_that_exceeds_it() {
    let size = 525 + 3 * 1064;
    for (limit, problems) in [
        (size, &[][..]),
        (size - 1065, &["too-large Z1VHHDR/Z1VHPRT[1]: an IDoc of more than 2652 bytes"]),
    ] {
        let options = WriteOptions { limit: Some(limit), ..WriteOptions::default() };
        let mut out = Vec::new();
        let found = write(&document(TWO), &schema(), options, &mut out);
        let found: Vec<_> =
            found.iter().map(|p| format!("{} {}: {}", p.code, p.place.path, p.message)).collect();
        assert_eq!(found, problems);
        assert_eq!(out.is_empty(), !problems.is_empty());
    }
}

#[test]
fn the_shape_of_the_records_can_be_chosen() {
    let trimmed = WriteOptions {
        record_length: RecordLength::Trimmed,
        newline: Newline::CrLf,
        ..WriteOptions::default()
    };
    let lines = written(TWO, trimmed);
    assert!(lines[2].ends_with("Müller\r") && lines[0].ends_with("ZVEHREG\r"));
    let segment = WriteOptions { record_length: RecordLength::Segment, ..trimmed };
    let lengths: Vec<_> = written(TWO, segment).iter().map(|line| line.chars().count()).collect();
    assert_eq!(lengths, [525, 63 + 117 + 1, 63 + 85 + 1, 63 + 85 + 1, 0]);
    let stream = WriteOptions { newline: Newline::None, ..WriteOptions::default() };
    assert_eq!(written(TWO, stream)[0].chars().count(), 524 + 3 * 1063);
    let impossible = WriteOptions { newline: Newline::None, ..trimmed };
    let problems = write(&document(TWO), &schema(), impossible, &mut Vec::new());
    assert_eq!(problems[0].code, "needs-newline");
}

#[test]
fn everything_that_would_be_lost_is_refused_with_its_path() {
    let text = r#"{
        "EDI_DC40": {"MANDT": "1000", "IDOCTYP": "ORDERS05", "MSTYP": "X", "SNDPRN": ["A"]},
        "Z1VHHDR": {"VIN": "WAY1ZZZA6TB0000170", "STATUS": "A\nB", "MODELL": "x",
            "Z1VHOPT": {"OPTTEXT": "ü2345678901234567890123456789012345678901"},
            "Z1VHPRT": {"PARVW": "AG"},
            "Z1VHPTR": {}},
        "REST": 1}"#;
    assert_eq!(
        refused(text),
        [
            "wrong-type EDI_DC40/IDOCTYP: not the IDoc type that it is written as",
            "not-a-field EDI_DC40/SNDPRN: a field has no children",
            "too-long EDI_DC40/MANDT: 4 characters, but the field has 3",
            "unknown-field EDI_DC40/MSTYP: unknown field; did you mean MESTYP?",
            "too-long Z1VHHDR/VIN: 18 characters, but the field has 17",
            "control-character Z1VHHDR/STATUS: control character in the value",
            "unknown-field Z1VHHDR/MODELL: unknown field; did you mean MODEL?",
            "too-long Z1VHHDR/Z1VHOPT/OPTTEXT: 41 characters, but the field has 40",
            "wrong-order Z1VHHDR/Z1VHPRT: stands behind a segment that it must precede",
            "unknown-segment Z1VHHDR/Z1VHPTR: unknown segment; did you mean Z1VHPRT?",
            "unknown-field REST: not in a segment",
        ]
    );
}

#[test]
fn occurrences_are_counted() {
    let partners = ["{}"; 11].join(",");
    let text = format!(r#"{{"EDI_DC40": {{}}, "Z1VHHDR": {{"Z1VHPRT": [{partners}]}}}}"#);
    let message = "too-many-segments Z1VHHDR/Z1VHPRT[9]: more often than declared, at most 9";
    assert_eq!(refused(&text), [message]);
    assert_eq!(
        refused("{}"),
        [
            "missing-segment EDI_DC40: no control record",
            "missing-segment Z1VHHDR: mandatory segment is missing",
        ]
    );
}

#[test]
fn a_field_given_twice_is_refused() {
    let mut builder = Builder::new();
    builder.open(Kind::Group, "ZVEHREG01", 0);
    builder.open(Kind::Segment, "EDI_DC40", 0);
    for _ in 0..2 {
        builder.put(Kind::Field, "MANDT", "100", 0);
    }
    builder.close();
    builder.open(Kind::Segment, "Z1VHHDR", 0);
    let problems = write(&builder.finish(), &schema(), WriteOptions::default(), &mut Vec::new());
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["duplicate-field"]);
}
