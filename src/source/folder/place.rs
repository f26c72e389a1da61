//! The folder on the disk: whose it is, and every rename in it. Nothing is ever replaced.
//!
//! ```text
//! in/a.idoc ──claim──> in/.work/a.idoc ──> in/done/a.idoc, or in/rejected/a.idoc as a whole
//!                                            in/rejected/a.idoc.3 with what failed of it
//! ```
//!
//! All of it must lie in one file system, or a rename is a copy that can be seen half. The names
//! are made durable before the journal relies on them.
//!
//! Others write to the folder. So all of it is done by handle ([`Directory`]): a link in the place
//! of a folder or file of the agent is refused, and one that takes its place later is not followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::directory::{Directory, DirectoryError, identity};
use crate::source::folder::look::{DONE, REJECTED, Stamp, WORK};
use crate::source::folder::names::twin;

/// Files of one name in `done` or `rejected` beyond which something is wrong.
const MOST_TWINS: u32 = 100_000;
/// The lock, in the work folder.
const LOCK: &str = "lock";
/// What is written before it gets its name, in the work folder.
const PART: &str = ".part";
/// Which files could not be worked on and why, for `files explain`, in the work folder.
const FAILING: &str = ".failing";

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
    /// A folder of the agent inside of it cannot be trusted.
    #[error(transparent)]
    Directory(DirectoryError),
    /// Another agent works on it.
    #[error("{}: process {pid} works on this folder; give each agent or source a folder of its own", .path.display())]
    Owned {
        /// The folder.
        path: PathBuf,
        /// The process, or `unknown`.
        pid: String,
    },
    /// The folder is another one than before: mounted over, or moved away and made anew.
    #[error("{}: it was moved away, or another folder is there now", .path.display())]
    Replaced {
        /// The folder.
        path: PathBuf,
    },
    /// One file cannot be worked on; the folder is well, and so are the others.
    #[error("file {name}: {error}{}", remedy_of_file(.error))]
    File {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// The journal does not take what is in the files.
    #[error("the journal does not take the files now: {0}")]
    Journal(String),
}

impl From<DirectoryError> for FolderError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Io { path, error } => Self::Unavailable { path, error },
            error => Self::Directory(error),
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        return "; a symbolic link is not followed: remove it";
    }
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

fn remedy_of_file(error: &io::Error) -> &'static str {
    // No folder is missing.
    if error.kind() == io::ErrorKind::NotFound { "" } else { remedy(error) }
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

/// Where files end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Their documents are in the journal.
    Done,
    /// They cannot be used.
    Rejected,
}

/// A folder that is ours as long as this lives.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    folder: Directory,
    work: Directory,
    done: Directory,
    rejected: Directory,
    /// Released when it is closed.
    _lock: File,
}

