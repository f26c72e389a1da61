//! What is wrong with the characters, the form and the counts of a segment.

use crate::edifact::rules;
use crate::edifact::service;
use crate::edifact::syntax::Syntax;
use crate::segment::{Decoded, Level, Mode, Segment, miscounted, place_in, place_of};

/// Whether a segment needs the checks of [`check_text`]. Separators with nothing behind them are
/// no reason in lenient mode, which does not report them.
#[inline]
pub(super) fn is_odd(segment: &Segment<'_>, how: Decoded, mode: Mode) -> bool {
    let separators = segment.separators();
    how != Decoded::Exact
        || segment.has_controls()
        || !segment.is_terminated()
        || !is_tag(segment.tag())
        || mode == Mode::Strict
        || segment.bytes().get(3) == Some(&separators.component)
        || segment.has_needless_release()
}

#[inline]
pub(super) fn is_tag(tag: &[u8]) -> bool {
    // All three are looked at, as a branch for each costs more.
    let is_part = |byte: u8| TAG[usize::from(byte)];
    matches!(*tag, [a, b, c] if is_part(a) & is_part(b) & is_part(c))
}

/// Capital letters and digits. A table, because comparing three bytes takes longer.
const TAG: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_uppercase() || (byte as u8).is_ascii_digit();
        byte += 1;
    }
    table
};

pub(super) fn is_unusual_tag(tag: &[u8]) -> bool {
    (1..=8).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// Reports what is wrong with the characters of a segment.
pub(super) fn check_text(
    level: &mut Level,
    segment: &Segment<'_>,
    syntax: &Syntax,
    (number, how): (u64, Decoded),
) {
    let place = || place_of(segment, number);
    let (tag, separators) = (segment.tag(), segment.separators());
    match how {
        Decoded::Exact => {}
        Decoded::AsUtf8 => {
            let message = "bytes that the declared set does not have; read as UTF-8";
            level.report(rules::CHARACTER_SET, &place(), message);
        }
        Decoded::AsLatin1 => {
            let message = "bytes that the declared set does not have; read as ISO 8859-1";
            level.report(rules::CHARACTER_SET, &place(), message);
        }
        Decoded::Replaced => {
            let message = "bytes that mean nothing in the declared set";
            level.report(rules::UNKNOWN_CHARACTER, &place(), message);
        }
    }
    if !is_tag(tag) {
        let rule = if is_unusual_tag(tag) { rules::UNUSUAL_TAG } else { rules::NOT_A_SEGMENT };
        level.report(rule, &place(), "a tag is three capital letters or digits");
    }
    if segment.nesting().next().is_some() && syntax.is_version_4() {
        level.report(rules::NESTING, &place(), "nesting indication in version 4");
    }
    if segment.has_controls() && !syntax.separators.shifts {
        let is_control = |byte: &u8| *byte < b' ' && separators.bytes().all(|other| other != *byte);
        let at = segment.bytes().iter().position(is_control).unwrap_or(0);
        let message = "a control character in the data";
        let (element, component) = segment.position_of(at);
        let place = place_in(&place(), element, component, at);
        level.report(rules::CONTROL_CHARACTER, &place, message);
    }
    if segment.has_needless_release() {
        let message = "a release character before an ordinary character";
        level.report(rules::NEEDLESS_RELEASE, &place(), message);
    }
    if !segment.is_terminated() {
        let rule = match tag {
            b"UNT" | b"UNE" | b"UNZ" => rules::UNTERMINATED_TRAILER,
            _ => rules::UNTERMINATED,
        };
        level.report(rule, &place(), "the input ends before the segment does");
    }
    if segment.ends_with_separators() {
        let message = "separators with nothing behind them";
        level.report(rules::TRAILING_SEPARATOR, &place(), message);
    }
}

/// Checks the form of a service segment, and its characters.
pub(super) fn check(level: &mut Level, segment: &Segment<'_>, syntax: &Syntax, number: u64) {
    for fault in service::check(segment, syntax.is_version_4()) {
        let place = place_of(segment, number);
        let at =
            segment.component(fault.element.saturating_sub(1), fault.component.saturating_sub(1));
        let place = place_in(&place, fault.element, fault.component, at.map_or(0, |raw| raw.at()));
        level.report(fault.rule, &place, fault.message);
    }
    // Segments of a message had their characters checked when they were taken.
    let is_taken = matches!(segment.tag(), b"UNT" | b"UNP");
    if !is_taken && (level.mode == Mode::Strict || !segment.is_plain()) {
        let mut text = String::new();
        let how = syntax.charset.decode(segment.bytes(), &mut text);
        check_text(level, segment, syntax, (number, how));
    }
}

/// Compares a trailer with its level.
pub(super) fn trailer(level: &mut Level, segment: &Segment<'_>, count: u64, what: &str) {
    let number = if matches!(segment.tag(), b"UNT" | b"UNP") { level.count } else { 0 };
    let declared = segment.component(0, 0).unwrap_or_default();
    if declared.as_number() != Some(count) {
        let place = place_in(&place_of(segment, number), 1, 0, declared.at());
        let message = miscounted(declared.as_number(), count, what);
        level.report(rules::WRONG_COUNT, &place, message);
    }
    let reference = segment.component(1, 0).unwrap_or_default();
    if *reference.unescaped() != *level.reference {
        let place = place_in(&place_of(segment, number), 2, 0, reference.at());
        let message = "not the reference of the header";
        level.report(rules::WRONG_REFERENCE, &place, message);
    }
}
