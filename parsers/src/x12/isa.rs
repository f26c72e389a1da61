//! ISA, the interchange control header, which names its own separators (X12.5).

use crate::document::{Builder, Kind};
use crate::reading::Place;
use crate::segment::{Level, Rule, Separators, place_in};
use crate::x12::rules;

/// The length of ISA with its terminator.
pub(super) const LENGTH: usize = 106;
/// The widths of ISA01 to ISA16.
pub(super) const WIDTHS: [usize; 16] = [2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1];
/// The first version (ISA12) whose ISA11 is the repetition separator.
pub(super) const REPETITION_SINCE: u32 = 402;

/// The attribute of an envelope that keeps what ISA itself does not hold: the element separator
/// and the segment terminator, `*~`, a character for each byte.
pub(super) const SEPARATORS: &str = "separators";

/// A header that was read.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) separators: Separators,
    /// ISA01 to ISA16 without trailing blanks, and where they begin.
    pub(super) elements: Vec<(String, usize)>,
    /// Bytes of the header, with its terminator.
    pub(super) length: usize,
    pub(super) faults: Vec<(Rule, usize, &'static str)>,
}

/// Whether the bytes begin with ISA and a separator.
pub(super) fn is_start(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ISA") && bytes.get(3).is_some_and(|byte| !byte.is_ascii_alphanumeric())
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` where there are no sixteen elements.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::fixed(bytes).or_else(|| Self::by_elements(bytes))?;
        header.end_of_terminator(bytes);
        let number = |at: usize| header.elements.get(at).map_or("", |(text, _)| text);
        let version = number(11).parse().unwrap_or(0);
        let repetition = *number(10).as_bytes().first().unwrap_or(&b' ');
        if version >= REPETITION_SINCE {
            let usable = !repetition.is_ascii_alphanumeric() && repetition != b' ';
            header.separators.repetition = usable.then_some(repetition);
            if !usable {
                header.fault(
                    rules::NO_REPETITION,
                    82,
                    "ISA11 is no separator: nothing is repeated",
                );
            }
        }
        Some(header)
    }

    /// Whether line ends stand in a header that is whole without them.
    pub(super) fn is_wrapped(bytes: &[u8]) -> bool {
        let head = bytes.get(..2 * LENGTH).unwrap_or(bytes);
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let whole: Vec<u8> = head.iter().copied().filter(|byte| !is_line_end(byte)).collect();
        Self::fixed(bytes).is_none() && Self::fixed(&whole).is_some()
    }

    /// A header with every separator where it must be.
    fn fixed(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..LENGTH)?;
        let element = *fixed.get(3)?;
        let mut elements = Vec::with_capacity(16);
        let mut at = 3;
        for width in WIDTHS {
            let value = fixed.get(at + 1..at + 1 + width)?;
            if *fixed.get(at)? != element || value.contains(&element) {
                return None;
            }
            elements.push((text(value), at + 1));
            at += width + 1;
        }
        let (component, terminator) = (*fixed.get(104)?, *fixed.get(105)?);
        let separators = Separators { element, component, terminator, ..Separators::X12 };
        Some(Self { separators, elements, length: LENGTH, faults: Vec::new() })
    }

    /// A header whose elements have other lengths, or with line ends in it.
    fn by_elements(bytes: &[u8]) -> Option<Self> {
        let element = *bytes.get(3)?;
        let mut elements: Vec<(String, usize)> = Vec::with_capacity(16);
        let (mut at, mut value) = (4, Vec::new());
        while elements.len() < 15 {
            let byte = *bytes.get(at)?;
            match byte {
                _ if byte == element => {
                    elements.push((text(&value), at - value.len()));
                    value.clear();
                }
                b'\r' | b'\n' => {}
                _ => value.push(byte),
            }
            at += 1;
        }
        let component = *bytes.get(at)?;
        let terminator = *bytes.get(at + 1)?;
        elements.push((text(&[component]), at));
        let separators = Separators { element, component, terminator, ..Separators::X12 };
        let mut header = Self { separators, elements, length: at + 2, faults: Vec::new() };
        let off = bytes.iter().take(LENGTH).enumerate();
        let wrong =
            off.filter(|(at, byte)| **byte == element && !is_place(*at)).map(|(at, _)| at).next();
        let message = "ISA is not of its fixed length; taken by its elements";
        header.fault(rules::HEADER_LENGTH, wrong.unwrap_or(0), message);
        Some(header)
    }

    fn fault(&mut self, rule: Rule, at: usize, message: &'static str) {
        self.faults.push((rule, at, message));
    }

    /// Terminators that are more than a byte: a blank before the true one, a character of UTF-8.
    fn end_of_terminator(&mut self, bytes: &[u8]) {
        let rest = bytes.get(self.length..).unwrap_or_default();
        let at = self.length - 1;
        if self.separators.terminator == b' ' && rest.first() == Some(&b'~') {
            self.separators.terminator = b'~';
            self.length += 1;
            self.fault(rules::TERMINATOR, at, "a blank before the segment terminator");
        }
        if self.separators.terminator >= 0x80 {
            let more = rest.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
            for (slot, byte) in self.separators.tail.iter_mut().zip(rest.iter().take(more)) {
                *slot = *byte;
            }
            self.length += more;
            let message = match more {
                0 => "a segment terminator that is not ASCII",
                _ => "a segment terminator of several bytes",
            };
            self.fault(rules::TERMINATOR, at, message);
        }
    }

    /// Element `number`, from 1.
    pub(super) fn element(&self, number: usize) -> &str {
        self.elements.get(number - 1).map_or("", |(text, _)| text)
    }

    /// Puts ISA and the separators that it does not hold.
    pub(super) fn put(&self, builder: &mut Builder) {
        let mut outer = vec![self.separators.element, self.separators.terminator];
        outer.extend_from_slice(self.separators.tail_bytes());
        // Not as UTF-8: a terminator of another character set would be lost.
        let outer: String = outer.into_iter().map(char::from).collect();
        builder.put(Kind::Attribute, SEPARATORS, &outer, 0);
        builder.open(Kind::Segment, "ISA", 0);
        for (text, at) in &self.elements {
            builder.put(Kind::Field, "", text, *at);
        }
        builder.close();
    }

    /// Reports what is wrong with the header.
    pub(super) fn report(&self, level: &mut Level, place: &Place) {
        for (rule, at, message) in &self.faults {
            level.report(*rule, &place_in(place, 0, 0, *at), *message);
        }
        let digits =
            |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        let within = |text: &str, at: usize, range: std::ops::RangeInclusive<u8>| {
            text.get(at..at + 2)
                .and_then(|part| part.parse().ok())
                .is_some_and(|n| range.contains(&n))
        };
        let date = self.element(9);
        let time = self.element(10);
        let is_date = digits(date, 6) && within(date, 2, 1..=12) && within(date, 4, 1..=31);
        let is_time = digits(time, 4) && within(time, 0, 0..=23) && within(time, 2, 0..=59);
        let version = self.element(12);
        for (is_valid, element, message) in [
            (is_date, 9, "no date YYMMDD"),
            (is_time, 10, "no time HHMM"),
            (digits(version, 5), 12, "no version number of five digits"),
            (digits(self.element(13), 9), 13, "no control number of nine digits"),
            (matches!(self.element(14), "0" | "1"), 14, "acknowledgement requested is 0 or 1"),
            (matches!(self.element(15), "P" | "T" | "I"), 15, "usage is P, T or I"),
        ] {
            if !is_valid {
                let at = self.elements.get(element - 1).map_or(0, |(_, at)| *at);
                level.report(rules::INVALID_HEADER, &place_in(place, element, 0, at), message);
            }
        }
    }
}

fn is_place(at: usize) -> bool {
    let mut place = 3;
    WIDTHS.iter().any(|width| {
        let found = place == at;
        place += width + 1;
        found
    })
}

/// A value without its padding. What is not ASCII is taken as ISO 8859-1.
fn text(value: &[u8]) -> String {
    value.trim_ascii_end().iter().map(|byte| char::from(*byte)).collect()
}
