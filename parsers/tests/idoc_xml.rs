//! IDoc-XML of every dialect, and the way from flat files and back.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]
#![expect(clippy::print_stdout, reason = "a test that skips says so, and figures are read")]

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill_parsers::idoc::xml::Namespace;
use waybill_parsers::idoc::{self, Newline, RecordLength, Types};
use waybill_parsers::{Document, FrameError, Kind, Limits, Reading, Schema};

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

/// The types that ship, and those of the corpus.
fn types() -> Arc<Types> {
    let mut types = Types::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings/schemas/idoc");
    for entry in fs::read_dir(shipped).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        types.add(Arc::new(idoc::read_schema(&text).unwrap()));
    }
    for file in corpus("xsd") {
        types.add(Arc::new(idoc::import::xsd(&fs::read(file).unwrap()).unwrap()));
    }
    // The parser exports know more, so they come last.
    for file in corpus("parser") {
        if let Ok(schema) = idoc::import::parser_export(&fs::read(file).unwrap()) {
            types.add(Arc::new(schema));
        }
    }
    Arc::new(types)
}

fn read_xml(bytes: &[u8], types: &Arc<Types>) -> Vec<Result<Reading, FrameError>> {
    idoc::xml::Reader::new(bytes, Arc::clone(types), Limits::default()).collect()
}

fn read_flat(bytes: &[u8], types: &Arc<Types>) -> Vec<Reading> {
    let reader = idoc::Reader::new(BufReader::new(bytes), Arc::clone(types), Limits::default());
    reader.collect::<Result<_, _>>().unwrap()
}

fn schema_of<'t>(document: &Document, types: &'t Types) -> Option<&'t Arc<Schema>> {
    let control = document.root().child("EDI_DC40")?;
    let text = |name| control.child(name).map_or("", |field| field.text());
    types.find(text("IDOCTYP"), text("CIMTYP"))
}

/// What may differ after flat -> XML -> flat, each by a rule. The segment data may not.
fn rules(before: &[char], after: &[char], is_data: bool) -> Vec<&'static str> {
    let text = |from: usize, to: usize, of: &[char]| -> String {
        let blank = std::iter::repeat(' ');
        of.iter().copied().chain(blank).skip(from).take(to - from).collect()
    };
    let columns: &[(usize, usize, &str)] = match is_data {
        false => &[(0, 10, "TABNAM is EDI_DC40"), (10, 524, "control record")],
        true => &[
            (0, 30, "SEGNAM of the definition known"),
            (30, 33, "MANDT of the control record"),
            (33, 49, "DOCNUM of the control record"),
            (49, 55, "SEGNUM counted from 1"),
            (55, 61, "PSGNUM by the definition"),
            (61, 63, "HLEVEL of the definition"),
            (63, 1063, "segment data"),
        ],
    };
    let differs =
        |(from, to, _): &&(usize, usize, &str)| text(*from, *to, before) != text(*from, *to, after);
    columns.iter().filter(differs).map(|(_, _, rule)| *rule).collect()
}

/// The records without the blanks at their end: those are of the shape and not of the content.
fn records(bytes: &[u8]) -> Vec<Vec<char>> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let lines = text.lines().map(|line| line.trim_end().chars().collect::<Vec<_>>());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The document as XML, read again, as a flat file.
fn through_xml(document: &Document, schema: &Schema, types: &Arc<Types>) -> Vec<u8> {
    let mut xml = Vec::new();
    let options = idoc::xml::WriteOptions::default();
    assert_eq!(idoc::xml::write(&[document], schema, options, &mut xml), vec![]);
    let again = read_xml(&xml, types).pop().unwrap().unwrap();
    let unexpected = |p: &&waybill_parsers::Problem| p.code != "unknown-extension";
    assert_eq!(again.problems.iter().find(unexpected), None, "{}", schema.name());
    let mut back = Vec::new();
    let shape = idoc::WriteOptions {
        record_length: RecordLength::Full,
        newline: Newline::Lf,
        ..idoc::WriteOptions::default()
    };
    assert_eq!(idoc::write(&again.document, schema, shape, &mut back), vec![]);
    back
}

