//! Character sets of interchanges.
//!
//! `encoding_rs` knows the sets of the web. What it calls ISO 8859-1 is windows-1252, so that one
//! is made here.

use encoding_rs::Encoding;

/// A character set that has ASCII in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// ISO 646, seven bits.
    Ascii,
    /// ISO 8859-1: every byte is the character of that number.
    Latin1,
    /// UTF-8.
    Utf8,
    /// One of `encoding_rs`.
    Other(&'static Encoding),
}

/// How bytes became text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// As declared.
    Exact,
    /// Not as declared, but it is valid UTF-8 and nothing else has that shape.
    AsUtf8,
    /// Not as declared and no UTF-8: taken as ISO 8859-1.
    AsLatin1,
    /// With replacement characters for bytes that the set does not have.
    Replaced,
}

impl Charset {
    /// Appends `bytes` as text.
    pub fn decode(self, bytes: &[u8], out: &mut String) -> Decoded {
        if let (Ok(text), false) = (std::str::from_utf8(bytes), self.has_shifts()) {
            if text.is_ascii() || self == Self::Utf8 {
                out.push_str(text);
                return Decoded::Exact;
            }
            if self == Self::Ascii {
                out.push_str(text);
                return Decoded::AsUtf8;
            }
        }
        match self {
            Self::Other(encoding) => {
                let (text, _, has_errors) = encoding.decode(bytes);
                out.push_str(&text);
                if has_errors { Decoded::Replaced } else { Decoded::Exact }
            }
            Self::Ascii | Self::Latin1 | Self::Utf8 => {
                out.extend(bytes.iter().map(|byte| char::from(*byte)));
                if self == Self::Latin1 { Decoded::Exact } else { Decoded::AsLatin1 }
            }
        }
    }

    /// Appends `text` as bytes; says whether the set has all of its characters. If not, `out` is
    /// as it was.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if text.is_ascii() || self == Self::Utf8 {
            out.extend_from_slice(text.as_bytes());
            return true;
        }
        let complete = match self {
            Self::Ascii | Self::Utf8 => false,
            Self::Latin1 => {
                text.chars().all(|c| u8::try_from(c).map(|byte| out.push(byte)).is_ok())
            }
            Self::Other(encoding) => {
                let (bytes, _, has_errors) = encoding.encode(text);
                out.extend_from_slice(&bytes);
                !has_errors
            }
        };
        if !complete {
            out.truncate(start);
        }
        complete
    }

    /// Whether escape sequences change what the bytes of ASCII mean.
    pub fn has_shifts(self) -> bool {
        self == Self::Other(encoding_rs::ISO_2022_JP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(charset: Charset, bytes: &[u8]) -> (String, Decoded) {
        let mut out = String::new();
        let how = charset.decode(bytes, &mut out);
        (out, how)
    }

    #[test]
    fn a_set_that_does_not_fit_is_replaced_by_the_likely_one() {
        assert_eq!(decoded(Charset::Ascii, "Bø".as_bytes()), ("Bø".to_owned(), Decoded::AsUtf8));
        assert_eq!(decoded(Charset::Ascii, b"B\xf8"), ("Bø".to_owned(), Decoded::AsLatin1));
        assert_eq!(decoded(Charset::Utf8, b"B\xf8"), ("Bø".to_owned(), Decoded::AsLatin1));
        assert_eq!(decoded(Charset::Latin1, "ø".as_bytes()).1, Decoded::Exact);
        let greek = Charset::Other(encoding_rs::ISO_8859_7);
        assert_eq!(decoded(greek, b"\xe1"), ("α".to_owned(), Decoded::Exact));
        assert_eq!(decoded(greek, b"\xff").1, Decoded::Replaced);
    }

    #[test]
    fn what_is_encoded_decodes_again() {
        let sets = [Charset::Latin1, Charset::Utf8, Charset::Other(encoding_rs::ISO_2022_JP)];
        for (charset, text) in sets.into_iter().zip(["Größe", "車両", "車両 12"]) {
            let mut bytes = Vec::new();
            assert!(charset.encode(text, &mut bytes));
            assert_eq!(decoded(charset, &bytes), (text.to_owned(), Decoded::Exact));
        }
        let mut out = b"before".to_vec();
        assert!(!Charset::Latin1.encode("a€", &mut out));
        assert_eq!(out, b"before");
    }
}
