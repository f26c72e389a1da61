//! Kill points and deliberate faults, for the crash tests and the oracle.
//!
//! Without the cargo feature `seeded-faults`, which no default or release build has, everything
//! here is empty and compiles to nothing. With it, the environment variable `WAYBILL_FAULT` holds
//! a comma separated list: `kill:POINT:N` ends the process with SIGKILL at the N-th passage of a
//! point, any other word switches a deliberate fault on (`ack-before-commit`,
//! `settle-before-rename`, `skip-duplicate-check`, `no-lanes`, `no-idempotency-key`,
//! `retry-in-doubt`). `poison:WORD` ends the process with SIGKILL when it decides an event that
//! holds the word.

#[cfg(feature = "seeded-faults")]
pub use seeded::{is_on, point, poison};

/// A place where a crash test may end the process.
#[cfg(not(feature = "seeded-faults"))]
#[inline]
pub fn point(_name: &str) {}

/// Whether a deliberate fault is switched on.
#[cfg(not(feature = "seeded-faults"))]
#[inline]
pub fn is_on(_name: &str) -> bool {
    false
}

/// An event that may end the process.
#[cfg(not(feature = "seeded-faults"))]
#[inline]
pub fn poison(_event: &[u8]) {}

#[cfg(feature = "seeded-faults")]
mod seeded {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Faults {
        kills: Vec<(String, AtomicU64)>,
        switches: Vec<String>,
    }

    fn faults() -> &'static Faults {
        static FAULTS: OnceLock<Faults> = OnceLock::new();
        FAULTS.get_or_init(|| {
            let list = std::env::var("WAYBILL_FAULT").unwrap_or_default();
            let mut faults = Faults { kills: Vec::new(), switches: Vec::new() };
            for word in list.split(',').filter(|word| !word.is_empty()) {
                let mut parts = word.split(':');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some("kill"), Some(point), count) => {
                        let count = count.and_then(|count| count.parse().ok()).unwrap_or(1);
                        faults.kills.push((point.to_owned(), AtomicU64::new(count)));
                    }
                    _ => faults.switches.push(word.to_owned()),
                }
            }
            faults
        })
    }

    /// A place where a crash test may end the process.
    pub fn point(name: &str) {
        for (point, left) in &faults().kills {
            if point == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                kill();
            }
        }
    }

    /// An event that may end the process.
    pub fn poison(event: &[u8]) {
        let words = faults().switches.iter().filter_map(|word| word.strip_prefix("poison:"));
        for word in words.filter(|word| !word.is_empty()) {
            if event.windows(word.len()).any(|window| window == word.as_bytes()) {
                kill();
            }
        }
    }

    /// A kill leaves no time for destructors; that is its point.
    fn kill() {
        let pid = rustix::process::getpid();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }

    /// Whether a deliberate fault is switched on.
    pub fn is_on(name: &str) -> bool {
        faults().switches.iter().any(|switch| switch == name)
    }
}
