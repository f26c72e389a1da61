//! `waybill show`: a file as people read it, IDoc by IDoc, with what is wrong in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use waybill_parsers::idoc::{self, ReadOptions, Types};
use waybill_parsers::{
    Element, ElementId, Format, FrameError, Limits, Node, Place, Problem, Reading, Schema,
    Severity, json,
};

use crate::cli::args::Show;
use crate::cli::{CliError, Said};
use crate::config::load;

/// A problem as JSON shows it.
#[derive(Serialize)]
struct Fault<'a> {
    severity: &'a str,
    code: &'a str,
    offset: u64,
    line: u64,
    column: u32,
    segment: u32,
    path: &'a str,
    message: &'a str,
}

/// What was shown so far.
#[derive(Debug, Default)]
struct Count {
    idocs: u64,
    errors: u64,
    warnings: u64,
}

/// Shows one IDoc after the other; memory holds one.
pub(super) fn show(config: &Path, options: &Show, out: &mut dyn Write) -> Result<Said, CliError> {
    let types = Arc::new(types(config, &options.schemas)?);
    let mut input = open(&options.file)?;
    let start = input.fill_buf().map_err(|error| unreadable(&options.file, &error))?;
    match Format::detect(start) {
        Some(Format::Idoc) => {}
        Some(other) => {
            let reason = format!("{}: {other} is not shown yet", options.file.display());
            return Err(CliError::Refused(reason));
        }
        None => {
            let reason = format!("{}: this is no IDoc file", options.file.display());
            return Err(CliError::Refused(reason));
        }
    }
    let read = ReadOptions { values: Some(Severity::Warning), ..ReadOptions::default() };
    let reader = idoc::Reader::with_options(input, types.clone(), Limits::default(), read);
    let mut count = Count::default();
    let colours = Colours::of(!options.json && io::stdout().is_terminal());
    for reading in reader {
        match (reading, options.json) {
            (Ok(reading), true) => as_json(&reading, &mut count, out)?,
            (Ok(reading), false) => {
                let schema = schema_of(&types, reading.document.root());
                Tree { schema: schema.map(|schema| &**schema), colours }
                    .idoc(&reading, &mut count, out)?;
            }
            (Err(error), is_json) => broken(&error, is_json, colours, &mut count, out)?,
        }
    }
    if !options.json {
        let Count { idocs, errors, warnings } = count;
        writeln!(out, "{idocs} IDocs, {errors} errors, {warnings} warnings")?;
    }
    Ok(if count.errors > 0 { Said::No } else { Said::Yes })
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::Refused(format!("{}: {error}", path.display()))
}

/// The definitions of the folders given, and those that the configuration would read with, where
/// there is one. A configuration with mistakes is no reason to show nothing.
fn types(config: &Path, folders: &[PathBuf]) -> Result<Types, CliError> {
    let mut types = Types::new();
    let mut beside = Vec::new();
    if config.is_file()
        && let (Some(written), _) = load::load(config)
    {
        beside.extend(written.schemas);
        for (_, folder) in written.mappings {
            beside.extend(folder.parent().map(|parent| parent.join("schemas/idoc")));
            beside.push(folder.join("schemas/idoc"));
        }
    }
    beside.sort();
    beside.dedup();
    for folder in beside.iter().filter(|folder| folder.is_dir()) {
        add(&mut types, folder, false)?;
    }
    // Last, so that they win.
    for folder in folders {
        add(&mut types, folder, true)?;
    }
    Ok(types)
}

/// Adds the definitions of a folder. A broken one is an error where the folder was `asked` for.
fn add(types: &mut Types, folder: &Path, asked: bool) -> Result<(), CliError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "idoc"));
    paths.sort();
    for path in paths {
        let text = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        match idoc::read_schema(&text) {
            Ok(schema) => types.add(Arc::new(schema)),
            Err(problems) if asked => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                return Err(CliError::Refused(format!("{}: {first}", path.display())));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn schema_of<'t>(types: &'t Types, root: Node<'_>) -> Option<&'t Arc<Schema>> {
    let control = root.child("EDI_DC40")?;
    let text = |name| control.child(name).map_or("", Node::text);
    types.find(text("IDOCTYP"), text("CIMTYP"))
}

fn broken(
    error: &FrameError,
    is_json: bool,
    colours: Colours,
    count: &mut Count,
    out: &mut dyn Write,
) -> io::Result<()> {
    let FrameError { code, message, place } = error;
    let (message, place) = (message.clone(), place.clone());
    let problem = Problem { severity: Severity::Error, code, message, place };
    count.errors += 1;
    if !is_json {
        return colours.problem(&problem, out);
    }
    out.write_all(b"{\"document\":null,\"problems\":")?;
    serde_json::to_writer(&mut *out, &[fault(&problem)])?;
    out.write_all(b"}\n")
}

fn as_json(reading: &Reading, count: &mut Count, out: &mut dyn Write) -> io::Result<()> {
    count.add(reading);
    let (number, start, end) = (count.idocs, reading.span.start, reading.span.end);
    let mut document = Vec::new();
    json::write(reading.document.root(), &mut document);
    write!(out, "{{\"number\":{number},\"start\":{start},\"end\":{end},\"document\":")?;
    out.write_all(&document)?;
    out.write_all(b",\"problems\":")?;
    let faults: Vec<_> = reading.problems.iter().map(fault).collect();
    serde_json::to_writer(&mut *out, &faults)?;
    out.write_all(b"}\n")
}

fn fault(problem: &Problem) -> Fault<'_> {
    let Place { offset, line, column, segment, path } = &problem.place;
    Fault {
        severity: problem.severity.as_str(),
        code: problem.code,
        offset: *offset,
        line: *line,
        column: *column,
        segment: *segment,
        path,
        message: &problem.message,
    }
}

impl Count {
    fn add(&mut self, reading: &Reading) {
        self.idocs += 1;
        let errors = reading.problems.iter().filter(|one| one.severity == Severity::Error).count();
        self.errors += errors as u64;
        self.warnings += (reading.problems.len() - errors) as u64;
    }
}

/// Escape sequences of a terminal; empty ones where there is none.
#[derive(Clone, Copy)]
struct Colours {
    name: &'static str,
    text: &'static str,
    error: &'static str,
    warning: &'static str,
    end: &'static str,
}

impl Colours {
    fn of(coloured: bool) -> Self {
        // https://no-color.org
        if !coloured || std::env::var_os("NO_COLOR").is_some() {
            return Self { name: "", text: "", error: "", warning: "", end: "" };
        }
        Self {
            name: "\x1b[1m",
            text: "\x1b[2m",
            error: "\x1b[31m",
            warning: "\x1b[33m",
            end: "\x1b[0m",
        }
    }

    fn problem(self, problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
        let colour = match problem.severity {
            Severity::Error => self.error,
            Severity::Warning => self.warning,
        };
        writeln!(out, "{colour}! {}{}", plain(&problem.to_string()), self.end)
    }
}

/// One IDoc as a tree: a segment or field each line, with what it means.
struct Tree<'a> {
    schema: Option<&'a Schema>,
    colours: Colours,
}

