//! The exports of real systems import, and decode the real files of their types.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]
#![expect(clippy::print_stdout, reason = "a test that skips says so, and figures are read")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill_parsers::{Kind, Limits, Schema, idoc};

/// The files of a folder of the corpus; none, with a message, where there is no corpus.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/idoc").join(folder);
    let entries = fs::read_dir(&folder).into_iter().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    if found.is_empty() {
        println!("skipped: no corpus at {}", folder.display());
    }
    found
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

fn counts(schema: &Schema) -> (usize, usize) {
    let count = |kind| schema.elements().filter(|(_, element)| element.kind == kind).count();
    (count(Kind::Segment), count(Kind::Field))
}

/// A schema is one that our own definition file can hold.
fn survives(schema: &Schema) {
    let text = idoc::write_schema(schema);
    let again = idoc::read_schema(text.as_bytes()).unwrap_or_else(|problems| {
        panic!("{}: {:?}", schema.name(), problems.first());
    });
    assert_eq!(again.name(), schema.name());
    assert_eq!(idoc::write_schema(&again), text);
}

#[test]
fn every_real_parser_export_imports() {
    let mut fields = 0;
    for file in corpus("parser") {
        let name = name(&file);
        let schema = idoc::import::parser_export(&fs::read(&file).unwrap());
        if name == "sapidoc_ORDERS05.txt" {
            let problems = schema.unwrap_err();
            let lines: Vec<_> = problems.iter().map(|problem| problem.place.line).collect();
            assert_eq!(lines, [5767], "a line lost its BEGIN_SEGMENT: {problems:?}");
            continue;
        }
        let schema = schema.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let found = counts(&schema);
        println!("{name}: {} with {} segments, {} fields", schema.name(), found.0, found.1);
        fields += found.1;
        if !name.contains("recsection") {
            survives(&schema);
        }
    }
    println!("{fields} fields");
}

#[test]
fn every_real_xsd_imports() {
    for file in corpus("xsd") {
        let name = name(&file);
        let schema = idoc::import::xsd(&fs::read(&file).unwrap());
        let schema = schema.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let found = counts(&schema);
        let extension = schema.element(schema.root()).definition.clone().unwrap_or_default();
        println!(
            "{name}: {} {extension} with {} segments, {} fields",
            schema.name(),
            found.0,
            found.1
        );
        survives(&schema);
    }
}

/// The same type exported both ways has the same tree and lengths, up to the release.
#[test]
fn both_exports_of_a_type_agree() {
    let [parsers, xsds] = ["parser", "xsd"].map(corpus);
    let find =
        |files: &[PathBuf], part: &str| files.iter().find(|f| name(f).contains(part)).cloned();
    for (parser, xsd) in
        [("goidoc2txt_orders05", "ORDERS05_ZMM158"), ("z48v_invoic02", "mfm_INVOIC02")]
    {
        let (Some(parser), Some(xsd)) = (find(&parsers, parser), find(&xsds, xsd)) else {
            continue;
        };
        let parser = idoc::import::parser_export(&fs::read(parser).unwrap()).unwrap();
        let xsd = idoc::import::xsd(&fs::read(xsd).unwrap()).unwrap();
        let (mut shared, mut longer) = (0, 0);
        for (_, segment) in xsd.elements().filter(|(_, element)| element.kind == Kind::Segment) {
            let same =
                |e: &&waybill_parsers::Element| e.kind == Kind::Segment && e.name == segment.name;
            let Some(other) = parser.elements().map(|(_, e)| e).find(same) else { continue };
            let fields = |schema: &Schema, element: &waybill_parsers::Element| -> Vec<_> {
                let fields = element.children().iter().map(|id| schema.element(*id).clone());
                let fields = fields.filter(|field| field.kind == Kind::Field);
                fields.map(|field| (field.name, field.length)).collect()
            };
            let (ours, theirs) = (fields(&xsd, segment), fields(&parser, other));
            let common = ours.len().min(theirs.len());
            assert_eq!(ours[..common], theirs[..common], "{}", segment.name);
            shared += 1;
            longer += usize::from(ours.len() != theirs.len());
        }
        println!("{}: {shared} shared segments, {longer} with more fields in one", xsd.name());
        assert!(shared > 20);
    }
}

/// The types of the corpus, and those that ship.
fn types() -> idoc::Types {
    let mut types = idoc::Types::new();
    for file in corpus("xsd") {
        types.add(Arc::new(idoc::import::xsd(&fs::read(file).unwrap()).unwrap()));
    }
    for file in corpus("parser").iter().filter(|file| !name(file).contains("recsection")) {
        if let Ok(schema) = idoc::import::parser_export(&fs::read(file).unwrap()) {
            types.add(Arc::new(schema));
        }
    }
    types
}

#[test]
fn the_half_written_dealer_is_incomplete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let schema = fs::read(root.join("mappings/schemas/idoc/DEBMAS07.idoc")).unwrap();
    let mut types = idoc::Types::new();
    types.add(Arc::new(idoc::read_schema(&schema).unwrap()));
    let types = Arc::new(types);
    let bytes = fs::read(root.join("testdata/demo/drop/DEBMAS_dealer.idoc")).unwrap();
    for (end, expected) in [(1200, true), (bytes.len(), false), (bytes.len() - 1, false)] {
        let mut reader = idoc::Reader::new(&bytes[..end], Arc::clone(&types), Limits::default());
        let reading = reader.next().unwrap().unwrap();
        assert_eq!(reading.is_incomplete(), expected, "cut at {end}: {:?}", reading.problems);
    }
}

/// A real file is whole; cut inside of its last record or behind its control record, it is mostly
/// known not to be.
#[test]
fn no_real_file_is_incomplete_before_it_is_cut() {
    let types = Arc::new(types());
    let is_incomplete = |bytes: &[u8]| {
        let reader = idoc::Reader::new(bytes, Arc::clone(&types), Limits::default());
        reader.last().is_some_and(|last| last.is_ok_and(|reading| reading.is_incomplete()))
    };
    let (mut files, mut cut, mut begun) = (0, 0, 0);
    for file in corpus("flat") {
        let bytes = fs::read(&file).unwrap();
        assert!(!is_incomplete(&bytes), "{}", file.display());
        files += 1;
        let text = bytes.trim_ascii_end();
        let record = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        cut += u32::from(is_incomplete(&bytes[..record + 40]));
        let control = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let is_begun = is_incomplete(&bytes[..=control]);
        assert!(is_begun, "{}: nothing but its control record", file.display());
        begun += u32::from(is_begun);
    }
    println!(
        "of {files} files cut inside of the last header {cut}, behind the control record {begun}"
    );
    assert_eq!((cut, begun), (files, files));
}