#[test]
fn flat_files_come_back_from_xml_or_differ_by_a_rule() {
    const OLD: [char; 7] = ['E', 'D', 'I', '_', 'D', 'C', ' '];
    let types = types();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut equal, mut documents, mut skipped) = (0, 0, 0);
    for file in corpus("flat") {
        for reading in read_flat(&fs::read(&file).unwrap(), &types) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let Some(schema) = schema_of(&reading.document, &types) else {
                println!("{name}: no definition");
                skipped += 1;
                continue;
            };
            let mut direct = Vec::new();
            let options = idoc::WriteOptions::default();
            if let Some(problem) =
                idoc::write(&reading.document, schema, options, &mut direct).first()
            {
                // What cannot be written as a flat file cannot be written as XML either.
                println!("{name}: {} {problem}", problem.code);
                skipped += 1;
                continue;
            }
            documents += 1;
            let back = through_xml(&reading.document, schema, &types);
            let span = reading.span.start as usize..reading.span.end as usize;
            let whole = fs::read(&file).unwrap();
            let (before, after) = (records(&whole[span]), records(&back));
            assert_eq!(before.len(), after.len(), "{}", file.display());
            let mut differs = false;
            for (at, (before, after)) in before.iter().zip(&after).enumerate() {
                let is_old = before.starts_with(&OLD) || name.contains("_3x");
                let other_layout = is_old.then_some("release 3.x is written as 4.x");
                let rules = rules(before, after, at > 0);
                for rule in other_layout.into_iter().chain(rules.into_iter().filter(|_| !is_old)) {
                    *found.entry(rule).or_default() += 1;
                    differs = true;
                }
            }
            equal += usize::from(!differs);
        }
    }
    println!(
        "{documents} IDocs, {equal} equal in every character, {skipped} without definition or not writable"
    );
    for (rule, records) in &found {
        println!("{records} records differ: {rule}");
    }
    assert_eq!(found.get("segment data"), None);
    assert_eq!(found.get("control record"), None);
}

#[test]
fn real_and_derived_xml_is_read() {
    let types = types();
    for file in corpus("xml").into_iter().chain(corpus("xml_derived")) {
        let readings = read_xml(&fs::read(&file).unwrap(), &types);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for reading in readings {
            match reading {
                Ok(reading) => {
                    let segments = reading.document.root().descendants();
                    let segments = segments.filter(|node| node.kind() == Kind::Segment);
                    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
                    for problem in &reading.problems {
                        *codes.entry(problem.code).or_default() += 1;
                    }
                    println!("{name}: {} segments, {codes:?}", segments.count());
                }
                Err(error) => println!("{name}: {} {error}", error.code),
            }
        }
    }
}

/// The files that were derived from flat ones by another program have the same content.
#[test]
fn derived_xml_equals_its_flat_file() {
    let types = types();
    let flats = corpus("flat");
    for file in corpus("xml_derived") {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let flat = flats.iter().find(|flat| {
            let name = flat.file_name().unwrap().to_string_lossy().into_owned();
            name.rsplit_once('.').is_some_and(|(head, tail)| match tail {
                "tst" => format!("{head}_tst") == stem,
                _ => head == stem,
            })
        });
        let Some(flat) = flat else {
            println!("{stem}: its flat file is not in the corpus");
            continue;
        };
        let flat = read_flat(&fs::read(flat).unwrap(), &types);
        let xml = read_xml(&fs::read(&file).unwrap(), &types);
        assert_eq!(flat.len(), xml.len(), "{stem}");
        for (flat, xml) in flat.iter().zip(&xml) {
            let xml = xml.as_ref().unwrap();
            assert_eq!(flat.document, xml.document, "{stem}");
        }
    }
}

