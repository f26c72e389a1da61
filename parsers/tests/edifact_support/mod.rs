//! What the tests of EDIFACT and X12 share.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]
#![allow(clippy::print_stdout, reason = "skipped files and figures are shown")]
#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use waybill_parsers::segment::Part;
use waybill_parsers::{FrameError, Severity};

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

/// Compares what the readers of both modes say with a table, file by file.
pub(crate) fn check_verdicts(standard: &str, read: impl Fn(&[u8], bool) -> Outcome) {
    let folder = corpus().join(standard);
    if !folder.exists() {
        println!("skipped: no corpus at {}", folder.display());
        return;
    }
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for row in expected(standard) {
        let bytes = fs::read(folder.join(&row.file)).unwrap();
        let (lenient, strict) = (read(&bytes, false), read(&bytes, true));
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
    assert!(wrong.is_empty(), "{} files differ:\n{}", wrong.len(), wrong.join("\n"));
}
