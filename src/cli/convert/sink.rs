//! Documents on their way into a file of some format.

use std::collections::HashSet;
use std::io;

use waybill_parsers::{
    Document, Encoding, Format, Kind, Node, Place, Problem, Reading, Severity, csv, edifact, fixed,
    idoc, json, x12, xml,
};

use crate::cli::args::Convert;
use crate::cli::convert::copy::Copy;
use crate::cli::formats::json::{About, has_segments, shown};
use crate::cli::formats::schemas::Schemas;
use crate::cli::formats::source::{Role, Source};
use crate::cli::output::Output;
use crate::visible;

/// Rows that are looked at to find the columns of a CSV file.
const ROWS: usize = 1_000;

/// What is written, and what waits to be.
pub(super) struct Sink {
    to: Format,
    from: Format,
    newline: bool,
    anyway: bool,
    spreadsheet: bool,
    /// The bytes of flat IDocs that stay as they are.
    copy: Option<Copy>,
    schemas: Schemas,
    number: u64,
    /// Documents that were not written.
    left_out: u64,
    /// Those of them that are of the interchange that is open.
    lost: u64,
    /// Whether the envelope of the interchange that is open has errors.
    is_damaged: bool,
    /// The last document of the interchange before.
    ended: u64,
    /// Messages of the interchange that is open, rows before the columns are known.
    waiting: Vec<Document>,
    /// The header of the interchange that is open.
    header: Vec<u8>,
    /// The columns of a CSV file, once they are known.
    columns: Option<Vec<String>>,
    /// What ends an XML file, once it has begun.
    tail: Vec<u8>,
}

impl Sink {
    pub(super) fn new(options: &Convert, source: &Source, schemas: Schemas) -> Self {
        Self {
            to: options.to,
            from: source.format,
            copy: Copy::of(options, source),
            newline: options.newline,
            anyway: options.anyway,
            spreadsheet: options.spreadsheet,
            schemas,
            number: 0,
            left_out: 0,
            lost: 0,
            is_damaged: false,
            ended: 0,
            waiting: Vec::new(),
            header: Vec::new(),
            columns: None,
            tail: Vec::new(),
        }
    }

    /// Passes over a document that is not written.
    pub(super) fn leave_out(&mut self, reading: &Reading) {
        self.lose();
        if let Some(copy) = &mut self.copy {
            copy.leave_out(reading);
        }
    }

    /// Counts a document that could not be written.
    pub(super) fn lose(&mut self) {
        self.left_out += 1;
        self.lost += 1;
    }

    /// Notes that the envelope of the interchange that is open has errors.
    pub(super) fn damage(&mut self) {
        self.is_damaged = true;
    }

    /// How many documents were not written.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Writes a document; returns why it cannot be written.
    pub(super) fn write(
        &mut self,
        reading: &Reading,
        out: &mut Output<'_>,
    ) -> io::Result<Vec<Problem>> {
        self.number += 1;
        if let Some(copy) = &mut self.copy {
            copy.write(reading, out)?;
            return Ok(Vec::new());
        }
        match self.to {
            Format::Json | Format::JsonLines => {
                self.json(reading, Role::Message, out)?;
                Ok(Vec::new())
            }
            Format::Edifact | Format::X12 => self.message(&reading.document, out),
            Format::Idoc => self.idoc(&reading.document, out),
            Format::IdocXml => self.idoc_xml(&reading.document, out),
            Format::Vda => self.fixed(&reading.document, out),
            Format::Csv => self.row(&reading.document, out),
            _ => self.xml(&reading.document, out),
        }
    }

