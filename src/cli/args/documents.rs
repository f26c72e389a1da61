//! The commands for files of documents.

use std::path::PathBuf;

use clap::Subcommand;
use waybill_parsers::Format;
use waybill_parsers::segment::Mode;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The file; `-` for standard input.
    pub(in crate::cli) file: PathBuf,
    /// Its format, where the first bytes do not tell it: csv, edifact, idoc, idoc-xml, json, jsonl,
    /// vda, x12 or xml.
    #[arg(long)]
    pub(in crate::cli) format: Option<Format>,
    #[command(flatten)]
    pub(in crate::cli) mode: Strictness,
    #[command(flatten)]
    pub(in crate::cli) definitions: WithDefinitions,
    /// A folder with definitions of IDoc types (`*.idoc`) and of fixed-length records (`*.fixed`);
    /// may be given several times.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) schemas: Vec<PathBuf>,
    /// One JSON object a document.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Convert {
    /// The file; `-` for standard input.
    pub(in crate::cli) file: PathBuf,
    /// The format to write: csv, edifact, idoc, idoc-xml, json (a document a line), vda, x12, xml.
    #[arg(long)]
    pub(in crate::cli) to: Format,
    /// The format of the file, where the first bytes do not tell it.
    #[arg(long)]
    pub(in crate::cli) format: Option<Format>,
    #[command(flatten)]
    pub(in crate::cli) mode: Strictness,
    /// Convert documents with errors, too, and write interchanges that have lost some.
    #[arg(long)]
    pub(in crate::cli) anyway: bool,
    /// EDIFACT and X12: a line each segment.
    #[arg(long)]
    pub(in crate::cli) newline: bool,
    /// CSV: an apostrophe in front of cells that a spreadsheet would compute, those that begin with
    /// `=`, `+`, `-`, `@`, a tab or a carriage return.
    #[arg(long)]
    pub(in crate::cli) spreadsheet: bool,
    /// Flat IDoc to flat IDoc: write it anew by its definition, with full records, the versions of
    /// segments that the definition has, and new numbers; otherwise it stays as it is.
    #[arg(long)]
    pub(in crate::cli) rewrite: bool,
    #[command(flatten)]
    pub(in crate::cli) definitions: WithDefinitions,
    /// A folder with definitions of IDoc types (`*.idoc`) and of fixed-length records (`*.fixed`);
    /// may be given several times.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) schemas: Vec<PathBuf>,
}

/// Which acknowledgement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum AckKind {
    /// EDIFACT: CONTRL of syntax version 3.
    Contrl3,
    /// EDIFACT: CONTRL of syntax version 4.
    Contrl4,
    /// X12: functional acknowledgement.
    #[value(name = "997")]
    Functional,
    /// X12: implementation acknowledgement.
    #[value(name = "999")]
    Implementation,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Ack {
    /// The file; `-` for standard input.
    pub(in crate::cli) file: PathBuf,
    /// The format of the file, where the first bytes do not tell it: edifact or x12.
    #[arg(long)]
    pub(in crate::cli) format: Option<Format>,
    /// Which one; by default contrl3 for EDIFACT and 997 for X12.
    #[arg(long)]
    pub(in crate::cli) kind: Option<AckKind>,
    /// The control reference of an interchange that was received before; may be given several times.
    #[arg(long, value_name = "REFERENCE")]
    pub(in crate::cli) seen: Vec<String>,
    /// A file with such references, a line each.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) seen_in: Vec<PathBuf>,
    /// The control number of the first answer; the next has one more.
    #[arg(long, default_value_t = 1)]
    pub(in crate::cli) control_number: u64,
    /// EDIFACT: only where the sender asks for it (UNB, 0031).
    #[arg(long)]
    pub(in crate::cli) requested: bool,
    /// EDIFACT: say of a good interchange only that it was received (action 8).
    #[arg(long)]
    pub(in crate::cli) receipt_only: bool,
    #[command(flatten)]
    pub(in crate::cli) mode: Strictness,
    /// A line each segment.
    #[arg(long)]
    pub(in crate::cli) newline: bool,
    #[command(flatten)]
    pub(in crate::cli) definitions: WithDefinitions,
    /// One JSON object an answer.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// What is an error in EDIFACT and X12.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Strictness {
    /// Report what the standard forbids as an error, where it is only a warning otherwise.
    #[arg(long, conflicts_with = "lenient")]
    strict: bool,
    /// Report wrong counts and references and missing trailers as warnings only, though something
    /// may be lost.
    #[arg(long)]
    lenient: bool,
}

