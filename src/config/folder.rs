//! `type: folder`: a folder that others drop files into.

use std::time::Duration;

use crate::config::unit;
use crate::diagnostic::Problems;
use crate::yaml::{Fields, Node};

/// A folder that others drop files into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSource {
    /// The folder, relative to the configuration file or `WAYBILL_HOME`.
    pub path: String,
    /// How long size and time of change must stand still. Unwritten: `None`, which is 2s, 10s on a
    /// network mount, and never where a marker is asked for.
    pub stable_for: Option<Duration>,
    /// The marker that says that a file is whole.
    pub marker: Option<Marker>,
    /// How often the folder is looked at, whatever the kernel tells of it. Default 2s.
    pub poll: Duration,
    /// The most bytes in memory that are not yet in the journal. An event counts as 8KiB at least,
    /// so that a batch is shared with the other sources. Default 4MiB.
    pub in_flight: u64,
    /// A file with a larger document is rejected. Default 16MiB.
    pub max_message: u64,
    /// A larger file is rejected without being read. Default 2GiB.
    pub max_file: u64,
    /// Whether files wait for their turn.
    pub order: Order,
}

/// The order of the files of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By their times of change: none is begun before an earlier one is done. The default.
    Changed,
    /// None: small files are taken between the pieces of a large one.
    None,
}

/// The least that a document counts for among those in memory, in bytes.
pub const LEAST_WEIGHT: u64 = 8 << 10;

impl FolderSource {
    /// The most documents that can be in memory at once.
    pub fn most_documents(&self) -> usize {
        usize::try_from(self.in_flight / LEAST_WEIGHT).unwrap_or(usize::MAX).clamp(1, 1 << 16)
    }
}

/// The name of a marker beside its file: `*.done`, where the star is the file's name, with or
/// without its extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    before: String,
    after: String,
}

impl Marker {
    /// Reads a pattern: one star, and something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a pattern with one `*` is expected, such as `*.done`".to_owned();
        let (before, after) = text.split_once('*').ok_or_else(expected)?;
        if after.contains('*') || text.len() < 2 || text.contains('/') {
            return Err(expected());
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The names that a marker of `file` may have.
    pub fn names(&self, file: &str) -> Vec<String> {
        let name = |stem: &str| format!("{}{stem}{}", self.before, self.after);
        let mut names = vec![name(file)];
        if let Some((stem, _)) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
            names.push(name(stem));
        }
        names
    }

    /// Whether a file of that name is a marker.
    pub fn is(&self, name: &str) -> bool {
        name.len() > self.before.len() + self.after.len()
            && name.starts_with(&self.before)
            && name.ends_with(&self.after)
    }
}

/// Reads the keys of a folder.
pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<FolderSource> {
    let path = fields.required_text("path", problems);
    let (stable_for, marker) = match fields.optional("complete") {
        Some(node) => complete(node, problems),
        None => (None, None),
    };
    let poll = fields.parsed("poll", problems, |text| match unit::duration(text)? {
        poll if poll < Duration::from_millis(10) => Err("at least `10ms` is expected".to_owned()),
        poll => Ok(poll),
    });
    let in_flight = fields.parsed("in_flight", problems, unit::size);
    let max_message = fields.parsed("max_message", problems, unit::size);
    let max_file = fields.parsed("max_file", problems, unit::size);
    let words = [("changed", Order::Changed), ("none", Order::None)];
    let order = fields.choice("order", problems, &words);
    Some(FolderSource {
        path: path?.value,
        stable_for,
        marker,
        poll: poll.unwrap_or(Duration::from_secs(2)),
        in_flight: in_flight.unwrap_or(4 << 20),
        max_message: max_message.unwrap_or(16 << 20),
        max_file: max_file.unwrap_or(2 << 30),
        order: order.unwrap_or(Order::Changed),
    })
}

fn complete(node: &Node, problems: &mut Problems) -> (Option<Duration>, Option<Marker>) {
    let Some(mut fields) = Fields::of(node, "complete", problems) else { return (None, None) };
    let stable_for = fields.parsed("stable_for", problems, unit::duration);
    let marker = fields.parsed("marker", problems, Marker::parse);
    fields.finish(problems);
    (stable_for, marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_its_file_with_or_without_extension() {
        let marker = Marker::parse("*.done").unwrap();
        assert_eq!(marker.names("debmas.idoc"), ["debmas.idoc.done", "debmas.done"]);
        assert_eq!(marker.names("debmas"), ["debmas.done"]);
        assert!(marker.is("debmas.done") && !marker.is("debmas.idoc") && !marker.is(".done"));
        for wrong in ["*", "done", "**.done", "a/*.done"] {
            assert!(Marker::parse(wrong).is_err(), "{wrong}");
        }
    }
}