impl Place {
    /// Takes a folder. It must be there: where a share is not mounted, its empty mount point is no
    /// folder of ours. The folders inside are made.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let folder = Directory::open(path).map_err(unavailable(path))?;
        let work = folder.make(WORK)?;
        let closed = work.close().map_err(unavailable(work.path()))?;
        work.close_file(LOCK).map_err(unavailable(work.path()))?;
        if let Some(mode) = closed {
            let (path, mode) = (work.path().display(), format!("{mode:04o}"));
            tracing::info!(%path, %mode, "was open to other users: closed");
        }
        let (done, rejected) = (folder.make(DONE)?, folder.make(REJECTED)?);
        let lock = lock(&work, path)?;
        Ok(Self { path: path.to_owned(), folder, work, done, rejected, _lock: lock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the folder that was taken, and those inside are the same.
    pub fn check(&self) -> Result<(), FolderError> {
        let failed = unavailable(&self.path);
        let same = || -> io::Result<Option<&Path>> {
            if Directory::open(&self.path)?.identity()? != self.folder.identity()? {
                return Ok(Some(&self.path));
            }
            for (name, inside) in
                [(WORK, &self.work), (DONE, &self.done), (REJECTED, &self.rejected)]
            {
                let there = match self.folder.metadata(name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    there => Some(identity(&there?)),
                };
                if there != Some(inside.identity()?) {
                    return Ok(Some(inside.path()));
                }
            }
            Ok(None)
        };
        match same().map_err(failed)? {
            None => Ok(()),
            Some(path) => Err(FolderError::Replaced { path: path.to_owned() }),
        }
    }

    /// The names of the files that are in work.
    pub fn in_work(&self) -> Result<Vec<String>, FolderError> {
        let mut names = self.work.names().map_err(unavailable(self.work.path()))?;
        names.retain(|name| {
            let is_file = || self.work.metadata(name).is_ok_and(|facts| facts.is_file());
            name != LOCK && !name.starts_with('.') && is_file()
        });
        names.sort();
        Ok(names)
    }

    /// What makes a file in work the same as a moment ago.
    pub fn stamp(&self, name: &str) -> io::Result<Stamp> {
        self.work.metadata(name).map(|facts| Stamp::of(&facts))
    }

    /// Opens a file in work.
    pub fn read(&self, name: &str) -> io::Result<File> {
        self.work.read(name)
    }

    /// An error that came of working on a file: the file's own, unless the folder is gone, full or
    /// closed.
    pub fn of_file(&self, name: &str, error: io::Error) -> FolderError {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        );
        let closed = error.kind() == io::ErrorKind::PermissionDenied && !self.folder.may_write();
        if full || closed {
            return FolderError::Unavailable { path: self.path.clone(), error };
        }
        let name = name.to_owned();
        self.check().err().unwrap_or(FolderError::File { name, error })
    }

    /// Claims a file by renaming it, and looks again: a writer that was only pausing shows.
    pub fn claim(&self, name: &str, judged: &Stamp) -> Result<Claim, FolderError> {
        match self.folder.rename_new(name, &self.work, name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.check().map(|()| Claim::Vanished);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Claim::InWork);
            }
            Err(error) => return Err(self.of_file(name, error)),
        }
        match self.stamp(name) {
            Ok(stamp) if stamp == *judged => Ok(Claim::Taken),
            Ok(_) => self.put_back(name).map(Claim::Changed),
            Err(error) => Err(self.of_file(name, error)),
        }
    }

    /// Gives a file its place in the folder back, or the next free name; the name.
    pub fn put_back(&self, name: &str) -> Result<String, FolderError> {
        self.move_beside(&self.folder, name)
    }

    /// Removes the marker of a file that is ours.
    pub fn remove_marker(&self, name: &str) {
        if let Err(error) = self.folder.remove(name) {
            tracing::debug!(%error, "the marker could not be removed");
        }
    }

    /// Makes the names in the folder and in work durable.
    pub fn sync_claims(&self) -> Result<(), FolderError> {
        self.sync_all([&self.folder, &self.work])
    }

    /// Makes the names in `done`, `rejected` and in work durable.
    pub fn sync_ends(&self) -> Result<(), FolderError> {
        self.sync_all([&self.done, &self.rejected, &self.work])
    }

    fn sync_all<const N: usize>(&self, folders: [&Directory; N]) -> Result<(), FolderError> {
        folders.into_iter().try_for_each(|folder| folder.sync().map_err(unavailable(folder.path())))
    }

    /// Moves a file out of work, into `done` or `rejected`; the name that it got.
    pub fn move_to(&self, end: End, name: &str) -> Result<String, FolderError> {
        self.move_beside(self.end(end), name)
    }

    /// Writes a file into `done` or `rejected`, whole or not at all. The same content under the
    /// same name is there already after a crash; other content gets the next free name.
    pub fn write(&self, end: End, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let to = self.end(end);
        let write = || -> io::Result<()> {
            let mut file = self.work.create(PART)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(unavailable(self.work.path()))?;
        for number in 0..MOST_TWINS {
            let name = twin(name, number);
            match self.work.rename_new(PART, to, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if is_same(to, &name, content) {
                        return Ok(());
                    }
                }
                done => return done.map_err(|error| self.of_file(&name, error)),
            }
        }
        Err(self.of_file(name, io::ErrorKind::AlreadyExists.into()))
    }

    /// Tells `files explain` which files could not be worked on, and why.
    pub fn tell_failing(&self, files: &[(String, String)]) -> Result<(), FolderError> {
        let tell = || -> io::Result<()> {
            if files.is_empty() {
                return self.work.remove(FAILING);
            }
            let mut file = self.work.create(FAILING)?;
            Ok(serde_json::to_writer(&mut file, &files)?)
        };
        tell().map_err(unavailable(self.work.path()))
    }

    fn end(&self, end: End) -> &Directory {
        match end {
            End::Done => &self.done,
            End::Rejected => &self.rejected,
        }
    }

    /// Renames a file in work into a folder, under its name or the next free one.
    fn move_beside(&self, to: &Directory, name: &str) -> Result<String, FolderError> {
        for number in 0..MOST_TWINS {
            let new = twin(name, number);
            match self.work.rename_new(name, to, &new) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.check()?;
                    return Err(FolderError::File { name: name.to_owned(), error });
                }
                Err(error) => return Err(self.of_file(name, error)),
                Ok(()) => return Ok(new),
            }
        }
        Err(self.of_file(name, io::ErrorKind::AlreadyExists.into()))
    }
}

fn unavailable(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::Unavailable { path, error }
}

/// Whether a file holds that content.
fn is_same(folder: &Directory, name: &str, content: &[u8]) -> bool {
    let read = || -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        folder.read(name)?.take(content.len() as u64 + 1).read_to_end(&mut found)?;
        Ok(found)
    };
    read().is_ok_and(|found| found == content)
}

/// Takes the lock of a folder, and writes the process id into it.
fn lock(work: &Directory, folder: &Path) -> Result<File, FolderError> {
    let path = work.path().join(LOCK);
    let mut lock = work.keep(LOCK).map_err(unavailable(&path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(FolderError::Owned { path: folder.to_owned(), pid: pid_in(&mut lock) });
        }
        Err(error) => return Err(unavailable(&path)(error.into())),
    }
    let pid = format!("{:<10}\n", std::process::id());
    lock.write_all_at(pid.as_bytes(), 0).map_err(unavailable(&path))?;
    Ok(lock)
}

