//! Folders that files come from and go to: there, ours to read, write and rename in, in one file
//! system, with room; and who else may write to what is ours inside.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::directory::{Directory, DirectoryError};
use crate::doctor::Part;
use crate::journal::network_fs;
use crate::source::folder::look::{DONE, REJECTED, WORK};
use crate::target::file;

/// Free space below which somebody should look.
const LITTLE: u64 = 64 << 20;
const RIGHTS: &str = "give the agent's user the right to read, write and rename there";
const MOUNT: &str = "make the folder or mount its share";

/// A folder that files are dropped into.
pub(super) fn source(part: &mut Part<'_>, folder: &Path, clock: fn() -> Timestamp) {
    if !there(part, folder) {
        return;
    }
    if let Err(error) = fs::read_dir(folder) {
        return part.fail("read", format!("{}: {error}", folder.display()), RIGHTS);
    }
    if !own(part, folder, &[WORK, DONE, REJECTED]) {
        return;
    }
    let inside = folder.join(WORK);
    let work = if inside.is_dir() { inside.as_path() } else { folder };
    written(part, (folder, work), clock);
}

/// A folder that somebody else empties.
pub(super) fn target(part: &mut Part<'_>, folder: &Path, clock: fn() -> Timestamp) {
    if !there(part, folder) || !own(part, folder, &[file::WORK]) {
        return;
    }
    let work = folder.join(file::WORK);
    let work = if work.is_dir() { work } else { folder.to_owned() };
    written(part, (work.as_path(), folder), clock);
}

fn there(part: &mut Part<'_>, folder: &Path) -> bool {
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {
            let kind = network_fs(folder).ok().flatten();
            let kind = kind.map(|kind| format!(", on {kind}")).unwrap_or_default();
            part.ok("folder", format!("{shown}{kind}"));
            true
        }
        Ok(_) => {
            part.fail("folder", format!("{shown} is no folder"), MOUNT);
            false
        }
        Err(error) => {
            part.fail("folder", format!("{shown}: {error}"), MOUNT);
            false
        }
    }
}

/// Whether those of our folders inside that are there can be used: renamed into, ours, and closed to
/// the writes of others.
fn own(part: &mut Part<'_>, folder: &Path, names: &[&str]) -> bool {
    let opened = match Directory::open(folder) {
        Ok(opened) => opened,
        Err(error) => {
            part.fail("read", format!("{}: {error}", folder.display()), RIGHTS);
            return false;
        }
    };
    for name in names {
        match opened.enter(name) {
            Ok(inside) => open_to_others(part, &inside, *name == WORK || *name == file::WORK),
            Err(DirectoryError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error @ DirectoryError::OtherDevice { .. }) => {
                part.fail("file system", error.to_string(), "make it a plain folder");
                return false;
            }
            // The doctor may run as another user than the agent.
            Err(error @ DirectoryError::Owner { .. }) => {
                part.warn("user", error.to_string(), "run this as the agent's user to be sure");
            }
            Err(error @ DirectoryError::Io { .. }) => {
                part.fail("read", error.to_string(), RIGHTS);
                return false;
            }
            Err(error) => {
                part.fail("user", error.to_string(), "see docs/operations/folders.md");
                return false;
            }
        }
    }
    part.ok("file system", "files can be renamed within it");
    true
}

/// Warns where other users may enter a folder of the agent. Who reads what is done is up to the
/// operator, but hardly all users.
fn open_to_others(part: &mut Part<'_>, inside: &Directory, private: bool) {
    let others = if private { 0o077 } else { 0o007 };
    let Ok(mode) = inside.facts().map(|facts| facts.mode() & 0o7777) else { return };
    if mode & others != 0 {
        let found = format!("{}: mode {mode:04o} lets other users in", inside.path().display());
        part.warn("mode", found, "chmod 700, or 750 for those who read what is done");
    }
}

/// Makes a hidden file, renames it as the agent would, and takes it away.
fn written(part: &mut Part<'_>, (from, to): (&Path, &Path), clock: fn() -> Timestamp) {
    let name = format!(".waybill-doctor-{}", std::process::id());
    let (first, second) = (from.join(&name), to.join(format!("{name}.renamed")));
    let result = probe(&first, &second);
    for left in [&first, &second] {
        if let Err(error) = fs::remove_file(left)
            && error.kind() != io::ErrorKind::NotFound
        {
            part.fail("delete", format!("{}: {error}", left.display()), RIGHTS);
        }
    }
    match result {
        Ok(made) => {
            part.ok("rights", "a file can be made, written, renamed and deleted");
            part.clock(made, clock(), "the clock of its file system");
        }
        Err((check, error)) => {
            let remedy = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
                io::ErrorKind::ReadOnlyFilesystem => "mount it so that it can be written to",
                _ => RIGHTS,
            };
            part.fail(check, format!("{}: {error}", from.display()), remedy);
        }
    }
    space(part, to);
}

fn probe(first: &Path, second: &Path) -> Result<Timestamp, (&'static str, io::Error)> {
    let at = |step: &'static str| move |error| (step, error);
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(first).map_err(at("create"))?;
    file.write_all(b"waybill doctor\n").map_err(at("write"))?;
    let metadata = file.metadata().map_err(at("write"))?;
    drop(file);
    match rustix::fs::renameat_with(CWD, first, CWD, second, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // File systems without RENAME_NOREPLACE: a hard link does not replace either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(first, second).map_err(at("rename"))?;
        }
        Err(error) => return Err(("rename", error.into())),
    }
    let nanoseconds = i32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    Ok(Timestamp::new(metadata.mtime(), nanoseconds).unwrap_or(Timestamp::MIN))
}

fn space(part: &mut Part<'_>, folder: &Path) {
    match rustix::fs::statvfs(folder) {
        Ok(facts) => {
            let free = facts.f_bavail.saturating_mul(facts.f_frsize);
            let found = format!("{} MiB are free", free >> 20);
            if free < LITTLE {
                part.warn("space", found, "free some space");
            } else {
                part.ok("space", found);
            }
        }
        Err(error) => part.warn("space", io::Error::from(error).to_string(), RIGHTS),
    }
}
