//! X12: the corpus, the cases, and the laws of readers.

mod edifact_support;

use edifact_support::{Drip, Outcome, cases, check_cases, check_mutations, check_verdicts};
use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::x12::{ReadOptions, Reader, WriteOptions, Writer};

fn read(bytes: &[u8], options: ReadOptions) -> Outcome {
    let mut outcome = Outcome { parts: Vec::new(), segments: 0, error: None };
    let mut reader = Reader::new(bytes, options);
    for read in &mut reader {
        match read {
            Ok(part) => outcome.parts.push(part),
            Err(error) => outcome.error = Some(error),
        }
    }
    assert!(reader.next().is_none(), "a reader that has ended gives nothing more");
    outcome.segments = reader.segments();
    outcome
}

#[test]
fn files_of_the_corpus_give_the_recorded_verdicts() {
    check_verdicts("x12", |bytes, mode| {
        read(bytes, ReadOptions { mode, ..ReadOptions::default() })
    });
}

fn strict(is_strict: bool) -> ReadOptions {
    let mode = if is_strict { Mode::Strict } else { Mode::Normal };
    ReadOptions { mode, ..ReadOptions::default() }
}

/// All sets as one file; `None` where one of them cannot be written.
fn written(outcome: &Outcome, newline: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = Writer::new(WriteOptions { newline, ..WriteOptions::default() }, &mut out);
    for part in &outcome.parts {
        if let Part::Message(reading) = part
            && !writer.set(&reading.document).is_empty()
        {
            return None;
        }
    }
    writer.finish().is_empty().then_some(out)
}

#[test]
fn cases_read_and_write_as_recorded() {
    check_cases("x12", |bytes, is_strict| read(bytes, strict(is_strict)), written);
}

#[test]
fn no_cut_or_mutation_breaks_the_reader() {
    check_mutations("x12", |bytes, is_strict, limits| {
        read(bytes, ReadOptions { limits, ..strict(is_strict) })
    });
}

#[test]
fn the_size_of_the_reads_makes_no_difference() {
    for case in cases("x12") {
        let whole = read(case.bytes.as_slice(), ReadOptions::default());
        let drip = Drip(&case.bytes);
        let parts: Vec<_> =
            Reader::new(drip, ReadOptions::default()).filter_map(Result::ok).collect();
        assert_eq!(parts, whole.parts, "{}", case.folder.display());
    }
}
