//! The file of the events in decision: a header, the events that are remembered, those in decision.
//!
//! All numbers are little endian. The header has eight bytes that name the format, the number of
//! events remembered and the number of those in decision, four bytes each; an event has its
//! fingerprint (eight bytes) and its unclean ends so far (four). Bytes behind them are left over
//! from a larger batch. Pure.

use std::collections::BTreeMap;

use super::Fingerprint;

const FORMAT: &[u8; 8] = b"waybill1";
const HEADER: usize = 16;
const EVENT: usize = 12;
/// More than the file ever has.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// What the file says after an unclean end: one more for each event that was in decision. Empty
/// where it is no such file, or cut off.
pub(super) fn read(bytes: &[u8]) -> BTreeMap<Fingerprint, u32> {
    read_events(bytes).unwrap_or_default()
}

fn read_events(bytes: &[u8]) -> Option<BTreeMap<Fingerprint, u32>> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let (format, counts) = header.split_at(8);
    if format != FORMAT {
        return None;
    }
    let count = |at: usize| Some(u32::from_le_bytes(counts.get(at..at + 4)?.try_into().ok()?));
    let (remembered, deciding) = (count(0)? as usize, count(4)? as usize);
    let events = rest.get(..(remembered + deciding).checked_mul(EVENT)?)?;
    let mut found = BTreeMap::new();
    for (at, event) in events.chunks_exact(EVENT).enumerate() {
        let (fingerprint, ends) = event.split_at(8);
        let fingerprint = Fingerprint::from_le_bytes(fingerprint.try_into().ok()?);
        let ends = u32::from_le_bytes(ends.try_into().ok()?);
        let known = found.entry(fingerprint).or_insert(0_u32);
        *known = (*known).max(ends).saturating_add(u32::from(at >= remembered));
    }
    Some(found)
}

/// The file while `events` are in decision.
pub(super) fn write(remembered: &BTreeMap<Fingerprint, u32>, events: &[Fingerprint]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + (remembered.len() + events.len()) * EVENT);
    bytes.extend_from_slice(FORMAT);
    bytes.extend((remembered.len() as u32).to_le_bytes());
    bytes.extend((events.len() as u32).to_le_bytes());
    let ends = |event: &Fingerprint| remembered.get(event).copied().unwrap_or(0);
    let events = events.iter().map(|event| (*event, ends(event)));
    for (event, ends) in remembered.iter().map(|(event, ends)| (*event, *ends)).chain(events) {
        bytes.extend(event.to_le_bytes());
        bytes.extend(ends.to_le_bytes());
    }
    bytes
}
