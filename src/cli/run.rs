//! `waybill run`.

use std::path::PathBuf;

use jiff::Timestamp;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::agent::{self, Setup};
use crate::cli::args::Run;
use crate::cli::{CliError, Said, allocator, check, logs};

/// A sidecar is a guest on its machine, and each thread keeps memory of its own.
const MOST_WORKERS: usize = 4;

pub(super) fn run(
    path: PathBuf,
    options: &Run,
    clock: fn() -> Timestamp,
) -> Result<Said, CliError> {
    let unbound = allocator::bound();
    logs::start(options)?;
    if let Some(error) = unbound {
        tracing::warn!(%error, "the allocator keeps its own bounds: more memory may be held");
    }
    no_core_dumps();
    // Whatever is made from here on is for our user alone, also where the library or the kernel
    // makes it: the journal's log, sockets between bind and chmod.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let setup = Setup { path, listen: options.listen };
    let loaded = setup.load(1).map_err(check::shown)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(cores.min(MOST_WORKERS)).enable_all().build()?;
    runtime.block_on(agent::run(setup, loaded, clock))?;
    // A thread that still waits for a broken disk must not keep the process.
    runtime.shutdown_background();
    Ok(Said::Yes)
}

/// A core dump would hold passwords, keys and documents. The limit is for the kernel's own files and
/// is honoured by systemd-coredump and apport. The process stays readable by its own user
/// (`PR_SET_DUMPABLE`): without that it could not count its own open files.
fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
}
