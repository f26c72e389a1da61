//! The names of a document's nodes.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Names, each stored once. Id 0 is the empty name; the others count up by first appearance.
///
/// The index is a small open-addressing table over the spans: most documents have few names, and
/// a `HashMap<String, _>` would allocate for each.
#[derive(Clone, Default)]
pub(super) struct Names {
    text: String,
    spans: Vec<(u32, u32)>,
    /// Ids plus one, 0 for free; a power of two long, at most half full.
    index: Vec<u32>,
    /// Set once there are many names: keys come from outside, and whoever knows the hash could
    /// choose them to collide. The seed decides where ids are kept, never what they are.
    seed: Option<RandomState>,
}

impl fmt::Debug for Names {
    /// How many; never the names, which may come from outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names", self.len())
    }
}

/// Entries of an index that a cheap hash without a seed may have.
const SMALL_INDEX: usize = 512;

impl Names {
    /// How many names there are, the empty one not counted.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The heap bytes that the names hold.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity()
            + self.spans.capacity() * size_of::<(u32, u32)>()
            + self.index.capacity() * size_of::<u32>()
    }

    pub(super) fn text_of(&self, id: u32) -> &str {
        let Some((from, len)) = (id as usize).checked_sub(1).and_then(|at| self.spans.get(at))
        else {
            return "";
        };
        self.text.get(*from as usize..(*from + *len) as usize).unwrap_or("")
    }

    /// The number of a name that is there.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        if name.is_empty() {
            return Some(0);
        }
        let mask = self.index.len().checked_sub(1)?;
        let mut at = self.hash(name) & mask;
        loop {
            match self.index[at] {
                0 => return None,
                id if self.text_of(id) == name => return Some(id),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds a name that is not there.
    pub(super) fn add(&mut self, name: &str) -> u32 {
        if self.index.len() < (self.spans.len() + 1) * 2 {
            self.grow();
        }
        let mask = self.index.len() - 1;
        let mut at = self.hash(name) & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.spans.push((self.text.len() as u32, name.len() as u32));
        self.text.push_str(name);
        let id = self.spans.len() as u32;
        self.index[at] = id;
        id
    }

    fn grow(&mut self) {
        let size = (self.spans.len() * 4).next_power_of_two().max(32);
        if size > SMALL_INDEX && self.seed.is_none() {
            self.seed = Some(RandomState::new());
        }
        self.index.clear();
        self.index.resize(size, 0);
        for id in 1..=self.spans.len() as u32 {
            let mut at = self.hash(self.text_of(id)) & (size - 1);
            while self.index[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.index[at] = id;
        }
    }

    fn hash(&self, name: &str) -> usize {
        match &self.seed {
            Some(seed) => seed.hash_one(name) as usize,
            None => fnv_1a(name) as usize,
        }
    }
}

/// Cheaper than a seeded hash for names of a few bytes.
fn fnv_1a(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
