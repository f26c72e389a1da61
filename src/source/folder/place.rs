//! The folder on the disk: whose it is, and every rename in it. Nothing is ever replaced.
//!
//! ```text
//! in/a.idoc ──claim──> in/.work/a.idoc ──> in/done/a.idoc, or in/rejected/a.idoc as a whole
//!                                            in/rejected/a.idoc.3 with what failed of it
//! ```
//!
//! All of it must lie in one file system, or a rename is a copy that can be seen half. The names
//! are made durable before the journal relies on them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;

use crate::source::folder::look::{DONE, REJECTED, Stamp, WORK};

/// Files of one name in `done` or `rejected` beyond which something is wrong.
const MOST_TWINS: u32 = 100_000;

/// Why a folder cannot be worked on now.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The disk says no.
    #[error("{}: {error}{}", .path.display(), remedy(.error))]
    Unavailable {
        /// The folder, or what of it.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder beside the files is on another file system.
    #[error("{}: on another file system than the folder that it belongs to, so that files cannot be renamed into it; make it a plain folder", .path.display())]
    OtherDevice {
        /// Which.
        path: PathBuf,
    },
    /// Another agent works on it.
    #[error("{}: process {pid} works on this folder; give each agent or source a folder of its own", .path.display())]
    Owned {
        /// The folder.
        path: PathBuf,
        /// The process, or `unknown`.
        pid: String,
    },
    /// The folder is another one than before: mounted over, or moved away and made anew.
    #[error("{}: another folder is there now", .path.display())]
    Replaced {
        /// The folder.
        path: PathBuf,
    },
    /// The journal does not take what is in the files.
    #[error("the journal does not take the files now: {0}")]
    Journal(String),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make the folder or mount its share",
        io::ErrorKind::PermissionDenied => {
            "; give the agent's user the right to read, write and rename there"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        io::ErrorKind::CrossesDevices => "; it must lie in the same file system as its folder",
        _ => "",
    }
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The file is ours.
    Taken,
    /// It changed since it was judged; it was put back under this name.
    Changed(String),
    /// Somebody else took it away.
    Vanished,
    /// A file of its name is in work.
    InWork,
}

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    lock: File,
}

impl Place {
    /// Takes a folder. It must be there: where a share is not mounted, its empty mount point is no
    /// folder of ours. The folders inside are made.
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        let unavailable = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Unavailable { path, error }
        };
        let device = fs::metadata(folder).map_err(unavailable(folder))?.dev();
        for inside in [WORK, DONE, REJECTED].map(|name| folder.join(name)) {
            match fs::create_dir(&inside) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(unavailable(&inside)(error));
                }
                _ => {}
            }
            let metadata = fs::metadata(&inside).map_err(unavailable(&inside))?;
            if !metadata.is_dir() {
                return Err(unavailable(&inside)(io::ErrorKind::NotADirectory.into()));
            }
            if metadata.dev() != device {
                return Err(FolderError::OtherDevice { path: inside });
            }
        }
        let path = lock_of(folder);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(&path).map_err(unavailable(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(FolderError::Owned { path: folder.to_owned(), pid: pid_in(&mut lock) });
            }
            Err(error) => return Err(unavailable(&path)(error.into())),
        }
        let pid = format!("{:<10}\n", std::process::id());
        lock.write_all_at(pid.as_bytes(), 0).map_err(unavailable(&path))?;
        Ok(Self { folder: folder.to_owned(), lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of a file that is in work.
    pub fn work(&self, name: &str) -> PathBuf {
        self.folder.join(WORK).join(name)
    }

    /// Whether the path still leads to the folder that was taken.
    pub fn check(&self) -> Result<(), FolderError> {
        let path = lock_of(&self.folder);
        let same = fs::metadata(&path).and_then(|now| {
            let ours = self.lock.metadata()?;
            Ok((now.dev(), now.ino()) == (ours.dev(), ours.ino()))
        });
        match same {
            Ok(true) => Ok(()),
            Ok(false) => Err(FolderError::Replaced { path: self.folder.clone() }),
            Err(error) => Err(self.unavailable(error)),
        }
    }

    /// The names of the files that are in work.
    pub fn in_work(&self) -> Result<Vec<String>, FolderError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.folder.join(WORK))? {
                let entry = entry?;
                if let (Ok(name), true) =
                    (entry.file_name().into_string(), entry.metadata()?.is_file())
                {
                    names.push(name);
                }
            }
            names.retain(|name| name != "lock" && !name.starts_with('.'));
            names.sort();
            Ok(names)
        };
        list().map_err(|error| self.unavailable(error))
    }

    /// Claims a file by renaming it, and looks again: a writer that was only pausing shows.
    pub fn claim(&self, name: &str, judged: &Stamp) -> Result<Claim, FolderError> {
        let (from, to) = (self.folder.join(name), self.work(name));
        match rename_new(&from, &to) {
            Ok(()) => {}
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound => self.check().map(|()| Claim::Vanished),
                    io::ErrorKind::AlreadyExists => Ok(Claim::InWork),
                    _ => Err(FolderError::Unavailable { path: from, error }),
                };
            }
        }
        match fs::symlink_metadata(&to) {
            Ok(metadata) if Stamp::of(&metadata) == *judged => Ok(Claim::Taken),
            Ok(_) => self.put_back(name).map(Claim::Changed),
            Err(error) => Err(FolderError::Unavailable { path: to, error }),
        }
    }

    /// Gives a file its place in the folder back, or the next free name; the name.
    pub fn put_back(&self, name: &str) -> Result<String, FolderError> {
        move_beside(&self.work(name), &self.folder, name).map_err(|error| self.unavailable(error))
    }

    /// Removes the marker of a file that is ours.
    pub fn remove_marker(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.folder.join(name)) {
            tracing::debug!(%error, "the marker was gone already");
        }
    }

    /// Makes the names durable.
    pub fn sync(&self, inside: &[&str]) -> Result<(), FolderError> {
        let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
        inside
            .iter()
            .try_for_each(|name| sync(&self.folder.join(name)))
            .and_then(|()| sync(&self.folder.join(WORK)))
            .map_err(|error| self.unavailable(error))
    }

    /// Moves a file out of work, into `done` or `rejected`; the name that it got.
    pub fn move_to(&self, inside: &str, name: &str) -> Result<String, FolderError> {
        let to = self.folder.join(inside);
        move_beside(&self.work(name), &to, name)
            .map_err(|error| FolderError::Unavailable { path: to, error })
    }

    /// Writes a file into `done` or `rejected`, whole or not at all. The same content under the
    /// same name is there already after a crash; other content gets the next free name.
    pub fn write(&self, inside: &str, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let to = self.folder.join(inside);
        let part = self.folder.join(WORK).join(".part");
        let write = || -> io::Result<()> {
            let mut file = File::create(&part)?;
            file.write_all(content)?;
            file.sync_all()?;
            for twin in 0..MOST_TWINS {
                let path = to.join(twin_name(name, twin));
                match rename_new(&part, &path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if fs::read(&path)? == content {
                            return Ok(());
                        }
                    }
                    done => return done,
                }
            }
            Err(io::ErrorKind::AlreadyExists.into())
        };
        write().map_err(|error| FolderError::Unavailable { path: to.clone(), error })
    }

    fn unavailable(&self, error: io::Error) -> FolderError {
        FolderError::Unavailable { path: self.folder.clone(), error }
    }
}

