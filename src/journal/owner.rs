//! One owner per directory, and only where SQLite's locks hold.

use std::fs::{DirBuilder, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::directory::{Directory, FOLDER_MODE};
use crate::journal::error::JournalError;

/// The lock of a data directory.
const LOCK: &str = "lock";

/// The lock on a data directory; it is released when this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Owner {
    _file: File,
}

impl Owner {
    /// Takes the lock, and writes the process id in, for whoever comes second.
    pub(super) fn take(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join(LOCK);
        let io = JournalError::io;
        let opened = Directory::open(directory).and_then(|directory| directory.keep(LOCK));
        let mut file = opened.map_err(io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let (pid, path) = (pid_in(&mut file), directory.to_owned());
                return Err(match holder(&file).filter(|holder| *holder != pid) {
                    Some(pid) => JournalError::Held { path, pid },
                    None => JournalError::Locked { path, pid },
                });
            }
            Err(error) => return Err(io(&path)(error.into())),
        }
        file.set_len(0).map_err(io(&path))?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(io(&path))?;
        Ok(Self { _file: file })
    }
}

/// Makes a data directory, and closes it and the files of the journal to other users: what is in
/// there is personal data, and who may read a database may lock it.
pub(super) fn close(database: &Path, directory: &Path) -> Result<(), JournalError> {
    let io = JournalError::io;
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(directory);
    made.map_err(io(directory))?;
    let opened = Directory::open(directory).map_err(io(directory))?;
    let mut closed = vec![(directory.to_owned(), opened.close().map_err(io(directory))?)];
    let database = database.file_name().map(|name| name.to_string_lossy().into_owned());
    let database = database.unwrap_or_default();
    let names = opened.names().map_err(io(directory))?;
    let ours = |name: &String| {
        name.starts_with(&database) || [LOCK, "numbers.high"].contains(&name.as_str())
    };
    for name in names.iter().filter(|name| ours(name)) {
        let path = directory.join(name);
        closed.push((path.clone(), opened.close_file(name).map_err(io(&path))?));
    }
    for (path, mode) in closed {
        let Some(mode) = mode else { continue };
        let (path, mode) = (path.display(), format!("{mode:04o}"));
        tracing::warn!(%path, %mode, "was open to other users: closed");
    }
    let facts = opened.facts().map_err(io(directory))?;
    if facts.mode() & 0o007 != 0 {
        // Another user owns it, or it would be closed by now.
        let (path, owner) = (directory.display(), facts.uid());
        tracing::warn!(%path, owner, "other users may enter the data_dir; chmod o-rwx as its owner");
    }
    Ok(())
}

/// The process that has the lock, as the kernel tells it.
fn holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.ino();
    holder_in(&std::fs::read_to_string("/proc/locks").ok()?, inode)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234567 0 EOF`; those who wait have an arrow. The device
/// is not compared: some file systems show another one than they tell programs.
fn holder_in(locks: &str, inode: u64) -> Option<String> {
    let inode = format!(":{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid) = (words.next()?, words.nth(2)?);
        let is_it = kind == "FLOCK" && words.next()?.ends_with(&inode);
        // Of another container.
        (is_it && pid != "0").then(|| pid.to_owned())
    })
}

/// The process that owns a directory now, or `unknown`; `None` where nobody does. For a moment it
/// shares the lock where nobody has it, so an agent that starts right then may be refused.
pub fn owner_of(directory: &Path) -> std::io::Result<Option<String>> {
    let mut file = match File::open(directory.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Ok(Some(holder(&file).unwrap_or_else(|| pid_in(&mut file))))
        }
        Err(error) => Err(error.into()),
    }
}

fn pid_in(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    let pid = text.trim();
    if read.is_err() || pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return "unknown".to_owned();
    }
    pid.to_owned()
}

/// Refuses a directory on a network file system.
pub(super) fn refuse_network(directory: &Path) -> Result<(), JournalError> {
    match network_fs(directory).map_err(JournalError::io(directory))? {
        Some(kind) => Err(JournalError::NetworkFs { path: directory.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The kind of network file system that a directory is on, if it is on one.
pub fn network_fs(directory: &Path) -> std::io::Result<Option<&'static str>> {
    let facts = rustix::fs::statfs(directory)?;
    // The kernel's word is 32 bits wide, in a field whose width and sign differ by platform.
    Ok(kind_of(facts.f_type as u32))
}

/// The name of the network file system with that magic number (`linux/magic.h`), if it is one.
///
/// FUSE is refused as a whole: the number does not tell sshfs from the rest.
fn kind_of(magic: u32) -> Option<&'static str> {
    match magic {
        0x0000_6969 => Some("NFS"),
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB (CIFS)"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE (sshfs and others)"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_by_their_number() {
        for magic in [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546] {
            assert!(kind_of(magic).is_some(), "{magic:x}");
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs, zfs
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(kind_of(magic), None, "{magic:x}");
        }
    }

    #[test]
    fn a_lock_of_a_stranger_is_told_from_that_of_an_agent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        std::fs::write(&path, "1\n").unwrap();
        let file = File::open(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockShared).unwrap();
        let error = Owner::take(directory.path()).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains(&format!("process {pid} holds the lock")), "{error}");
        assert!(error.contains("end it"), "{error}");
    }

    #[test]
    fn the_holder_of_a_lock_is_found_among_those_who_wait() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fd:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 12 fd:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fd:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 fd:01:78 0 EOF\n";
        assert_eq!(holder_in(locks, 77), Some("12".to_owned()));
        assert_eq!(holder_in(locks, 7), None);
        assert_eq!(holder_in(locks, 78), None, "in another container");
    }

    #[test]
    fn what_is_open_to_other_users_is_closed() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("data");
        std::fs::create_dir(&directory).unwrap();
        let names = ["journal.db", "journal.db-wal", "journal.db-shm", "numbers.high", "lock"];
        for name in names {
            std::fs::write(directory.join(name), "").unwrap();
        }
        std::fs::write(directory.join("theirs"), "").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let before = mode(&directory.join("theirs"));
        close(&directory.join("journal.db"), &directory).unwrap();
        assert_eq!(mode(&directory), 0o700);
        for name in names {
            assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&directory.join("theirs")), before);
    }

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = Owner::take(directory.path()).unwrap();
        let error = Owner::take(directory.path()).unwrap_err();
        let pid = std::process::id().to_string();
        assert_eq!(owner_of(directory.path()).unwrap(), Some(pid.clone()));
        assert!(matches!(&error, JournalError::Locked { pid: named, .. } if *named == pid));
        drop(first);
        assert_eq!(owner_of(directory.path()).unwrap(), None);
        Owner::take(directory.path()).unwrap();
    }
}
