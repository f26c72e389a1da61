//! EDIFACT: the corpus, the token vectors, and the laws of readers.

#![expect(clippy::unwrap_used, reason = "a test ends where its files are not as it expects")]

mod edifact_support;

use std::io::Read as _;

use edifact_support::{Drip, Outcome, cases, check_cases, check_mutations, check_verdicts, corpus};
use serde_json::Value;
use waybill_parsers::Limits;
use waybill_parsers::edifact::{ReadOptions, Reader, WriteOptions, Writer};
use waybill_parsers::segment::{Mode, Part, Raw, Segment, Segments, Separators};

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
    check_verdicts("edifact", |bytes, mode| {
        read(bytes, ReadOptions { mode, ..ReadOptions::default() })
    });
}

/// The tokens of a segment as the vectors have them: text for a simple element, a list for a
/// composite one, an object for repetitions.
fn tokens(segment: &Segment<'_>) -> Value {
    let text = |raw: Raw<'_>| Value::from(String::from_utf8(raw.unescaped().into_owned()).unwrap());
    let list = |mut values: Vec<Value>| match values.len() {
        1 => values.remove(0),
        _ => Value::from(values),
    };
    let mut tag = vec![Value::from(String::from_utf8_lossy(segment.tag()))];
    tag.extend(segment.nesting().map(text));
    let elements = segment.elements().map(|element| match element.repetitions() {
        1 => list(element.components().map(text).collect()),
        count => {
            let all = (0..count)
                .map(|n| Value::from(element.repetition(n).map(text).collect::<Vec<_>>()));
            serde_json::json!({ "rep": all.collect::<Vec<_>>() })
        }
    });
    std::iter::once(list(tag)).chain(elements).collect()
}

/// All segments of an input as a strict reader takes them; `None` where it does not.
fn strict_tokens(input: &[u8]) -> Option<Vec<Value>> {
    let mut segments = Segments::new(input, Separators::EDIFACT, &Limits::default());
    if let Some(string) = input.strip_prefix(b"UNA").and_then(|rest| rest.first_chunk::<6>()) {
        let [component, element, _, release, _, terminator] = *string;
        let release = Some(release);
        let separators =
            Separators { element, component, release, terminator, ..Separators::EDIFACT };
        if separators.are_ambiguous() {
            return None;
        }
        assert_eq!(segments.peek(9).unwrap().len(), 9);
        segments.skip(9);
        segments.set_separators(separators);
    }
    let mut all = Vec::new();
    while let Some(segment) = segments.next().unwrap() {
        let newline_is_data =
            segment.has_controls() || segment.bytes().windows(2).any(|w| w == b"?\n");
        if segment.is_empty() || !segment.is_terminated() || newline_is_data {
            return None;
        }
        all.push(tokens(&segment));
        if segment.tag() == b"UNB" && segment.component(0, 1).is_some_and(|raw| raw.bytes() == b"4")
        {
            let separators = Separators { repetition: Some(b'*'), ..*segment.separators() };
            segments.set_separators(separators);
        }
    }
    Some(all)
}

#[test]
fn token_vectors_of_other_parsers_give_their_tokens() {
    let Ok(text) = std::fs::read_to_string(corpus().join("edifact_token_vectors.json")) else {
        println!("skipped: no vectors at {}", corpus().display());
        return;
    };
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    for vector in &vectors {
        let found = strict_tokens(vector["input"].as_str().unwrap().as_bytes());
        let expected = vector["segments"].as_array().cloned();
        assert_eq!(found, expected, "{}", vector["id"]);
    }
    println!("{} vectors", vectors.len());
}

fn strict(is_strict: bool) -> ReadOptions {
    let mode = if is_strict { Mode::Strict } else { Mode::Normal };
    ReadOptions { mode, ..ReadOptions::default() }
}

/// All messages as one file; `None` where one of them cannot be written.
fn written(outcome: &Outcome, newline: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = Writer::new(WriteOptions { newline, ..WriteOptions::default() }, &mut out);
    for part in &outcome.parts {
        if let Part::Message(reading) = part
            && !writer.message(&reading.document).is_empty()
        {
            return None;
        }
    }
    writer.finish().is_empty().then_some(out)
}

#[test]
fn cases_read_and_write_as_recorded() {
    check_cases("edifact", |bytes, is_strict| read(bytes, strict(is_strict)), written);
}

#[test]
fn no_cut_or_mutation_breaks_the_reader() {
    check_mutations("edifact", |bytes, is_strict, limits| {
        read(bytes, ReadOptions { limits, ..strict(is_strict) })
    });
}

#[test]
fn the_size_of_the_reads_makes_no_difference() {
    for case in cases("edifact") {
        let whole = read(case.bytes.as_slice(), ReadOptions::default());
        let drip = Drip(&case.bytes);
        let parts: Vec<_> =
            Reader::new(drip, ReadOptions::default()).filter_map(Result::ok).collect();
        assert_eq!(parts, whole.parts, "{}", case.folder.display());
    }
}

#[test]
fn bombs_end_with_a_clear_error_or_within_bounds() {
    let code = |input: &mut dyn std::io::Read| {
        let mut last = None;
        for part in Reader::new(input, ReadOptions::default()) {
            last = Some(part.map(|part| part.reading().problems.len()).map_err(|error| error.code));
        }
        last.unwrap()
    };
    let header = b"UNB+UNOC:3+S+R+261122:1200+1'UNH+1+X:D:1:UN'FTX+".as_slice();
    assert_eq!(code(&mut header.chain(std::io::repeat(b'x'))), Err("too-long"));
    assert_eq!(code(&mut header.chain(std::io::repeat(b'+'))), Err("too-many-elements"));
    assert_eq!(code(&mut header.chain(std::io::repeat(b'?'))), Err("too-long"));
    let segments = "FTX+AAI+++TEXT'".repeat(400_000);
    let message = [header, b"'", segments.as_bytes()].concat().repeat(12);
    let limits = Limits { document: 1 << 20, ..Limits::default() };
    let mut reader =
        Reader::new(message.as_slice(), ReadOptions { limits, ..ReadOptions::default() });
    assert_eq!(reader.next().unwrap().unwrap_err().code, "too-large");
    // A million empty segments: the problems that are kept, and one that counts the others.
    let empty = std::io::repeat(b'\'').take(1_000_000);
    assert_eq!(code(&mut header.chain(b"'".as_slice()).chain(empty)), Ok(1));
}