impl Tree<'_> {
    fn idoc(&self, reading: &Reading, count: &mut Count, out: &mut dyn Write) -> io::Result<()> {
        count.add(reading);
        let root = reading.document.root();
        let Colours { name, end, .. } = self.colours;
        let (number, start) = (count.idocs, reading.span.start);
        let about = about(root);
        writeln!(out, "{name}IDoc {number}{end} {about}(byte {start})")?;
        let at = self.schema.map(Schema::root);
        for segment in root.children() {
            self.segment(segment, at, 0, out)?;
        }
        for problem in &reading.problems {
            self.colours.problem(problem, out)?;
        }
        writeln!(out)
    }

    fn segment(
        &self,
        node: Node<'_>,
        parent: Option<ElementId>,
        depth: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Colours { name, text, end, .. } = self.colours;
        let at = self.declared(parent, node.name());
        let meaning = match node.name() {
            "EDI_DC40" => "Control record",
            "EDI_DS40" => "Status record",
            _ => self.meaning(at),
        };
        let blanks = 2 * depth;
        writeln!(out, "{:blanks$}{name}{}{end}  {text}{meaning}{end}", "", plain(node.name()))?;
        for child in node.children() {
            if !child.is_scalar() {
                self.segment(child, at, depth + 1, out)?;
                continue;
            }
            let meaning = match self.declared(at, child.name()) {
                None => control_text(child.name()),
                field => self.meaning(field),
            };
            let (field, value) = (plain(child.name()), plain(child.text()));
            let line = format!("{:blanks$}  {field:<10} {value:<24}  {text}{meaning}{end}", "");
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn declared(&self, parent: Option<ElementId>, name: &str) -> Option<ElementId> {
        self.schema?.child(parent?, name)
    }

    fn meaning(&self, at: Option<ElementId>) -> &str {
        let element: Option<&Element> = at.and_then(|at| Some(self.schema?.element(at)));
        element.map_or("", |element| &element.text)
    }
}

/// Type, message type, number, sender and receiver of an IDoc.
fn about(root: Node<'_>) -> String {
    let Some(control) = root.child("EDI_DC40") else { return String::new() };
    let text = |name| control.child(name).map_or("", Node::text);
    let words = [text("IDOCTYP"), text("CIMTYP"), text("MESTYP"), text("DOCNUM")];
    let mut about = String::new();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        about += &format!("{word} ");
    }
    plain(&format!("{about}from {} to {} ", text("SNDPRN"), text("RCVPRN")))
}

/// A file is not to command the terminal that shows it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What the fields of the control record mean, as far as people ask.
fn control_text(name: &str) -> &'static str {
    match name {
        "MANDT" => "Client",
        "DOCNUM" => "IDoc number",
        "DOCREL" => "SAP release",
        "STATUS" => "Status",
        "DIRECT" => "Direction: 1 from SAP, 2 to SAP",
        "TEST" => "Test flag",
        "IDOCTYP" => "IDoc type",
        "CIMTYP" => "Extension",
        "MESTYP" => "Message type",
        "MESCOD" => "Message variant",
        "MESFCT" => "Message function",
        "SNDPOR" => "Sender's port",
        "SNDPRT" => "Sender's partner type",
        "SNDPRN" => "Sender",
        "RCVPOR" => "Receiver's port",
        "RCVPRT" => "Receiver's partner type",
        "RCVPRN" => "Receiver",
        "CREDAT" => "Made on",
        "CRETIM" => "Made at",
        "REFINT" => "Reference of the interchange",
        "REFGRP" => "Reference of the message group",
        "REFMES" => "Reference of the message",
        "ARCKEY" => "Key of the archive",
        "SERIAL" => "Serialization",
        _ => "",
    }
}
