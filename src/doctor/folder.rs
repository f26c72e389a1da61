//! Folders that files come from and go to: there, ours to read, write and rename in, in one file
//! system, with room.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::doctor::Part;
use crate::journal::network_fs;
use crate::source::folder::look::{DONE, REJECTED, WORK};

/// Free space below which somebody should look.
const LITTLE: u64 = 64 << 20;
const RIGHTS: &str = "give the agent's user the right to read, write and rename there";
const MOUNT: &str = "make the folder or mount its share";

/// A folder that files are dropped into.
pub(super) fn source(part: &mut Part<'_>, folder: &Path, clock: fn() -> Timestamp) {
    let Some(device) = there(part, folder) else { return };
    if let Err(error) = fs::read_dir(folder) {
        return part.fail("read", format!("{}: {error}", folder.display()), RIGHTS);
    }
    let inside = [WORK, DONE, REJECTED].map(|name| folder.join(name));
    if !one_device(part, &inside, device) {
        return;
    }
    let work = if inside[0].is_dir() { inside[0].as_path() } else { folder };
    written(part, (folder, work), clock);
}

/// A folder that somebody else empties.
pub(super) fn target(part: &mut Part<'_>, folder: &Path, clock: fn() -> Timestamp) {
    let Some(device) = there(part, folder) else { return };
    let work = folder.join(".waybill");
    if !one_device(part, std::slice::from_ref(&work), device) {
        return;
    }
    let work = if work.is_dir() { work } else { folder.to_owned() };
    written(part, (work.as_path(), folder), clock);
}

/// Whether it is there, and its device.
fn there(part: &mut Part<'_>, folder: &Path) -> Option<u64> {
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {
            let kind = network_fs(folder).ok().flatten();
            let kind = kind.map(|kind| format!(", on {kind}")).unwrap_or_default();
            part.ok("folder", format!("{shown}{kind}"));
            Some(metadata.dev())
        }
        Ok(_) => {
            part.fail("folder", format!("{shown} is no folder"), MOUNT);
            None
        }
        Err(error) => {
            part.fail("folder", format!("{shown}: {error}"), MOUNT);
            None
        }
    }
}

/// Whether those of the folders inside that are there can be renamed into.
fn one_device(part: &mut Part<'_>, inside: &[PathBuf], device: u64) -> bool {
    for path in inside {
        let other = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(error.to_string()),
            Ok(metadata) if !metadata.is_dir() => Err("is no folder".to_owned()),
            Ok(metadata) => Ok(metadata.dev() != device),
        };
        match other {
            Ok(false) => {}
            Ok(true) => {
                let found = format!("{} is on another one than its folder", path.display());
                part.fail("file system", found, "make it a plain folder");
                return false;
            }
            Err(why) => {
                part.fail("file system", format!("{}: {why}", path.display()), RIGHTS);
                return false;
            }
        }
    }
    part.ok("file system", "files can be renamed within it");
    true
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