/// The process that works on a folder, if one does.
pub fn owner(folder: &Path) -> Option<String> {
    let mut lock = File::open(lock_of(folder)).ok()?;
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(pid_in(&mut lock)),
        _ => None,
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.join(WORK).join("lock")
}

fn pid_in(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.take(32).read_to_string(&mut text);
    let pid = text.trim();
    match read {
        Ok(_) if !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn twin_name(name: &str, twin: u32) -> String {
    if twin == 0 { name.to_owned() } else { format!("{name}.{twin}") }
}

/// Renames `from` into the folder `to`, under its name or the next free one.
fn move_beside(from: &Path, to: &Path, name: &str) -> io::Result<String> {
    for twin in 0..MOST_TWINS {
        let name = twin_name(name, twin);
        match rename_new(from, &to.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Renames without replacing.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems without RENAME_NOREPLACE (NFS, some FUSE): a hard link does not replace.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::open(folder.path()).unwrap();
        (folder, place)
    }

    fn stamp(path: &Path) -> Stamp {
        Stamp::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn a_file_that_changed_between_judgement_and_claim_is_put_back() {
        let (folder, place) = place();
        let path = folder.path().join("a");
        fs::write(&path, "half").unwrap();
        let judged = stamp(&path);
        fs::write(&path, "half and the rest").unwrap();
        assert!(matches!(place.claim("a", &judged).unwrap(), Claim::Changed(name) if name == "a"));
        assert_eq!(fs::read(&path).unwrap(), b"half and the rest");
        let judged = stamp(&path);
        assert!(matches!(place.claim("a", &judged).unwrap(), Claim::Taken));
        assert!(matches!(place.claim("a", &judged).unwrap(), Claim::Vanished));
        fs::write(&path, "another").unwrap();
        assert!(matches!(place.claim("a", &stamp(&path)).unwrap(), Claim::InWork));
        assert_eq!(place.in_work().unwrap(), ["a"]);
    }

    #[test]
    fn nothing_in_done_or_rejected_is_replaced() {
        let (folder, place) = place();
        for expected in ["a", "a.1", "a.2"] {
            fs::write(place.work("a"), "x").unwrap();
            assert_eq!(place.move_to(DONE, "a").unwrap(), expected);
        }
        place.write(REJECTED, "a.3", b"one").unwrap();
        place.write(REJECTED, "a.3", b"one").unwrap();
        place.write(REJECTED, "a.3", b"two").unwrap();
        assert_eq!(fs::read(folder.path().join("rejected/a.3.1")).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path().join("rejected")).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_has_one_owner_and_must_be_there() {
        let (folder, place) = place();
        let error = Place::open(folder.path()).unwrap_err().to_string();
        let pid = std::process::id().to_string();
        assert!(error.contains(&format!("process {pid} works on this folder")), "{error}");
        assert_eq!(owner(folder.path()), Some(pid));
        drop(place);
        assert_eq!(owner(folder.path()), None);
        let error = Place::open(&folder.path().join("share")).unwrap_err().to_string();
        assert!(error.ends_with("make the folder or mount its share"), "{error}");
        assert!(!folder.path().join("share").exists());
    }

    #[test]
    fn a_folder_that_was_changed_for_another_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("in");
        fs::create_dir(&folder).unwrap();
        let place = Place::open(&folder).unwrap();
        place.check().unwrap();
        fs::rename(&folder, home.path().join("old")).unwrap();
        assert!(matches!(place.check(), Err(FolderError::Unavailable { .. })));
        fs::create_dir(&folder).unwrap();
        Place::open(&folder).unwrap();
        assert!(matches!(place.check(), Err(FolderError::Replaced { .. })));
    }
}
