//! `waybill ack`: the acknowledgements that the interchanges of a file ask for.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use waybill_parsers::definition::Level;
use waybill_parsers::edifact::{self, Contrl, ContrlOptions, ContrlVersion};
use waybill_parsers::segment::Part;
use waybill_parsers::x12::{self, AckOptions, AckSet, Acks};
use waybill_parsers::{Document, Format, Problem, Reading};

use crate::cli::args::{Ack, AckKind};
use crate::cli::definitions::Library;
use crate::cli::formats::json::{About, Names, shown};
use crate::cli::formats::judge;
use crate::cli::formats::schemas::{Schemas, unreadable};
use crate::cli::formats::source::{Reads, Role, Source};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, output};

/// References that are remembered; with more of them the oldest file is not asked about.
const MOST_SEEN: usize = 10_000_000;

/// Prints an answer for each interchange or group that has one.
pub(super) fn ack(
    config: &Path,
    options: &Ack,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let schemas = Schemas::load(config, &[])?;
    let mode = options.mode.mode();
    let mut source = Source::open(&options.file, Reads { format: options.format, mode }, &schemas)?;
    if !matches!(source.format, Format::Edifact | Format::X12) {
        let (path, format) = (options.file.display(), source.format);
        return Err(CliError::Refused(format!("{path}: {format} has no acknowledgements")));
    }
    let now = clock().to_zoned(jiff::tz::TimeZone::UTC);
    let mut answers = Answers {
        options,
        library: Library::of(&options.definitions)?,
        level: Level::of(options.definitions.level).unwrap_or_default(),
        seen: seen(options)?,
        here: HashSet::new(),
        date: now.strftime("%Y%m%d").to_string(),
        time: now.strftime("%H%M").to_string(),
        number: options.control_number,
        contrl: Contrl::new(),
        acks: Acks::new(),
        is_again: None,
        refused: 0,
        printed: 0,
    };
    while let Some(piece) = source.next() {
        let (role, part) = piece.map_err(|error| CliError::Refused(error.to_string()))?;
        answers.part(role, part, source.format, out)?;
    }
    if answers.printed == 0 && !options.json {
        writeln!(Output::errors(), "waybill: nothing to acknowledge")?;
    }
    Ok(if answers.refused > 0 { Said::No } else { Said::Yes })
}

/// The control references that were received before.
fn seen(options: &Ack) -> Result<HashSet<String>, CliError> {
    let owned = |reference: &str| number(reference).to_owned();
    let mut seen: HashSet<String> = options.seen.iter().map(|seen| owned(seen)).collect();
    for path in &options.seen_in {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        seen.extend(lines.map(owned));
    }
    if seen.len() > MOST_SEEN {
        return Err(CliError::Usage(format!("more than {MOST_SEEN} references seen before")));
    }
    Ok(seen)
}

/// A reference without zeros in front: ISA13 is filled with them.
fn number(reference: &str) -> &str {
    reference.trim().trim_start_matches('0')
}

struct Answers<'o> {
    options: &'o Ack,
    library: Library,
    level: Level,
    /// References of earlier files, and sender, receiver and reference of this one.
    seen: HashSet<String>,
    here: HashSet<[String; 3]>,
    date: String,
    time: String,
    /// The control number of the next answer.
    number: u64,
    contrl: Contrl,
    acks: Acks,
    /// Whether the interchange that is open was received before.
    is_again: Option<bool>,
    refused: u64,
    printed: u64,
}

