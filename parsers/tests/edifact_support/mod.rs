//! What the tests of EDIFACT and X12 share.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]
#![allow(clippy::print_stdout, reason = "skipped files and figures are shown")]
#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::{Builder, Document, FrameError, Limits, Severity};

/// What one input gave: its parts, and the error that ended it.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) parts: Vec<Part>,
    pub(crate) segments: u64,
    pub(crate) error: Option<FrameError>,
}

impl Outcome {
    pub(crate) fn messages(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Message(_))).count()
    }

    /// The word of the verdict tables.
    pub(crate) fn verdict(&self) -> &'static str {
        let severities = self.parts.iter().flat_map(|part| &part.reading().problems);
        match severities.map(|problem| problem.severity).max() {
            _ if self.error.is_some() => "frame",
            Some(Severity::Error) => "refused",
            Some(Severity::Warning) => "warned",
            None => "clean",
        }
    }

    /// The codes of all errors.
    pub(crate) fn errors(&self) -> BTreeSet<&'static str> {
        let problems = self.parts.iter().flat_map(|part| &part.reading().problems);
        let errors = problems.filter(|problem| problem.severity == Severity::Error);
        errors.map(|problem| problem.code).collect()
    }

    /// The codes of all problems, each once.
    pub(crate) fn codes(&self) -> String {
        let problems = self.parts.iter().flat_map(|part| &part.reading().problems);
        let mut codes: Vec<_> = problems.map(|problem| problem.code).collect();
        codes.extend(self.error.iter().map(|error| error.code));
        codes.sort_unstable();
        codes.dedup();
        codes.join(", ")
    }
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The corpus that is shared between sessions, where it is there.
pub(crate) fn corpus() -> PathBuf {
    workspace().join("../shared/corpus")
}

/// A row of `testdata/verdicts`: what is expected of a file of the corpus.
pub(crate) struct Expected {
    pub(crate) file: String,
    pub(crate) messages: usize,
    pub(crate) segments: u64,
    pub(crate) lenient: String,
    pub(crate) strict: String,
    /// Why the reader answers otherwise, and what: `lenient=warned: cause`.
    pub(crate) disagreement: String,
}

pub(crate) fn expected(standard: &str) -> Vec<Expected> {
    let table = workspace().join("testdata/verdicts").join(standard).with_extension("tsv");
    let text = fs::read_to_string(table).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let columns: Vec<_> = row.split('\t').collect();
        Expected {
            file: columns[0].to_owned(),
            messages: columns[1].parse().unwrap(),
            segments: columns[2].parse().unwrap(),
            lenient: columns[3].to_owned(),
            strict: columns[4].to_owned(),
            disagreement: columns[6].to_owned(),
        }
    })
    .collect()
}

/// Compares what the readers of all modes say with a table, file by file: the verdicts of the
/// lenient and the strict reader, and which files the normal one refuses for something that the
/// lenient one only warns of (`<standard>-normal.tsv`).
pub(crate) fn check_verdicts(standard: &str, read: impl Fn(&[u8], Mode) -> Outcome) {
    let folder = corpus().join(standard);
    if !folder.exists() {
        println!("skipped: no corpus at {}", folder.display());
        return;
    }
    let mut changed =
        "# Files that the normal reader refuses and the lenient one does not, and for what.\n\
                       file\tlenient\terrors\n"
            .to_owned();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for row in expected(standard) {
        let bytes = fs::read(folder.join(&row.file)).unwrap();
        let (lenient, strict) = (read(&bytes, Mode::Lenient), read(&bytes, Mode::Strict));
        let normal = read(&bytes, Mode::Normal);
        *counts.entry(("normal", normal.verdict().to_owned())).or_default() += 1;
        if normal.verdict() != lenient.verdict() {
            let errors = normal.errors().difference(&lenient.errors()).copied().collect::<Vec<_>>();
            changed += &format!("{}\t{}\t{}\n", row.file, lenient.verdict(), errors.join(", "));
        }
        *counts.entry(("lenient", lenient.verdict().to_owned())).or_default() += 1;
        *counts.entry(("strict", strict.verdict().to_owned())).or_default() += 1;
        let mut found = Vec::new();
        for (name, expected, actual) in [
            ("messages", row.messages.to_string(), lenient.messages().to_string()),
            ("segments", row.segments.to_string(), lenient.segments.to_string()),
            ("lenient", row.lenient.clone(), lenient.verdict().to_owned()),
            ("strict", row.strict.clone(), strict.verdict().to_owned()),
        ] {
            if expected != actual {
                found.push(format!("{name}={actual}"));
            }
        }
        let recorded = row.disagreement.split(": ").next().unwrap_or_default();
        if recorded != found.join(" ") {
            let codes = (lenient.codes(), strict.codes());
            wrong.push(format!("{}\t{}\t{codes:?}", row.file, found.join(" ")));
        }
    }
    println!("{standard}: {counts:?}");
    let table = workspace().join("testdata/verdicts").join(format!("{standard}-normal.tsv"));
    compare(&table, changed.as_bytes());
    assert!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A folder of `testdata/<standard>`: `input.edi`, and beside it `document.txt` (what was read),
/// `problems.txt`, `strict.txt` (the problems of strict mode, where they differ) and `output.edi`
/// (what is written, where it is not the input byte for byte). `UPDATE=1` writes them anew.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn cases(standard: &str) -> Vec<Case> {
    let folders = fs::read_dir(workspace().join("testdata").join(standard)).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 10, "the cases are where they are looked for");
    let case =
        |folder: PathBuf| Case { bytes: fs::read(folder.join("input.edi")).unwrap(), folder };
    folders.into_iter().map(case).collect()
}

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
    let actual_text = String::from_utf8_lossy(actual);
    assert!(expected == actual, "{} differs; now:\n{actual_text}", path.display());
}

