//! The same segments as the crate edifact-rs, wherever it reads a file at all.

#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

mod edifact_support;

use edifact_support::{cases, corpus};
use waybill_parsers::edifact::{Contrl, ContrlOptions, ReadOptions, Reader, WriteOptions, write};
use waybill_parsers::segment::Part;

/// The tags and element counts of all segments by the other parser; `None` where it fails.
fn theirs(bytes: &[u8]) -> Option<Vec<(String, usize)>> {
    let segments: Result<Vec<_>, _> = edifact_rs::from_bytes(bytes).collect();
    let segments = segments.ok()?;
    Some(segments.iter().map(|s| (s.tag.to_string(), s.elements.len())).collect())
}

/// The same by ours, for everything that stands in a document.
fn ours(bytes: &[u8]) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for part in Reader::new(bytes, ReadOptions::default()) {
        let part = part.unwrap();
        let root = part.reading().document.root();
        let segments = root.children().filter(|child| child.name() != "envelope");
        for segment in segments.filter(|segment| segment.name() != "UNA") {
            let place = part.reading().span.start as usize + segment.offset();
            all.push((place, segment.name().to_owned(), segment.children().count()));
        }
    }
    // Groups and interchanges come behind what is in them.
    all.sort_by_key(|(place, ..)| *place);
    all.into_iter().map(|(_, tag, count)| (tag, count)).collect()
}

#[test]
fn segments_are_those_of_another_parser() {
    let mut inputs: Vec<_> =
        cases("edifact").into_iter().map(|case| (case.folder, case.bytes)).collect();
    let files = std::fs::read_dir(corpus().join("edifact")).into_iter().flatten();
    inputs.extend(files.map(|file| {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }));
    let (mut compared, mut same) = (0, 0);
    for (path, bytes) in inputs {
        let refused = Reader::new(bytes.as_slice(), ReadOptions::default())
            .any(|part| part.map_or(true, |part| part.reading().is_refused()));
        let Some(theirs) = theirs(&bytes).filter(|_| !refused) else { continue };
        compared += 1;
        if theirs == ours(&bytes) {
            same += 1;
        } else {
            println!("{}", path.display());
        }
    }
    println!("{same} of {compared} files have the same segments");
    assert!(compared > 10 && compared == same);
}

#[test]
fn another_parser_reads_what_is_written() {
    let (mut messages, mut answers) = (0, 0);
    for case in cases("edifact") {
        let mut contrl = Contrl::new();
        let options = ContrlOptions {
            reference: "1",
            date: "20261122",
            time: "1200",
            ..ContrlOptions::default()
        };
        for part in Reader::new(case.bytes.as_slice(), ReadOptions::default()) {
            let Ok(part) = part else { continue };
            let answer = contrl.part(&part, &options);
            let is_package = part.reading().document.root().name() == "UNO";
            let message = match part {
                Part::Message(reading) if !is_package => Some(reading.document),
                _ => None,
            };
            messages += usize::from(message.is_some());
            answers += usize::from(answer.is_some());
            for document in message.into_iter().chain(answer) {
                let mut out = Vec::new();
                if write(&document, &WriteOptions::default(), &mut out).is_empty() {
                    let found = theirs(&out);
                    // It takes these separators, this nesting and these sets for faults.
                    let is_known =
                        out.starts_with(b"UNA^*,! $") || out.windows(6).any(|w| w == b"DDD:1:");
                    let is_foreign = out.windows(4).any(|w| w == b"UNOX") || !out[..9].is_ascii();
                    assert!(found.is_some() || is_known || is_foreign, "{}", case.folder.display());
                }
            }
        }
    }
    println!("{messages} messages, {answers} answers");
}
