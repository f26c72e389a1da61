//! Every mapping that ships, with the cases beside it.
//!
//! `mappings/<name>/cases/<case>/event.json` (or `event.idoc`, one IDoc as a flat file) must become
//! exactly `expected.txt` (the IDoc as an indented tree) or `expected.json`, or fail with exactly
//! `problems.txt` (a fault each line). `UPDATE=1` writes what came out; read it before you commit
//! it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill::diagnostic::{Problems, SourceFile};
use waybill::mapping::{self, Budget, FormatEntry, Inputs, Mapping, Product};
use waybill::table::Table;
use waybill_parsers::{Builder, Document, Kind, Limits, Node, Schema, Severity, idoc, json};

/// Control fields of an invented partner.
const CONTROL: [(&str, &str); 7] = [
    ("MANDT", "100"),
    ("DOCNUM", "0000000000000001"),
    ("MESTYP", "ZVEHREG"),
    ("SNDPRT", "LS"),
    ("SNDPRN", "VMSCLNT100"),
    ("RCVPRT", "LS"),
    ("RCVPRN", "Q01CLNT100"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn source_file(path: &Path) -> SourceFile {
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    SourceFile::new(name, text(path))
}

/// What `read` makes of the file, or all that is wrong with it.
fn checked<T>(path: &Path, read: impl FnOnce(&mut Problems) -> Option<T>) -> T {
    let mut problems = Problems::new(source_file(path));
    let value = read(&mut problems);
    let list: Vec<_> = problems.into_list().iter().map(ToString::to_string).collect();
    assert_eq!(list, Vec::<String>::new());
    value.unwrap()
}

struct Loaded {
    mapping: Mapping,
    target: Schema,
}

/// The mapping file `path` with what it is checked against.
fn load(path: &Path) -> Loaded {
    match compile(&source_file(path), path.parent().unwrap()) {
        Ok(loaded) => loaded,
        Err(mistakes) => panic!("{}", mistakes.join("\n")),
    }
}

/// Compiles the mapping `file`, whose paths start at `folder`, or returns its mistakes.
fn compile(file: &SourceFile, folder: &Path) -> Result<Loaded, Vec<String>> {
    let mut problems = Problems::new(file.clone());
    let list = |problems: Problems| problems.into_list().iter().map(ToString::to_string).collect();
    let Some(file) = mapping::read(&mut problems) else {
        return Err(list(problems));
    };
    let source = match &file.from {
        FormatEntry::Idoc { .. } => mapping::idoc_source(&schema(&file.from, folder)),
        FormatEntry::Json(_) => schema(&file.from, folder),
    };
    let target = schema(&file.to, folder);
    let tables: Vec<_> = file
        .tables
        .iter()
        .map(|(name, path)| {
            let path = folder.join(&path.value);
            let table = checked(&path, |problems| Table::read(&name.value, problems));
            (name.value.clone(), Arc::new(table))
        })
        .collect();
    let inputs = Inputs { source: &source, target: &target, tables: &tables };
    match mapping::compile(&file, &inputs, &mut problems) {
        Some(mapping) if problems.is_empty() => Ok(Loaded { mapping, target }),
        _ => Err(list(problems)),
    }
}

/// The schema that `from` or `to` names.
fn schema(entry: &FormatEntry, folder: &Path) -> Schema {
    match entry {
        FormatEntry::Json(None) => Schema::open("any"),
        FormatEntry::Json(Some(path)) => {
            let path = folder.join(&path.value);
            let read = json::read_schema(text(&path).as_bytes());
            read.unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()))
        }
        FormatEntry::Idoc { idoc_type, .. } => idoc_type_of(&idoc_type.value),
    }
}

fn idoc_type_of(name: &str) -> Schema {
    let definition = root().join("schemas/idoc").join(format!("{name}.idoc"));
    idoc::read_schema(text(&definition).as_bytes()).unwrap()
}

/// The event of a case, or of an example: an IDoc where it begins as one.
fn event(path: &Path) -> Document {
    if path.join("event.json").exists() {
        let event = text(&path.join("event.json"));
        return json::read(event.as_bytes(), &Limits::default()).unwrap().document;
    }
    idoc_document(&fs::read(path.join("event.idoc")).unwrap())
}

fn idoc_document(bytes: &[u8]) -> Document {
    let mut types = idoc::Types::new();
    for entry in fs::read_dir(root().join("schemas/idoc")).unwrap() {
        let definition = text(&entry.unwrap().path());
        types.add(Arc::new(idoc::read_schema(definition.as_bytes()).unwrap()));
    }
    let mut reader = idoc::Reader::new(bytes, Arc::new(types), Limits::default());
    let reading = reader.next().unwrap().unwrap();
    let errors = reading.problems.iter().filter(|problem| problem.severity == Severity::Error);
    assert_eq!(errors.map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    assert!(reader.next().is_none(), "one IDoc a case");
    reading.document
}

/// The document as people read it: a segment or field each line.
fn tree(node: Node<'_>, depth: usize, out: &mut String) {
    let (name, value) = (node.name(), node.text());
    if node.is_scalar() {
        writeln!(out, "{:depth$}{name} {value}", "").unwrap();
    } else {
        writeln!(out, "{:depth$}{name}", "").unwrap();
    }
    node.children().for_each(|child| tree(child, depth + 2, out));
}

fn compare(path: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        let path = path.display();
        wrong.push(format!("{path}\n--- expected\n{expected}--- found\n{found}"));
    }
}

