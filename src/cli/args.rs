//! What may be written on the command line.

mod config;
mod documents;
mod lists;
mod parked;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(super) use documents::{
    Ack, AckKind, Convert, Import, ImportCommand, ImportIdoc, Show, WithDefinitions,
};
pub(super) use lists::{DeliveriesList, EventChoice, EventsList};
pub(super) use parked::Unpark;

/// A sidecar between a vehicle management system and SAP.
#[derive(Debug, Parser)]
#[command(
    name = "waybill",
    version,
    about = "A sidecar between a vehicle management system and SAP: status events in, IDocs out, and proof of both",
    after_help = "Examples:
  waybill check waybill.yaml            all mistakes of all files at once
  waybill doctor waybill.yaml           every connection, folder and certificate, tried once
  waybill run waybill.yaml              take events until SIGTERM
  waybill try event.json                what would become of this event, without doing it
  waybill show orders.edi               a file of any format with names, meanings and problems
  waybill convert --to json orders.edi  an EDIFACT file as JSON, a message a line
  waybill ack orders.edi                the CONTRL, 997, 999 or TA1 that answers a file
  waybill import idoc --to schemas ORDERS05.txt  an IDoc type as SAP exports it
  waybill trail WBL1A2B37T4000017       everything about a VIN, DOCNUM, file name or event id
  waybill deliveries list --state dead  what SAP did not get
  waybill deliveries release 4711 --why 'share is mounted again'
  waybill reload --why 'new colours'    take over a changed configuration, or nothing of it
  waybill events reprocess --verdict failed --why 'table colour.csv mended'
  waybill audit verify                  whether the journal still says what it said

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 could not be done."
)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(short, long, global = true, env = "WAYBILL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tables: show every cell whole. Else one is cut after 64 columns, the last of a row after 240.
    #[arg(long, global = true)]
    pub(super) wide: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take events, make documents, deliver them; until SIGTERM.
    Run(Run),
    /// Show all mistakes of the configuration and of every file that it names.
    Check(Check),
    /// Try everything that the configuration names once: brokers, URLs, folders, journal.
    #[command(after_help = "Beside a running agent or before it starts; nothing is consumed or \
                            sent, and hidden files that it makes in folders are taken away. Each \
                            login is tried once. The code is 1 where something fails; a warning \
                            is no failure.\n\nExamples:\n  waybill doctor\n  waybill doctor \
                            --deep --json | jq 'select(.result != \"ok\")'")]
    Doctor(Doctor),
    /// Show what would become of an event, without doing it.
    #[command(
        after_help = "The journal, where there is one, is read for the status of the event's \
                            object; nothing is written.\n\nExample: waybill try event.json --json"
    )]
    Try(Try),
    /// Show a file of any format as a tree, with names, meanings and problems.
    #[command(after_help = "The format is told by the first bytes. IDoc types and fixed-length \
                            records are read from --schemas and from the folders of the \
                            configuration, where there is one; names of EDIFACT and X12 from what \
                            `waybill import` made.\n\nExamples:\n  waybill show orders.edi\n  \
                            waybill show --json --level 3 partner.x12 | jq .problems\n  waybill \
                            show --schemas mappings/schemas/idoc customers.idoc")]
    Show(Show),
    /// Write the documents of a file in another format.
    #[command(
        after_help = "Between formats with segments and JSON, flat IDocs and IDoc-XML, and CSV, \
                            JSON and XML. Anything else is what mappings are for.\n\nExamples:\n  \
                            waybill convert --to json orders.edi > orders.jsonl\n  waybill convert \
                            --to edifact orders.jsonl\n  waybill convert --schemas schemas/idoc --to \
                            idoc-xml customers.idoc"
    )]
    Convert(Convert),
    /// Print the acknowledgements of interchanges: CONTRL, or TA1 with 997 or 999.
    #[command(
        after_help = "An acknowledgement is never acknowledged. The code says whether anything \
                            was refused.\n\nExamples:\n  waybill ack orders.edi\n  waybill ack \
                            --kind 999 --seen-in received.txt --control-number 4711 claims.x12"
    )]
    Ack(Ack),
    /// Compile definitions of messages and IDoc types from what others publish.
    Import(Import),
    /// Show everything about a VIN, claim, DOCNUM, file name or event id.
    Trail(Trail),
    /// Events: list them, decide them again, let a parked key go on.
    Events(Events),
    /// Deliveries: list them, release or discard them.
    Deliveries(Deliveries),
    /// Show whether the running agent takes events, and why not.
    #[command(after_help = "Asked over the control socket: all reasons with their details, which \
                            /readyz keeps from strangers. The code is 1 where it is not \
                            ready.\n\nExample: waybill status --json | jq .reasons")]
    Status(Status),
    /// Let the running agent read its configuration again: all of it is taken over, or nothing.
    #[command(after_help = "The same as SIGHUP, with an answer. Mistakes are shown with their \
                            places; the agent then goes on as it was.\n\nExample: waybill reload \
                            --why 'new colour codes'")]
    Reload(Reload),
    /// The chain of hashes over all that happened.
    Audit(Audit),
    /// Dropped files: why each is taken or not.
    Files(Files),
    /// Write a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// One JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The configuration file; the same as --config.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served, instead of `http.listen`.
    #[arg(long, env = "WAYBILL_LISTEN", value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// How log lines look.
    #[arg(long, env = "WAYBILL_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// What is logged: a level, or levels by module. Libraries never trace: they would show
    /// passwords and messages.
    #[arg(long, env = "WAYBILL_LOG", default_value = "info,lapin=warn")]
    pub(super) log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file; the same as --config.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// One JSON object a mistake.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// The configuration file; the same as --config.
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Verify the whole chain of the journal, not only its end.
    #[arg(long)]
    pub(super) deep: bool,
    /// One JSON object a finding.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Try {
    /// The event's file; `-` for standard input.
    pub(super) event: PathBuf,
    /// The source that it is to come from; the only one by default.
    #[arg(long)]
    pub(super) source: Option<String>,
    /// One JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Trail {
    /// A key, object, event id, DOCNUM or file name.
    pub(super) word: String,
    /// One JSON object an event.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Events {
    #[command(subcommand)]
    pub(super) command: EventsCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// List events.
    List(EventsList),
    /// Decide failed, refused and waiting events again, after a mapping or table was mended.
    Reprocess(Reprocess),
    /// Let a parked key go on without the event that failed; what waited behind it is decided.
    #[command(after_help = "The failed event stays failed. Mend what it failed for and reprocess \
                            it instead, where that is possible: later events of a key may rest \
                            on it. Many keys are let go in slices; the agent goes on taking \
                            events.\n\nExamples:\n  waybill events unpark WBL1A2B37T4000017 \
                            --why 'posted by hand'\n  waybill events unpark --cause \
                            vehicle-registration/mapping.yaml --dry-run")]
    Unpark(Unpark),
}

