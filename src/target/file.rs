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
//! have taken the file since, so it must not be written again. `.waybill` lies inside the folder
//! because a rename must stay in one file system; readers that match `*` do not see it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::delivery::Consignment;

/// Below this many files each is synced for itself; from here on one `syncfs` is cheaper: a group
/// of 256 costs one journal transaction of the file system instead of 256.
const SYNC_TOGETHER: usize = 8;

/// The folder of a file target.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    work: PathBuf,
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
}

impl Folder {
    /// The folder at `path`; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let work = path.join(".waybill");
        Self { path, work }
    }

    /// Whether files can be written now.
    pub fn check(&self) -> Result<(), FileError> {
        let unavailable = |error| FileError::Unavailable { path: self.path.clone(), error };
        self.make_work_folder().map_err(unavailable)
    }

    /// The folder itself is not made: where a share is not mounted, its empty mount point would
    /// swallow the documents.
    fn make_work_folder(&self) -> io::Result<()> {
        fs::metadata(&self.path)?;
        match fs::create_dir(&self.work) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes each consignment under its temporary name and makes all of them durable. One answer
    /// for each; where the last step fails, it is the answer for all.
    pub fn prepare(&self, list: &[Consignment]) -> Vec<Result<(), FileError>> {
        if let Err(error) = self.make_work_folder() {
            return self.same_for_all(list, &error);
        }
        let mut written = Vec::with_capacity(list.len());
        let mut files = Vec::with_capacity(list.len());
        for consignment in list {
            match self.write(consignment) {
                Ok(file) => {
                    files.push(file);
                    written.push(Ok(()));
                }
                Err(error) => {
                    let gone = fs::remove_file(self.temporary(consignment));
                    tracing::debug!(
                        delivery = consignment.id,
                        removed = gone.is_ok(),
                        "not prepared"
                    );
                    written.push(Err(self.classify(consignment, error)));
                }
            }
        }
        match self.sync(&files) {
            Ok(()) => written,
            Err(error) => self.same_for_all(list, &error),
        }
    }

    /// Gives each prepared consignment its final name and makes the names durable. A temporary
    /// file that is gone was published before.
    pub fn publish(&self, list: &[Consignment]) -> Vec<Result<(), FileError>> {
        let renamed: Vec<_> = list.iter().map(|consignment| self.rename(consignment)).collect();
        crate::fault::point("after-rename");
        let durable = File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .and_then(|()| File::open(&self.work)?.sync_all());
        match durable {
            Ok(()) => renamed,
            Err(error) => self.same_for_all(list, &error),
        }
    }

    /// Removes the temporary file of a delivery that will not be published.
    pub fn withdraw(&self, consignment: &Consignment) -> io::Result<()> {
        match fs::remove_file(self.temporary(consignment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn write(&self, consignment: &Consignment) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut file = options.open(self.temporary(consignment))?;
        file.write_all(&consignment.document)?;
        Ok(file)
    }

    fn sync(&self, files: &[File]) -> io::Result<()> {
        match files {
            [] => Ok(()),
            [first, ..] if files.len() >= SYNC_TOGETHER => Ok(rustix::fs::syncfs(first)?),
            _ => {
                files.iter().try_for_each(File::sync_data)?;
                // The names must be as durable as the bytes: "gone" has to mean "renamed".
                File::open(&self.work)?.sync_all()
            }
        }
    }

    fn rename(&self, consignment: &Consignment) -> Result<(), FileError> {
        let (from, to) = (self.temporary(consignment), self.path.join(&consignment.name));
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) if self.path.is_dir() => Ok(()),
            // File systems without RENAME_NOREPLACE (NFS, some FUSE): a hard link does not
            // replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(&from, &to)
                .and_then(|()| fs::remove_file(&from))
                .map_err(|error| self.classify(consignment, error)),
            Err(error) => Err(self.classify(consignment, error.into())),
        }
    }

    fn temporary(&self, consignment: &Consignment) -> PathBuf {
        self.work.join(consignment.id.to_string())
    }

    fn classify(&self, consignment: &Consignment, error: io::Error) -> FileError {
        let name = consignment.name.clone();
        match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Taken { name },
            io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
                FileError::Refused { name, reason: error.to_string() }
            }
            _ => FileError::Unavailable { path: self.path.clone(), error },
        }
    }

    /// The same failure of the folder for every file of a group.
    fn same_for_all(&self, list: &[Consignment], error: &io::Error) -> Vec<Result<(), FileError>> {
        let again = || match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(error.to_string()),
        };
        let unavailable = || FileError::Unavailable { path: self.path.clone(), error: again() };
        list.iter().map(|_| Err(unavailable())).collect()
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
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
    use super::*;

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
            let folder = Folder::new(home.path());
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
        let folder = Folder::new(home.path());
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
        let folder = Folder::new(home.path());
        let list = [consignment(1, "a.idoc", "ours")];
        folder.prepare(&list);
        folder.publish(&list);
        fs::remove_file(home.path().join("a.idoc")).unwrap();
        assert!(folder.publish(&list)[0].is_ok());
        assert_eq!(names(home.path()), [".waybill"]);
    }

    #[test]
    fn a_missing_folder_is_not_made_and_the_error_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("share"));
        let error = folder.prepare(&[consignment(1, "a.idoc", "x")]).remove(0).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("share") && text.ends_with("mount its share"), "{text}");
        assert_eq!(names(home.path()), [] as [&str; 0]);
    }

    #[test]
    fn a_name_that_no_file_can_have_is_refused_and_the_others_go() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path());
        let list = [consignment(1, &"x".repeat(300), "a"), consignment(2, "b.idoc", "b")];
        assert!(folder.prepare(&list).iter().all(Result::is_ok));
        let published = folder.publish(&list);
        assert!(matches!(&published[0], Err(FileError::Refused { .. })), "{published:?}");
        assert!(published[1].is_ok());
    }
}
