//! Folders by their handle: what was opened is worked on, whatever becomes of its name.
//!
//! Others may write to the folders that files come from and go to. A path that is resolved anew at
//! each step can be led elsewhere by a symbolic link that takes the place of a folder. So a folder
//! of waybill's own is opened once, never through a link, and only where nobody else may write to
//! it; every name in it is used relative to its handle. No file is opened through a link either.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The mode of a private folder.
pub const FOLDER_MODE: u32 = 0o700;
/// The mode of a private file.
pub const FILE_MODE: u32 = 0o600;
/// What lets others write.
const WRITABLE: u32 = 0o022;
/// What lets others do anything.
const OTHERS: u32 = 0o077;
/// All bits of a mode.
const MODE: u32 = 0o7777;

/// A folder that is open.
#[derive(Debug)]
pub struct Directory {
    handle: File,
    path: PathBuf,
}

/// What a folder or file is, whatever its name leads to later: device and inode.
pub type Identity = (u64, u64);

/// Why a private folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The disk says no.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A symbolic link, or something that is no folder.
    #[error("{}: a symbolic link or a file where waybill has a folder of its own; it is not followed: remove it, and the agent makes the folder", .path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// Another user owns it.
    #[error("{}: belongs to user {owner}, the agent runs as user {ours}; look into it, then remove it or give it to the agent's user", .path.display())]
    Owner {
        /// Which.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
        /// The user id of this process.
        ours: u32,
    },
    /// Others may put files into it.
    #[error("{}: mode {mode:04o} lets other users write to it; look into it, then: chmod go-w", .path.display())]
    Writable {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is on another file system than the folder that it is in.
    #[error("{}: on another file system than the folder that it belongs to, so that files cannot be renamed into it; make it a plain folder", .path.display())]
    OtherDevice {
        /// Which.
        path: PathBuf,
    },
}

impl Directory {
    /// Opens the folder at a path that the configuration names; it may be a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { handle: handle.into(), path: path.to_owned() })
    }

    /// Opens a private folder inside of this one, and makes it where it is missing.
    pub fn make(&self, name: &str) -> Result<Self, DirectoryError> {
        match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) | Err(Errno::EXIST) => self.enter(name),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// Opens a private folder inside of this one: no link, our user's, closed to the writes of
    /// others, in the same file system.
    pub fn enter(&self, name: &str) -> Result<Self, DirectoryError> {
        let inside = self.look_into(name)?;
        let path = &inside.path;
        let io = |error| DirectoryError::Io { path: path.clone(), error };
        let (facts, outside) = (inside.facts().map_err(io)?, self.facts().map_err(io)?);
        // First of all: what is mounted there has its own owner and mode.
        if facts.dev() != outside.dev() {
            return Err(DirectoryError::OtherDevice { path: path.clone() });
        }
        let (owner, ours) = (facts.uid(), geteuid().as_raw());
        if owner != ours {
            return Err(DirectoryError::Owner { path: path.clone(), owner, ours });
        }
        let mode = facts.mode() & MODE;
        if mode & WRITABLE != 0 {
            return Err(DirectoryError::Writable { path: path.clone(), mode });
        }
        Ok(inside)
    }

    /// Opens a folder inside of this one without a check of its owner, but never through a link.
    pub fn look_into(&self, name: &str) -> Result<Self, DirectoryError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => Ok(Self { handle: handle.into(), path: self.path.join(name) }),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                Err(DirectoryError::NotAFolder { path: self.path.join(name) })
            }
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// Takes the rights of other users on this folder away; the mode that it had.
    pub fn close(&self) -> io::Result<Option<u32>> {
        let Some(mode) = open_to_others(&self.handle.metadata()?) else { return Ok(None) };
        // The bit that hands the group on to new files stays.
        rustix::fs::fchmod(&self.handle, Mode::from_raw_mode(mode & !OTHERS))?;
        Ok(Some(mode))
    }

    /// Takes the rights of other users on a file away; the mode that it had. The file is not
    /// opened: closing it again would drop the locks that this process has on it.
    pub fn close_file(&self, name: &str) -> io::Result<Option<u32>> {
        let facts = match self.metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            facts => facts?,
        };
        let Some(mode) = open_to_others(&facts).filter(|_| facts.is_file()) else {
            return Ok(None);
        };
        let closed = Mode::from_raw_mode(mode & !OTHERS);
        rustix::fs::chmodat(&self.handle, name, closed, AtFlags::empty())?;
        Ok(Some(mode))
    }

    /// The facts of the folder itself.
    pub fn facts(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// Whether names in it can be made and changed.
    pub fn may_write(&self) -> bool {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&self.handle, ".", access, AtFlags::EACCESS).is_ok()
    }

    /// Its path when it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is, whatever its name leads to now.
    pub fn identity(&self) -> io::Result<Identity> {
        self.facts().map(|facts| identity(&facts))
    }

    /// What is under a name, not what a link leads to.
    pub fn metadata(&self, name: &str) -> io::Result<Metadata> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(&self.handle, name, flags, Mode::empty())?;
        File::from(handle).metadata()
    }

    /// Opens a file for reading that is plain and has this name alone. Never waits: a pipe has no
    /// writer, and who holds a lease on the file has no hurry.
    pub fn read(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.handle, name, flags, Mode::empty())?);
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a plain file"));
        }
        if facts.nlink() > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has a second name"));
        }
        Ok(file)
    }

    /// Makes a file anew: what a crash left under this name is removed, and nothing is opened that
    /// another user put there.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let open = || rustix::fs::openat(&self.handle, name, flags, mode);
        let made = match open() {
            Err(Errno::EXIST) => {
                self.remove(name)?;
                open()
            }
            made => made,
        };
        Ok(made?.into())
    }

    /// Opens a private file for reading and writing that outlives the process, such as a lock.
    pub fn keep(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let flags = flags | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(FILE_MODE);
        let file = File::from(rustix::fs::openat(&self.handle, name, flags, mode)?);
        let facts = file.metadata()?;
        if !is_plain(&facts) || facts.uid() != geteuid().as_raw() {
            let error = "not a plain file of the agent's user with one name; remove it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(file)
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames into another folder without replacing anything there.
    pub fn rename_new(&self, name: &str, to: &Self, new: &str) -> io::Result<()> {
        let (from, into) = (&self.handle, &to.handle);
        match rustix::fs::renameat_with(from, name, into, new, RenameFlags::NOREPLACE) {
            // File systems without RENAME_NOREPLACE (NFS, some FUSE): a hard link does not
            // replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(from, name, into, new, AtFlags::empty())?;
                self.remove(name)
            }
            result => Ok(result?),
        }
    }

    /// The names inside that are text, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if !matches!(name, "" | "." | "..") {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Makes its names durable.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn io(&self, name: impl AsRef<OsStr>, error: Errno) -> DirectoryError {
        DirectoryError::Io { path: self.path.join(name.as_ref()), error: error.into() }
    }
}

