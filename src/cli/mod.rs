//! The command line: one vocabulary with what the agent does.
//!
//! Exit codes: 0 done; 1 the answer is no (mistakes found, event not accepted, nothing found);
//! 2 the command line makes no sense; 3 it could not be done (journal, network, files). Output is
//! for people, with text from outside made visible and cells cut to a width (`--wide`: not);
//! `--json` beside every table is for programs.

mod ack;
mod allocator;
mod args;
mod audit;
mod check;
mod convert;
mod definitions;
mod doctor;
mod files;
mod formats;
mod import;
mod journal_views;
mod logs;
mod operate;
mod output;
mod run;
mod show;
mod status;
mod try_event;
mod unpark;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use jiff::Timestamp;

use crate::cli::args::{
    Args, AuditCommand, Command, DeliveriesCommand, EventsCommand, FilesCommand,
};
use crate::cli::output::Output;

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes; they were shown.
    #[error("the configuration has {0} mistake{plural}", plural = if *.0 == 1 { "" } else { "s" })]
    Mistakes(usize),
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The journal could not be used.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// The agent could not run.
    #[error(transparent)]
    Agent(#[from] crate::agent::AgentError),
    /// The running agent could not be asked.
    #[error(transparent)]
    Call(#[from] crate::http::client::CallError),
    /// Somebody else's words: the running agent refused, or a file could not be read.
    #[error("{0}")]
    Refused(String),
    /// The output could not be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

/// Whether a command that was done says yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Runs the command line of this process. `clock` is the only clock that anything below reads.
pub fn main(clock: fn() -> Timestamp) -> ExitCode {
    let args = Args::parse();
    let mut out = Output::standard(args.wide);
    let done = perform(&args, clock, &mut out);
    // In front of the error, whatever it is.
    let written = out.flush();
    let done = done.and_then(|said| written.map(|()| said).map_err(CliError::Output));
    match done {
        Ok(Said::Yes) => ExitCode::SUCCESS,
        Ok(Said::No) => ExitCode::from(1),
        // Whoever reads has gone away (`| head`): that is no failure.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = match error {
                CliError::Mistakes(_) => 1,
                CliError::Usage(_) => 2,
                _ => 3,
            };
            if writeln!(Output::errors(), "waybill: {error}").is_err() {
                return ExitCode::from(3);
            }
            ExitCode::from(code)
        }
    }
}

fn perform(args: &Args, clock: fn() -> Timestamp, out: &mut Output<'_>) -> Result<Said, CliError> {
    match &args.command {
        Command::Run(run) => run::run(args.needed_config(run.file.as_deref())?, run, clock),
        Command::Check(check) => {
            check::check(args.needed_config(check.file.as_deref())?, check, out)
        }
        Command::Doctor(options) => {
            doctor::examine(&args.needed_config(options.file.as_deref())?, options, clock, out)
        }
        Command::Try(options) => {
            try_event::try_event(&args.needed_config(None)?, options, clock, out)
        }
        Command::Show(options) => show::show(&args.config(None), options, out),
        Command::Convert(options) => convert::convert(&args.config(None), options, out),
        Command::Ack(options) => ack::ack(&args.config(None), options, clock, out),
        Command::Import(options) => import::import(options, clock, out),
        Command::Trail(trail) => journal_views::trail(&args.needed_config(None)?, trail, out),
        Command::Events(events) => match &events.command {
            EventsCommand::List(list) => {
                journal_views::events(&args.needed_config(None)?, list, out)
            }
            EventsCommand::Reprocess(again) => {
                operate::reprocess(&args.needed_config(None)?, again, clock, out)
            }
            EventsCommand::Unpark(keys) => {
                unpark::unpark(&args.needed_config(None)?, keys, clock, out)
            }
        },
        Command::Deliveries(deliveries) => match &deliveries.command {
            DeliveriesCommand::List(list) => {
                journal_views::deliveries(&args.needed_config(None)?, list, out)
            }
            DeliveriesCommand::Release(act) => {
                operate::act(&args.needed_config(None)?, "release", act, clock, out)
            }
            DeliveriesCommand::Discard(act) => {
                operate::act(&args.needed_config(None)?, "discard", act, clock, out)
            }
        },
        Command::Status(options) => status::status(&args.needed_config(None)?, options, out),
        Command::Reload(options) => operate::reload(&args.needed_config(None)?, options, out),
        Command::Audit(audit) => match &audit.command {
            AuditCommand::Verify(options) => {
                audit::verify(&args.needed_config(None)?, options, out)
            }
            AuditCommand::Actions(options) => {
                audit::actions(&args.needed_config(None)?, options, out)
            }
        },
        Command::Files(files) => match &files.command {
            FilesCommand::Explain(options) => {
                files::explain(&args.needed_config(None)?, options, clock, out)
            }
        },
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Args::command(), "waybill", &mut ByteWriter(out));
            Ok(Said::Yes)
        }
    }
}

/// `clap_complete` wants a sized writer.
struct ByteWriter<'a, 'o>(&'a mut Output<'o>);

impl Write for ByteWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_document(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
