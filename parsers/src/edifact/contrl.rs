//! CONTRL, the syntax and service report (ISO 9735-4; `CONTRL:D:3:UN` for version 3): made from
//! the problems of an interchange.
//!
//! A CONTRL answers one interchange and is an interchange of its own, with sender and recipient
//! swapped. It is never answered itself. Whether partners exchange it at all is for them to agree
//! on; [`is_requested`] says whether the sender asked for it (data element 0031).

use crate::document::{Builder, Document, Kind, Node};
use crate::edifact::syntax::charset;
use crate::edifact::syntax_errors::{Level, syntax_error};
use crate::reading::{Problem, Reading, Severity};
use crate::segment::{ENVELOPE, Part, put_values};

/// The layout of a CONTRL message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ContrlVersion {
    /// `CONTRL:D:3:UN`, for interchanges up to syntax version 3.
    #[default]
    V3,
    /// `CONTRL:4:1:UN`, of ISO 9735-4.
    V4,
}

/// What a report says that the interchange does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContrlOptions<'a> {
    /// The layout.
    pub version: ContrlVersion,
    /// The control reference of the interchange that carries the report (0020).
    pub reference: &'a str,
    /// Its date, `YYYYMMDD`.
    pub date: &'a str,
    /// Its time, `HHMM`.
    pub time: &'a str,
    /// Whether the interchange was received before.
    pub is_duplicate: bool,
    /// Whether only the receipt is reported (action 8) where nothing is wrong with the interchange.
    pub receipt_only: bool,
}

/// Collects what a report needs from the parts of an interchange.
#[derive(Debug, Default)]
pub struct Contrl {
    /// Messages that were refused, outside of groups or in the group that is open.
    messages: Vec<Document>,
    groups: Vec<Document>,
    has_acknowledgement: bool,
    has_more: bool,
}

/// Refused messages that are reported one by one. With more of them, the interchange is refused.
const MOST_MESSAGES: usize = 10_000;

impl Contrl {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part. The end of an interchange gives the report, as a document that
    /// [`write`](super::write) writes; `None` where there is nobody to answer, and for an
    /// interchange that is a CONTRL itself.
    pub fn part(&mut self, part: &Part, options: &ContrlOptions<'_>) -> Option<Document> {
        match part {
            Part::Message(reading) => self.message(reading),
            Part::Group(reading) => self.group(reading),
            Part::Interchange(reading) => {
                return std::mem::take(self).interchange(reading, options);
            }
        }
        None
    }

    fn message(&mut self, reading: &Reading) {
        let root = reading.document.root();
        self.has_acknowledgement |= root.name() == "CONTRL";
        if !reading.is_refused() {
            return;
        }
        if self.messages.len() + self.groups.len() >= MOST_MESSAGES {
            self.has_more = true;
            return;
        }
        let Some(unh) = root.child("UNH") else { return };
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        let own = errors(reading).find(|problem| is_service(problem, &["UNH", "UNT"]));
        let mut report = Report::new(own, Level::Message);
        report.action = "4";
        builder.open(Kind::Segment, "UCM", 0);
        builder.put(Kind::Field, "", text(unh, 0, 0), 0);
        if let Some(kind) = unh.nth(1) {
            let mut composite = Builder::new();
            composite.copy_header(kind);
            builder.copy_header(composite.finish().root());
        }
        report.put(&mut builder);
        builder.close();
        segments(reading, &mut builder);
        self.messages.push(builder.finish());
    }

    fn group(&mut self, reading: &Reading) {
        let root = reading.document.root();
        let is_refused = reading.is_refused();
        let messages = std::mem::take(&mut self.messages);
        let Some(ung) = root.child("UNG").filter(|_| is_refused || !messages.is_empty()) else {
            return;
        };
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        builder.open(Kind::Segment, "UCF", 0);
        builder.put(Kind::Field, "", text(ung, 4, 0), 0);
        for party in [1, 2] {
            put_element(&mut builder, ung, party);
        }
        let mut report = Report::new(errors(reading).next(), Level::Group);
        report.action = if is_refused { "4" } else { "7" };
        report.put(&mut builder);
        builder.close();
        if !is_refused {
            put_all(&mut builder, &messages);
        }
        self.groups.push(builder.finish());
    }