impl Answers<'_> {
    fn part(
        &mut self,
        role: Role,
        mut part: Part,
        format: Format,
        out: &mut Output<'_>,
    ) -> Result<(), CliError> {
        if let Part::Message(reading) = &mut part {
            judge(reading, self.level, &mut self.library)?;
        }
        let names = Names::of(&part.reading().document);
        if role != Role::Group && self.is_again.is_none() {
            self.is_again = Some(self.is_duplicate(&names));
        }
        let is_duplicate = self.is_again.unwrap_or(false);
        self.refused += u64::from(part.reading().is_refused());
        let number = self.number.to_string();
        let answer = match format {
            Format::X12 => self.x12(&part, &number, is_duplicate),
            _ => self.edifact(&part, &number, is_duplicate),
        };
        if role == Role::Interchange {
            self.is_again = None;
            self.refused += u64::from(is_duplicate);
        }
        let Some(answer) = answer else {
            let lacks = |name| names.reference(name).is_empty();
            let has_nobody = !lacks("interchange") && (lacks("sender") || lacks("receiver"));
            if role == Role::Interchange && has_nobody {
                let place = part.reading().span.start;
                let message = "an interchange without sender or recipient cannot be answered";
                writeln!(Output::errors(), "waybill: byte {place}: {message}")?;
            }
            return Ok(());
        };
        self.print(&answer, format, &names, out)
    }

    fn edifact(&mut self, part: &Part, reference: &str, is_duplicate: bool) -> Option<Document> {
        let is_asked = match part {
            Part::Interchange(reading) => {
                !self.options.requested || edifact::is_requested(&reading.document)
            }
            _ => true,
        };
        let version = match self.options.kind {
            Some(AckKind::Contrl4) => ContrlVersion::V4,
            _ => ContrlVersion::V3,
        };
        let options = ContrlOptions {
            version,
            reference,
            date: &self.date,
            time: &self.time,
            is_duplicate,
            receipt_only: self.options.receipt_only,
        };
        self.contrl.part(part, &options).filter(|_| is_asked)
    }

    fn x12(&mut self, part: &Part, control_number: &str, is_duplicate: bool) -> Option<Document> {
        let set = match self.options.kind {
            Some(AckKind::Implementation) => AckSet::Implementation,
            _ => AckSet::Functional,
        };
        let (date, time) = (self.date.as_str(), self.time.as_str());
        let options = AckOptions { set, control_number, date, time, is_duplicate };
        let answer = self.acks.part(part, &options)?;
        // The groups of an interchange that was received before are not answered again.
        (!is_duplicate || matches!(part, Part::Interchange(_))).then_some(answer)
    }

    fn is_duplicate(&mut self, names: &Names) -> bool {
        let part = |name| names.reference(name).to_owned();
        let reference = part("interchange");
        if reference.is_empty() {
            return false;
        }
        let is_seen = self.seen.contains(number(&reference));
        let is_first = self.here.insert([part("sender"), part("receiver"), reference]);
        is_seen || !is_first
    }

    fn print(
        &mut self,
        answer: &Document,
        format: Format,
        answered: &Names,
        out: &mut Output<'_>,
    ) -> Result<(), CliError> {
        let mut bytes = Vec::new();
        let problems = write(answer, format, self.options.newline, &mut bytes);
        if !problems.is_empty() {
            for problem in problems {
                writeln!(Output::errors(), "waybill: the answer cannot be written: {problem}")?;
            }
            // The other interchanges of the file have their answers.
            self.refused += 1;
            return Ok(());
        }
        self.number += 1;
        self.printed += 1;
        if !self.options.json {
            out.write_document(&bytes)?;
            if !bytes.ends_with(b"\n") {
                out.write_document(b"\n")?;
            }
            return Ok(());
        }
        let span = 0..bytes.len() as u64;
        let reading = Reading { document: answer.clone(), problems: Vec::new(), span };
        let about = About {
            format,
            role: Role::Message,
            number: self.printed,
            definition: None,
            schema: None,
        };
        let mut shown = shown(&reading, &about);
        shown.answers = Some(answered.references.clone());
        shown.text = Some(String::from_utf8_lossy(&bytes).into_owned());
        Ok(output::json_line(out, &shown)?)
    }
}

fn write(answer: &Document, format: Format, newline: bool, out: &mut Vec<u8>) -> Vec<Problem> {
    if format == Format::Edifact {
        let options = edifact::WriteOptions { newline, ..Default::default() };
        return edifact::write(answer, &options, out);
    }
    let options = x12::WriteOptions { newline, ..Default::default() };
    if answer.root().child("TA1").is_none() {
        return x12::write(answer, &options, out);
    }
    let mut writer = x12::Writer::new(options, out);
    let mut problems = writer.services(answer);
    problems.extend(writer.finish());
    problems
}