/// What a file is, whatever its name leads to later.
pub fn identity(facts: &Metadata) -> Identity {
    (facts.dev(), facts.ino())
}

/// Whether it is a plain file with one name.
pub fn is_plain(facts: &Metadata) -> bool {
    facts.is_file() && facts.nlink() <= 1
}

/// What the mode of a file or folder of this process's user lets others do. `None` where it is
/// nothing, or the file is not of this user.
pub fn open_to_others(facts: &Metadata) -> Option<u32> {
    let mode = facts.mode() & MODE;
    (mode & OTHERS != 0 && facts.uid() == geteuid().as_raw()).then_some(mode)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn home() -> (tempfile::TempDir, Directory) {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        (home, directory)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & MODE
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_ours_is_made_private() {
        let (home, directory) = home();
        directory.make("own").unwrap();
        assert_eq!(mode(&home.path().join("own")), FOLDER_MODE);
        set(&home.path().join("own"), 0o2755);
        assert!(directory.make("own").unwrap().close().unwrap().is_some());
        assert_eq!(mode(&home.path().join("own")), 0o2700, "what is inside keeps the group");
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_is_refused() {
        let (home, directory) = home();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), home.path().join("own")).unwrap();
        let error = directory.make("own").unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("remove it"), "{error}");
        fs::write(home.path().join("file"), "").unwrap();
        assert!(matches!(directory.make("file"), Err(DirectoryError::NotAFolder { .. })));
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let (home, directory) = home();
        directory.make("own").unwrap();
        for open in [0o720, 0o702, 0o777] {
            set(&home.path().join("own"), open);
            let error = directory.make("own").unwrap_err().to_string();
            assert!(error.contains(&format!("{open:04o}")), "{error}");
            assert!(error.contains("chmod go-w"), "{error}");
        }
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        if !geteuid().is_root() {
            println!("skipped: only root gives files away");
            return;
        }
        let (home, directory) = home();
        directory.make("own").unwrap();
        chown(home.path().join("own"), Some(65_534), None).unwrap();
        let error = directory.make("own").unwrap_err().to_string();
        assert!(error.contains("user 65534") && error.contains("user 0"), "{error}");
    }

    #[test]
    fn a_file_is_made_beside_what_a_link_leads_to_and_not_through_it() {
        let (home, directory) = home();
        let theirs = home.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        symlink(&theirs, home.path().join("part")).unwrap();
        directory.create("part").unwrap().write_all(b"ours").unwrap();
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        assert_eq!(fs::read(home.path().join("part")).unwrap(), b"ours");
        assert_eq!(mode(&home.path().join("part")), FILE_MODE);
    }

    #[test]
    fn only_a_plain_file_with_one_name_is_read() {
        let (home, directory) = home();
        fs::write(home.path().join("a"), "x").unwrap();
        assert!(directory.read("a").is_ok());
        symlink("a", home.path().join("link")).unwrap();
        assert!(directory.read("link").is_err());
        assert!(directory.metadata("link").unwrap().is_symlink());
        let pipe = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&directory.handle, "pipe", rustix::fs::FileType::Fifo, pipe, 0)
            .unwrap();
        assert!(directory.read("pipe").is_err(), "and it is not waited for");
        fs::hard_link(home.path().join("a"), home.path().join("twin")).unwrap();
        let error = directory.read("a").unwrap_err().to_string();
        assert!(error.contains("second name"), "{error}");
    }

    #[test]
    fn nothing_is_replaced_by_a_rename() {
        let (home, directory) = home();
        fs::write(home.path().join("a"), "a").unwrap();
        fs::write(home.path().join("b"), "b").unwrap();
        let error = directory.rename_new("a", &directory, "b").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        directory.rename_new("a", &directory, "c").unwrap();
        let mut names = directory.names().unwrap();
        names.sort();
        assert_eq!(names, ["b", "c"]);
    }
}