/// Documents, records and verdict, as the table has them.
fn verdict(readings: &[Result<Reading, FrameError>]) -> String {
    let is_segment = |node: &waybill_parsers::Node<'_>| node.kind() == Kind::Segment;
    let read = readings.iter().flatten();
    let records: usize =
        read.map(|r| r.document.root().descendants().filter(is_segment).count()).sum();
    let worst = readings.iter().map(|reading| match reading {
        Err(_) => 3,
        Ok(reading) if reading.is_refused() => 2,
        Ok(reading) => usize::from(!reading.problems.is_empty()),
    });
    let verdict = ["clean", "warned", "refused", "frame"][worst.max().unwrap_or(0)];
    format!("{}\t{records}\t{verdict}", readings.iter().flatten().count())
}

#[test]
fn the_corpus_gives_its_verdicts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("testdata/verdicts/idoc.tsv")).unwrap();
    let files: usize =
        ["flat", "xml", "xml_derived"].map(|folder| corpus(folder).len()).iter().sum();
    if files == 0 {
        return;
    }
    let types = types();
    let (mut rows, mut wrong) = (0, Vec::new());
    for row in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        let bytes = fs::read(root.join("../shared/corpus/idoc").join(columns[0])).unwrap();
        let readings: Vec<_> = if columns[0].starts_with("flat") {
            let limits = Limits::default();
            idoc::Reader::new(bytes.as_slice(), Arc::clone(&types), limits).collect()
        } else {
            read_xml(&bytes, &types)
        };
        // Where the reader disagreed, the last column begins with what it said.
        let expected = columns[5]
            .split_once(": ")
            .map_or_else(|| columns[1..4].join("\t"), |(found, _)| found.replace(' ', "\t"));
        let found = verdict(&readings);
        rows += 1;
        if found != expected {
            let problems = readings.iter().flatten().flat_map(|reading| &reading.problems);
            let problems: Vec<_> = problems.take(3).map(ToString::to_string).collect();
            wrong.push(format!("{}: {found}, expected {expected}: {problems:?}", columns[0]));
        }
    }
    assert_eq!(rows, files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NOTE: &str = r#"<ALEAUD01><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><IDOCTYP>ALEAUD01</IDOCTYP></EDI_DC40><E1ADHDR SEGMENT="1"><MESTYP_LNG>A&amp;B</MESTYP_LNG><E1STATE SEGMENT="1"><DOCNUM>0000000000000042</DOCNUM><STATUS>53</STATUS></E1STATE></E1ADHDR></IDOC></ALEAUD01>"#;

#[test]
fn an_envelope_and_namespaces_change_nothing() {
    let types = types();
    let plain = read_xml(NOTE.as_bytes(), &types).pop().unwrap().unwrap();
    assert_eq!(plain.problems, vec![]);
    assert_eq!(&NOTE[plain.span.start as usize..][..5], "<IDOC");
    let soap = NOTE
        .replace("<ALEAUD01>", "<ALEAUD01 xmlns=\"urn:sap-com:document:sap:idoc:soap:messages\">");
    let soap = format!("<s:Envelope xmlns:s=\"x\"><s:Header/><s:Body>{soap}</s:Body></s:Envelope>");
    let read = read_xml(soap.as_bytes(), &types).pop().unwrap().unwrap();
    assert_eq!(read.document, plain.document);
    let schema = types.find("ALEAUD01", "").unwrap();
    let options = idoc::xml::WriteOptions { namespace: Namespace::Soap, pretty: true };
    let mut out = Vec::new();
    assert_eq!(
        idoc::xml::write(&[&read.document, &plain.document], schema, options, &mut out),
        vec![]
    );
    let both = read_xml(&out, &types);
    assert_eq!(both.len(), 2);
    for reading in both {
        let reading = reading.unwrap();
        assert_eq!(reading.problems, vec![]);
        // TABNAM was not sent, and is always written.
        assert_eq!(reading.document.len(), plain.document.len() + 1);
    }
}

#[test]
fn limits_hold() {
    let types = types();
    let code = |text: &str, limits: Limits| {
        let read: Vec<_> =
            idoc::xml::Reader::new(text.as_bytes(), Arc::clone(&types), limits).collect();
        read.into_iter().find_map(Result::err).map_or("", |error| error.code)
    };
    let limits = Limits::default();
    assert_eq!(code(NOTE, Limits { document: 100, ..limits }), "too-large");
    assert_eq!(code(NOTE, Limits { nodes: 3, ..limits }), "too-many-nodes");
    let deep = NOTE.replace("<STATUS>53</STATUS>", &"<A SEGMENT='1'>".repeat(80));
    assert_eq!(code(&deep, limits), "too-deep");
    let long = NOTE.replace("53", &"x".repeat(1 << 20));
    assert_eq!(code(&long, Limits { record: 5000, ..limits }), "too-long");
    assert_eq!(code("<ROOT/>", limits), "not-idoc");
    assert_eq!(code("", limits), "");
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]>".to_owned() + NOTE;
    assert_eq!(code(&bomb, limits), "dtd");
}