/// The file that holds what a mapping makes, and its content.
fn shown(loaded: &Loaded, document: &Document) -> (&'static str, String) {
    let mut found = String::new();
    if loaded.mapping.product() == Product::Json {
        let mut bytes = Vec::new();
        json::write_pretty(document.root(), &mut bytes);
        return ("expected.json", String::from_utf8(bytes).unwrap() + "\n");
    }
    tree(document.root(), 0, &mut found);
    let mut bytes = Vec::new();
    let refused = idoc::write(document, &loaded.target, idoc::WriteOptions::default(), &mut bytes);
    assert_eq!(refused, [], "the writer refuses it");
    ("expected.txt", found)
}

#[test]
fn every_case_of_every_mapping_comes_out_as_expected() {
    let mut wrong = Vec::new();
    for folder in folders(&root()).iter().filter(|folder| folder.join("mapping.yaml").exists()) {
        let loaded = load(&folder.join("mapping.yaml"));
        let (mut good, mut bad) = (0, 0);
        for case in folders(&folder.join("cases")) {
            let event = event(&case);
            let problems = case.join("problems.txt");
            match loaded.mapping.apply(event.root(), &CONTROL, Budget::UNLIMITED) {
                Ok(document) => {
                    good += 1;
                    let (name, found) = shown(&loaded, &document);
                    compare(&case.join(name), &found, &mut wrong);
                    assert!(!problems.exists(), "{}: expected to fail", case.display());
                }
                Err(faults) => {
                    bad += 1;
                    let mut found = String::new();
                    faults.iter().for_each(|fault| writeln!(found, "{fault}").unwrap());
                    compare(&problems, &found, &mut wrong);
                    let expected = ["expected.txt", "expected.json"];
                    let expects = expected.iter().any(|name| case.join(name).exists());
                    assert!(!expects, "{}: expected a document", case.display());
                    no_payload(event.root(), &found);
                }
            }
        }
        assert!(good > 0 && bad > 0 && good + bad >= 4, "{}: too few cases", folder.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Payload is personal data and has no place in a message.
fn no_payload(source: Node<'_>, message: &str) {
    // The place in the mapping is no payload, even where it is called what the event says.
    let parts = message.lines().map(|line| line.split_once(": ").unwrap().1);
    let message = parts.collect::<Vec<_>>().join("\n");
    // What an IDoc is called is part of the mapping's paths.
    let is_name = |node: &Node<'_>| matches!(node.name(), "TABNAM" | "IDOCTYP" | "MESTYP");
    let is_payload = |node: &Node<'_>| node.text().len() > 4 && !is_name(node);
    for node in source.descendants().filter(is_payload) {
        assert!(!message.contains(node.text()), "the text of `{}` is in: {message}", node.name());
    }
}

#[test]
fn the_vins_of_the_samples_have_a_valid_check_digit() {
    let mut vins = BTreeSet::new();
    for folder in folders(&root()) {
        for case in folders(&folder.join("cases")) {
            // Other lengths are cases of faults.
            let event = event(&case);
            let is_vin = |node: &Node<'_>| matches!(node.name(), "vin" | "VIN");
            let found =
                event.root().descendants().filter(is_vin).map(|node| node.text().to_owned());
            vins.extend(found.filter(|vin| vin.len() == 17).collect::<Vec<_>>());
        }
    }
    assert!(vins.len() >= 4);
    for vin in vins {
        assert_eq!(vin.as_bytes()[8], check_digit(&vin), "{vin}");
    }
}

/// Position 9 of a VIN (ISO 3779, as 49 CFR 565 computes it).
fn check_digit(vin: &str) -> u8 {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'H' => u32::from(byte - b'A' + 1),
        b'J'..=b'R' => u32::from(byte - b'J' + 1),
        b'S'..=b'Z' => u32::from(byte - b'S' + 2),
        _ => panic!("no character of a VIN"),
    };
    let sum: u32 = vin.bytes().zip(WEIGHTS).map(|(byte, weight)| value(byte) * weight).sum();
    match sum % 11 {
        10 => b'X',
        digit => b'0' + digit as u8,
    }
}

/// The manual's fenced blocks: language and text.
fn blocks(manual: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = manual.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((language.to_owned(), body.join("\n") + "\n"));
        }
    }
    found
}