fn listed(outcome: &Outcome) -> (String, String) {
    let (mut documents, mut problems) = (String::new(), String::new());
    for (number, part) in outcome.parts.iter().enumerate() {
        let kind = match part {
            Part::Message(_) => "message",
            Part::Group(_) => "group",
            Part::Interchange(_) => "interchange",
        };
        let (number, reading) = (number + 1, part.reading());
        documents += &format!("part {number}, {kind}, bytes {:?}\n", reading.span);
        documents += &format!("{:?}", reading.document);
        for problem in &reading.problems {
            problems += &format!("part {number}: {} {problem}\n", problem.code);
        }
    }
    if let Some(error) = &outcome.error {
        problems += &format!("frame: {} {error}\n", error.code);
    }
    (documents, problems)
}

/// Reads and writes every case, and compares with what is recorded.
pub(crate) fn check_cases(
    standard: &str,
    read: impl Fn(&[u8], bool) -> Outcome,
    write: impl Fn(&Outcome, bool) -> Option<Vec<u8>>,
) {
    for case in cases(standard) {
        let outcome = read(&case.bytes, false);
        let (documents, problems) = listed(&outcome);
        compare(&case.folder.join("document.txt"), documents.as_bytes());
        compare(&case.folder.join("problems.txt"), problems.as_bytes());
        let strict = read(&case.bytes, true);
        let (strict_documents, strict_problems) = listed(&strict);
        assert_eq!(strict_documents, documents, "both modes read the same");
        let strict_problems =
            if strict_problems == problems { String::new() } else { strict_problems };
        compare(&case.folder.join("strict.txt"), strict_problems.as_bytes());

        let newline = case.bytes.windows(2).any(|pair| matches!(pair, b"'\n" | b"~\n"));
        let written = write(&outcome, newline).unwrap_or_default();
        let output = if written == case.bytes { Vec::new() } else { written.clone() };
        compare(&case.folder.join("output.edi"), &output);
        if written.is_empty() {
            continue;
        }
        let again = read(&written, false);
        assert_eq!(write(&again, newline).as_ref(), Some(&written), "{}", case.folder.display());
        assert!(again.verdict() == "clean" || again.verdict() == "warned", "{}", again.codes());
        if outcome.verdict() == "clean" {
            let documents = |outcome: &Outcome| {
                let parts = outcome.parts.clone().into_iter().filter_map(Part::into_message);
                parts.map(|reading| reading.document).collect::<Vec<_>>()
            };
            assert_eq!(documents(&again), documents(&outcome), "{}", case.folder.display());
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

/// Whatever the bytes are, reading ends, within its limits, with spans inside of the input.
pub(crate) fn check_laws(bytes: &[u8], limits: &Limits, outcome: &Outcome) {
    for part in &outcome.parts {
        let reading = part.reading();
        assert!(reading.span.start <= reading.span.end);
        assert!(reading.span.end <= bytes.len() as u64);
        assert!(reading.problems.len() <= limits.problems + 1);
        assert!(!reading.document.is_empty());
        for problem in &reading.problems {
            assert!(problem.place.offset <= bytes.len() as u64, "{problem}");
        }
        check_copy(&reading.document);
        // A segment may add all its elements after the last check.
        assert!(reading.document.len() <= limits.nodes + 2000);
        for node in reading.document.root().descendants() {
            assert!(node.offset() <= bytes.len(), "{node:?}");
        }
    }
    if let Some(error) = &outcome.error {
        assert!(error.place.offset <= bytes.len() as u64, "{error}");
    }
}

/// Cuts every case at every byte, and changes each a thousand times in ways that are likely to
/// hurt.
pub(crate) fn check_mutations(standard: &str, read: impl Fn(&[u8], bool, Limits) -> Outcome) {
    let tight = Limits { document: 600, record: 300, depth: 3, nodes: 300, problems: 3 };
    for case in cases(standard) {
        for end in 0..case.bytes.len() {
            let bytes = &case.bytes[..end];
            let limits = Limits::default();
            check_laws(bytes, &limits, &read(bytes, end % 2 == 0, limits));
        }
        let mut random = Random(0x5eed);
        for _ in 0..1000 {
            let mut bytes = case.bytes.clone();
            for _ in 0..1 + random.below(4) {
                random.mutate(&mut bytes);
            }
            let limits = if random.below(4) == 0 { tight } else { Limits::default() };
            check_laws(&bytes, &limits, &read(&bytes, random.below(2) == 0, limits));
        }
    }
}

/// xorshift64*: the same mutations on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const LIKELY: [&[u8]; 24] = [
            b"'",
            b"+",
            b":",
            b"?",
            b"*",
            b"~",
            b">",
            b"\n",
            b"\r",
            b" ",
            b"\0",
            b"\x1b$B",
            b"\xff",
            b"UNA",
            b"UNB+",
            b"UNH+1+X:D:1:UN'",
            b"UNT+",
            b"UNZ+1+1'",
            b"ISA*",
            b"GS*",
            b"ST*850*1~",
            b"SE*",
            b"BIN*9*",
            b"99999999999999999999",
        ];
        let at = self.below(bytes.len() + 1);
        let text = LIKELY[self.below(LIKELY.len())];
        match self.below(6) {
            0 | 1 => {
                bytes.splice(at..at, text.iter().copied());
            }
            2 if at < bytes.len() => bytes[at] = text[0],
            3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            4 => {
                let end = (at + self.below(80)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => {
                let end = (at + self.below(400)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
        }
    }
}

/// Gives one byte at a time.
pub(crate) struct Drip<'a>(pub(crate) &'a [u8]);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = 1.min(out.len());
        self.0.read(&mut out[..count])
    }
}