/// A segment of fields as they come: simple, empty, with a reference, in letters beyond ASCII, and
/// one that is not declared.
const FIELDS: &str = "<ZVEHREG01><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><MANDT>100</MANDT>\
    <DOCNUM>42</DOCNUM><IDOCTYP>ZVEHREG01</IDOCTYP></EDI_DC40><Z1VHHDR SEGMENT=\"1\">\n  \
    <VIN>WAY1ZZZA6TB000017</VIN><EVTID/><STATUS>DLVD  </STATUS>\n<PLANT></PLANT><MODEL>A&amp;B</MODEL>\
    <COLOR>grün</COLOR><NOSUCH>x</NOSUCH><Z1VHTXT SEGMENT=\"1\"/></Z1VHHDR></IDOC></ZVEHREG01>";

#[test]
fn a_field_is_the_same_whichever_way_it_is_found() {
    let types = types();
    let read = |text: &str| read_xml(text.as_bytes(), &types).remove(0).unwrap();
    let plain = read(FIELDS);
    let header = plain.document.root().child("Z1VHHDR").unwrap();
    let text = |name: &str| header.child(name).map(|field| field.text().to_owned());
    assert_eq!(text("STATUS").as_deref(), Some("DLVD"));
    assert_eq!(text("MODEL").as_deref(), Some("A&B"));
    assert_eq!(text("COLOR").as_deref(), Some("grün"));
    assert_eq!((text("EVTID"), text("PLANT")), (None, None));
    assert!(header.child("Z1VHTXT").is_some());
    let places = |reading: &Reading| -> Vec<_> {
        reading.problems.iter().map(|problem| (problem.code, problem.place.line)).collect()
    };
    assert!(places(&plain).contains(&("unknown-field", 3)));
    // Behind a comment, a field is found by way of its tags and text.
    let slowly = read(&FIELDS.replace("><", "><!----><"));
    assert_eq!(slowly.document, plain.document);
    assert_eq!(places(&slowly), places(&plain));
}

#[test]
fn fields_across_the_end_of_what_was_read_are_whole() {
    let types = types();
    let plain = read_xml(FIELDS.as_bytes(), &types).remove(0).unwrap();
    for room in 1..80 {
        let input = BufReader::with_capacity(room, FIELDS.as_bytes());
        let reader = idoc::xml::Reader::new(input, Arc::clone(&types), Limits::default());
        let readings: Vec<_> = reader.map(|reading| reading.unwrap()).collect();
        assert_eq!(readings.as_slice(), std::slice::from_ref(&plain), "{room}");
    }
}
