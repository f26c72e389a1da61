//! Whether a file is whole: the decision, without a look at any disk.
//!
//! Half-written files are the commonest fault of dropped files, and nobody can see from outside
//! that a writer has finished. Three signs count: somebody renamed the file into the folder; its
//! marker appeared; or its size and time of change were *seen* to stand still for long enough. A
//! time of change alone says nothing: it may have been set, and clocks differ. Behind the claim
//! the size is compared again, because each of the signs can be wrong.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{FolderSource, Marker};

/// What a folder asks of its files.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a file must stand still; `None` where only its marker or a rename counts.
    pub stable_for: Option<Duration>,
    /// How long a file must stand still whose marker was there before it.
    pub settle: Duration,
    /// Its marker.
    pub marker: Option<Marker>,
}

/// What a name in the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device.
    Special,
}

/// What is seen of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileFacts {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub size: u64,
    /// When it was changed, by the clock of its disk.
    pub modified: Timestamp,
    /// Since when it was seen with this size and this time of change, by our clock.
    pub since: Timestamp,
    /// When its marker was changed, by the clock of the disk.
    pub marker: Option<Timestamp>,
    /// It was seen to be renamed into the folder, and not changed since.
    pub renamed_in: bool,
    /// It has a second name, here or elsewhere.
    pub linked: bool,
    /// It may be read.
    pub readable: bool,
    /// A file of the same name is being worked on.
    pub in_work: bool,
}

/// Whether a file is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is whole.
    Complete(Sign),
    /// Not yet.
    Waiting(Waiting),
    /// Never: it is none of ours.
    Left(Left),
}

/// By what a file is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It was renamed in.
    Renamed,
    /// Its marker appeared.
    Marked,
    /// It stood still.
    Still,
}

/// Why a file waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It has not stood still for long enough; so much is left.
    Changing(Duration),
    /// It has no marker.
    Unmarked,
    /// It has no bytes: a writer makes a file before it writes.
    Empty,
    /// It may not be read.
    Unreadable,
    /// A file of its name is being worked on.
    SameName,
    /// It has a second name: a user who cannot read a file can link to it, and the file can be
    /// written to later under its other name.
    Linked,
}

/// Why a file is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Its name begins with a dot.
    Hidden,
    /// Its name is that of an unfinished file.
    Temporary,
    /// It is a marker.
    Marker,
    /// It is a folder.
    Folder,
    /// It is a symbolic link.
    Link,
    /// It is a pipe, socket or device.
    Special,
}

/// How names of unfinished files end.
const TEMPORARY: [&str; 7] = [".tmp", ".temp", ".part", ".partial", ".filepart", ".swp", "~"];

impl Settings {
    /// What a configuration asks for, on a network mount or a disk.
    pub fn of(folder: &FolderSource, on_network: bool) -> Self {
        // Clients of a network mount see sizes late: NFS keeps attributes for up to a minute, but
        // those of files that change for 3 s at first.
        let usual = Duration::from_secs(if on_network { 10 } else { 2 });
        let stable_for = match (folder.stable_for, &folder.marker) {
            (None, Some(_)) => None,
            (written, _) => Some(written.unwrap_or(usual)),
        };
        let settle = stable_for.unwrap_or(usual);
        Self { stable_for, settle, marker: folder.marker.clone() }
    }
}

/// Decides about the file `name`.
pub fn judge(name: &str, facts: &FileFacts, settings: &Settings, now: Timestamp) -> Completeness {
    if let Some(left) = left(name, facts.kind, settings) {
        return Completeness::Left(left);
    }
    if facts.in_work {
        return Completeness::Waiting(Waiting::SameName);
    }
    if facts.linked {
        return Completeness::Waiting(Waiting::Linked);
    }
    if !facts.readable {
        return Completeness::Waiting(Waiting::Unreadable);
    }
    if facts.renamed_in && facts.size > 0 {
        return Completeness::Complete(Sign::Renamed);
    }
    let still_for = Duration::try_from(now.duration_since(facts.since)).unwrap_or_default();
    let still = |needed: Duration| match needed.checked_sub(still_for) {
        None | Some(Duration::ZERO) => Completeness::Complete(Sign::Still),
        Some(left) => Completeness::Waiting(Waiting::Changing(left)),
    };
    match facts.marker {
        Some(marker) if marker >= facts.modified => Completeness::Complete(Sign::Marked),
        // The marker was there first, or is of an earlier file of this name: it says nothing.
        Some(_) if facts.size > 0 => still(settings.settle),
        _ if facts.size == 0 => Completeness::Waiting(Waiting::Empty),
        _ => match settings.stable_for {
            Some(needed) => still(needed),
            None => Completeness::Waiting(Waiting::Unmarked),
        },
    }
}

