//! A file as the documents in it, whatever its format.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::{
    Format, FrameError, Limits, Reading, Severity, csv, edifact, fixed, idoc, json, x12, xml,
};

use crate::cli::CliError;
use crate::cli::formats::schemas::{Schemas, unreadable};
use crate::cli::formats::seen::Seen;

/// Bytes that are looked at to tell the format.
const START: usize = 1 << 16;

/// What a document is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Role {
    /// A message, transaction set, IDoc or file.
    Message,
    /// The header and trailer of a group of messages.
    Group,
    /// The headers and trailers of an interchange.
    Interchange,
}

impl Role {
    /// The word in JSON.
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Group => "group",
            Self::Interchange => "interchange",
        }
    }
}

/// The documents of a file.
pub(in crate::cli) struct Source {
    pub(in crate::cli) format: Format,
    pub(in crate::cli) seen: Seen,
    pieces: Box<dyn Iterator<Item = Result<(Role, Part), FrameError>>>,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Reads {
    /// The format; told by the first bytes where it is not given.
    pub(in crate::cli) format: Option<Format>,
    pub(in crate::cli) mode: Mode,
}

impl Source {
    /// Opens a file; `-` is standard input.
    pub(in crate::cli) fn open(
        path: &Path,
        reads: Reads,
        schemas: &Schemas,
    ) -> Result<Self, CliError> {
        let seen = Seen::default();
        let input: Box<dyn Read> = match path == Path::new("-") {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path).map_err(|error| unreadable(path, &error))?),
        };
        let mut input = BufReader::with_capacity(START, seen.tap(input));
        let start = input.fill_buf().map_err(|error| unreadable(path, &error))?;
        let told = reads.format.or_else(|| Format::detect(start)).map(|format| match format {
            Format::Json if has_lines(start) => Format::JsonLines,
            format => format,
        });
        let format = told
            .ok_or_else(|| CliError::Refused(format!("{}: {}", path.display(), unknown(start))))?;
        let pieces = pieces(input, (format, reads.mode), schemas)
            .map_err(|error| CliError::Refused(format!("{}: {error}", path.display())))?;
        Ok(Self { format, seen, pieces })
    }
}

impl Iterator for Source {
    type Item = Result<(Role, Part), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pieces.next()
    }
}

/// Why a file with these first bytes is not read, and what can be done.
fn unknown(start: &[u8]) -> String {
    if let Some(name) = Format::unsupported(start) {
        return format!(
            "{name}, which is recognised and not supported; let a translator make EDIFACT or XML of it"
        );
    }
    if start.is_empty() {
        return "it is empty".to_owned();
    }
    let names = Format::ALL.map(Format::name).join(", ");
    let first = String::from_utf8_lossy(start.get(..24).unwrap_or(start)).into_owned();
    format!(
        "of no format that is known; it begins with {first:?}. Name it with --format, which is one of {names}. Told by their \
         first bytes are edifact (UNA, UNB, UNG, UNH), x12 (ISA, GS, ST), idoc (EDI_DC, EDI_DS40), vda (511, \
         711), xml and idoc-xml (<), json and jsonl ({{, [); csv always has to be named"
    )
}

/// Whether the first line is a JSON text of its own, and another follows. A text of which no line
/// ends in so many bytes is for programs, which write a line each.
fn has_lines(start: &[u8]) -> bool {
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        return start.len() >= START;
    };
    let (first, rest) = start.split_at(end);
    !rest.trim_ascii().is_empty() && json::read(first, &Limits::default()).is_ok()
}

type Pieces = Box<dyn Iterator<Item = Result<(Role, Part), FrameError>>>;

fn pieces<R: BufRead + 'static>(
    input: R,
    (format, mode): (Format, Mode),
    schemas: &Schemas,
) -> Result<Pieces, FrameError> {
    let limits = Limits::default();
    let values = Some(Severity::Warning);
    Ok(match format {
        Format::Edifact => {
            let options = edifact::ReadOptions { mode, ..Default::default() };
            parts(edifact::Reader::new(input, options))
        }
        Format::X12 => parts(x12::Reader::new(input, x12::ReadOptions { mode, limits })),
        Format::Idoc => {
            let options = idoc::ReadOptions { values, ..Default::default() };
            let types = schemas.idoc.clone();
            whole(idoc::Reader::with_options(input, types, limits, options))
        }
        Format::IdocXml => {
            let options = idoc::ReadOptions { values, ..Default::default() };
            let types = schemas.idoc.clone();
            whole(idoc::xml::Reader::with_options(input, types, limits, options))
        }
        Format::Vda => {
            let options = fixed::ReadOptions { values, ..Default::default() };
            let types = schemas.fixed.clone();
            whole(fixed::Reader::with_options(input, types, limits, options))
        }
        Format::Csv => whole(csv::Reader::new(input, csv::ReadOptions::default(), limits)),
        Format::JsonLines => whole(json::Lines::new(input, limits)),
        Format::Json => whole(std::iter::once(json::read(&all(input, &limits)?, &limits))),
        _ => whole(std::iter::once(xml::read(&all(input, &limits)?, &limits))),
    })
}

fn parts(parts: impl Iterator<Item = Result<Part, FrameError>> + 'static) -> Pieces {
    Box::new(parts.map(|part| {
        part.map(|part| {
            let role = match part {
                Part::Message(_) => Role::Message,
                Part::Group(_) => Role::Group,
                Part::Interchange(_) => Role::Interchange,
            };
            (role, part)
        })
    }))
}

fn whole(readings: impl Iterator<Item = Result<Reading, FrameError>> + 'static) -> Pieces {
    Box::new(readings.map(|reading| Ok((Role::Message, Part::Message(reading?)))))
}

/// A file that is one document; it is held in memory.
fn all(input: impl Read, limits: &Limits) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    let most = limits.document as u64 + 1;
    let fault = |code, message: String| FrameError { code, message, place: Default::default() };
    let read = input.take(most).read_to_end(&mut bytes);
    read.map_err(|error| fault("io", format!("cannot be read: {}", error.kind())))?;
    if bytes.len() as u64 == most {
        return Err(fault("too-large", format!("more than {} bytes", limits.document)));
    }
    Ok(bytes)
}

/// What was read.
pub(in crate::cli) fn reading_of(part: Part) -> Reading {
    match part {
        Part::Message(reading) | Part::Group(reading) | Part::Interchange(reading) => reading,
    }
}
