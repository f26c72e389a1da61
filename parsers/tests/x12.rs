//! X12: the corpus, and the laws of readers.

mod edifact_support;

use edifact_support::{Outcome, check_verdicts};
use waybill_parsers::segment::Mode;
use waybill_parsers::x12::{ReadOptions, Reader};

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
    check_verdicts("x12", |bytes, is_strict| {
        let mode = if is_strict { Mode::Strict } else { Mode::Lenient };
        read(bytes, ReadOptions { mode, ..ReadOptions::default() })
    });
}
