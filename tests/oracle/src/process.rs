//! What the kernel knows of a process: memory, CPU time, whether it lives.

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

/// Linux reports CPU time to user space in this unit on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Resident memory now, in KiB.
    pub resident_kib: u64,
    /// The most it ever was, in KiB.
    pub peak_kib: u64,
    /// CPU time spent in the program itself, in seconds (to 10 ms).
    pub user_seconds: f64,
    /// CPU time that the kernel spent for it, in seconds (to 10 ms).
    pub system_seconds: f64,
}

impl Usage {
    /// All CPU time, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// The usage of a process.
pub fn usage(pid: u32) -> Result<Usage> {
    let read = |what: &str| {
        let path = format!("/proc/{pid}/{what}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let status = read("status")?;
    let stat = read("stat")?;
    let (user_seconds, system_seconds) =
        cpu(&stat).ok_or_else(|| anyhow!("/proc/{pid}/stat is odd"))?;
    Ok(Usage {
        resident_kib: kib(&status, "VmRSS:"),
        peak_kib: kib(&status, "VmHWM:"),
        user_seconds,
        system_seconds,
    })
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Fields 14 and 15 of `stat`; the second one, the name, may hold anything up to the last `)`.
fn cpu(stat: &str) -> Option<(f64, f64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user / TICKS_PER_SECOND, system / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat), Some((1.5, 0.5)));
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident_kib > 500 && usage.peak_kib >= usage.resident_kib / 2);
    }
}
