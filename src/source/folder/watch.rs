//! What the kernel tells of a folder, so that files are taken at once. It is a help and not a
//! proof: network mounts tell nothing of other machines, and queues run over. The folder is looked
//! at anyway.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// Room for some events; a name has 255 bytes at most.
const BUFFER: usize = 4096;

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    events: AsyncFd<OwnedFd>,
}

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A file was renamed in.
    RenamedIn(String),
    /// A file was made or written to.
    Written(String),
}

impl Watch {
    /// Watches a folder.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let what = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&events, folder, what | WatchFlags::ONLYDIR)?;
        #[allow(
            deprecated,
            reason = "it is refused for types that change their descriptor, which OwnedFd does \
                      not; its successor asks for what this crate forbids"
        )]
        let events = AsyncFd::new(events)?;
        Ok(Self { events })
    }

    /// Waits for something to be told.
    pub(super) async fn next(&self) -> io::Result<Vec<Told>> {
        loop {
            let mut ready = self.events.readable().await?;
            let told = self.read()?;
            ready.clear_ready();
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }

    /// What is told already.
    pub(super) fn read(&self) -> io::Result<Vec<Told>> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(self.events.get_ref(), &mut buffer);
        let mut told = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Ok(told),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let flags = event.events();
            let name = event.file_name().and_then(|name| name.to_str().ok()).unwrap_or_default();
            // What was lost when the queue ran over shows when the folder is looked at.
            told.push(match flags.contains(ReadFlags::MOVED_TO) {
                true => Told::RenamedIn(name.to_owned()),
                false => Told::Written(name.to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rename_is_told_from_a_write() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("in");
        std::fs::create_dir(&folder).unwrap();
        let watch = Watch::new(&folder).unwrap();
        assert_eq!(watch.read().unwrap(), []);
        std::fs::write(home.path().join("a"), "x").unwrap();
        std::fs::rename(home.path().join("a"), folder.join("a")).unwrap();
        assert_eq!(watch.next().await.unwrap(), [Told::RenamedIn("a".to_owned())]);
        std::fs::write(folder.join("b"), "x").unwrap();
        assert!(watch.next().await.unwrap().contains(&Told::Written("b".to_owned())));
    }
}