/// Places in an example count from its first line and its first column.
fn as_in_the_manual(message: &str, head_lines: usize) -> String {
    let mut parts = message.splitn(4, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (file, line, column, rest) = (next(), next(), next(), next());
    let line = line.parse::<usize>().unwrap() - head_lines;
    let column = column.parse::<usize>().unwrap() - 2;
    format!("{file}:{line}:{column}:{rest}\n")
}

#[test]
fn every_example_of_the_manual_does_what_it_says() {
    let manual = text(&root().join("../docs/mapping.md"));
    let folder = root().join("vehicle-registration");
    let blocks = blocks(&manual);
    let (_, whole) = blocks.iter().find(|(language, _)| language == "yaml").unwrap();
    compile(&SourceFile::new("mapping.yaml", whole.as_str()), &folder).map(drop).unwrap();
    let head = &whole[..whole.find("  - segment").unwrap()];
    let mut examples = 0;
    for (at, (_, example)) in blocks.iter().enumerate().filter(|(_, (_, s))| s.starts_with("- s")) {
        examples += 1;
        let indented: String = example.lines().map(|line| format!("  {line}\n")).collect();
        let file = SourceFile::new("mapping.yaml", format!("{head}{indented}"));
        let messages = |list: Vec<String>| -> String {
            list.iter().map(|message| as_in_the_manual(message, head.lines().count())).collect()
        };
        let (expected, found) = match (compile(&file, &folder), blocks[at + 1].0.as_str()) {
            (Err(mistakes), _) => (&blocks[at + 1].1, messages(mistakes)),
            (Ok(_), "text") => (&blocks[at + 1].1, "no mistakes".to_owned()),
            (Ok(loaded), _) => {
                let event = json::read(blocks[at + 1].1.as_bytes(), &Limits::default()).unwrap();
                let found =
                    match loaded.mapping.apply(event.document.root(), &[], Budget::UNLIMITED) {
                        Err(faults) => messages(faults.iter().map(ToString::to_string).collect()),
                        Ok(document) => {
                            let mut out = String::new();
                            // The first child is the control record.
                            let segments = document.root().children().skip(1);
                            segments.for_each(|segment| tree(segment, 0, &mut out));
                            out
                        }
                    };
                (&blocks[at + 2].1, found)
            }
        };
        assert_eq!(&found, expected, "{example}");
    }
    assert!(examples >= 5, "the examples were not found");
}

/// An IDoc as an indented tree, read back.
fn grown(tree: &str) -> Document {
    let (mut builder, mut depth) = (Builder::new(), 0);
    for line in tree.lines() {
        let name = line.trim_start();
        let level = (line.len() - name.len()) / 2;
        (level..depth).for_each(|_| builder.close());
        depth = level;
        if let Some((name, text)) = name.split_once(' ') {
            builder.put(Kind::Field, name, text, 0);
        } else {
            builder.open(if level == 0 { Kind::Group } else { Kind::Segment }, name, 0);
            depth += 1;
        }
    }
    builder.finish()
}

#[test]
fn every_whole_example_of_json_does_what_it_says() {
    let manual = text(&root().join("../docs/mapping.md"));
    let blocks = blocks(&manual);
    let is_json =
        |text: &str| text.starts_with("version: 1") && text.contains("to:   { format: json");
    let mut examples = 0;
    for (at, (_, example)) in blocks.iter().enumerate().filter(|(_, (_, text))| is_json(text)) {
        examples += 1;
        let file = SourceFile::new("mapping.yaml", example.as_str());
        let loaded = compile(&file, &root().join("customer-changed"));
        let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let source = grown(&blocks[at + 1].1);
        let document = loaded.mapping.apply(source.root(), &[], Budget::UNLIMITED).unwrap();
        assert_eq!(shown(&loaded, &document).1, blocks[at + 2].1);
    }
    assert_eq!(examples, 1);
}

#[test]
fn the_manual_tells_the_truth_about_expressions() {
    let manual = text(&root().join("../docs/mapping.md"));
    let event = manual.split("For the event `").nth(1).unwrap().split('`').next().unwrap();
    let event = json::read(event.as_bytes(), &Limits::default()).unwrap();
    let rows = manual.split("| expression | result | in CEL |\n").nth(1).unwrap();
    let mut count = 0;
    for row in rows.lines().skip(1).take_while(|row| row.starts_with('|')) {
        count += 1;
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<String> = row.split('|').map(|cell| cell.replace('\u{1}', "|")).collect();
        let (expression, expected) = (cells[1].trim().trim_matches('`'), cells[2].trim());
        let file = format!(
            "version: 1\nmapping: m\nfrom: {{ format: json }}\n\
             to: {{ format: idoc, type: ZVEHREG01, message: Z }}\nsegments:\n  \
             - segment: Z1VHHDR\n    fields:\n      EVTID:\n        expr: |-\n          {expression}\n"
        );
        let loaded = compile(&SourceFile::new("m", file), &root());
        let loaded = loaded.unwrap_or_else(|mistakes| panic!("{expression}: {mistakes:?}"));
        let found = match loaded.mapping.apply(event.document.root(), &[], Budget::UNLIMITED) {
            Err(_) => "fault".to_owned(),
            Ok(document) => {
                let field = document.root().nth(1).and_then(|segment| segment.child("EVTID"));
                field.map_or("missing".to_owned(), |field| format!("`{}`", field.text()))
            }
        };
        assert_eq!(found, expected, "{expression}");
    }
    assert!(count >= 10, "the table was not found");
}
