//! `waybill run`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use jiff::Timestamp;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::agent::{self, Setup};
use crate::cli::args::{LogFormat, Run};
use crate::cli::{CliError, Said, allocator, check};

/// A sidecar is a guest on its machine, and each thread keeps memory of its own.
const MOST_WORKERS: usize = 4;

pub(super) fn run(
    path: PathBuf,
    options: &Run,
    clock: fn() -> Timestamp,
) -> Result<Said, CliError> {
    let unbound = allocator::bound();
    logs(options)?;
    if let Some(error) = unbound {
        tracing::warn!(%error, "the allocator keeps its own bounds: more memory may be held");
    }
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