    fn interchange(self, reading: &Reading, options: &ContrlOptions<'_>) -> Option<Document> {
        let root = reading.document.root();
        let unb = root.child("UNB").filter(|_| !self.has_acknowledgement)?;
        if text(unb, 1, 0).is_empty() || text(unb, 2, 0).is_empty() {
            return None;
        }
        let is_refused = reading.is_refused() || self.has_more || options.is_duplicate;
        let mut report = Report::new(errors(reading).next(), Level::Interchange);
        if options.is_duplicate {
            report = Report { error: Some(26), tag: "UNB".to_owned(), element: 6, ..report };
        } else if self.has_more && report.error.is_none() {
            report.error = Some(18);
        }
        let has_faults = !self.messages.is_empty() || !self.groups.is_empty();
        report.action = match (is_refused, options.receipt_only && !has_faults) {
            (true, _) => "4",
            (false, true) => "8",
            (false, false) => "7",
        };
        let mut builder = Builder::new();
        builder.open(Kind::Group, "CONTRL", 0);
        envelope(&mut builder, unb, options);
        let kind: &[&str] = match options.version {
            ContrlVersion::V3 => &["CONTRL", "D", "3", "UN"],
            ContrlVersion::V4 => &["CONTRL", "4", "1", "UN"],
        };
        put_values(&mut builder, "UNH", &[&["1"], kind]);
        builder.open(Kind::Segment, "UCI", 0);
        builder.put(Kind::Field, "", text(unb, 4, 0), 0);
        for party in [1, 2] {
            put_party(&mut builder, unb, (party, options.version));
        }
        report.put(&mut builder);
        builder.close();
        if !is_refused {
            put_all(&mut builder, &self.messages);
            put_all(&mut builder, &self.groups);
        }
        Some(builder.finish())
    }
}

/// Whether the sender of an interchange asks for an acknowledgement (UNB, 0031), by its document
/// or that of one of its messages.
pub fn is_requested(document: &Document) -> bool {
    let root = document.root();
    let envelope = root.child(ENVELOPE).unwrap_or(root);
    envelope.child("UNB").is_some_and(|unb| matches!(text(unb, 8, 0), "1" | "2"))
}

/// What one level of a report says: action, error, and the service segment and element.
#[derive(Debug, Default)]
struct Report {
    action: &'static str,
    error: Option<u8>,
    tag: String,
    /// Position in the segment, whose tag is 1; 0 for none.
    element: usize,
    component: usize,
}

impl Report {
    fn new(problem: Option<&Problem>, level: Level) -> Self {
        let Some(problem) = problem else { return Self::default() };
        let (tag, element, component) = position(problem);
        let is_service = tag.starts_with("UN");
        Self {
            action: "",
            error: Some(syntax_error(problem.code, level)),
            tag: if is_service { tag.to_owned() } else { String::new() },
            element: if is_service { element } else { 0 },
            component,
        }
    }

    /// Puts 0083, 0085, 0135 and S011.
    fn put(&self, builder: &mut Builder) {
        builder.put(Kind::Field, "", self.action, 0);
        let Some(error) = self.error else { return };
        builder.put(Kind::Field, "", &error.to_string(), 0);
        if !self.tag.is_empty() {
            builder.put(Kind::Field, "", &self.tag, 0);
            put_position(builder, self.element, self.component);
        }
    }
}

/// S011: the position of an element in its segment, and of a component in it.
fn put_position(builder: &mut Builder, element: usize, component: usize) {
    if element == 0 {
        return;
    }
    let element = element.to_string();
    if component == 0 {
        builder.put(Kind::Field, "", &element, 0);
        return;
    }
    builder.open(Kind::Field, "", 0);
    builder.put(Kind::Field, "", &element, 0);
    builder.put(Kind::Field, "", &component.to_string(), 0);
    builder.close();
}

