//! A folder that somebody else empties: an SAP file port, a partner's pick-up folder.
//!
//! A file must appear whole, once, under its final name, and never over another one. The steps,
//! each for a group of files at once:
//!
//! 1. [`Folder::prepare`] writes `.waybill/<delivery>` and makes it durable;
//! 2. the journal commits `prepared`;
//! 3. [`Folder::publish`] renames it to its final name without replacing, and makes the folder
//!    durable;
//! 4. the journal settles.
//!
//! After a crash a prepared delivery whose temporary file is gone was published: its reader may
//! have taken the file since, so it must not be written again. That holds only as long as `.waybill`
//! is the folder that the file was written in; where it was moved away or replaced, the delivery is in
//! doubt. `.waybill` lies inside the folder because a rename must stay in one file system; readers that
//! match `*` do not see it.
//!
//! Others write to the folder. So both are opened by handle for each group ([`Directory`]): a link in
//! the place of `.waybill` or of a temporary file is not followed.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::{Consignment, DeliveryId};
use crate::directory::{Directory, DirectoryError, Identity, is_plain};

/// Below this many files each is synced for itself; from here on one `syncfs` is cheaper: a group
/// of 256 costs one journal transaction of the file system instead of 256.
const SYNC_TOGETHER: usize = 8;
/// The work folder inside of a target's folder.
pub const WORK: &str = ".waybill";

/// The folder of a file target. Clones are one.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// The mode of its files.
    mode: u32,
    written: Arc<Mutex<Written>>,
}

/// What is known of the files in the work folder.
#[derive(Debug, Default)]
struct Written {
    /// The work folder was made by this process: what was prepared before lay in another one.
    anew: bool,
    /// What was prepared and not published yet, and in which folder.
    prepared: HashMap<DeliveryId, Identity>,
}

/// A folder and its work folder, by their handles.
struct Opened {
    folder: Directory,
    work: Directory,
}

