//! Character encodings: what the bytes of a file mean as text.
//!
//! The encodings are those of `encoding_rs`, with two exceptions. ISO 8859-1 is the true one, in
//! which every byte is the character of that number: the WHATWG, whom `encoding_rs` follows, reads
//! it as windows-1252. And UTF-16 can be written.

mod transcode;

use std::fmt;

pub(crate) use transcode::{Simple, Spot, Transcode};

/// A character encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
    Other(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Self = Self(Kind::Utf8);
    /// UTF-16, the low byte first.
    pub const UTF_16LE: Self = Self(Kind::Utf16Le);
    /// UTF-16, the high byte first.
    pub const UTF_16BE: Self = Self(Kind::Utf16Be);
    /// ISO 8859-1, which is not windows-1252.
    pub const LATIN_1: Self = Self(Kind::Latin1);

    /// The encoding of that name, as IANA and the WHATWG name them, in any case. `utf-16` without
    /// a byte order is little-endian, as the WHATWG reads it.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" | "l1" | "cp819" => {
                return Some(Self::LATIN_1);
            }
            "us-ascii" | "ascii" => return Some(Self::UTF_8),
            _ => {}
        }
        let found = encoding_rs::Encoding::for_label_no_replacement(name.as_bytes())?;
        Some(if found == encoding_rs::UTF_8 {
            Self::UTF_8
        } else if found == encoding_rs::UTF_16LE {
            Self::UTF_16LE
        } else if found == encoding_rs::UTF_16BE {
            Self::UTF_16BE
        } else {
            Self(Kind::Other(found))
        })
    }

    /// The name, for people and XML declarations.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Utf8 => "UTF-8",
            Kind::Utf16Le => "UTF-16LE",
            Kind::Utf16Be => "UTF-16BE",
            Kind::Latin1 => "ISO-8859-1",
            Kind::Other(other) => other.name(),
        }
    }

    /// What the first bytes of a file of mostly ASCII text tell: the encoding, and how many bytes
    /// its byte order mark has. `None` where they do not exclude an encoding that extends ASCII.
    pub fn detect(start: &[u8]) -> Option<(Self, usize)> {
        match start {
            [0xef, 0xbb, 0xbf, ..] => Some((Self::UTF_8, 3)),
            [0xff, 0xfe, ..] => Some((Self::UTF_16LE, 2)),
            [0xfe, 0xff, ..] => Some((Self::UTF_16BE, 2)),
            [0, 1..=0x7f, ..] => Some((Self::UTF_16BE, 0)),
            [1..=0x7f, 0, ..] => Some((Self::UTF_16LE, 0)),
            _ => None,
        }
    }

    /// Bytes of a character of ASCII.
    pub(crate) fn width(self) -> usize {
        if matches!(self.0, Kind::Utf16Le | Kind::Utf16Be) { 2 } else { 1 }
    }

    /// Appends the text that `bytes` mean; says whether all of them mean something. What means
    /// nothing becomes U+FFFD.
    pub fn decode(self, bytes: &[u8], out: &mut String) -> bool {
        match self.0 {
            Kind::Utf8 => {
                let text = String::from_utf8_lossy(bytes);
                out.push_str(&text);
                // What is valid is borrowed.
                matches!(text, std::borrow::Cow::Borrowed(_))
            }
            Kind::Latin1 => {
                out.extend(bytes.iter().map(|byte| char::from(*byte)));
                true
            }
            Kind::Utf16Le => decode_utf16(bytes, u16::from_le_bytes, out),
            Kind::Utf16Be => decode_utf16(bytes, u16::from_be_bytes, out),
            Kind::Other(other) => {
                let (text, malformed) = other.decode_without_bom_handling(bytes);
                out.push_str(&text);
                !malformed
            }
        }
    }

    /// Appends `text` in this encoding.
    ///
    /// # Errors
    ///
    /// The position of the first character that the encoding does not have, from 0; `out` is then
    /// as it was.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), usize> {
        let start = out.len();
        match self.0 {
            Kind::Utf8 => out.extend_from_slice(text.as_bytes()),
            Kind::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Kind::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Kind::Latin1 => {
                for (at, character) in text.chars().enumerate() {
                    let Ok(byte) = u8::try_from(character) else {
                        out.truncate(start);
                        return Err(at);
                    };
                    out.push(byte);
                }
            }
            Kind::Other(other) => {
                let (bytes, _, unmappable) = other.encode(text);
                if unmappable {
                    let has = |c: char| !other.encode(c.encode_utf8(&mut [0; 4])).2;
                    return Err(text.chars().position(|c| !has(c)).unwrap_or(0));
                }
                out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// The position of the first character of `text` that this encoding does not have, from 0.
    pub(crate) fn lacks(self, text: &str) -> Option<usize> {
        if text.is_ascii() || matches!(self.0, Kind::Utf8 | Kind::Utf16Le | Kind::Utf16Be) {
            return None;
        }
        self.encode(text, &mut Vec::new()).err()
    }

    /// Whether every character has the same number of bytes, or of 16-bit units in UTF-16, or is
    /// told from the bytes as in UTF-8. What is left are the old encodings of East Asia.
    pub(crate) fn counts_characters(self) -> bool {
        !matches!(self.0, Kind::Other(other) if !other.is_single_byte())
    }

    /// The characters of `bytes`, whether all of them mean something or not.
    pub(crate) fn characters(self, bytes: &[u8]) -> usize {
        match self.0 {
            Kind::Utf8 => bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count(),
            _ => bytes.len() / self.width(),
        }
    }

    /// How many bytes `text` has in this encoding, if it was decoded from it.
    pub(crate) fn length(self, text: &str) -> usize {
        match self.0 {
            Kind::Utf8 => text.len(),
            _ if text.is_ascii() => text.len() * self.width(),
            Kind::Utf16Le | Kind::Utf16Be => text.chars().map(char::len_utf16).sum::<usize>() * 2,
            Kind::Latin1 => text.chars().count(),
            Kind::Other(other) if other.is_single_byte() => text.chars().count(),
            Kind::Other(other) => other.encode(text).0.len(),
        }
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, out: &mut String) -> bool {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut whole = rest.is_empty();
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        whole &= character.is_ok();
        out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if !rest.is_empty() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
    whole
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// UTF-8.
impl Default for Encoding {
    fn default() -> Self {
        Self::UTF_8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, bytes: &[u8]) -> (String, bool) {
        let mut text = String::new();
        let whole = encoding.decode(bytes, &mut text);
        (text, whole)
    }

    #[test]
    fn latin_1_is_not_windows_1252() {
        let windows = Encoding::named("windows-1252").unwrap();
        let latin = Encoding::named("ISO-8859-1").unwrap();
        assert_eq!(latin, Encoding::LATIN_1);
        assert_eq!(decoded(windows, b"\x80"), ("€".to_owned(), true));
        assert_eq!(decoded(latin, b"\x80\xe9"), ("\u{80}é".to_owned(), true));
        let mut out = Vec::new();
        assert_eq!(latin.encode("é€", &mut out), Err(1));
        assert_eq!(windows.encode("é€", &mut out), Ok(()));
        assert_eq!(out, b"\xe9\x80");
    }

    #[test]
    fn every_encoding_reads_what_it_writes() {
        for name in ["utf-8", "utf-16le", "utf-16be", "iso-8859-1", "iso-8859-2", "windows-1250"] {
            let encoding = Encoding::named(name).unwrap();
            let text = "Köln <ä>";
            let mut bytes = Vec::new();
            assert_eq!(encoding.encode(text, &mut bytes), Ok(()));
            assert_eq!(decoded(encoding, &bytes), (text.to_owned(), true), "{name}");
            assert_eq!(encoding.length(text), bytes.len());
        }
        let japanese = Encoding::named("shift_jis").unwrap();
        let mut bytes = Vec::new();
        assert_eq!(japanese.encode("日x", &mut bytes), Ok(()));
        assert_eq!((japanese.length("日x"), bytes.len()), (3, 3));
        assert_eq!(japanese.encode("xé", &mut bytes), Err(1));
    }

    #[test]
    fn a_half_of_a_pair_is_no_text() {
        assert_eq!(decoded(Encoding::UTF_16LE, b"a\0\x00\xd8"), ("a\u{fffd}".to_owned(), false));
        assert_eq!(decoded(Encoding::UTF_16BE, b"\0a\0"), ("a\u{fffd}".to_owned(), false));
        assert_eq!(decoded(Encoding::UTF_8, b"a\xff"), ("a\u{fffd}".to_owned(), false));
    }

    #[test]
    fn the_first_bytes_tell_utf_16() {
        assert_eq!(Encoding::detect(b"\xff\xfeE\0"), Some((Encoding::UTF_16LE, 2)));
        assert_eq!(Encoding::detect(b"E\0D\0"), Some((Encoding::UTF_16LE, 0)));
        assert_eq!(Encoding::detect(b"\0E\0D"), Some((Encoding::UTF_16BE, 0)));
        assert_eq!(Encoding::detect(b"ED"), None);
    }
}
