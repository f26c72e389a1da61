//! IDoc-XML to documents, one IDoc at a time.

use std::io::BufRead;
use std::sync::Arc;

use crate::document::Room;
use crate::encoding::Spot;
use crate::idoc::assemble::Assembly;
use crate::idoc::read::{ReadOptions, Reader as FlatReader};
use crate::idoc::types::Types;
use crate::idoc::xml::tree::{Records, Tree};
use crate::reading::{FrameError, Limits, Reading};
use crate::xml::events::{Events, Token};

/// The IDocs of an XML document, in any dialect. See the [module](super).
///
/// The input is read as it comes: memory is one IDoc, within the limits.
pub struct Reader<R> {
    events: Events<R>,
    buffer: Vec<u8>,
    types: Arc<Types>,
    limits: Limits,
    options: ReadOptions,
    /// The element opened last around an IDoc.
    root: String,
    room: Room,
    found: bool,
    ended: bool,
    /// Documents of a flat file inside of the XML.
    flat: std::vec::IntoIter<Result<Reading, FrameError>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` with these types, from its first byte.
    pub fn new(input: R, types: Arc<Types>, limits: Limits) -> Self {
        Self::with_options(input, types, limits, ReadOptions::default())
    }

    /// Reads `input` with these types and options. The encoding is that of the XML document; the
    /// options do not change it.
    pub fn with_options(input: R, types: Arc<Types>, limits: Limits, options: ReadOptions) -> Self {
        // Around the segments stand an envelope, the root and IDOC, and a field is in each.
        let limits_of_xml = Limits { depth: limits.depth.saturating_add(8), ..limits };
        Self {
            events: Events::new(input, &limits_of_xml),
            buffer: Vec::new(),
            types,
            limits,
            options: ReadOptions { encoding: None, ..options },
            root: String::new(),
            room: Room::default(),
            found: false,
            ended: false,
            flat: Vec::new().into_iter(),
        }
    }

    fn read(&mut self) -> Result<Option<Reading>, FrameError> {
        if let Some(reading) = self.flat.next() {
            return reading.map(Some);
        }
        loop {
            let dialect = match self.events.next(&mut self.buffer)? {
                Token::Start(start) => {
                    let name = start.local_name();
                    let name: &str = name.as_ref();
                    if !matches!(name, "IDOC" | "idocData") {
                        self.root.clear();
                        self.root.push_str(name);
                        continue;
                    }
                    name == "IDOC"
                }
                Token::Eof if self.found => return Ok(None),
                Token::Eof if self.events.position() == 0 => return Ok(None),
                Token::Eof => return Err(self.events.error("not-idoc", "no element IDOC")),
                _ => continue,
            };
            self.found = true;
            let spot = self.events.spot();
            let reading = if dialect { self.tree(spot)? } else { self.records(spot)? };
            if reading.is_some() {
                return Ok(reading);
            }
        }
    }

    /// An IDoc of a SAP dialect.
    fn tree(&mut self, begin: Spot) -> Result<Option<Reading>, FrameError> {
        let assembly = Assembly::new(&self.limits, self.options, begin.offset, &self.room);
        let mut tree = Tree::new(assembly, &self.types, &self.root);
        loop {
            // Nearly all elements are fields, and found faster than as their tags and text.
            while tree.is_in_segment()
                && let Some(field) = self.events.simple_element()
            {
                let (name, text, offset) = self.events.pieces(&field);
                if !tree.plain_field(name, text, offset) {
                    // Lines are only counted for what may have a problem.
                    let spot = self.events.spot();
                    let (name, text, _) = self.events.pieces(&field);
                    tree.field(name, text, spot);
                }
            }
            tree.check_open(&mut self.events)?;
            match self.events.next(&mut self.buffer)? {
                Token::Start(start) => {
                    let attributes = start.attributes_raw();
                    let marked = !attributes.is_empty() && attributes.contains("SEGMENT");
                    tree.start(start.local_name().as_ref(), marked, self.events.spot());
                }
                Token::Text(text) => tree.text(&text, &mut self.events),
                Token::Character(c) => {
                    tree.text(c.encode_utf8(&mut [0; 4]), &mut self.events);
                }
                Token::End => {
                    if !tree.end(&mut self.events)? {
                        continue;
                    }
                    {
                        let end = self.events.position();
                        let (document, problems) = tree.finish(&mut self.room);
                        let span = begin.offset..end;
                        return Ok(Some(Reading { document, problems, span }));
                    }
                }
                Token::Nothing | Token::Eof => {}
            }
        }
    }

    /// An IDoc of the Microsoft dialect; `None` where it is a flat file, which is read then.
    fn records(&mut self, begin: Spot) -> Result<Option<Reading>, FrameError> {
        let assembly = Assembly::new(&self.limits, self.options, begin.offset, &self.room);
        let mut records = Records::new(assembly, &self.types);
        loop {
            match self.events.next(&mut self.buffer)? {
                Token::Start(start) => {
                    records.start(start.local_name().as_ref(), self.events.spot());
                }
                Token::Text(text) => records.text(&text, self.events.spot()),
                Token::Character(c) => {
                    records.text(c.encode_utf8(&mut [0; 4]), self.events.spot());
                }
                Token::End => {
                    let end = self.events.position();
                    let ended = records.end(end);
                    let place = |error| FrameError { place: self.events.spot().place(), ..error };
                    if !ended.map_err(place)? {
                        continue;
                    }
                    if !records.text.trim_ascii().is_empty() {
                        let text = std::mem::take(&mut records.text);
                        let blanks = text.len() - text.trim_start().len();
                        let from = records.begin.unwrap_or(begin.offset) + blanks as u64;
                        self.flat(text.trim_start(), &(from.min(end)..end));
                        return self.flat.next().transpose();
                    }
                    let (document, problems) = records.finish(&mut self.room);
                    let span = begin.offset..end;
                    return Ok(Some(Reading { document, problems, span }));
                }
                Token::Nothing | Token::Eof => {}
            }
            // Texts may come in any number of pieces.
            let checked = records.check_limits(self.events.passed());
            checked.map_err(|error| FrameError { place: self.events.spot().place(), ..error })?;
        }
    }

    /// Reads a flat file that was the text of an element. Spans are those of its documents, as far
    /// as nothing was escaped; lines are those of the flat file.
    fn flat(&mut self, text: &str, span: &std::ops::Range<u64>) {
        let at = |offset: u64| (span.start + offset).min(span.end);
        let types = Arc::clone(&self.types);
        let reader = FlatReader::with_options(text.as_bytes(), types, self.limits, self.options);
        let readings: Vec<_> = reader
            .map(|reading| {
                let mut reading = reading?;
                reading.span = at(reading.span.start)..at(reading.span.end);
                Ok(reading)
            })
            .collect();
        self.flat = readings.into_iter();
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Reading, FrameError>;

    /// The next document. After an error there is none.
    ///
    /// # Errors
    ///
    /// What is not well-formed XML in its encoding, `dtd`, `unknown-entity`, `not-idoc` without an
    /// element `IDOC`, and `too-large`, `too-many-nodes`, `too-long` and `too-deep` above the
    /// limits.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}
