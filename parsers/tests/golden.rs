//! Every case of `testdata/<format>/`, and the laws that hold for all of them.
//!
//! A case is a folder with `input.*`, and `encoding.txt` where it is not in the encoding that its
//! first bytes tell. Beside it are `document.txt` (what was read), `problems.txt`
//! (what is wrong with it, if anything) and `output.*` (what is written, where it is not the input
//! byte for byte). `UPDATE=1 cargo nextest run -p waybill-parsers` writes them anew; read the
//! diff.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill_parsers::{
    Builder, Document, Encoding, FrameError, Limits, Reading, Schema, Severity, csv, fixed, idoc,
    json, vda, xml,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Idoc,
    IdocXml,
    Json,
    JsonLines,
    Vda,
    Xml,
}

/// What one input gave: documents, and the error that ended it.
#[derive(Debug, PartialEq)]
struct Outcome {
    readings: Vec<Reading>,
    error: Option<FrameError>,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Idoc => "idoc",
            Self::IdocXml => "idoc-xml",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Vda => "vda",
            Self::Xml => "xml",
        }
    }

    fn read(self, bytes: &[u8], limits: &Limits, types: &Arc<idoc::Types>) -> Outcome {
        self.read_in(None, bytes, limits, types)
    }

    fn read_in(
        self,
        encoding: Option<Encoding>,
        bytes: &[u8],
        limits: &Limits,
        types: &Arc<idoc::Types>,
    ) -> Outcome {
        let values = Some(Severity::Warning);
        match self {
            Self::Csv => {
                let encoding = encoding.unwrap_or_default();
                let options = csv::ReadOptions { encoding, ..csv::ReadOptions::default() };
                all(csv::Reader::new(bytes, options, *limits))
            }
            Self::Json => all([json::read(bytes, limits)].into_iter()),
            Self::JsonLines => all(json::Lines::new(bytes, *limits)),
            Self::Idoc => read_idocs(bytes, encoding, limits, types),
            Self::IdocXml => {
                let options = idoc::ReadOptions { encoding, values };
                let types = Arc::clone(types);
                all(idoc::xml::Reader::with_options(bytes, types, *limits, options))
            }
            Self::Vda => {
                let options = fixed::ReadOptions { encoding: encoding.unwrap_or_default(), values };
                let types = Arc::new(vda::types());
                all(fixed::Reader::with_options(bytes, types, *limits, options))
            }
            Self::Xml => all([xml::read(bytes, limits)].into_iter()),
        }
    }

    /// The documents in canonical form; `None` where one of them cannot be written.
    fn write(self, documents: &[&Document], types: &idoc::Types) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::Csv => {
                let options = csv::WriteOptions::default();
                return csv::write(documents, &[], options, &mut out).is_empty().then_some(out);
            }
            Self::IdocXml => {
                let schema = schema_of(documents.first()?, types)?;
                let options = idoc::xml::WriteOptions { pretty: true, ..Default::default() };
                let problems = idoc::xml::write(documents, schema, options, &mut out);
                return problems.is_empty().then_some(out);
            }
            _ => {}
        }
        for document in documents {
            if !self.write_one(document, types, &mut out) {
                return None;
            }
        }
        Some(out)
    }

    fn write_one(self, document: &Document, types: &idoc::Types, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Json => json::write(document.root(), out),
            Self::JsonLines => json::write_line(document.root(), out),
            Self::Idoc if document.root().name() == "EDI_DS40" => {
                let options = idoc::WriteOptions::default();
                return idoc::write_status(document, options, out).is_empty();
            }
            Self::Idoc => {
                let Some(schema) = schema_of(document, types) else { return false };
                let options = idoc::WriteOptions::default();
                return idoc::write(document, schema, options, out).is_empty();
            }
            Self::Vda => {
                let types = vda::types();
                let Some(schema) = types.find(document.root().name()) else { return false };
                let options = fixed::WriteOptions::default();
                return fixed::write(document, schema, options, out).is_empty();
            }
            Self::Xml => {
                let options = xml::WriteOptions::default();
                return xml::write(document.root(), options, out).is_empty();
            }
            Self::Csv | Self::IdocXml => return false,
        }
        true
    }
}

