//! What holds for every reader of interchanges, whatever the bytes are.

use waybill_parsers::segment::Part;
use waybill_parsers::{FrameError, Limits, Reading};

/// Tight, so that a fuzzer reaches them.
pub const LIMITS: Limits =
    Limits { document: 1 << 16, record: 1 << 13, depth: 12, nodes: 2000, problems: 8 };

/// Reads everything, checks it, and returns the parts.
pub fn parts(
    bytes: &[u8],
    mut reader: impl Iterator<Item = Result<Part, FrameError>>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for read in &mut reader {
        match read {
            Ok(part) => {
                let reading = part.reading();
                assert!(reading.span.start <= reading.span.end);
                assert!(reading.span.end <= bytes.len() as u64);
                assert!(reading.problems.len() <= LIMITS.problems + 1);
                // A segment may add all its elements after the last check.
                assert!(reading.document.len() <= 2 * LIMITS.nodes + (1 << 14));
                parts.push(part);
            }
            Err(error) => {
                assert!(error.place.offset <= bytes.len() as u64, "{error}");
                break;
            }
        }
    }
    assert!(reader.next().is_none());
    parts
}

/// The message of what was written, which is read without an error.
pub fn first_message(reader: impl Iterator<Item = Result<Part, FrameError>>) -> Reading {
    let mut message = None;
    for part in reader {
        let part = part.expect("what is written is read");
        assert!(!part.reading().is_refused(), "{:?}", part.reading().problems);
        message = message.or(part.into_message());
    }
    message.expect("what is written holds a message")
}
