//! Records that are read packed are the trees that a naive reader makes, and are written as these.

#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

mod naive;

use std::sync::Arc;

use naive::{Tree, assert_same};
use proptest::prelude::*;
use waybill_parsers::{Document, Encoding, Kind, Limits, Schema, fixed, idoc, json};

/// A record of a definition: its name, and the name and the length of each field.
type Columns = (&'static str, &'static [(&'static str, usize)]);

const ALPHA: Columns = ("Z1A", &[("A", 3), ("B", 5), ("C", 1), ("D", 12), ("E", 7), ("F", 4)]);
const BETA: Columns = ("Z1B", &[("LONG", 70), ("X", 2), ("Y", 64), ("Z", 1)]);
const INNER: Columns = ("Z1C", &[("AMOUNT", 9), ("KEY", 4)]);
const EMPTY: Columns = ("Z1D", &[]);

const IDOC: &str = "waybill-idoc 1\ntype ZT01 : x\n\
    segment Z1A Z2A000 0..*\n  field A 3\n  field B 5\n  field C 1\n  field D 12 decimal\n  field E 7\n\
    \x20 field F 4\n  segment Z1C Z2C000 0..*\n    field AMOUNT 9 decimal\n    field KEY 4 digits\n\
    segment Z1B Z2B000 0..*\n  field LONG 70\n  field X 2\n  field Y 64\n  field Z 1\n\
    segment Z1D Z2D000 0..*\n";

const CONTROL: &[(&str, usize)] = &[
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
];

/// Cuts a record, from character `from` on and byte `at` of the document, into fields of these
/// lengths; what is blank is none. The last one of no name takes the rest.
fn cut(record: &str, from: usize, at: usize, columns: &[(&str, usize)]) -> Vec<Tree> {
    let mut found = Vec::new();
    let mut from = from;
    for (name, length) in columns {
        let before: String = record.chars().take(from).collect();
        let value: String = record.chars().skip(from).take(*length).collect();
        let value = value.trim_end_matches(' ');
        if !value.is_empty() {
            found.push(Tree::leaf(Kind::Field, name, value, at + before.len()));
        }
        from += length;
    }
    found
}

/// The columns of a segment, with those that hold what the definition does not.
fn with_rest(
    columns: &[(&'static str, usize)],
    name: &'static str,
    all: usize,
) -> Vec<(&'static str, usize)> {
    let known: usize = columns.iter().map(|(_, length)| length).sum();
    columns.iter().copied().chain([(name, all - known)]).collect()
}

fn idoc_tree(lines: &[String]) -> Tree {
    let mut root = Tree::node(Kind::Group, "ZT01", 0, Vec::new());
    let mut at = 0;
    let mut is_alpha = false;
    for line in lines {
        let segment = |columns: Columns| {
            let fields = cut(line, 63, at, &with_rest(columns.1, "SDATA", 1000));
            Tree::node(Kind::Segment, columns.0, at, fields)
        };
        match &line[..3] {
            "EDI" => {
                root.children.push(Tree::node(
                    Kind::Segment,
                    "EDI_DC40",
                    at,
                    cut(line, 0, at, CONTROL),
                ));
            }
            "Z2A" => root.children.push(segment(ALPHA)),
            "Z2B" => root.children.push(segment(BETA)),
            "Z2D" => root.children.push(segment(EMPTY)),
            _ if is_alpha => root.children.last_mut().unwrap().children.push(segment(INNER)),
            _ => root.children.push(segment(INNER)),
        }
        is_alpha = line.starts_with("Z2A") || is_alpha && line.starts_with("Z2C");
        at += line.len() + 1;
    }
    root
}

fn schema_of(text: &str) -> Arc<Schema> {
    Arc::new(idoc::read_schema(text.as_bytes()).unwrap())
}

fn shown(document: &Document) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(document.root(), &mut out);
    out
}

fn check_idoc(lines: &[String]) {
    let schema = schema_of(IDOC);
    let mut types = idoc::Types::new();
    types.add(Arc::clone(&schema));
    let types = Arc::new(types);
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let tree = idoc_tree(lines);
    let plain = tree.document();
    for values in [None, Some(waybill_parsers::Severity::Warning)] {
        let options = idoc::ReadOptions { values, ..Default::default() };
        let input = input.repeat(2);
        let reader = idoc::Reader::with_options(
            input.as_bytes(),
            Arc::clone(&types),
            Limits::default(),
            options,
        );
        let found: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        for reading in &found {
            assert_same(&reading.document, &tree);
            assert_eq!(shown(&reading.document), shown(&plain));
            for encoding in [Encoding::UTF_8, Encoding::LATIN_1, Encoding::UTF_16LE] {
                for record_length in [
                    idoc::RecordLength::Full,
                    idoc::RecordLength::Segment,
                    idoc::RecordLength::Trimmed,
                ] {
                    let options =
                        idoc::WriteOptions { encoding, record_length, ..Default::default() };
                    let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
                    let problems = idoc::write(&reading.document, &schema, options, &mut packed);
                    assert_eq!(idoc::write(&plain, &schema, options, &mut unpacked), problems);
                    assert_eq!(packed, unpacked);
                }
            }
        }
    }
    // In an encoding of its own, and against a schema that is equal but another one.
    let wide: Vec<u8> = input.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let options = idoc::ReadOptions { encoding: Some(Encoding::UTF_16LE), ..Default::default() };
    let reader = idoc::Reader::with_options(wide.as_slice(), types, Limits::default(), options);
    for reading in reader {
        assert_eq!(reading.unwrap().document, plain);
    }
    let (other, options) = (schema_of(IDOC), idoc::WriteOptions::default());
    let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
    idoc::write(&plain, &other, options, &mut packed);
    idoc::write(&plain, &schema, options, &mut unpacked);
    assert_eq!(packed, unpacked);
}

const VDA: &str = "waybill-fixed 1\ntype ZV 40 : x\n\
    record A10 0..* : a\n  field RECORD 3\n  field B 5\n  field C 1 required\n  field D 12\n  field E 7\n\
    \x20 field F 4 digits\n  record C30 0..* : c\n    field RECORD 3\n    field AMOUNT 9 decimal\n    field KEY 4 digits\n\
    record B20 0..* : b\n  field RECORD 3\n  field LONG 20\n  field X 17\n\
    record T90 0..* : t\n  field RECORD 3\n  field COUNT_A10 4 digits\n";

fn vda_tree(lines: &[String]) -> Tree {
    let mut root = Tree::node(Kind::Group, "ZV", 0, Vec::new());
    let (mut at, mut is_alpha) = (0, false);
    for line in lines {
        let columns: &[(&str, usize)] = match &line[..3] {
            "A10" => &[("RECORD", 3), ("B", 5), ("C", 1), ("D", 12), ("E", 7), ("F", 4)],
            "B20" => &[("RECORD", 3), ("LONG", 20), ("X", 17)],
            "C30" => &[("RECORD", 3), ("AMOUNT", 9), ("KEY", 4)],
            _ => &[("RECORD", 3), ("COUNT_A10", 4)],
        };
        let known: usize = columns.iter().map(|(_, length)| length).sum();
        let mut fields = cut(line, 0, at, columns);
        let rest: String = line.chars().skip(known).collect();
        if !rest.trim_end_matches(' ').is_empty() {
            // It has the place of its record.
            fields.push(Tree::leaf(Kind::Field, "DATA", rest.trim_end_matches(' '), at));
        }
        let record = Tree::node(Kind::Segment, &line[..3], at, fields);
        match root.children.last_mut().filter(|_| is_alpha && line.starts_with('C')) {
            Some(parent) => parent.children.push(record),
            None => root.children.push(record),
        }
        is_alpha = line.starts_with('A') || is_alpha && line.starts_with('C');
        at += line.len() + 1;
    }
    root
}

fn check_vda(lines: &[String]) {
    let schema = Arc::new(fixed::read_schema(VDA.as_bytes()).unwrap());
    let mut types = fixed::Types::new();
    types.add(Arc::clone(&schema));
    let types = Arc::new(types);
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let tree = vda_tree(lines);
    let plain = tree.document();
    for values in [None, Some(waybill_parsers::Severity::Warning)] {
        let options = fixed::ReadOptions { values, ..Default::default() };
        let types = Arc::clone(&types);
        let mut reader =
            fixed::Reader::with_options(input.as_bytes(), types, Limits::default(), options);
        let document = reader.next().unwrap().unwrap().document;
        assert!(reader.next().is_none());
        assert_same(&document, &tree);
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        let problems =
            fixed::write(&document, &schema, fixed::WriteOptions::default(), &mut packed);
        let others = fixed::write(&plain, &schema, fixed::WriteOptions::default(), &mut unpacked);
        assert_eq!((problems, packed), (others, unpacked));
    }
}

fn data() -> impl Strategy<Value = String> {
    let piece = "[A-Z0-9]{1,9}| {1,12}| {60,70}|-?[0-9]{1,4}\\.[0-9]|[0-9]{4}|é|日|\t|x{70}";
    prop::collection::vec(
        prop_oneof![30 => "[A-Z0-9-]{1,9}| {1,12}|-[0-9]{1,4}".boxed(), 1 => piece.boxed()],
        0..14,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_of_idocs_are_what_is_in_their_columns(
        records in prop::collection::vec((prop::sample::select(vec!["Z2A000", "Z2B000", "Z2C000", "Z2D000"]), data()), 0..14),
        names in prop::collection::vec("[A-Z ]{0,9}", 36),
    ) {
        let names: String = CONTROL.iter().skip(11).zip(names)
            .map(|((_, length), name)| { let name: String = name.chars().take(*length).collect(); format!("{name:length$}") })
            .collect();
        let control = format!("{:39}{:30}{:30}{names}", "EDI_DC40  1000000000000000001", "ZT01", "");
        let mut lines = vec![control];
        lines.extend(records.iter().map(|(name, data)| {
            let data: String = data.chars().take(1000).collect();
            format!("{name:63}{data}")
        }));
        check_idoc(&lines);
    }

    #[test]
    fn records_of_fixed_columns_are_what_is_in_their_columns(
        records in prop::collection::vec((prop::sample::select(vec!["A10", "B20", "C30", "T90"]), data()), 1..14),
    ) {
        let line = |(name, data): &(&str, String)| format!("{name}{}", data.chars().take(45).collect::<String>());
        let lines = std::iter::once("A10".to_owned()).chain(records.iter().map(line));
        check_vda(&lines.collect::<Vec<_>>());
    }
}
