//! `waybill show`: a file of any format as people read it, document by document, with what is wrong
//! in it.

use std::io;
use std::path::Path;

use serde_json::json;
use waybill_parsers::definition::{Level, nest};
use waybill_parsers::segment::Part;
use waybill_parsers::{Format, FrameError, Node, Problem, Reading, Schema, Severity};

use crate::cli::args::Show;
use crate::cli::definitions::{Chosen, Library};
use crate::cli::formats::json::{About, Fault, Names, has_segments, shown};
use crate::cli::formats::schemas::Schemas;
use crate::cli::formats::source::{Reads, Role, Source, reading_of};
use crate::cli::formats::tree::{Meanings, Tree, show_problem};
use crate::cli::formats::{Count, has_repetition, judge};
use crate::cli::output::{Output, Style};
use crate::cli::{CliError, Said, output};

/// Shows one document after the other; memory holds one.
pub(super) fn show(config: &Path, options: &Show, out: &mut Output<'_>) -> Result<Said, CliError> {
    let level = Level::of(options.definitions.level).unwrap_or_default();
    let mut view = View {
        schemas: Schemas::load(config, &options.schemas)?,
        library: Library::of(&options.definitions)?,
        level,
        is_json: options.json,
        count: Count::default(),
    };
    let mode = options.mode.mode();
    let reads = Reads { format: options.format, mode };
    let mut source = Source::open(&options.file, reads, &view.schemas)?;
    while let Some(piece) = source.next() {
        match piece {
            Ok((role, part)) => view.piece(role, part, &source, out)?,
            Err(error) => view.broken(&error, &source, out)?,
        }
    }
    let Count { documents, errors, warnings } = view.count;
    if !options.json {
        let noun = noun(source.format);
        writeln!(out, "{documents} {noun}s, {errors} errors, {warnings} warnings")?;
    }
    Ok(if errors > 0 { Said::No } else { Said::Yes })
}

struct View {
    schemas: Schemas,
    library: Library,
    level: Level,
    is_json: bool,
    count: Count,
}

impl View {
    fn piece(
        &mut self,
        role: Role,
        part: Part,
        source: &Source,
        out: &mut Output<'_>,
    ) -> Result<(), CliError> {
        let mut reading = reading_of(part);
        let mut chosen = None;
        if role == Role::Message {
            self.count.documents += 1;
            chosen = judge(&mut reading, self.level, &mut self.library)?;
        }
        self.count.add(&reading);
        if let Some(chosen) = &chosen
            && let Some(message) = chosen.definition.messages.get(&chosen.found.message)
        {
            reading.document = nest(&reading.document, message, chosen.found.standard);
        }
        let schema = self.schema(source.format, &reading);
        if self.is_json {
            let about = About {
                format: source.format,
                role,
                number: self.count.documents,
                definition: chosen.as_ref().map(|chosen| &*chosen.definition),
                schema: schema.as_deref(),
            };
            let mut shown = shown(&reading, &about);
            let faults = reading.problems.iter().map(|one| Fault::new(one, &source.seen));
            shown.problems = Some(faults.collect());
            return Ok(output::json_line(out, &shown)?);
        }
        // Envelopes say nothing that the messages did not, but for their problems.
        if role != Role::Message && reading.problems.is_empty() {
            return Ok(());
        }
        self.title(role, &reading, source.format, out)?;
        if role == Role::Message {
            let meanings = meanings(&reading, source.format, (&chosen, schema.as_deref()));
            Tree { meanings }.document(reading.document.root(), out)?;
        }
        for problem in &reading.problems {
            show_problem(problem, &source.seen, out)?;
        }
        Ok(writeln!(out)?)
    }

    /// The definition of an IDoc type or of a file of fixed-length records.
    fn schema(&self, format: Format, reading: &Reading) -> Option<std::sync::Arc<Schema>> {
        match format {
            Format::Idoc | Format::IdocXml => self.schemas.of_idoc(&reading.document).cloned(),
            Format::Vda => self.schemas.fixed.find(reading.document.root().name()).cloned(),
            _ => None,
        }
    }

    fn title(
        &self,
        role: Role,
        reading: &Reading,
        format: Format,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let (noun, number) = match role {
            Role::Message => (capital(noun(format)), format!(" {}", self.count.documents)),
            Role::Group => ("Group".to_owned(), String::new()),
            Role::Interchange => ("Interchange".to_owned(), String::new()),
        };
        let title = noun + &number;
        let about = format!(" {}(byte {})", about(reading, format), reading.span.start);
        out.styled(&[(Style::Name, &title), (Style::Plain, &about)])
    }

    /// The end of a file that cannot be read on.
    fn broken(
        &mut self,
        error: &FrameError,
        source: &Source,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let FrameError { code, message, place } = error;
        let (message, place) = (message.clone(), place.clone());
        let fault = Problem { severity: Severity::Error, code, message, place };
        self.count.errors += 1;
        if !self.is_json {
            return show_problem(&fault, &source.seen, out);
        }
        let fault = Fault::new(&fault, &source.seen);
        let format = source.format.name();
        output::json_line(out, &json!({ "format": format, "part": null, "problems": [fault] }))
    }
}

fn meanings<'a>(
    reading: &Reading,
    format: Format,
    (chosen, schema): (&'a Option<Chosen>, Option<&'a Schema>),
) -> Meanings<'a> {
    match format {
        Format::Edifact | Format::X12 => Meanings::Positions {
            definition: chosen.as_ref().map(|chosen| &*chosen.definition),
            has_repetition: has_repetition(&reading.document),
        },
        format if has_segments(format) => Meanings::Names(schema),
        _ => Meanings::None,
    }
}

fn noun(format: Format) -> &'static str {
    match format {
        Format::Idoc | Format::IdocXml => "IDoc",
        Format::Edifact => "message",
        Format::X12 => "set",
        Format::Csv => "row",
        _ => "document",
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// Type, version, number, sender and receiver of a document, as far as it has them.
fn about(reading: &Reading, format: Format) -> String {
    if !has_segments(format) {
        return String::new();
    }
    let root = reading.document.root();
    if let Some(control) = root.child("EDI_DC40") {
        return about_idoc(control);
    }
    let names = Names::of(&reading.document);
    let mut about = String::new();
    let is_envelope = matches!(names.kind.as_str(), "interchange" | "group");
    let kind = if is_envelope { "" } else { names.kind.as_str() };
    let references = ["interchange", "group", "message"].map(|name| names.reference(name));
    let last = references.iter().rev().find(|reference| !reference.is_empty());
    for word in [kind, &names.version, last.copied().unwrap_or("")] {
        if !word.is_empty() {
            about += &format!("{word} ");
        }
    }
    let parties = (names.reference("sender"), names.reference("receiver"));
    if !parties.0.is_empty() {
        about += &format!("from {} to {} ", parties.0, parties.1);
    }
    about
}

fn about_idoc(control: Node<'_>) -> String {
    let text = |name| control.child(name).map_or("", Node::text);
    let words = [text("IDOCTYP"), text("CIMTYP"), text("MESTYP"), text("DOCNUM")];
    let mut about = String::new();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        about += &format!("{word} ");
    }
    format!("{about}from {} to {} ", text("SNDPRN"), text("RCVPRN"))
}