/// Why a file could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The folder cannot take files now: no space, no rights, not mounted.
    #[error("folder {path}: {error}{}", remedy(.error))]
    Unavailable {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The work folder is not to be trusted.
    #[error("{reason}")]
    Untrusted {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A file of that name is there: perhaps its reader takes it away.
    #[error("file {name}: a file of that name is there already")]
    Taken {
        /// The final name.
        name: String,
    },
    /// This file can never be brought under its name.
    #[error("file {name}: {reason}")]
    Refused {
        /// The final name.
        name: String,
        /// Why.
        reason: String,
    },
    /// What was prepared is not there, and not because it was brought.
    #[error(
        "file {name}: {reason}; whether it was brought is not known: look for it, then release or discard the delivery"
    )]
    Lost {
        /// The final name.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

impl Folder {
    /// The folder at `path`; it need not be there yet. Its files get `mode`.
    pub fn new(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self { path: path.into(), mode, written: Arc::default() }
    }

    /// Writes each consignment under its temporary name and makes all of them durable. One answer
    /// for each; where the last step fails, it is the answer for all.
    pub fn prepare(&self, list: &[Consignment]) -> Vec<Result<(), FileError>> {
        // The work folder is not made for nothing: where it is missing, something was lost.
        if list.is_empty() {
            return Vec::new();
        }
        let opened = self.open(|folder, name| self.make(folder, name));
        let opened = match opened.and_then(|opened| self.remember(opened, list)) {
            Ok(opened) => opened,
            Err(error) => return same_for_all(list, error),
        };
        let mut written = Vec::with_capacity(list.len());
        let mut files = Vec::with_capacity(list.len());
        for consignment in list {
            match self.write(&opened.work, consignment) {
                Ok(file) => {
                    files.push(file);
                    written.push(Ok(()));
                }
                Err(error) => {
                    let gone = opened.work.remove(&temporary(consignment));
                    tracing::debug!(
                        delivery = consignment.id,
                        removed = gone.is_ok(),
                        "not prepared"
                    );
                    self.written().prepared.remove(&consignment.id);
                    written.push(Err(self.classify(consignment, error)));
                }
            }
        }
        match sync(&opened.work, &files) {
            Ok(()) => written,
            Err(error) => same_for_all(list, self.unavailable(error)),
        }
    }

    /// Gives each prepared consignment its final name and makes the names durable. A temporary
    /// file that is gone was published before.
    pub fn publish(&self, list: &[Consignment]) -> Vec<Result<(), FileError>> {
        // Not made here: where it is missing, the prepared files are missing with it.
        let opened = match self.open(Directory::enter) {
            Ok(opened) => opened,
            Err(FileError::Unavailable { path, error })
                if path != self.path && error.kind() == io::ErrorKind::NotFound =>
            {
                let lost = |one: &Consignment| Err(lost(one, "the work folder .waybill is gone"));
                return list.iter().map(lost).collect();
            }
            Err(error) => return same_for_all(list, error),
        };
        let now = match opened.work.identity() {
            Ok(now) => now,
            Err(error) => return same_for_all(list, self.unavailable(error)),
        };
        let renamed: Vec<_> = list.iter().map(|one| self.rename(&opened, one, now)).collect();
        crate::fault::point("after-rename");
        if let Err(error) = opened.folder.sync().and_then(|()| opened.work.sync()) {
            return same_for_all(list, self.unavailable(error));
        }
        let mut written = self.written();
        for (one, renamed) in list.iter().zip(&renamed) {
            if !matches!(renamed, Err(FileError::Unavailable { .. })) {
                written.prepared.remove(&one.id);
            }
        }
        renamed
    }

    /// The folder itself is not made: where a share is not mounted, its empty mount point would
    /// swallow the documents.
    fn open(
        &self,
        work: impl FnOnce(&Directory, &str) -> Result<Directory, DirectoryError>,
    ) -> Result<Opened, FileError> {
        let folder = Directory::open(&self.path).map_err(|error| self.unavailable(error))?;
        match work(&folder, WORK) {
            Ok(work) => Ok(Opened { folder, work }),
            Err(DirectoryError::Io { path, error }) => Err(FileError::Unavailable { path, error }),
            Err(error) => Err(FileError::Untrusted { reason: error.to_string() }),
        }
    }

    fn make(&self, folder: &Directory, name: &str) -> Result<Directory, DirectoryError> {
        let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if folder.metadata(name).is_err_and(missing) {
            self.written().anew = true;
        }
        folder.make(name)
    }

    /// Closes the work folder to others, and keeps in mind what is written to which one.
    fn remember(&self, opened: Opened, list: &[Consignment]) -> Result<Opened, FileError> {
        let closed = opened.work.close().map_err(|error| self.unavailable(error))?;
        if let Some(mode) = closed {
            let (path, mode) = (opened.work.path().display(), format!("{mode:04o}"));
            tracing::info!(%path, %mode, "was open to other users: closed");
        }
        let now = opened.work.identity().map_err(|error| self.unavailable(error))?;
        self.written().prepared.extend(list.iter().map(|one| (one.id, now)));
        Ok(opened)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a consignment was prepared in that work folder, as far as is known.
    fn was_prepared_in(&self, one: &Consignment, work: Identity) -> bool {
        let written = self.written();
        match written.prepared.get(&one.id) {
            Some(prepared) => *prepared == work,
            None => !written.anew,
        }
    }

    fn write(&self, work: &Directory, consignment: &Consignment) -> io::Result<File> {
        let mut file = work.create(&temporary(consignment))?;
        file.write_all(&consignment.document)?;
        // Not left to the umask, which is for the agent's own files: another user reads this one.
        file.set_permissions(Permissions::from_mode(self.mode))?;
        Ok(file)
    }

    fn rename(&self, opened: &Opened, one: &Consignment, now: Identity) -> Result<(), FileError> {
        let (from, Opened { folder, work }) = (temporary(one), opened);
        let renamed = work.metadata(&from).and_then(|facts| match is_plain(&facts) {
            true => work.rename_new(&from, folder, &one.name).map(|()| true),
            false => Ok(false),
        });
        match renamed {
            Ok(true) => Ok(()),
            Ok(false) => Err(lost(one, "something else is in the place of what was prepared")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.was_prepared_in(one, now) {
                    true => Ok(()),
                    false => Err(lost(one, "the work folder .waybill was moved away or replaced")),
                }
            }
            Err(error) => Err(self.classify(one, error)),
        }
    }

    fn classify(&self, consignment: &Consignment, error: io::Error) -> FileError {
        let name = consignment.name.clone();
        match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Taken { name },
            io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
                FileError::Refused { name, reason: error.to_string() }
            }
            _ => self.unavailable(error),
        }
    }

    fn unavailable(&self, error: io::Error) -> FileError {
        FileError::Unavailable { path: self.path.clone(), error }
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn temporary(consignment: &Consignment) -> String {
    consignment.id.to_string()
}

fn lost(consignment: &Consignment, reason: &'static str) -> FileError {
    FileError::Lost { name: consignment.name.clone(), reason }
}

fn sync(work: &Directory, files: &[File]) -> io::Result<()> {
    match files {
        [] => Ok(()),
        [first, ..] if files.len() >= SYNC_TOGETHER => Ok(rustix::fs::syncfs(first)?),
        _ => {
            files.iter().try_for_each(File::sync_data)?;
            // The names must be as durable as the bytes: "gone" has to mean "renamed".
            work.sync()
        }
    }
}

/// The same failure of the folder for every file of a group.
fn same_for_all(list: &[Consignment], error: FileError) -> Vec<Result<(), FileError>> {
    let again = || match &error {
        FileError::Unavailable { path, error } => {
            let error = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::other(error.to_string()),
            };
            FileError::Unavailable { path: path.clone(), error }
        }
        other => FileError::Untrusted { reason: other.to_string() },
    };
    list.iter().map(|_| Err(again())).collect()
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make the folder or mount its share",
        io::ErrorKind::PermissionDenied => "; give the agent's user the right to write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    const MODE: u32 = 0o640;

    fn consignment(id: u64, name: &str, text: &str) -> Consignment {
        Consignment {
            id,
            name: name.to_owned(),
            document: text.into(),
            prepared: false,
            trace: None,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_whole_under_their_final_names() {
        for count in [1, 20] {
            let home = tempfile::tempdir().unwrap();
            let folder = Folder::new(home.path(), MODE);
            let list: Vec<_> = (0..count)
                .map(|id| consignment(id, &format!("{id:03}.idoc"), "EDI_DC40"))
                .collect();
            assert!(folder.prepare(&list).iter().all(Result::is_ok));
            assert_eq!(names(home.path()), [".waybill"]);
            assert!(folder.publish(&list).iter().all(Result::is_ok));
            assert_eq!(names(home.path()).len(), count as usize + 1);
            assert_eq!(fs::read(home.path().join("000.idoc")).unwrap(), b"EDI_DC40");
        }
    }

    #[test]
    fn a_file_never_replaces_another() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a.idoc"), "theirs").unwrap();
        let folder = Folder::new(home.path(), MODE);
        let list = [consignment(1, "a.idoc", "ours"), consignment(2, "b.idoc", "ours")];
        folder.prepare(&list);
        let published = folder.publish(&list);
        assert!(matches!(&published[0], Err(FileError::Taken { name }) if name == "a.idoc"));
        assert!(published[1].is_ok());
        assert_eq!(fs::read(home.path().join("a.idoc")).unwrap(), b"theirs");
    }

    #[test]
    fn a_prepared_file_that_is_gone_was_published() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), MODE);
        let list = [consignment(1, "a.idoc", "ours")];
        folder.prepare(&list);
        folder.publish(&list);
        fs::remove_file(home.path().join("a.idoc")).unwrap();
        // The next process, which the journal tells that it was prepared.
        let folder = Folder::new(home.path(), MODE);
        assert!(folder.publish(&list)[0].is_ok());
        assert_eq!(names(home.path()), [".waybill"]);
    }

    #[test]
    fn a_missing_folder_is_not_made_and_the_error_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("share"), MODE);
        let error = folder.prepare(&[consignment(1, "a.idoc", "x")]).remove(0).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("share") && text.ends_with("mount its share"), "{text}");
        assert_eq!(names(home.path()), [] as [&str; 0]);
    }

    #[test]
    fn a_name_that_no_file_can_have_is_refused_and_the_others_go() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), MODE);
        let list = [consignment(1, &"x".repeat(300), "a"), consignment(2, "b.idoc", "b")];
        assert!(folder.prepare(&list).iter().all(Result::is_ok));
        let published = folder.publish(&list);
        assert!(matches!(&published[0], Err(FileError::Refused { .. })), "{published:?}");
        assert!(published[1].is_ok());
    }

    #[test]
    fn files_have_the_configured_mode_and_the_work_folder_is_private() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(WORK)).unwrap();
        fs::set_permissions(home.path().join(WORK), Permissions::from_mode(0o755)).unwrap();
        let folder = Folder::new(home.path(), 0o664);
        let list = [consignment(1, "a.idoc", "ours")];
        assert!(folder.prepare(&list)[0].is_ok() && folder.publish(&list)[0].is_ok());
        let mode = |name| fs::metadata(home.path().join(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("a.idoc"), mode(WORK)), (0o664, 0o700));
    }

    #[test]
    fn a_link_in_the_place_of_what_is_ours_is_not_followed() {
        let (home, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(theirs.path().join("1"), "theirs").unwrap();
        let folder = Folder::new(home.path(), MODE);
        let list = [consignment(1, "a.idoc", "ours")];
        symlink(theirs.path(), home.path().join(WORK)).unwrap();
        for result in [folder.prepare(&list), folder.publish(&list)] {
            let error = result.into_iter().next().unwrap().unwrap_err();
            assert!(matches!(error, FileError::Untrusted { .. }), "{error}");
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
        fs::remove_file(home.path().join(WORK)).unwrap();
        fs::create_dir(home.path().join(WORK)).unwrap();
        symlink(theirs.path().join("1"), home.path().join(WORK).join("1")).unwrap();
        let error = folder.publish(&list).remove(0).unwrap_err();
        assert!(matches!(error, FileError::Lost { .. }), "a link is no document: {error}");
        assert!(folder.prepare(&list)[0].is_ok() && folder.publish(&list)[0].is_ok());
        assert_eq!(fs::read(home.path().join("a.idoc")).unwrap(), b"ours");
        assert_eq!(fs::read(theirs.path().join("1")).unwrap(), b"theirs");
    }

    #[test]
    fn a_work_folder_that_others_may_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(WORK)).unwrap();
        fs::set_permissions(home.path().join(WORK), Permissions::from_mode(0o777)).unwrap();
        let folder = Folder::new(home.path(), MODE);
        let error = folder.prepare(&[consignment(1, "a.idoc", "x")]).remove(0).unwrap_err();
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        assert_eq!(names(home.path()), [WORK]);
    }

    #[test]
    fn what_an_earlier_process_prepared_is_in_doubt_where_the_work_folder_had_to_be_made() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), MODE);
        let (before, now) = (consignment(1, "a.idoc", "ours"), consignment(2, "b.idoc", "ours"));
        assert!(folder.prepare(std::slice::from_ref(&now))[0].is_ok());
        let published = folder.publish(&[before, now]);
        assert!(matches!(&published[0], Err(FileError::Lost { .. })), "{published:?}");
        assert!(published[1].is_ok());
        assert!(folder.prepare(&[]).is_empty());
    }

    #[test]
    fn what_was_prepared_in_a_folder_that_was_moved_away_is_in_doubt() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path(), MODE);
        let list = [consignment(1, "a.idoc", "ours")];
        assert!(folder.prepare(&list)[0].is_ok());
        fs::rename(home.path().join(WORK), home.path().join(".away")).unwrap();
        let gone = folder.publish(&list).remove(0).unwrap_err();
        assert!(matches!(&gone, FileError::Lost { .. }), "{gone}");
        fs::create_dir(home.path().join(WORK)).unwrap();
        let replaced = folder.publish(&list).remove(0).unwrap_err();
        assert!(replaced.to_string().contains("release or discard"), "{replaced}");
        fs::remove_dir(home.path().join(WORK)).unwrap();
        fs::rename(home.path().join(".away"), home.path().join(WORK)).unwrap();
        assert!(folder.publish(&list)[0].is_ok());
        assert_eq!(fs::read(home.path().join("a.idoc")).unwrap(), b"ours");
    }
}
