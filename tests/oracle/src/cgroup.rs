//! A memory cgroup for the agent, as a Pod has one, where this machine lets us make it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the memory controller is: file of the limit, in version 2 and in version 1.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")];

/// A group with a limit. It is removed when this is dropped and nobody is in it.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// A group whose processes may have so many bytes; `None` where none can be made.
    pub fn new(bytes: u64) -> Option<Self> {
        let name = format!("waybill-oracle-{}", std::process::id());
        PLACES
            .iter()
            .find_map(|(root, limit)| Self::below(&Path::new(root).join(&name), limit, bytes))
    }

    fn below(path: &Path, limit: &str, bytes: u64) -> Option<Self> {
        fs::create_dir(path).ok()?;
        let group = Self(path.to_owned());
        // A folder without the controller has no such file, and takes none.
        let limit = path.join(limit);
        (limit.exists() && fs::write(limit, bytes.to_string()).is_ok()).then_some(group)
    }

    /// Puts a process into it. What it has allocated before is not counted.
    pub fn add(&self, pid: u32) -> std::io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Where someone is still in it, it stays; it limits nobody else.
        let _ = fs::remove_dir(&self.0);
    }
}
