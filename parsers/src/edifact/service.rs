//! The service segments of ISO 9735 and the form of their elements.
//!
//! Annex C of ISO 9735:1988 (versions 1 to 3) and ISO 9735-10 (version 4). Where the versions
//! differ, the wider form is taken for both, but for the date, whose length tells the version.

use crate::edifact::rules::{MISSING_ELEMENT, TOO_LONG, TOO_MANY_ELEMENTS, TOO_SHORT, WRONG_TYPE};
use crate::segment::{Element, Rule, Segment};

/// The form of one component.
#[derive(Clone, Copy, Debug)]
struct Form {
    mandatory: bool,
    numeric: bool,
    min: usize,
    max: usize,
}

/// A mandatory component of any characters.
const fn m(max: usize) -> Form {
    Form { mandatory: true, numeric: false, min: 1, max }
}

/// A conditional component of any characters.
const fn c(max: usize) -> Form {
    Form { mandatory: false, numeric: false, min: 1, max }
}

/// A number of up to `max` digits.
const fn n(mandatory: bool, max: usize) -> Form {
    Form { mandatory, numeric: true, min: 1, max }
}

/// A number of exactly that many digits.
const fn fixed(digits: usize) -> Form {
    Form { mandatory: true, numeric: true, min: digits, max: digits }
}

type Composite = &'static [Form];

const PARTY: Composite = &[m(35), c(4), c(35), c(35)];
const GROUP_PARTY: Composite = &[c(35), c(4)];
const DATE_V3: Composite = &[fixed(6), fixed(4)];
const DATE_V4: Composite = &[fixed(8), fixed(4)];
const REFERENCE: Composite = &[m(14)];

const SYNTAX: Composite = &[m(4), m(1), c(6), c(3), c(3)];
const MESSAGE: Composite = &[m(6), m(3), m(3), m(3), c(6), c(6), c(6)];
const ANY: Composite = &[c(35), c(14), c(14), c(14)];

const UNB_V3: &[Composite] = &[
    SYNTAX,
    PARTY,
    PARTY,
    DATE_V3,
    REFERENCE,
    &[c(14), c(2)],
    &[c(14)],
    &[c(1)],
    &[n(false, 1)],
    &[c(35)],
    &[n(false, 1)],
];
const UNB_V4: &[Composite] = &[
    SYNTAX,
    PARTY,
    PARTY,
    DATE_V4,
    REFERENCE,
    &[c(14), c(2)],
    &[c(14)],
    &[c(1)],
    &[n(false, 1)],
    &[c(35)],
    &[n(false, 1)],
];
const UNG: &[Composite] = &[
    &[c(6)],
    GROUP_PARTY,
    GROUP_PARTY,
    &[n(false, 8), n(false, 4)],
    REFERENCE,
    &[c(3)],
    &[c(3), c(3), c(6)],
    &[c(14)],
];
const UNH: &[Composite] = &[REFERENCE, MESSAGE, &[c(35)], &[n(false, 2), c(1)], ANY, ANY, ANY];
const TRAILER: &[Composite] = &[&[n(true, 10)], REFERENCE];
const UNO: &[Composite] = &[&[m(35)], ANY, ANY, &[n(true, 18), n(false, 3), n(false, 4), c(1)]];
const UNP: &[Composite] = &[&[n(true, 18)], &[m(35)]];

/// A violation in a service segment: the rule, element and component from 1, and the message.
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) element: usize,
    pub(super) component: usize,
    pub(super) message: String,
}

/// Checks the elements of a service segment; a segment that is none has no faults.
pub(super) fn check(segment: &Segment<'_>, is_version_4: bool) -> Vec<Fault> {
    let forms = match (segment.tag(), is_version_4) {
        (b"UNB", false) => UNB_V3,
        (b"UNB", true) => UNB_V4,
        (b"UNG", _) => UNG,
        (b"UNH", _) => UNH,
        (b"UNT" | b"UNE" | b"UNZ", _) => TRAILER,
        (b"UNO", _) => UNO,
        (b"UNP", _) => UNP,
        _ => return Vec::new(),
    };
    let mut faults = Vec::new();
    let mut elements = segment.elements();
    for (at, form) in forms.iter().enumerate() {
        composite(elements.next().as_ref(), (at, form), &mut faults);
    }
    if elements.any(|element| !element.is_empty()) {
        let (element, count) = (forms.len() + 1, forms.len());
        let message = format!("more than {count} elements");
        faults.push(Fault { rule: TOO_MANY_ELEMENTS, element, component: 0, message });
    }
    faults
}

fn composite(
    element: Option<&Element<'_>>,
    (at, forms): (usize, Composite),
    faults: &mut Vec<Fault>,
) {
    let mut push = |rule, component: usize, message: String| {
        faults.push(Fault { rule, element: at + 1, component: component + 1, message });
    };
    let is_mandatory = forms.first().is_some_and(|form| form.mandatory);
    let values = || element.into_iter().flat_map(|element| element.components());
    if !is_mandatory && values().all(|value| value.is_empty()) {
        return;
    }
    let mut rest = values();
    for (component, form) in forms.iter().enumerate() {
        let value = rest.next().unwrap_or_default();
        let bytes = value.unescaped();
        let length = characters(&bytes);
        if bytes.is_empty() {
            if form.mandatory {
                push(MISSING_ELEMENT, component, "mandatory element is missing".to_owned());
            }
        } else if length > form.max {
            let max = form.max;
            push(TOO_LONG, component, format!("{length} characters, at most {max} are allowed"));
        } else if length < form.min {
            let min = form.min;
            push(TOO_SHORT, component, format!("{length} characters, {min} are needed"));
        } else if form.numeric && !bytes.iter().all(u8::is_ascii_digit) {
            push(WRONG_TYPE, component, "not a number".to_owned());
        }
    }
    if rest.any(|value| !value.is_empty()) {
        let count = forms.len();
        push(TOO_MANY_ELEMENTS, count, format!("more than {count} components"));
    }
}

/// Characters of a set of single bytes, or of UTF-8 where that is fewer.
fn characters(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    std::str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count())
}