#[derive(Debug, clap::Args)]
pub(super) struct Reprocess {
    /// The events' numbers in the journal; or choose them by verdict, key or cause.
    pub(super) events: Vec<u64>,
    #[command(flatten)]
    pub(super) choice: EventChoice,
    #[command(flatten)]
    pub(super) reason: Reason,
    /// One JSON array.
    #[arg(long)]
    pub(super) json: bool,
}

/// What belongs to `waybill audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    pub(super) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Compute the whole chain of hashes again, and compare what people read with it.
    #[command(after_help = "Beside a running agent or without one; nothing is written. Keep the \
                            head that it prints somewhere else: who can write the file can make a \
                            whole new chain, and only a head from outside shows that.\n\nExamples:\n  \
                            waybill audit verify\n  waybill audit verify --anchor 4711:9db0ce25...d631 \
                            --json")]
    Verify(AuditVerify),
    /// List what operators did, the newest first: releases, discards, unparked keys, events decided
    /// again, reloads.
    Actions(AuditActions),
}

#[derive(Debug, clap::Args)]
pub(super) struct AuditActions {
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub(super) limit: usize,
    /// One JSON object an action.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AuditVerify {
    /// A head that was kept elsewhere: the number of a commit, a colon and its hash.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(super) anchor: Option<String>,
    /// One JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Reason {
    /// Why; it is kept in the audit trail.
    #[arg(long)]
    pub(super) why: String,
    /// Who asks; it is kept in the audit trail.
    #[arg(long, env = "USER", default_value = "operator")]
    pub(super) who: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    #[command(flatten)]
    pub(super) reason: Reason,
    /// One JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Deliveries {
    #[command(subcommand)]
    pub(super) command: DeliveriesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeliveriesCommand {
    /// List deliveries.
    List(DeliveriesList),
    /// Try a dead, doubtful or waiting delivery again now.
    Release(Act),
    /// Give a delivery up; the next of its lane may leave.
    Discard(Act),
}

#[derive(Debug, clap::Args)]
pub(super) struct Files {
    #[command(subcommand)]
    pub(super) command: FilesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum FilesCommand {
    /// Say for each file of a folder why it is taken or not, and how far those in work are.
    #[command(
        after_help = "The folder is looked at twice, because only that shows whether a file \
                            stands still.\n\nExample: waybill files explain drop/in"
    )]
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The folder of a source, or a file in it.
    pub(super) path: PathBuf,
    /// One JSON object a file.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Act {
    /// The deliveries' numbers.
    #[arg(required = true)]
    pub(super) deliveries: Vec<u64>,
    #[command(flatten)]
    pub(super) reason: Reason,
    /// One JSON object a delivery.
    #[arg(long)]
    pub(super) json: bool,
}
