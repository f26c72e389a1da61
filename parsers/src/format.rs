//! The formats by name, and how to tell them by their first bytes.

use std::fmt;
use std::str::FromStr;

use crate::encoding::Encoding;

/// A format that this crate reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// CSV and other delimited files, see [`csv`](crate::csv).
    Csv,
    /// UN/EDIFACT, see [`edifact`](crate::edifact).
    Edifact,
    /// SAP IDoc flat file, see [`idoc`](crate::idoc).
    Idoc,
    /// SAP IDoc-XML of any dialect, see [`idoc::xml`](crate::idoc::xml).
    IdocXml,
    /// JSON, see [`json`](crate::json).
    Json,
    /// JSON Lines, see [`json::Lines`](crate::json::Lines).
    JsonLines,
    /// VDA messages of fixed-length records, see [`vda`](crate::vda).
    Vda,
    /// ANSI X12, see [`x12`](crate::x12).
    X12,
    /// XML of any vocabulary, see [`xml`](crate::xml).
    Xml,
}

/// There is no format of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format; one of csv, edifact, idoc, idoc-xml, json, jsonl, vda, x12, xml expected")]
pub struct UnknownFormat;

impl Format {
    /// Every format, in the order of their names.
    pub const ALL: [Self; 9] = [
        Self::Csv,
        Self::Edifact,
        Self::Idoc,
        Self::IdocXml,
        Self::Json,
        Self::JsonLines,
        Self::Vda,
        Self::X12,
        Self::Xml,
    ];

    /// The word in files, on the command line and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Edifact => "edifact",
            Self::Idoc => "idoc",
            Self::IdocXml => "idoc-xml",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Vda => "vda",
            Self::X12 => "x12",
            Self::Xml => "xml",
        }
    }

    /// The format that an input with these first bytes can only be; 32 of them are enough, and some
    /// more tell IDoc-XML from other XML. A byte order mark and blanks before are skipped, and
    /// UTF-16 is understood. It does not mean that the rest can be read.
    ///
    /// Nothing tells CSV, and JSON Lines begin as JSON does.
    pub fn detect(start: &[u8]) -> Option<Self> {
        match Encoding::detect(start) {
            Some((encoding, mark)) if encoding != Encoding::UTF_8 => {
                let mut text = String::new();
                encoding.decode(start.get(mark..).unwrap_or_default(), &mut text);
                Self::detect_ascii(text.as_bytes())
            }
            Some((_, mark)) => Self::detect_ascii(start.get(mark..).unwrap_or_default()),
            None => Self::detect_ascii(start),
        }
    }

    /// The name of a format that an input with these first bytes has, and that this crate does not
    /// read: TRADACOMS, whose interchanges begin with `STX=`. It looks like EDIFACT and is not.
    pub fn unsupported(start: &[u8]) -> Option<&'static str> {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        start.starts_with(b"STX=").then_some("TRADACOMS")
    }

    fn detect_ascii(start: &[u8]) -> Option<Self> {
        let start = start.trim_ascii_start();
        let is_followed = |tag: &[u8]| {
            let byte = start.strip_prefix(tag).and_then(<[u8]>::first);
            byte.is_some_and(|byte| !byte.is_ascii_alphanumeric())
        };
        match start.first()? {
            _ if [b"UNA", b"UNB", b"UNG", b"UNH"].iter().any(|tag| is_followed(*tag)) => {
                Some(Self::Edifact)
            }
            _ if is_followed(b"ISA") || is_x12_fragment(start) => Some(Self::X12),
            _ if start.starts_with(b"EDI_DC") || start.starts_with(b"EDI_DS40") => Some(Self::Idoc),
            b'<' => {
                let has = |tag: &[u8]| memchr::memmem::find(start, tag).is_some();
                let is_idoc =
                    has(b"<IDOC") || has(b"idocData") || has(b"urn:sap-com:document:sap:idoc:");
                Some(if is_idoc { Self::IdocXml } else { Self::Xml })
            }
            b'5' | b'7' if start.get(1..3) == Some(b"11") => {
                let version = start.get(3..5)?;
                version.iter().all(u8::is_ascii_digit).then_some(Self::Vda)
            }
            b'{' | b'[' | b'"' => Some(Self::Json),
            _ => None,
        }
    }
}

/// Whether the bytes begin with `GS*PO*` or `ST*850*`: a group or set without ISA.
fn is_x12_fragment(start: &[u8]) -> bool {
    let between = |tag: &[u8], width: usize, is_part: fn(&u8) -> bool| {
        let Some((separator, rest)) = start.strip_prefix(tag).and_then(<[u8]>::split_first) else {
            return false;
        };
        let value = rest.get(..width).is_some_and(|value| value.iter().all(is_part));
        value && !separator.is_ascii_alphanumeric() && rest.get(width) == Some(separator)
    };
    between(b"GS", 2, u8::is_ascii_uppercase) || between(b"ST", 3, u8::is_ascii_digit)
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
        assert_eq!(Format::detect(b"EDI_DS40  100"), Some(Format::Idoc));
        assert_eq!(Format::detect(b"\xff\xfeE\0D\0I\0_\0D\0C\x004\x000\0"), Some(Format::Idoc));
        assert_eq!(Format::detect(b"<?xml version='1.0'?><a/>"), Some(Format::Xml));
        assert_eq!(Format::detect(b"<ORDERS05><IDOC BEGIN="), Some(Format::IdocXml));
        assert_eq!(Format::detect(b"51102 123"), Some(Format::Vda));
        assert_eq!(Format::detect(b"71103"), Some(Format::Vda));
        assert_eq!(Format::detect(b"5112 "), None);
        assert_eq!(Format::detect(b" "), None);
    }

    #[test]
    fn a_group_or_set_without_header_is_told_by_its_shape() {
        assert_eq!(Format::detect(b"GS*PO*S*R*20261122"), Some(Format::X12));
        assert_eq!(Format::detect(b"\r\nST|850|0001~"), Some(Format::X12));
        for other in ["GS*POX*", "GS*PO", "ST;8500;", "ST,name,", "ST*850~", "STX=ANA:1", "GS"] {
            assert_eq!(Format::detect(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn tradacoms_is_recognised_and_not_read() {
        assert_eq!(Format::unsupported(b"\xef\xbb\xbf\r\nSTX=ANA:1+5"), Some("TRADACOMS"));
        assert_eq!(Format::detect(b"STX=ANA:1+5"), None);
        assert_eq!(Format::unsupported(b"STX+ANA:1+5"), None);
        assert_eq!(Format::unsupported(b""), None);
    }

    #[test]
    fn an_interchange_is_told_by_its_header() {
        assert_eq!(Format::detect(b"UNB+UNOC:3"), Some(Format::Edifact));
        assert_eq!(Format::detect(b"UNA:+.? '"), Some(Format::Edifact));
        assert_eq!(Format::detect(b"ISA*00*"), Some(Format::X12));
        assert_eq!(Format::detect(b"ISAAC"), None);
    }

    #[test]
    fn every_name_is_read_as_its_format() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("yaml".parse::<Format>(), Err(UnknownFormat));
    }
}
