//! `waybill convert`: documents of one format written in another.

mod copy;
mod sink;

use std::io;
use std::path::Path;

use waybill_parsers::definition::{Level, nest};
use waybill_parsers::{Document, Format, Node, Problem, Reading};

use crate::cli::args::Convert;
use crate::cli::definitions::Library;
use crate::cli::formats::json::has_segments;
use crate::cli::formats::json_read;
use crate::cli::formats::judge;
use crate::cli::formats::schemas::Schemas;
use crate::cli::formats::source::{Reads, Role, Source, reading_of};
use crate::cli::output::Output;
use crate::cli::{CliError, Said};
use sink::Sink;

/// Converts one document after the other.
pub(super) fn convert(
    config: &Path,
    options: &Convert,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let schemas = Schemas::load(config, &options.schemas)?;
    let mut library = Library::of(&options.definitions)?;
    let level = Level::of(options.definitions.level).unwrap_or_default();
    let reads = Reads { format: options.format, mode: options.mode.mode() };
    let mut source = Source::open(&options.file, reads, &schemas)?;
    possible(source.format, options.to)?;
    let mut sink = Sink::new(options, &source, schemas);
    let (mut read, mut broken) = (0_u64, 0_u64);
    while let Some(piece) = source.next() {
        let (role, part) = piece.map_err(|error| CliError::Refused(error.to_string()))?;
        let mut reading = reading_of(part);
        let role =
            if role == Role::Message { part_of(&source, options.to, &reading) } else { role };
        if role != Role::Message {
            report(&reading.problems)?;
            if reading.is_refused() {
                broken += 1;
                sink.damage();
            }
            let problems = match role {
                Role::Interchange => match back(&source, options.to, reading) {
                    Ok(reading) => sink.end(&reading, out)?,
                    Err(problems) => problems,
                },
                _ => Vec::new(),
            };
            report(&problems)?;
            continue;
        }
        read += 1;
        let chosen = judge(&mut reading, level, &mut library)?;
        report(&reading.problems)?;
        if reading.is_refused() && !options.anyway {
            sink.leave_out(&reading);
            continue;
        }
        if let Some(chosen) = chosen
            && let Some(message) = chosen.definition.messages.get(&chosen.found.message)
        {
            reading.document = nest(&reading.document, message, chosen.found.standard);
        }
        let written = match back(&source, options.to, reading) {
            Ok(reading) => sink.write(&reading, out)?,
            Err(problems) => problems,
        };
        if !written.is_empty() {
            sink.lose();
        }
        report(&written)?;
    }
    report(&sink.finish(out)?)?;
    conclude(read, sink.left_out(), broken)
}

/// What became of the documents that were read, and of the envelopes around them.
fn conclude(read: u64, left_out: u64, broken: u64) -> Result<Said, CliError> {
    if left_out == 0 && broken == 0 {
        return Ok(Said::Yes);
    }
    let envelopes = match broken {
        0 => String::new(),
        broken => format!(", {broken} of their groups and interchanges have errors"),
    };
    writeln!(Output::errors(), "waybill: {read} documents read, {left_out} left out{envelopes}")?;
    Ok(Said::No)
}

/// Whether documents of the one format can be written in the other.
fn possible(from: Format, to: Format) -> Result<(), CliError> {
    let is_idoc = |format| matches!(format, Format::Idoc | Format::IdocXml);
    let is_json = |format| matches!(format, Format::Json | Format::JsonLines);
    let is_plain = |format| !has_segments(format);
    let can = from == to
        || is_json(to)
        || is_json(from)
        || is_idoc(from) && is_idoc(to)
        || is_plain(from) && is_plain(to);
    if can {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{from} cannot become {to}; a mapping does that, see docs/mapping.md"
    )))
}

/// JSON that stands for a document with segments becomes one.
fn back(source: &Source, to: Format, reading: Reading) -> Result<Reading, Vec<Problem>> {
    let is_json = matches!(source.format, Format::Json | Format::JsonLines);
    if !is_json || !has_segments(to) {
        return Ok(reading);
    }
    let (document, _): (Document, _) = json_read::document(reading.document.root())?;
    Ok(Reading { document, ..reading })
}

/// What a JSON object that was read is: of a message, a group or an interchange.
fn part_of(source: &Source, to: Format, reading: &Reading) -> Role {
    let is_json = matches!(source.format, Format::Json | Format::JsonLines);
    match reading.document.root().child("part").map_or("", Node::text) {
        "group" if is_json && has_segments(to) => Role::Group,
        "interchange" if is_json && has_segments(to) => Role::Interchange,
        _ => Role::Message,
    }
}

/// Problems go to standard error: the output is for programs.
fn report(problems: &[Problem]) -> io::Result<()> {
    let mut screen = Output::errors();
    problems.iter().try_for_each(|one| writeln!(screen, "waybill: {}", one))
}
