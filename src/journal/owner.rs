//! One owner per directory, and only where SQLite's locks hold.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::journal::error::JournalError;

/// The lock on a data directory; it is released when this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Owner {
    _file: File,
}

impl Owner {
    /// Takes the lock, and writes the process id in, for whoever comes second.
    pub(super) fn take(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("lock");
        let io = JournalError::io;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = pid_in(&mut file);
                return Err(JournalError::Locked { path: directory.to_owned(), pid });
            }
            Err(error) => return Err(io(&path)(error.into())),
        }
        file.set_len(0).map_err(io(&path))?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(io(&path))?;
        Ok(Self { _file: file })
    }
}

/// The process that owns a directory now, or `unknown`; `None` where nobody does. For a moment it
/// shares the lock where nobody has it, so an agent that starts right then may be refused.
pub fn owner_of(directory: &Path) -> std::io::Result<Option<String>> {
    let mut file = match File::open(directory.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(pid_in(&mut file))),
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