fn left(name: &str, kind: Kind, settings: &Settings) -> Option<Left> {
    match kind {
        _ if name.starts_with('.') => Some(Left::Hidden),
        Kind::Folder => Some(Left::Folder),
        Kind::Link => Some(Left::Link),
        Kind::Special => Some(Left::Special),
        Kind::File if settings.marker.as_ref().is_some_and(|marker| marker.is(name)) => {
            Some(Left::Marker)
        }
        Kind::File => {
            let lower = name.to_ascii_lowercase();
            TEMPORARY.iter().any(|end| lower.ends_with(end)).then_some(Left::Temporary)
        }
    }
}

impl Waiting {
    /// All words, for the metric: a gauge that is not set again keeps its last value.
    pub const REASONS: [&'static str; 6] =
        ["changing", "unmarked", "empty", "unreadable", "same-name", "linked"];

    /// The word in metrics and JSON.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Changing(_) => "changing",
            Self::Unmarked => "unmarked",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::SameName => "same-name",
            Self::Linked => "linked",
        }
    }
}

impl Completeness {
    /// The word in JSON.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Complete(Sign::Renamed) => "renamed-in",
            Self::Complete(Sign::Marked) => "marked",
            Self::Complete(Sign::Still) => "still",
            Self::Waiting(waiting) => waiting.reason(),
            Self::Left(Left::Hidden) => "hidden",
            Self::Left(Left::Temporary) => "temporary",
            Self::Left(Left::Marker) => "marker",
            Self::Left(Left::Folder) => "folder",
            Self::Left(Left::Link) => "link",
            Self::Left(Left::Special) => "special",
        }
    }

    /// Why, and what can be done, for people.
    pub fn explanation(self) -> String {
        let text = match self {
            Self::Complete(Sign::Renamed) => "whole: it was renamed into the folder",
            Self::Complete(Sign::Marked) => "whole: its marker is there",
            Self::Complete(Sign::Still) => "whole: its size and time of change stand still",
            Self::Waiting(Waiting::Changing(left)) => {
                let left = left.as_secs_f64();
                return format!("it must stand still for another {left:.1} s");
            }
            Self::Waiting(Waiting::Unmarked) => {
                "its marker is not there; the sender makes it when the file is whole"
            }
            Self::Waiting(Waiting::Empty) => "it is empty; taken when it has content, or remove it",
            Self::Waiting(Waiting::Unreadable) => {
                "it may not be read; give the agent's user the right to (chmod, umask of the sender)"
            }
            Self::Waiting(Waiting::SameName) => {
                "a file of the same name is in work; taken when that one is done"
            }
            Self::Waiting(Waiting::Linked) => {
                "it has a second name (a hard link); taken when the other name is gone, or drop a copy"
            }
            Self::Left(Left::Hidden) => "names that begin with a dot are left alone",
            Self::Left(Left::Temporary) => {
                "its name is that of an unfinished file; rename it when it is whole"
            }
            Self::Left(Left::Marker) => "it is a marker; removed when its file is taken",
            Self::Left(Left::Folder) => "folders are not looked into",
            Self::Left(Left::Link) => "symbolic links are not followed; move the file itself here",
            Self::Left(Left::Special) => {
                "a pipe, socket or device: it is not opened; drop a plain file"
            }
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_772_000_000 + second).unwrap()
    }

    fn facts() -> FileFacts {
        FileFacts {
            kind: Kind::File,
            size: 100,
            modified: at(-1000),
            since: at(0),
            marker: None,
            linked: false,
            renamed_in: false,
            readable: true,
            in_work: false,
        }
    }

    fn settings(stable_for: Option<u64>, marker: Option<&str>) -> Settings {
        let marker = marker.map(|marker| Marker::parse(marker).unwrap());
        let stable_for = stable_for.map(Duration::from_secs);
        Settings { stable_for, settle: Duration::from_secs(2), marker }
    }

    fn reason(facts: &FileFacts, settings: &Settings, second: i64) -> &'static str {
        judge("a.idoc", facts, settings, at(second)).reason()
    }

    #[test]
    fn an_old_time_of_change_says_nothing() {
        let just_seen = FileFacts { modified: at(-86_400), ..facts() };
        assert_eq!(reason(&just_seen, &settings(Some(2), None), 0), "changing");
        assert_eq!(reason(&just_seen, &settings(Some(2), None), 1), "changing");
        assert_eq!(reason(&just_seen, &settings(Some(2), None), 2), "still");
        // A clock that was set back is no proof of standing still.
        assert_eq!(reason(&just_seen, &settings(Some(2), None), -50), "changing");
    }

    #[test]
    fn a_marker_counts_when_it_is_not_older_than_its_file() {
        let marked = |second| FileFacts { modified: at(0), marker: Some(at(second)), ..facts() };
        let only = settings(None, Some("*.done"));
        assert_eq!(reason(&facts(), &only, 1_000), "unmarked");
        assert_eq!(reason(&marked(0), &only, 0), "marked");
        assert_eq!(reason(&marked(5), &only, 0), "marked");
        // The marker was there first: the file must stand still.
        assert_eq!(reason(&marked(-5), &only, 0), "changing");
        assert_eq!(reason(&marked(-5), &only, 2), "still");
        // Both are asked for: either will do.
        assert_eq!(reason(&facts(), &settings(Some(5), Some("*.done")), 5), "still");
    }

    #[test]
    fn what_is_renamed_in_is_whole_at_once() {
        let renamed = FileFacts { renamed_in: true, ..facts() };
        assert_eq!(reason(&renamed, &settings(Some(60), None), 0), "renamed-in");
        assert_eq!(reason(&renamed, &settings(None, Some("*.done")), 0), "renamed-in");
    }

    #[test]
    fn an_empty_file_waits_for_its_content_unless_it_is_marked() {
        let empty = FileFacts { size: 0, renamed_in: true, ..facts() };
        assert_eq!(reason(&empty, &settings(Some(2), None), 1_000), "empty");
        let marked = FileFacts { marker: Some(at(0)), ..empty };
        assert_eq!(reason(&marked, &settings(None, Some("*.done")), 0), "marked");
    }

    #[test]
    fn unreadable_files_and_twins_wait_whatever_else_holds() {
        let whole = FileFacts { renamed_in: true, ..facts() };
        let of = settings(Some(2), None);
        assert_eq!(reason(&FileFacts { readable: false, ..whole }, &of, 9), "unreadable");
        assert_eq!(reason(&FileFacts { in_work: true, ..whole }, &of, 9), "same-name");
        assert_eq!(reason(&FileFacts { linked: true, ..whole }, &of, 9), "linked");
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone() {
        let of = settings(Some(2), Some("*.done"));
        let judged =
            |name: &str, kind| judge(name, &FileFacts { kind, ..facts() }, &of, at(9)).reason();
        for (name, kind, expected) in [
            (".lock", Kind::File, "hidden"),
            (".work", Kind::Folder, "hidden"),
            ("a.idoc.PART", Kind::File, "temporary"),
            ("a.idoc~", Kind::File, "temporary"),
            ("a.done", Kind::File, "marker"),
            ("done", Kind::Folder, "folder"),
            ("a.idoc", Kind::Link, "link"),
            ("a.idoc", Kind::Special, "special"),
            ("done", Kind::File, "still"),
        ] {
            assert_eq!(judged(name, kind), expected, "{name}");
        }
    }

    #[test]
    fn a_network_mount_gets_more_time() {
        let mut written = FolderSource {
            path: "in".to_owned(),
            stable_for: None,
            marker: None,
            poll: Duration::from_secs(2),
            in_flight: 1,
            max_message: 1,
            max_file: 1,
            order: crate::config::Order::Changed,
        };
        let stable = |written: &FolderSource, network| Settings::of(written, network).stable_for;
        assert_eq!(stable(&written, false), Some(Duration::from_secs(2)));
        assert_eq!(stable(&written, true), Some(Duration::from_secs(10)));
        written.marker = Some(Marker::parse("*.done").unwrap());
        assert_eq!(stable(&written, false), None);
        written.stable_for = Some(Duration::from_secs(3));
        assert_eq!(stable(&written, true), Some(Duration::from_secs(3)));
    }
}