/// The work folder as a bystander sees it.
fn seen(folder: &Path) -> Option<Directory> {
    Directory::open(folder).ok()?.look_into(WORK).ok()
}

/// The process that works on a folder, if one does.
pub fn owner(folder: &Path) -> Option<String> {
    let mut lock = seen(folder)?.read(LOCK).ok()?;
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(pid_in(&mut lock)),
        _ => None,
    }
}

/// The files that its agent could not work on, and why.
pub fn failing(folder: &Path) -> BTreeMap<String, String> {
    let file = seen(folder).and_then(|work| work.read(FAILING).ok());
    let told = file.and_then(|file| serde_json::from_reader(io::BufReader::new(file)).ok());
    told.map(|told: Vec<(String, String)>| told.into_iter().collect()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
            fs::write(folder.path().join(".work/a"), "x").unwrap();
            assert_eq!(place.move_to(End::Done, "a").unwrap(), expected);
        }
        place.write(End::Rejected, "a.3", b"one").unwrap();
        place.write(End::Rejected, "a.3", b"one").unwrap();
        place.write(End::Rejected, "a.3", b"two").unwrap();
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

    #[test]
    fn a_work_folder_that_is_moved_away_or_replaced_is_noticed_and_nothing_is_followed() {
        let (folder, place) = place();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".work/a"), "ours").unwrap();
        for name in [WORK, DONE, REJECTED] {
            place.check().unwrap();
            let (here, away) = (folder.path().join(name), elsewhere.path().join(name));
            fs::rename(&here, &away).unwrap();
            assert!(matches!(place.check(), Err(FolderError::Replaced { .. })), "{name}");
            symlink(elsewhere.path(), &here).unwrap();
            assert!(matches!(place.check(), Err(FolderError::Replaced { .. })), "{name}");
            place.write(End::Rejected, "b", b"ours").unwrap();
            assert!(!elsewhere.path().join("b").exists(), "{name}");
            fs::remove_file(&here).unwrap();
            fs::rename(&away, &here).unwrap();
        }
        assert_eq!(place.in_work().unwrap(), ["a"]);
    }

    #[test]
    fn a_link_in_the_place_of_what_is_ours_is_refused_and_its_aim_untouched() {
        let home = tempfile::tempdir().unwrap();
        let (folder, theirs) = (home.path().join("in"), home.path().join("theirs"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&theirs).unwrap();
        for name in [WORK, DONE, REJECTED] {
            symlink(&theirs, folder.join(name)).unwrap();
            let error = Place::open(&folder).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("symbolic link"), "{error}");
            fs::remove_file(folder.join(name)).unwrap();
        }
        drop(Place::open(&folder).unwrap());
        fs::remove_file(folder.join(".work/lock")).unwrap();
        fs::write(theirs.join("file"), "theirs").unwrap();
        symlink(theirs.join("file"), folder.join(".work/lock")).unwrap();
        let error = Place::open(&folder).unwrap_err().to_string();
        assert!(error.contains("symbolic link is not followed"), "{error}");
        assert_eq!(fs::read(theirs.join("file")).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1);
    }

    #[test]
    fn a_left_over_that_is_a_link_is_replaced_and_not_written_through() {
        let (folder, place) = place();
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        for name in [".work/.part", ".work/.failing"] {
            symlink(&theirs, folder.path().join(name)).unwrap();
        }
        place.write(End::Rejected, "a.problems.txt", b"ours").unwrap();
        place.tell_failing(&[("a".to_owned(), "no".to_owned())]).unwrap();
        assert_eq!(failing(folder.path()), BTreeMap::from([("a".to_owned(), "no".to_owned())]));
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        // A link among the finished ones: not read, and the next free name is taken.
        symlink(&theirs, folder.path().join("rejected/b")).unwrap();
        place.write(End::Rejected, "b", b"theirs").unwrap();
        assert_eq!(fs::read(folder.path().join("rejected/b.1")).unwrap(), b"theirs");
    }

    #[test]
    fn folders_that_others_may_write_to_are_refused() {
        let (folder, place) = place();
        drop(place);
        for name in [WORK, DONE, REJECTED] {
            let path = folder.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            let error = Place::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("chmod go-w"), "{error}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let _place = Place::open(folder.path()).unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode(WORK) & 0o777, 0o700);
        assert_eq!(mode(DONE) & 0o777, 0o755, "its owner decides who reads");
    }

    #[test]
    fn a_long_name_ends_under_a_shorter_one() {
        let (folder, place) = place();
        let long = "ü".repeat(125) + ".idoc";
        assert_eq!(long.len(), 255);
        for _ in 0..2 {
            fs::write(folder.path().join(".work").join(&long), "x").unwrap();
            place.move_to(End::Done, &long).unwrap();
        }
        let done = Directory::open(&folder.path().join("done")).unwrap().names().unwrap();
        assert_eq!(done.len(), 2, "{done:?}");
        assert!(done.contains(&long) && done.iter().any(|name| name.ends_with(".idoc.1")));
    }
}
