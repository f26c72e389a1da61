//! UNA and S001: separators, syntax version and character set of an interchange.

use encoding_rs as sets;

use crate::segment::{Charset, Separators};

/// The syntax of one interchange: what UNA and the first element of UNB say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// The separators.
    pub separators: Separators,
    /// The decimal mark of UNA; either mark may stand in data from version 4 on.
    pub decimal: u8,
    /// The syntax version (0002): `1` to `4`, or `X` for the profile of ISO 9735-11.
    pub version: u8,
    /// The character set of the syntax identifier (0001).
    pub charset: Charset,
}

/// When repetitions are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Repetition {
    /// In version 4, and where UNA does not say that there is none.
    #[default]
    Auto,
    /// Wherever UNA names a separator for them; `*` where there is no UNA.
    Always,
    /// Nowhere.
    Never,
}

impl Syntax {
    /// Version 3 with the default separators.
    pub const DEFAULT: Self = Self {
        separators: Separators::EDIFACT,
        decimal: b'.',
        version: b'3',
        charset: Charset::Ascii,
    };

    /// Whether the version has repetitions and the rules of ISO 9735:1998.
    pub fn is_version_4(&self) -> bool {
        matches!(self.version, b'4' | b'X')
    }

    /// The six characters of a service string advice.
    pub fn service_string(&self) -> [u8; 6] {
        let separators = &self.separators;
        [
            separators.component,
            separators.element,
            self.decimal,
            separators.release.unwrap_or(b' '),
            separators.repetition.unwrap_or(b' '),
            separators.terminator,
        ]
    }

    /// The separators of a service string advice (ISO 9735 annex B), without repetition: whether
    /// there is one is known when the version is.
    pub(super) fn from_service_string(string: [u8; 6]) -> Self {
        let [component, element, decimal, release, _, terminator] = string;
        let separators = Separators {
            element,
            component,
            release: (release != b' ').then_some(release),
            terminator,
            ..Separators::EDIFACT
        };
        Self { separators, decimal, ..Self::DEFAULT }
    }
}

/// The six characters behind `UNA`, where `bytes` begin with a service string advice.
///
/// Data can look like one (a text `UNA+` was seen), so inside of an interchange a header must
/// follow.
pub(super) fn service_string(bytes: &[u8], inside: bool) -> Option<[u8; 6]> {
    let string = *bytes.strip_prefix(b"UNA")?.first_chunk::<6>()?;
    let rest = bytes.get(9..).unwrap_or_default().trim_ascii_start();
    let headed = [b"UNB", b"UNG", b"UNH"].iter().any(|tag| rest.starts_with(*tag));
    let separators = string.iter().all(|byte| !byte.is_ascii_alphanumeric());
    (headed || !inside && (separators || rest.starts_with(b"UN"))).then_some(string)
}

/// Whether a syntax identifier is of the air lines and not of ISO 9735.
pub(super) fn is_airline(identifier: &[u8]) -> bool {
    matches!(identifier, b"IATA" | b"IATB")
}

/// The character set of a syntax identifier (0001), as UNSL and ISO 9735-1 name them, with those
/// of other bodies that are in use. `None` for any other.
pub fn charset(identifier: &[u8]) -> Option<Charset> {
    Some(match identifier {
        b"UNOA" | b"UNOB" | b"IATA" | b"IATB" => Charset::Ascii,
        b"UNOC" => Charset::Latin1,
        b"UNOD" => Charset::Other(sets::ISO_8859_2),
        b"UNOE" => Charset::Other(sets::ISO_8859_5),
        b"UNOF" => Charset::Other(sets::ISO_8859_7),
        b"UNOG" => Charset::Other(sets::ISO_8859_3),
        b"UNOH" => Charset::Other(sets::ISO_8859_4),
        b"UNOI" => Charset::Other(sets::ISO_8859_6),
        b"UNOJ" => Charset::Other(sets::ISO_8859_8),
        b"UNOK" => Charset::Other(sets::WINDOWS_1254),
        b"UNOL" => Charset::Other(sets::ISO_8859_15),
        // Code extension by escape sequences; the Japanese ones are the only ones in use.
        b"UNOX" => Charset::Other(sets::ISO_2022_JP),
        b"UNOW" | b"UNOY" => Charset::Utf8,
        b"KECA" => Charset::Other(sets::EUC_KR),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_begins_with_una_is_no_service_string() {
        assert!(service_string(b"UNA:+.? 'UNB+", true).is_some());
        assert!(service_string(b"UNA:+.? '\r\nUNH+", true).is_some());
        assert!(service_string(b"UNA+text of a field'", true).is_none());
        assert!(service_string(b"UNA+text of a field'", false).is_none());
        assert!(service_string(b"UNA'", false).is_none());
        assert_eq!(service_string(b"UNA:+.? '", false), Some(*b":+.? '"));
    }

    #[test]
    fn a_service_string_is_written_as_it_is_read() {
        let syntax = Syntax::from_service_string(*b"^*, $~");
        assert_eq!(syntax.service_string(), *b"^*,  ~");
        assert_eq!(syntax.separators.release, None);
    }
}
