//! `waybill run`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use jiff::Timestamp;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::agent::{self, Setup};
use crate::cli::args::{LogFormat, Run};
use crate::cli::{CliError, Said, check};

/// A sidecar is a guest on its machine, and each thread keeps memory of its own.
const MOST_WORKERS: usize = 4;

pub(super) fn run(
    path: PathBuf,
    options: &Run,
    clock: fn() -> Timestamp,
) -> Result<Said, CliError> {
    logs(options)?;
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

fn logs(options: &Run) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| CliError::Refused(format!("--log {}: {error}", options.log)))?;
    // The AMQP library logs a message that comes back with its payload, whatever the level.
    let quiet = "lapin::returned_messages=off".parse();
    let quiet = quiet.map_err(|error| CliError::Refused(format!("log filter: {error}")))?;
    let filter = filter.add_directive(quiet).and(filter_fn(may_speak));
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match options.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Ok(())
}

/// Libraries trace what travels: logins and messages. No level that is asked for shows it.
fn may_speak(line: &Metadata<'_>) -> bool {
    let ours = line.target().split("::").next() == Some("waybill");
    ours || *line.level() < Level::TRACE
}
