//! When files that were written anew may be used. Pure.

use crate::event::Digest;

/// What the look before has seen.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// There was none.
    First,
    /// The stamp of what could be read.
    Saw(Option<Digest>),
}

impl Look {
    /// Whether what is there now is whole: two looks must agree, because files are written bit by
    /// bit, and those that belong together one after the other. At the start nobody writes.
    pub fn agrees(self, now: Digest) -> bool {
        match self {
            Self::First => true,
            Self::Saw(before) => before == Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_anew_is_taken_when_two_looks_agree() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        assert!(Look::First.agrees(one));
        assert!(Look::Saw(Some(two)).agrees(two));
        assert!(!Look::Saw(Some(one)).agrees(two), "it is being written");
        assert!(!Look::Saw(None).agrees(two), "it was not there a moment ago");
    }
}