impl Strictness {
    /// The mode of a reader.
    pub(in crate::cli) fn mode(&self) -> Mode {
        match (self.strict, self.lenient) {
            (true, _) => Mode::Strict,
            (false, true) => Mode::Lenient,
            (false, false) => Mode::Normal,
        }
    }
}

/// How EDIFACT and X12 are held against definitions.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WithDefinitions {
    /// The folder with definitions that `waybill import` made; by default that of the user.
    #[arg(long, value_name = "DIR", env = "WAYBILL_DEFINITIONS")]
    pub(in crate::cli) definitions: Option<PathBuf>,
    /// How much is checked: 0 syntax and envelope, 1 also elements, 2 also the order of segments,
    /// 3 also code lists, 4 also --profile. Needs the definition of the very release.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub(in crate::cli) level: u8,
    /// Rules for level 4: a definition file of your own, or a message that a profile ships for, such
    /// as IFTSTA or 121; may be given several times.
    #[arg(long, value_name = "FILE|NAME")]
    pub(in crate::cli) profile: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Import {
    #[command(subcommand)]
    pub(in crate::cli) command: ImportCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImportCommand {
    /// A UN/EDIFACT directory, D.94A or newer, as the official zip.
    #[command(
        after_help = "The directory is compiled on this machine and stays on it: its licence does \
                            not allow to pass on what is made of it.\n\nExample: waybill import \
                            edifact d21b.zip"
    )]
    Edifact(ImportEdifact),
    /// An X12 release as JSON; docs/formats/definitions.md has the layout.
    #[command(after_help = "Example: waybill import x12 00401.json 00401_versions.json")]
    X12(ImportX12),
    /// IDoc types as SAP exports them: parser export or XSD of WE60, or IDOCTYPE_READ_COMPLETE as JSON.
    #[command(
        after_help = "What a file is, its first character says. Each type becomes a file                             <TYPE>.idoc, or <EXTENSION>.idoc, in the folder of --to. A folder                             that `schemas:` of the configuration names is read by the agent,                             `show` and `convert`. A file with nothing but a record section is                             compared with the records that are built in. The code is 1 where a                             file was not imported; the others were.\n\nExamples:\n  waybill import                             idoc --to schemas/idoc ORDERS05.txt\n  waybill import idoc --to \
                            schemas/idoc --json exports.zip | jq .problems\n  waybill show \
                            --schemas schemas/idoc orders.idoc"
    )]
    Idoc(ImportIdoc),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportIdoc {
    /// The exports, a type each; a zip stands for the files in it.
    #[arg(required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// The folder for definitions, such as one that `schemas:` names. A definition of the same name
    /// is replaced.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) to: PathBuf,
    /// One JSON object a file.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportEdifact {
    /// The zip.
    pub(in crate::cli) archive: PathBuf,
    /// The folder for definitions; by default that of the user.
    #[arg(long, value_name = "DIR", env = "WAYBILL_DEFINITIONS")]
    pub(in crate::cli) to: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportX12 {
    /// The files of one release; a zip stands for the files in it.
    #[arg(required = true)]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// The folder for definitions; by default that of the user.
    #[arg(long, value_name = "DIR", env = "WAYBILL_DEFINITIONS")]
    pub(in crate::cli) to: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