fn schema_of<'t>(document: &Document, types: &'t idoc::Types) -> Option<&'t Arc<Schema>> {
    let control = document.root().child("EDI_DC40")?;
    let text = |name| control.child(name).map_or("", |field| field.text());
    types.find(text("IDOCTYP"), text("CIMTYP"))
}

/// Everything that a reader gives.
fn all(mut reader: impl Iterator<Item = Result<Reading, FrameError>>) -> Outcome {
    let mut outcome = Outcome { readings: Vec::new(), error: None };
    for read in &mut reader {
        match read {
            Ok(reading) => outcome.readings.push(reading),
            Err(error) => outcome.error = Some(error),
        }
    }
    assert!(reader.next().is_none(), "a reader that has ended gives nothing more");
    outcome
}

fn read_idocs(
    input: impl BufRead,
    encoding: Option<Encoding>,
    limits: &Limits,
    types: &Arc<idoc::Types>,
) -> Outcome {
    let options = idoc::ReadOptions { encoding, values: Some(Severity::Warning) };
    all(idoc::Reader::with_options(input, Arc::clone(types), *limits, options))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The types that ship.
fn types() -> Arc<idoc::Types> {
    let mut types = idoc::Types::new();
    for file in files(&workspace().join("mappings/schemas/idoc")) {
        let schema = idoc::read_schema(&fs::read(&file).unwrap());
        types.add(Arc::new(schema.unwrap_or_else(|e| panic!("{}: {e:?}", file.display()))));
    }
    Arc::new(types)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

struct Case {
    folder: PathBuf,
    input: PathBuf,
    bytes: Vec<u8>,
    /// What `encoding.txt` names.
    encoding: Option<Encoding>,
}

fn cases(format: Format) -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in files(&workspace().join("testdata").join(format.name())) {
        let input = folder.join(format!("input.{}", format.name()));
        let bytes = fs::read(&input).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
        let encoding = fs::read_to_string(folder.join("encoding.txt")).ok();
        let encoding = encoding.map(|name| Encoding::named(&name).unwrap());
        cases.push(Case { folder, input, bytes, encoding });
    }
    assert!(cases.len() > 3, "the cases are where they are looked for");
    cases
}

/// Compares a file with what it should be, or writes it with `UPDATE=1`. Empty means no file.
fn compare(path: &Path, actual: &[u8]) {
    if std::env::var_os("UPDATE").is_some() {
        if actual.is_empty() {
            let _ = fs::remove_file(path);
        } else {
            fs::write(path, actual).unwrap();
        }
        return;
    }
    let expected = fs::read(path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs (UPDATE=1 accepts it); now:\n{}",
        path.display(),
        String::from_utf8_lossy(actual)
    );
}

fn check_cases(format: Format) {
    let types = types();
    for case in cases(format) {
        let outcome = format.read_in(case.encoding, &case.bytes, &Limits::default(), &types);
        let (mut documents, mut problems) = (String::new(), String::new());
        for (number, reading) in outcome.readings.iter().enumerate() {
            let number = number + 1;
            writeln!(documents, "document {number}, bytes {:?}", reading.span).unwrap();
            write!(documents, "{:?}", reading.document).unwrap();
            for problem in &reading.problems {
                writeln!(problems, "document {number}: {} {problem}", problem.code).unwrap();
            }
        }
        if let Some(error) = &outcome.error {
            writeln!(problems, "frame: {} {error}", error.code).unwrap();
        }
        compare(&case.folder.join("document.txt"), documents.as_bytes());
        compare(&case.folder.join("problems.txt"), problems.as_bytes());

        let read: Vec<_> = outcome.readings.iter().map(|reading| &reading.document).collect();
        let written = format.write(&read, &types).unwrap_or_default();
        let output = case.folder.join("output").with_extension(format.name());
        compare(&output, if written == case.bytes { b"" } else { &written });
        if !written.is_empty() {
            let again = format.read(&written, &Limits::default(), &types);
            let documents: Vec<_> = again.readings.iter().map(|r| &r.document).collect();
            assert_eq!(read, documents, "{}", case.input.display());
            assert_eq!(again.error, None);
            assert!(again.readings.iter().all(|reading| !reading.is_refused()));
            assert_eq!(format.write(&documents, &types).as_ref(), Some(&written));
        }
    }
}

/// What is packed in a document is the same, node by node, where nothing is.
fn check_copy(document: &Document) {
    let mut builder = Builder::new();
    builder.copy(document.root(), document.root().name());
    let copy = builder.finish();
    assert_eq!((&copy, copy.len()), (document, document.len()));
    for (node, copied) in document.root().descendants().zip(copy.root().descendants()) {
        assert_eq!(node.offset(), copied.offset(), "{node:?}");
        assert_eq!(document.node(node.id()).text(), copied.text());
    }
}

/// Whatever the bytes are, reading ends, within its limits, with spans in their order.
fn check_laws(format: Format, bytes: &[u8], limits: &Limits, types: &Arc<idoc::Types>) {
    let outcome = format.read(bytes, limits, types);
    let mut end = 0;
    for reading in &outcome.readings {
        assert!(end <= reading.span.start && reading.span.start <= reading.span.end);
        end = reading.span.end;
        assert!(end <= bytes.len() as u64);
        assert!(reading.problems.len() <= limits.problems + 1);
        assert!(!reading.document.is_empty());
        let size = (reading.span.end - reading.span.start) as usize;
        for node in reading.document.root().descendants() {
            assert!(node.offset() <= 2 * size, "{node:?} at {} of {size}", node.offset());
        }
        check_copy(&reading.document);
        // A record may add all its fields after the last check.
        assert!(reading.document.len() <= limits.nodes + 1000);
    }
    if let Some(error) = outcome.error {
        assert!(error.place.offset <= bytes.len() as u64, "{error}");
    }
}

fn check_mutations(format: Format) {
    let types = types();
    let tight = Limits { document: 6000, record: 2000, depth: 3, nodes: 60, problems: 3 };
    for case in cases(format) {
        for end in 0..case.bytes.len() {
            // The cuts in long paddings are all the same.
            let near = &case.bytes[end.saturating_sub(2)..(end + 2).min(case.bytes.len())];
            if near != b"    " {
                check_laws(format, &case.bytes[..end], &Limits::default(), &types);
            }
        }
        let mut random = Random(0x5eed);
        for _ in 0..1000 {
            let mut bytes = case.bytes.clone();
            for _ in 0..1 + random.below(4) {
                random.mutate(&mut bytes);
            }
            let limits = if random.below(4) == 0 { tight } else { Limits::default() };
            check_laws(format, &bytes, &limits, &types);
        }
    }
}

/// xorshift64*: the same mutations on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const LIKELY: &[u8] = b"\n\r\t \0\"\\{}[],:;0EZ<>&/=\xef\xbb\xbf\xc3\xff";
        let at = self.below(bytes.len() + 1);
        let byte = LIKELY[self.below(LIKELY.len())];
        match self.below(5) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => bytes[at] = byte,
            2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            3 => {
                let end = (at + self.below(80)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => {
                let end = (at + self.below(1200)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
        }
    }
}

#[test]
fn csv_cases_read_and_write_as_recorded() {
    check_cases(Format::Csv);
}

#[test]
fn idoc_cases_read_and_write_as_recorded() {
    check_cases(Format::Idoc);
}

#[test]
fn idoc_xml_cases_read_and_write_as_recorded() {
    check_cases(Format::IdocXml);
}

#[test]
fn json_cases_read_and_write_as_recorded() {
    check_cases(Format::Json);
}

#[test]
fn json_lines_cases_read_and_write_as_recorded() {
    check_cases(Format::JsonLines);
}

#[test]
fn vda_cases_read_and_write_as_recorded() {
    check_cases(Format::Vda);
}

#[test]
fn xml_cases_read_and_write_as_recorded() {
    check_cases(Format::Xml);
}

#[test]
fn no_cut_or_mutation_of_csv_breaks_the_reader() {
    check_mutations(Format::Csv);
}

#[test]
fn no_cut_or_mutation_of_idoc_breaks_the_reader() {
    check_mutations(Format::Idoc);
}

#[test]
fn no_cut_or_mutation_of_idoc_xml_breaks_the_reader() {
    check_mutations(Format::IdocXml);
}

#[test]
fn no_cut_or_mutation_of_json_breaks_the_reader() {
    check_mutations(Format::Json);
}

#[test]
fn no_cut_or_mutation_of_json_lines_breaks_the_reader() {
    check_mutations(Format::JsonLines);
}

#[test]
fn no_cut_or_mutation_of_vda_breaks_the_reader() {
    check_mutations(Format::Vda);
}

#[test]
fn no_cut_or_mutation_of_xml_breaks_the_reader() {
    check_mutations(Format::Xml);
}

#[test]
fn the_size_of_the_reads_makes_no_difference() {
    let types = types();
    for case in cases(Format::Idoc) {
        let whole = read_idocs(case.bytes.as_slice(), case.encoding, &Limits::default(), &types);
        for size in [1, 7, 524, 4096] {
            let input = BufReader::with_capacity(size, case.bytes.as_slice());
            let parts = read_idocs(input, case.encoding, &Limits::default(), &types);
            assert_eq!(parts, whole, "{} by {size}", case.input.display());
        }
    }
}

#[test]
fn vehicle_identification_numbers_in_the_cases_are_valid() {
    for case in cases(Format::Idoc) {
        let Ok(documents) = fs::read_to_string(case.folder.join("document.txt")) else { continue };
        for line in documents.lines().filter_map(|line| line.trim().strip_prefix("Field VIN ")) {
            let vin = line.trim_matches('"');
            assert_eq!(vin.chars().nth(8), Some(check_digit(vin)), "{vin}");
        }
    }
}

/// ISO 3779 with the North American check digit (49 CFR 565).
fn check_digit(vin: &str) -> char {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |c: char| match c {
        '0'..='9' => c as u32 - '0' as u32,
        'A'..='H' => c as u32 - 'A' as u32 + 1,
        'J'..='R' => c as u32 - 'J' as u32 + 1,
        _ => c as u32 - 'S' as u32 + 2,
    };
    let sum: u32 = vin.chars().zip(WEIGHTS).map(|(c, weight)| value(c) * weight).sum();
    char::from_digit(sum % 11, 10).unwrap_or('X')
}

#[test]
fn real_files_are_read_without_a_frame_error() {
    let corpus = workspace().join("../shared/corpus/idoc/flat");
    let found = files(&corpus);
    if found.is_empty() {
        println!("skipped: no corpus at {}", corpus.display());
    }
    let types = types();
    for file in found {
        let input = BufReader::new(fs::File::open(&file).unwrap());
        let outcome = read_idocs(input, None, &Limits::default(), &types);
        let name = file.display();
        assert_eq!(outcome.error, None, "{name}");
        assert!(!outcome.readings.is_empty(), "{name}");
        for reading in &outcome.readings {
            let segments = reading.document.root().children().count() - 1;
            let problems = reading.problems.len();
            println!("{name}: {:?} {segments} segments, {problems} problems", reading.span);
        }
    }
}
