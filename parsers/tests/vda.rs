//! The VDA files of the corpus, and files of fixed-length records by other definitions.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use waybill_parsers::fixed::{self, Types, WriteOptions};
use waybill_parsers::{FrameError, Kind, Limits, Reading, vda};

fn read(bytes: &[u8], types: Types) -> Vec<Result<Reading, FrameError>> {
    fixed::Reader::new(bytes, Arc::new(types), Limits::default()).collect()
}

/// What a reader said about a file, as the verdict table has it: documents, records, verdict.
fn verdict(readings: &[Result<Reading, FrameError>]) -> String {
    let records = readings.iter().flatten().map(|reading| {
        let nodes = reading.document.root().descendants();
        nodes.filter(|node| node.kind() == Kind::Segment).count()
    });
    let records: usize = records.sum();
    let worst = readings.iter().map(|reading| match reading {
        Err(_) => 3,
        Ok(reading) if reading.is_refused() => 2,
        Ok(reading) => usize::from(!reading.problems.is_empty()),
    });
    let verdict = ["clean", "warned", "refused", "frame"][worst.max().unwrap_or(0)];
    format!("{}\t{records}\t{verdict}", readings.len())
}

#[test]
fn the_corpus_gives_its_verdicts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("testdata/verdicts/vda.tsv")).unwrap();
    let corpus = root.join("../shared/corpus/vda");
    if !corpus.exists() {
        println!("skipped: no corpus at {}", corpus.display());
        return;
    }
    let mut rows = 0;
    for row in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        let readings = read(&fs::read(corpus.join(columns[0])).unwrap(), vda::types());
        let found = verdict(&readings);
        let problems: Vec<_> = readings.iter().flatten().flat_map(|r| &r.problems).collect();
        // Where the reader disagreed, the last column begins with what it said.
        let expected = match columns[5].split_once(": ") {
            Some((verdict, _)) => format!("{}\t{verdict}", columns[1..3].join("\t")),
            None => columns[1..4].join("\t"),
        };
        assert_eq!(found, expected, "{}: {problems:?}", columns[0]);
        rows += 1;
    }
    assert_eq!(rows, fs::read_dir(&corpus).unwrap().count());
}

/// The same content with and without line ends gives the same documents, written alike.
#[test]
fn the_shape_of_a_corpus_file_makes_no_difference() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/vda");
    let Ok(lines) = fs::read(corpus.join("vscode-edi-support--4913.edi")) else {
        println!("skipped: no corpus at {}", corpus.display());
        return;
    };
    let fixed = fs::read(corpus.join("vscode-edi-support--vda.minify.edi")).unwrap();
    let [lines, fixed] = [lines, fixed].map(|bytes| read(&bytes, vda::types()));
    let types = vda::types();
    for (line, fixed) in lines.iter().zip(&fixed) {
        let [line, fixed] = [line, fixed].map(|reading| reading.as_ref().unwrap());
        assert_eq!(line.document, fixed.document);
        let schema = types.find("VDA4913").unwrap();
        let mut out = Vec::new();
        let problems = fixed::write(&line.document, schema, WriteOptions::default(), &mut out);
        println!("{problems:?}");
    }
    assert_eq!(lines.len(), fixed.len());
}

const ROWS: &str = "waybill-fixed 1
type STOCK 24
record row 0..* any
  field VIN 17
  field COLOR 4
    value BLUE : Blue
  field DAYS 3 digits required
";

#[test]
fn rows_without_record_types_are_one_document() {
    let mut types = Types::new();
    types.add(Arc::new(fixed::read_schema(ROWS.as_bytes()).unwrap()));
    let schema = Arc::clone(types.find("STOCK").unwrap());
    let file = "WAY1ZZZA6TB000017BLUE007\nWAY1ZZZA6TB000017    012\n";
    let readings = read(file.as_bytes(), types);
    let document = &readings[0].as_ref().unwrap().document;
    assert_eq!((readings.len(), document.root().children().count()), (1, 2));
    assert_eq!(document.root().nth(1).unwrap().child("DAYS").unwrap().text(), "012");
    let mut out = Vec::new();
    assert_eq!(fixed::write(document, &schema, WriteOptions::default(), &mut out), vec![]);
    assert_eq!(out, file.as_bytes());
}

#[test]
fn a_bad_definition_is_named_by_line() {
    let text = "waybill-fixed 1\ntype T 10\nrecrod A 0..1\nrecord B 1\n  field F 11\n  field F x\n\
                value V\nrecord B 0..1\n";
    let problems = fixed::read_schema(text.as_bytes()).unwrap_err();
    let found: Vec<_> = problems.iter().map(|p| (p.place.line, p.code)).collect();
    let expected = [
        (3, "unknown-keyword"),
        (4, "bad-number"),
        (5, "too-long"),
        (6, "bad-number"),
        (6, "duplicate-name"),
        (6, "too-long"),
        (7, "misplaced"),
        (8, "duplicate-name"),
    ];
    assert_eq!(found, expected);
}
