//! What is kept of a message that is larger than its source takes.
//!
//! The journal has one text for every event. That of a message that was too large says so in its
//! first line; the first bytes of the message follow as they came:
//!
//! ```text
//! waybill:shortened bytes=125829120 sha256=5f1d…
//! {"specversion":"1.0","id":"e-1", …
//! ```
//!
//! It is neither JSON nor an IDoc, so nothing takes it for the message. The same message makes the
//! same text, so it is recognised when it comes again.

use crate::event::Digest;

/// The most bytes that are kept of a message that is too large.
pub const KEPT: usize = 64 << 10;

const MARK: &[u8] = b"waybill:shortened bytes=";
const SHA256: &str = " sha256=";
/// More than the first line can have.
const LONGEST_LINE: usize = 128;

/// A message that was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// How many bytes it had.
    pub bytes: u64,
    /// The digest of all of them.
    pub digest: Digest,
}

impl Shortened {
    /// The text of its event; `first` is what was kept of it.
    pub fn text(&self, first: &[u8]) -> Vec<u8> {
        let Self { bytes, digest } = self;
        let mut text = Vec::with_capacity(LONGEST_LINE + first.len());
        text.extend_from_slice(MARK);
        text.extend_from_slice(format!("{bytes}{SHA256}{digest}\n").as_bytes());
        text.extend_from_slice(first);
        text
    }

    /// What the text of an event says, if it is that of such a message.
    pub fn read(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(MARK)?;
        let rest = rest.get(..LONGEST_LINE).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let (bytes, digest) = line.split_once(SHA256)?;
        Some(Self { bytes: bytes.parse().ok()?, digest: Digest::parse(digest)? })
    }

    /// The id of a message that has no other.
    pub fn id(&self) -> String {
        format!("sha256:{}", self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_shortened_message_says_what_it_was() {
        let shortened = Shortened { bytes: 125_829_120, digest: Digest::of(b"all of it") };
        let text = shortened.text(b"{\"id\":\n");
        assert_eq!(Shortened::read(&text), Some(shortened));
        assert!(text.ends_with(b"\n{\"id\":\n"));
    }

    #[test]
    fn other_texts_are_not_taken_for_one() {
        let digest = Digest::of(b"");
        for text in [
            String::new(),
            "{}".to_owned(),
            "waybill:shortened bytes=".to_owned(),
            format!("waybill:shortened bytes=x sha256={digest}\n"),
            format!("waybill:shortened bytes=7 sha256={digest}"),
            "waybill:shortened bytes=7 sha256=beef\n".to_owned(),
        ] {
            assert_eq!(Shortened::read(text.as_bytes()), None, "{text}");
        }
    }
}
