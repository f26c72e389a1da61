//! What holds for every reader, whatever the bytes are.

use waybill_parsers::{FrameError, Limits, Reading};

/// Tight, so that a fuzzer reaches them.
pub const LIMITS: Limits =
    Limits { document: 1 << 16, record: 1 << 13, depth: 12, nodes: 2000, problems: 8 };

/// Reads everything, checks it, and returns the documents.
pub fn check(
    bytes: &[u8],
    mut reader: impl Iterator<Item = Result<Reading, FrameError>>,
) -> Vec<Reading> {
    let (mut readings, mut end) = (Vec::new(), 0);
    for read in &mut reader {
        match read {
            Ok(reading) => {
                assert!(end <= reading.span.start && reading.span.start <= reading.span.end);
                end = reading.span.end;
                assert!(end <= bytes.len() as u64);
                assert!(reading.problems.len() <= LIMITS.problems + 1);
                assert!(reading.document.len() <= LIMITS.nodes + 1000);
                readings.push(reading);
            }
            Err(error) => {
                assert!(error.place.offset <= bytes.len() as u64, "{error}");
                break;
            }
        }
    }
    assert!(reader.next().is_none());
    readings
}
