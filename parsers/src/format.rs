//! The formats by name, and how to tell them by their first bytes.

use std::fmt;
use std::str::FromStr;

/// A format that this crate reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// UN/EDIFACT, see [`edifact`](crate::edifact).
    Edifact,
    /// SAP IDoc flat file, see [`idoc`](crate::idoc).
    Idoc,
    /// JSON, see [`json`](crate::json).
    Json,
    /// ANSI X12, see [`x12`](crate::x12).
    X12,
}

/// There is no format of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format; one of edifact, idoc, json, x12 expected")]
pub struct UnknownFormat;

impl Format {
    /// Every format, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Edifact, Self::Idoc, Self::Json, Self::X12];

    /// The word in files, on the command line and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edifact => "edifact",
            Self::Idoc => "idoc",
            Self::Json => "json",
            Self::X12 => "x12",
        }
    }

    /// The format that an input with these first bytes can only be; 32 of them are enough. A byte
    /// order mark and blanks before are skipped. It does not mean that the rest can be read.
    pub fn detect(start: &[u8]) -> Option<Self> {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let is_followed = |tag: &[u8]| {
            let byte = start.strip_prefix(tag).and_then(<[u8]>::first);
            byte.is_some_and(|byte| !byte.is_ascii_alphanumeric())
        };
        match start.first()? {
            _ if [b"UNA", b"UNB", b"UNG", b"UNH"].iter().any(|tag| is_followed(*tag)) => {
                Some(Self::Edifact)
            }
            _ if is_followed(b"ISA") => Some(Self::X12),
            _ if start.starts_with(b"EDI_DC") => Some(Self::Idoc),
            b'{' | b'[' | b'"' => Some(Self::Json),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_its_first_bytes() {
        assert_eq!(Format::detect(b"\n EDI_DC40  100"), Some(Format::Idoc));
        assert_eq!(Format::detect(b"EDI_DC    100"), Some(Format::Idoc));
        assert_eq!(Format::detect(b"\xef\xbb\xbf\r\n{"), Some(Format::Json));
        assert_eq!(Format::detect(b"UNB+UNOC:3"), Some(Format::Edifact));
        assert_eq!(Format::detect(b"UNA:+.? '"), Some(Format::Edifact));
        assert_eq!(Format::detect(b"ISA*00*"), Some(Format::X12));
        assert_eq!(Format::detect(b"ISAAC"), None);
        assert_eq!(Format::detect(b" "), None);
    }

    #[test]
    fn every_name_is_read_as_its_format() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(UnknownFormat));
    }
}
