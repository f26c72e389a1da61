//! Numbers that never come twice: not after a restore, not from a second agent.
//!
//! A DOCNUM has 16 digits: instance (3), epoch (2), counter (11). The counter is in the database.
//! A database that comes back from a backup counts from an old state again; so a side file keeps,
//! outside of any backup of the database, how far the counters had come. Where it is ahead at
//! open, the epoch goes up by one. The side file is written twice per reservation: `pending`
//! before the commit, and as confirmed after it and before anybody sees the numbers; that tells a
//! crash in the middle from a restore.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::directory::Directory;
use crate::journal::entries::{unescape, word};
use crate::journal::error::JournalError;
use crate::journal::store::directory_of;

/// One more than the highest counter.
pub(super) const COUNTERS: u64 = 100_000_000_000;

/// The last epoch that fits.
pub(super) const LAST_EPOCH: u16 = 99;

/// The number that is made of an instance (0..=999), an epoch (0..=99) and a counter of eleven
/// digits. Parts that are too big are cut to their digits.
pub fn docnum(instance: u16, epoch: u16, counter: u64) -> u64 {
    let head = u64::from(instance % 1000) * 100 + u64::from(epoch % 100);
    head * COUNTERS + counter % COUNTERS
}

/// The counter inside of a [`docnum`].
pub fn counter(docnum: u64) -> u64 {
    docnum % COUNTERS
}

/// How far a range had come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct High {
    /// The database has given out everything below.
    confirmed: u64,
    /// A reservation up to here may or may not have been committed.
    pending: u64,
}

/// The side file `numbers.high`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SideFile {
    path: PathBuf,
    journal: String,
    epoch: u16,
    ranges: BTreeMap<String, High>,
}

impl SideFile {
    /// What the side file of a journal says that has given out `next` in `epoch`.
    pub(super) fn new(path: &Path, journal: &str, epoch: u16, next: &[(String, u64)]) -> Self {
        let high = |next: u64| High { confirmed: next, pending: next };
        let ranges = next.iter().map(|(range, next)| (range.clone(), high(*next))).collect();
        Self { path: path.to_owned(), journal: journal.to_owned(), epoch, ranges }
    }

    /// Where it lies for that database.
    pub(super) fn path_beside(database: &Path) -> PathBuf {
        database.with_file_name("numbers.high")
    }

    /// Reads it; `None` where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, JournalError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io(path)(error)),
        };
        let mut file = Self::new(path, "", 0, &[]);
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            file.line(&words)
                .ok_or_else(|| JournalError::SideFile { path: path.to_owned(), line: index + 1 })?;
        }
        Ok(Some(file))
    }

    fn line(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["journal", id] => self.journal = unescape(id),
            ["epoch", epoch] => self.epoch = epoch.parse().ok()?,
            ["range", name, confirmed, pending] => {
                let high =
                    High { confirmed: confirmed.parse().ok()?, pending: pending.parse().ok()? };
                self.ranges.insert(unescape(name), high);
            }
            _ => return None,
        }
        Some(())
    }

    /// The epoch that a journal has to go on in, if it must not be `epoch`: it was restored.
    pub(super) fn restored(
        &self,
        journal: &str,
        epoch: u16,
        next: &[(String, u64)],
    ) -> Option<u16> {
        let behind = |(name, high): (&String, &High)| {
            let next = next.iter().find(|(range, _)| range == name).map_or(0, |(_, next)| *next);
            next < high.confirmed
        };
        let restored =
            self.journal != journal || self.epoch > epoch || self.ranges.iter().any(behind);
        restored.then(|| self.epoch.max(epoch) + 1)
    }

    /// The ranges of the same journal that a database has fallen behind in, and how far they had
    /// come.
    pub(super) fn ahead(&self, journal: &str, next: &[(String, u64)]) -> Vec<(String, u64)> {
        let known = |name: &String| next.iter().find(|(range, _)| range == name).map(|at| at.1);
        let behind = |(name, high): &(&String, &High)| known(name) < Some(high.confirmed);
        let same = self.ranges.iter().filter(|_| self.journal == journal);
        same.filter(behind).map(|(name, high)| (name.clone(), high.confirmed)).collect()
    }

    /// Durable before the commit: the range may come as far as `to`.
    pub(super) fn pending(&mut self, range: &str, numbers: &Range<u64>) {
        let high = self.ranges.entry(range.to_owned()).or_insert(High { confirmed: 0, pending: 0 });
        high.pending = high.pending.max(numbers.end);
    }

    /// Durable after the commit: all that was pending is given out.
    pub(super) fn confirm(&mut self) {
        for high in self.ranges.values_mut() {
            high.confirmed = high.pending;
        }
    }

    /// The commit failed: nothing that was pending is given out.
    pub(super) fn withdraw(&mut self) {
        for high in self.ranges.values_mut() {
            high.pending = high.confirmed;
        }
    }

    /// Writes it whole, under another name first, and makes it durable.
    pub(super) fn write(&self) -> std::io::Result<()> {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "journal {}\nepoch {}", self.journal, self.epoch);
        for (name, high) in &self.ranges {
            let _ = writeln!(text, "range {} {} {}", word(name), high.confirmed, high.pending);
        }
        let part = self.path.with_extension("part");
        let directory = Directory::open(directory_of(&self.path))?;
        let mut file = directory.create(&part.file_name().unwrap_or_default().to_string_lossy())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, &self.path)?;
        directory.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(counter: u64) -> Vec<(String, u64)> {
        vec![("docnum".to_owned(), counter)]
    }

    #[test]
    fn a_docnum_has_sixteen_digits() {
        assert_eq!(docnum(7, 1, 42), 70_100_000_000_042);
        assert_eq!(docnum(999, 99, COUNTERS - 1), 9_999_999_999_999_999);
        assert_eq!(counter(docnum(999, 99, 42)), 42);
    }

    #[test]
    fn a_crash_in_a_reservation_is_no_restore() {
        let mut side = SideFile::new(Path::new("x"), "a", 0, &next(100));
        side.pending("docnum", &(100..200));
        assert_eq!(side.restored("a", 0, &next(100)), None, "before the commit");
        assert_eq!(side.restored("a", 0, &next(200)), None, "after the commit");
        side.confirm();
        assert_eq!(side.restored("a", 0, &next(200)), None);
        assert_eq!(side.restored("a", 0, &next(100)), Some(1), "an old copy");
        assert_eq!(side.restored("a", 0, &[]), Some(1), "a very old copy");
        assert_eq!(side.ahead("a", &next(100)), next(200));
        assert_eq!(side.ahead("a", &next(200)), []);
        assert_eq!(side.restored("b", 0, &[]), Some(1), "another journal in the same place");
    }

    #[test]
    fn the_side_file_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("numbers.high");
        assert_eq!(SideFile::read(&path).unwrap(), None);
        let mut side = SideFile::new(&path, "ab12", 3, &next(5));
        side.pending("a range", &(1..9));
        side.write().unwrap();
        assert_eq!(SideFile::read(&path).unwrap(), Some(side));
        std::fs::write(&path, "journal a\nepoch x\n").unwrap();
        let error = SideFile::read(&path).unwrap_err().to_string();
        assert!(error.contains(":2:"), "{error}");
    }
}
