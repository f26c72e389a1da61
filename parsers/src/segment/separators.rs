//! The separators of one interchange, and the class of every byte under them.

/// The characters that separate segments, elements and components. All are single bytes: every
/// character set of either standard keeps ASCII in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Separators {
    /// Between data elements.
    pub element: u8,
    /// Between the components of a composite element.
    pub component: u8,
    /// Between repetitions of an element; `None` where the version has none.
    pub repetition: Option<u8>,
    /// Makes the next character data; `None` where there is none.
    pub release: Option<u8>,
    /// Ends a segment.
    pub terminator: u8,
    /// Bytes that follow every terminator and belong to it: the rest of a terminator that UTF-8
    /// writes in several bytes. Zeros for none.
    pub tail: [u8; 3],
    /// Whether ISO 2022 escape sequences hide bytes that look like separators (EDIFACT UNOX).
    pub shifts: bool,
}

impl Separators {
    /// The default of EDIFACT (ISO 9735 level A) up to version 3.
    pub const EDIFACT: Self = Self {
        element: b'+',
        component: b':',
        repetition: None,
        release: Some(b'?'),
        terminator: b'\'',
        tail: [0; 3],
        shifts: false,
    };

    /// The usual ones of X12. An interchange names its own in its ISA segment.
    pub const X12: Self = Self {
        element: b'*',
        component: b'>',
        repetition: None,
        release: None,
        terminator: b'~',
        tail: [0; 3],
        shifts: false,
    };

    /// The separators as bytes, each of them once.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        [Some(self.element), Some(self.component), self.repetition, self.release]
            .into_iter()
            .chain([Some(self.terminator)])
            .flatten()
    }

    /// Whether two of them are the same byte, or one is a letter or a digit.
    pub fn are_ambiguous(&self) -> bool {
        let mut seen = [false; 256];
        self.bytes().any(|byte| {
            let again = seen.get_mut(usize::from(byte)).is_none_or(|s| std::mem::replace(s, true));
            again || byte.is_ascii_alphanumeric()
        })
    }

    /// Whether terminators end lines or have several bytes.
    pub(super) fn ends_oddly(&self) -> bool {
        self.terminator == b'\n' || self.tail[0] != 0
    }

    /// The bytes of [`tail`](Self::tail) that are there.
    pub(crate) fn tail_bytes(&self) -> &[u8] {
        let len = self.tail.iter().position(|byte| *byte == 0).unwrap_or(self.tail.len());
        self.tail.get(..len).unwrap_or_default()
    }
}

/// Whether a byte may stand between segments without a meaning.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0x1a)
}

/// What a byte means under some separators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Separator,
    Terminator,
    Release,
    Control,
    Data,
}

/// The class of every byte.
#[derive(Clone, Debug)]
pub(super) struct Classes([Class; 256]);

impl Classes {
    pub(super) fn new(separators: &Separators) -> Self {
        let mut classes = [Class::Data; 256];
        let mut set = |byte: u8, class| {
            if let Some(slot) = classes.get_mut(usize::from(byte)) {
                *slot = class;
            }
        };
        (0..0x20).for_each(|byte| set(byte, Class::Control));
        if let Some(release) = separators.release {
            set(release, Class::Release);
        }
        if let Some(repetition) = separators.repetition {
            set(repetition, Class::Separator);
        }
        set(separators.component, Class::Separator);
        set(separators.element, Class::Separator);
        set(separators.terminator, Class::Terminator);
        Self(classes)
    }

    #[inline]
    pub(super) fn of(&self, byte: u8) -> Class {
        self.0[usize::from(byte)]
    }
}
