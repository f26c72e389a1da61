//! What is wrong with the characters and the counts of a segment.

use crate::segment::{
    Charset, Decoded, Level, Mode, Segment, miscounted, place_in, place_of, value,
};
use crate::x12::rules;

/// X12 says nothing of characters above 0x7f; senders use UTF-8 and ISO 8859-1.
pub(super) const CHARSET: Charset = Charset::Ascii;

/// An element, from 0, without blanks around it. Senders pad GS and control numbers as they do ISA.
pub(super) fn trimmed(segment: &Segment<'_>, element: usize) -> Vec<u8> {
    value(segment, element).trim_ascii().to_vec()
}

/// Whether a segment needs the checks of [`check_text`]. Separators with nothing behind them are
/// no reason in lenient mode, which does not report them.
#[inline]
pub(super) fn is_odd(segment: &Segment<'_>, how: Decoded, mode: Mode) -> bool {
    how != Decoded::Exact
        || segment.has_controls()
        || !segment.is_terminated()
        || !is_tag(segment.tag())
        || mode == Mode::Strict
}

#[inline]
pub(super) fn is_tag(tag: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    matches!(tag, [first, rest @ ..] if first.is_ascii_uppercase()
        && (1..=2).contains(&rest.len()) && rest.iter().all(is_part))
}

/// Reports what is wrong with the characters of a segment.
pub(super) fn check_text(level: &mut Level, segment: &Segment<'_>, number: u64) {
    let place = || place_of(segment, number);
    let (tag, separators) = (segment.tag(), segment.separators());
    if !segment.bytes().is_ascii() {
        let how = if std::str::from_utf8(segment.bytes()).is_ok() { "UTF-8" } else { "ISO 8859-1" };
        let message = format!("bytes above 0x7f; read as {how}");
        level.report(rules::CHARACTER_SET, &place(), message);
    }
    if !is_tag(tag) {
        let is_unusual = tag.len() <= 8 && tag.iter().all(u8::is_ascii_alphanumeric);
        let rule = if is_unusual { rules::UNUSUAL_TAG } else { rules::NOT_A_SEGMENT };
        level.report(rule, &place(), "a tag is two or three capital letters or digits");
    }
    if segment.has_controls() {
        let is_control = |byte: &u8| *byte < b' ' && separators.bytes().all(|other| other != *byte);
        let at = segment.bytes().iter().position(is_control).unwrap_or(0);
        let message = "a control character in the data";
        let (element, component) = segment.position_of(at);
        let place = place_in(&place(), element, component, at);
        level.report(rules::CONTROL_CHARACTER, &place, message);
    }
    if !segment.is_terminated() {
        let rule = match tag {
            b"SE" | b"GE" | b"IEA" => rules::UNTERMINATED_TRAILER,
            _ => rules::UNTERMINATED,
        };
        level.report(rule, &place(), "the input ends before the segment does");
    }
    if segment.ends_with_separators() {
        let message = "separators with nothing behind them";
        level.report(rules::TRAILING_SEPARATOR, &place(), message);
    }
}

/// Compares a trailer with its level.
pub(super) fn trailer(level: &mut Level, segment: &Segment<'_>, count: u64, what: &str) {
    let number = if segment.tag() == b"SE" { level.count } else { 0 };
    let place = || place_of(segment, number);
    let at = |element| segment.component(element, 0).map_or(0, |raw| raw.at());
    let declared = String::from_utf8_lossy(&trimmed(segment, 0)).parse::<u64>().ok();
    if declared != Some(count) {
        let message = miscounted(declared, count, what);
        level.report(rules::WRONG_COUNT, &place_in(&place(), 1, 0, at(0)), message);
    }
    // A number that is padded on one side only was written by two programs.
    let is_padded = value(segment, 1).len() != level.reference.len();
    if trimmed(segment, 1) != level.reference || is_padded && segment.tag() == b"SE" {
        let message = "not the control number of the header";
        level.report(rules::WRONG_REFERENCE, &place_in(&place(), 2, 0, at(1)), message);
    }
}