    /// Ends the interchange that is open, with what it holds beside messages.
    pub(super) fn end(
        &mut self,
        interchange: &Reading,
        out: &mut Output<'_>,
    ) -> io::Result<Vec<Problem>> {
        match self.to {
            Format::Json | Format::JsonLines => {
                if self.number > self.ended || has_services(&interchange.document) {
                    self.json(interchange, Role::Interchange, out)?;
                }
                self.ended = self.number;
                Ok(Vec::new())
            }
            Format::Edifact | Format::X12 => {
                let document = &interchange.document;
                let problems = self.interchange(Some(document), out)?;
                self.header.clear();
                Ok(problems)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Writes what waits, and what ends the file.
    pub(super) fn finish(&mut self, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let problems = match self.to {
            Format::Edifact | Format::X12 => self.interchange(None, out)?,
            Format::Csv => self.rows(out)?,
            _ => Vec::new(),
        };
        if let Some(copy) = &self.copy {
            copy.finish(out)?;
        }
        out.write_document(&self.tail)?;
        Ok(problems)
    }

    fn json(&self, reading: &Reading, role: Role, out: &mut Output<'_>) -> io::Result<()> {
        let mut line = Vec::new();
        if has_segments(self.from) {
            let (format, number) = (self.from, self.number);
            let about = About { format, role, number, definition: None, schema: None };
            serde_json::to_writer(&mut line, &shown(reading, &about))?;
        } else {
            json::write(reading.document.root(), &mut line);
        }
        line.push(b'\n');
        out.write_document(visible::json(&String::from_utf8_lossy(&line)).as_bytes())
    }

    /// Messages are written when their interchange is whole, because its trailer counts them.
    fn message(&mut self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let tag = if self.to == Format::X12 { "ISA" } else { "UNB" };
        let envelope = document.root().child("envelope");
        let mut header = Vec::new();
        if let Some(node) = envelope.and_then(|envelope| envelope.child(tag)) {
            json::write(node, &mut header);
        }
        let mut problems = Vec::new();
        if header != self.header {
            // What was lost before the first message that is kept belongs to the same interchange.
            if !self.waiting.is_empty() {
                problems = self.interchange(None, out)?;
            }
            self.header = header;
        }
        self.waiting.push(document.clone());
        Ok(problems)
    }

    /// Writes the messages that wait, and in front of them the services of X12, as TA1.
    fn interchange(
        &mut self,
        whole: Option<&Document>,
        out: &mut Output<'_>,
    ) -> io::Result<Vec<Problem>> {
        let documents = std::mem::take(&mut self.waiting);
        let (lost, is_damaged) =
            (std::mem::take(&mut self.lost), std::mem::take(&mut self.is_damaged));
        let (mut bytes, mut problems, mut unwritten) = (Vec::new(), Vec::new(), 0);
        let services = whole.filter(|whole| self.to == Format::X12 && has_services(whole));
        if documents.is_empty() && services.is_none() {
            return Ok(problems);
        }
        // Its trailer would count what is left, and nobody would miss the rest.
        if (lost > 0 || is_damaged) && !self.anyway {
            self.left_out += documents.len() as u64;
            let messages = documents.len() as u64 + lost;
            let why = match lost {
                0 => format!("an interchange of {messages} messages has errors"),
                lost => format!("an interchange of {messages} messages has lost {lost}"),
            };
            let remedy = "it is not written; --anyway writes what is left of it";
            return Ok(vec![fault("incomplete", format!("{why}; {remedy}"))]);
        }
        if self.to == Format::X12 {
            let options = x12::WriteOptions { newline: self.newline, ..Default::default() };
            let mut writer = x12::Writer::new(options, &mut bytes);
            problems.extend(services.into_iter().flat_map(|whole| writer.services(whole)));
            for document in &documents {
                let found = writer.set(document);
                unwritten += u64::from(!found.is_empty());
                problems.extend(found);
            }
            problems.extend(writer.finish());
        } else {
            let options = edifact::WriteOptions { newline: self.newline, ..Default::default() };
            let mut writer = edifact::Writer::new(options, &mut bytes);
            for document in &documents {
                let found = writer.message(document);
                unwritten += u64::from(!found.is_empty());
                problems.extend(found);
            }
            problems.extend(writer.finish());
        }
        let count = documents.len() as u64;
        let is_empty = unwritten == count && services.is_none();
        if is_empty || !problems.is_empty() && !self.anyway {
            self.left_out += count;
            return Ok(problems);
        }
        self.left_out += unwritten;
        out.write_document(&bytes)?;
        Ok(problems)
    }

    fn idoc(&self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let Some(schema) = self.schemas.of_idoc(document) else {
            return Ok(no_definition(document));
        };
        let mut bytes = Vec::new();
        let problems = idoc::write(document, schema, idoc::WriteOptions::default(), &mut bytes);
        out.write_document(&bytes)?;
        Ok(problems)
    }

    /// The first IDoc brings the root around all of them; the root's end waits for the last one.
    fn idoc_xml(&mut self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let Some(schema) = self.schemas.of_idoc(document) else {
            return Ok(no_definition(document));
        };
        let mut bytes = Vec::new();
        let options = idoc::xml::WriteOptions::default();
        let problems = idoc::xml::write(&[document], schema, options, &mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let Some((end, start)) = text.rfind("</").zip(text.find("<IDOC")) else {
            return Ok(problems);
        };
        let (head, tail) = text.split_at(end);
        if !self.tail.is_empty() && self.tail != tail.as_bytes() {
            return Ok(vec![fault("several-types", "one IDoc-XML file holds IDocs of one type")]);
        }
        let from = if self.tail.is_empty() { 0 } else { start };
        out.write_document(head.get(from..).unwrap_or_default().as_bytes())?;
        self.tail = tail.as_bytes().to_vec();
        Ok(problems)
    }

    fn fixed(&self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let Some(schema) = self.schemas.fixed.find(document.root().name()) else {
            return Ok(no_definition(document));
        };
        let options = fixed::WriteOptions { encoding: Encoding::UTF_8, ..Default::default() };
        let mut bytes = Vec::new();
        let problems = fixed::write(document, schema, options, &mut bytes);
        out.write_document(&bytes)?;
        Ok(problems)
    }

    fn row(&mut self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        self.waiting.push(document.clone());
        if self.columns.is_none() && self.waiting.len() < ROWS {
            return Ok(Vec::new());
        }
        self.rows(out)
    }

    fn rows(&mut self, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        let documents = std::mem::take(&mut self.waiting);
        let header = self.columns.is_none();
        let columns = self.columns.get_or_insert_with(|| {
            let (mut names, mut seen) = (Vec::new(), HashSet::new());
            for field in documents.iter().flat_map(|document| document.root().children()) {
                if seen.insert(field.name()) {
                    names.push(field.name().to_owned());
                }
            }
            names
        });
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let documents: Vec<&Document> = documents.iter().collect();
        let spreadsheet = self.spreadsheet;
        let options = csv::WriteOptions { header, spreadsheet, ..Default::default() };
        let mut bytes = Vec::new();
        let problems = csv::write(&documents, &columns, options, &mut bytes);
        out.write_document(&bytes)?;
        Ok(problems)
    }

    fn xml(&self, document: &Document, out: &mut Output<'_>) -> io::Result<Vec<Problem>> {
        if self.number > 1 {
            return Ok(vec![fault("several-documents", "an XML file holds one document")]);
        }
        let mut bytes = Vec::new();
        let problems = xml::write(document.root(), xml::WriteOptions::default(), &mut bytes);
        out.write_document(&bytes)?;
        out.write_document(b"\n")?;
        Ok(problems)
    }
}

/// Whether an interchange of X12 holds more than its header, its trailer and groups.
fn has_services(interchange: &Document) -> bool {
    let is_framing = |node: Node<'_>| matches!(node.name(), "ISA" | "ISX" | "IEA");
    let segments = interchange.root().children().filter(|node| node.kind() == Kind::Segment);
    interchange.root().child("ISA").is_some() && segments.into_iter().any(|node| !is_framing(node))
}

fn fault(code: &'static str, message: impl Into<String>) -> Problem {
    let (severity, message) = (Severity::Error, message.into());
    Problem { severity, code, message, place: Place::default() }
}

fn no_definition(document: &Document) -> Vec<Problem> {
    let root = document.root();
    let text = |name| {
        let control = root.child("EDI_DC40");
        control.and_then(|control| control.child(name)).map_or("", Node::text)
    };
    let kind = if text("IDOCTYP").is_empty() { root.name() } else { text("IDOCTYP") };
    vec![fault("no-definition", format!("no definition of {kind}; name a folder with --schemas"))]
}
