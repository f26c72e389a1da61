//! What is seen of a folder: the facts about each name, and since when they hold.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::Access;

use crate::source::folder::judge::{Completeness, FileFacts, Kind, Settings, Waiting, judge};

/// The folder of files that are being worked on.
pub const WORK: &str = ".work";
/// The folder of files whose documents are in the journal.
pub const DONE: &str = "done";
/// The folder of what cannot be used.
pub const REJECTED: &str = "rejected";

/// What makes a file the same as a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Its bytes.
    pub size: u64,
    modified: (i64, i64),
    /// Its names.
    links: u64,
}

impl Stamp {
    /// Of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            links: metadata.nlink(),
        }
    }

    /// When the file was changed, by the clock of its disk.
    pub fn modified(&self) -> Timestamp {
        let nanoseconds = i32::try_from(self.modified.1).unwrap_or(0);
        Timestamp::new(self.modified.0, nanoseconds).unwrap_or(Timestamp::MIN)
    }
}

/// One name in the folder.
#[derive(Clone, Debug)]
pub struct Look {
    /// The name.
    pub name: String,
    /// What makes it the same as a moment ago.
    pub stamp: Stamp,
    /// Whether it is taken.
    pub judged: Completeness,
    /// The name of its marker.
    pub marker: Option<String>,
}

impl Look {
    fn unseen(name: String) -> Self {
        let judged = Completeness::Waiting(Waiting::Unreadable);
        Self { name, stamp: Stamp::default(), judged, marker: None }
    }
}

/// Looks at a folder again and again.
#[derive(Debug, Default)]
pub struct Observer {
    seen: HashMap<String, (Stamp, Timestamp)>,
    renamed: HashSet<String>,
    /// Files that we put back ourselves: their renaming proves nothing.
    put_back: HashSet<String>,
}

impl Observer {
    /// Takes note that a file was renamed into the folder.
    pub fn renamed_in(&mut self, name: String) {
        if !self.put_back.contains(&name) {
            self.seen.remove(&name);
            self.renamed.insert(name);
        }
    }

    /// Takes note that a file of that name was written to: what is known of a renaming is over.
    pub fn written(&mut self, name: &str) {
        self.renamed.remove(name);
    }

    /// Takes note that we put a file back: it must stand still anew.
    pub fn put_back(&mut self, name: &str) {
        self.renamed.remove(name);
        self.seen.remove(name);
        self.put_back.insert(name.to_owned());
    }

    /// Looks at every name; what is oldest comes first.
    pub fn look(
        &mut self,
        folder: &Path,
        settings: &Settings,
        now: Timestamp,
    ) -> io::Result<Vec<Look>> {
        let (there, unseen) = entries(folder)?;
        let mut found: Vec<_> = unseen.into_iter().map(Look::unseen).collect();
        for (name, metadata) in &there {
            let stamp = Stamp::of(metadata);
            let since = match self.seen.get(name) {
                // A clock that was set back must not make a file wait for years.
                Some((before, since)) if *before == stamp => (*since).min(now),
                _ => now,
            };
            self.seen.insert(name.clone(), (stamp, since));
            let markers = settings.marker.as_ref().map(|marker| marker.names(name));
            let marker = markers
                .unwrap_or_default()
                .into_iter()
                .find(|name| there.get(name).is_some_and(Metadata::is_file));
            let marked = marker.as_ref().and_then(|name| there.get(name));
            let facts = FileFacts {
                kind: kind(metadata),
                size: stamp.size,
                modified: stamp.modified(),
                since,
                marker: marked.map(|metadata| Stamp::of(metadata).modified()),
                linked: stamp.links > 1,
                renamed_in: self.renamed.contains(name),
                readable: rustix::fs::access(folder.join(name), Access::READ_OK).is_ok(),
                in_work: fs::symlink_metadata(folder.join(WORK).join(name)).is_ok(),
            };
            let judged = judge(name, &facts, settings, now);
            found.push(Look { name: name.clone(), stamp, judged, marker });
        }
        self.seen.retain(|name, _| there.contains_key(name));
        self.renamed.retain(|name| there.contains_key(name));
        self.put_back.retain(|name| there.contains_key(name));
        found.sort_by(|a, b| (a.stamp.modified, &a.name).cmp(&(b.stamp.modified, &b.name)));
        Ok(found)
    }
}

/// What is in a folder by its name, and the names that the disk cannot tell of: they are not the fault of
/// the others.
fn entries(folder: &Path) -> io::Result<(HashMap<String, Metadata>, Vec<String>)> {
    let (mut there, mut unseen) = (HashMap::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text cannot be written into the journal.
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.metadata() {
            Ok(metadata) => drop(there.insert(name, metadata)),
            // It vanished since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::debug!(file = %name, %error, "file cannot be looked at");
                unseen.push(name);
            }
        }
    }
    Ok((there, unseen))
}

fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        Kind::Link
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
    {
        Kind::Special
    } else {
        Kind::File
    }
}
