//! How the C library's allocator is told to give back what it does not need.
//!
//! Left alone, glibc raises its bounds when large blocks are freed: it then keeps up to 64 MiB of
//! free memory for each of its arenas, and a message of 16 MiB passes five threads. That was two
//! thirds of the agent's memory under a load of large messages. The bounds are read from the
//! environment when a process starts, and a program without `unsafe` cannot set them otherwise; so
//! `waybill run` starts itself once more, as the same process.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Blocks of so many bytes are mapped one by one, and given back when they are freed.
const MAPPED: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "1048576");
/// What may stay free at the end of an arena.
const KEPT: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "16777216");
/// Arenas; threads beyond that share them.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "8");

/// Replaces this process by one whose allocator has these bounds; returns only where that is not
/// possible, with the reason, or where someone has set them. Before anything else is begun.
pub(super) fn bound() -> Option<io::Error> {
    if [MAPPED, KEPT, ARENAS].iter().any(|(name, _)| env::var_os(name).is_some()) {
        return None;
    }
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return Some(error),
    };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Some(command.args(arguments).envs([MAPPED, KEPT, ARENAS]).exec())
}