/// Puts UCS and UCD for every segment of a message that has an error.
fn segments(reading: &Reading, builder: &mut Builder) {
    let mut faults: Vec<_> =
        errors(reading).filter(|problem| !is_service(problem, &["UNH", "UNT"])).collect();
    faults.sort_by_key(|problem| problem.place.segment);
    let mut last = 0;
    for problem in faults {
        let (_, element, component) = position(problem);
        let number = problem.place.segment.max(1);
        if number != last {
            let error = syntax_error(problem.code, Level::Segment).to_string();
            let error = if element == 0 { error.as_str() } else { "" };
            put_values(builder, "UCS", &[&[&number.to_string()], &[error]]);
            last = number;
        }
        if element > 0 {
            builder.open(Kind::Segment, "UCD", 0);
            let error = syntax_error(problem.code, Level::Element);
            builder.put(Kind::Field, "", &error.to_string(), 0);
            put_position(builder, element, component);
            builder.close();
        }
    }
}

/// The header of the answer: syntax identifier and test flag as they came, the parties swapped.
fn envelope(builder: &mut Builder, unb: Node<'_>, options: &ContrlOptions<'_>) {
    let identifier = Some(text(unb, 0, 0)).filter(|text| charset(text.as_bytes()).is_some());
    let identifier = identifier.unwrap_or("UNOA");
    let (version, date) = match options.version {
        ContrlVersion::V3 => ("3", options.date.get(2..).unwrap_or("")),
        ContrlVersion::V4 => ("4", options.date),
    };
    builder.open(Kind::Group, ENVELOPE, 0);
    builder.open(Kind::Segment, "UNB", 0);
    builder.open(Kind::Field, "", 0);
    builder.put(Kind::Field, "", identifier, 0);
    builder.put(Kind::Field, "", version, 0);
    builder.close();
    for party in [2, 1] {
        put_party(builder, unb, (party, options.version));
    }
    builder.open(Kind::Field, "", 0);
    builder.put(Kind::Field, "", date, 0);
    builder.put(Kind::Field, "", options.time, 0);
    builder.close();
    builder.put(Kind::Field, "", options.reference, 0);
    if text(unb, 10, 0) == "1" {
        (0..5).for_each(|_| {
            builder.put(Kind::Field, "", "", 0);
        });
        builder.put(Kind::Field, "", "1", 0);
    }
    builder.close();
    builder.close();
}

/// Copies a party of an interchange (S002, S003), as many components of it as the version of the
/// answer has: identification, qualifier and address, in version 4 also the internal address.
fn put_party(builder: &mut Builder, unb: Node<'_>, (party, version): (usize, ContrlVersion)) {
    let most = match version {
        ContrlVersion::V3 => 3,
        ContrlVersion::V4 => 4,
    };
    match unb.nth(party).filter(|party| party.children().count() > most) {
        Some(party) => {
            builder.open(Kind::Field, "", 0);
            party.children().take(most).for_each(|component| builder.copy_header(component));
            builder.close();
        }
        None => put_element(builder, unb, party),
    }
}

/// Copies an element of a header, from 0; an empty one where there is none.
fn put_element(builder: &mut Builder, segment: Node<'_>, element: usize) {
    match segment.nth(element) {
        Some(element) => builder.copy_header(element),
        None => {
            builder.put(Kind::Field, "", "", 0);
        }
    }
}

fn put_all(builder: &mut Builder, documents: &[Document]) {
    for document in documents {
        document.root().children().for_each(|child| builder.copy_header(child));
    }
}

fn errors(reading: &Reading) -> impl Iterator<Item = &Problem> {
    reading.problems.iter().filter(|problem| problem.severity == Severity::Error)
}

fn is_service(problem: &Problem, tags: &[&str]) -> bool {
    tags.contains(&position(problem).0)
}

/// The tag, the position of the element in its segment and the component, by the path of a problem:
/// `NAD/3/1`. Positions count the tag as 1.
fn position(problem: &Problem) -> (&str, usize, usize) {
    let mut parts = problem.place.path.split('/');
    let tag = parts.next().unwrap_or("");
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
    let (element, component) = (number(), number());
    (tag, if element > 0 { element + 1 } else { 0 }, component)
}

/// A component of an element, both from 0.
pub(super) fn text(segment: Node<'_>, element: usize, component: usize) -> &str {
    let Some(element) = segment.nth(element) else { return "" };
    match element.nth(component) {
        Some(component) => component.text(),
        None if component == 0 => element.text(),
        None => "",
    }
}
