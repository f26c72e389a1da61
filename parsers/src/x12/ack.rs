//! TA1, 997 and 999: made from the problems of an interchange.
//!
//! TA1 answers an interchange, 997 (functional acknowledgement) and 999 (implementation
//! acknowledgement) a group. They travel in an interchange of their own, with sender and receiver
//! swapped, and are never answered themselves.
//!
//! Errors refuse; a warning of a rule that the standard has makes it "accepted with errors".

use crate::document::{Builder, Document, Kind, Node};
use crate::reading::{Problem, Reading, Severity};
use crate::segment::{ENVELOPE, INTERCHANGE, Part, put_values};
use crate::x12::ack_codes::{element_code, group_code, note_code, segment_code, set_code};
use crate::x12::isa::SEPARATORS;

/// Which acknowledgement answers a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AckSet {
    /// 997, functional acknowledgement.
    #[default]
    Functional,
    /// 999, implementation acknowledgement, of versions from 005010 on.
    Implementation,
}

/// What an acknowledgement says that the interchange does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckOptions<'a> {
    /// Which set answers a group.
    pub set: AckSet,
    /// The control number of the interchange that carries it (ISA13), also of its group.
    pub control_number: &'a str,
    /// Its date, `YYYYMMDD`.
    pub date: &'a str,
    /// Its time, `HHMM`.
    pub time: &'a str,
    /// Whether the interchange was received before.
    pub is_duplicate: bool,
}

/// Collects what acknowledgements need from the parts of an interchange.
#[derive(Debug, Default)]
pub struct Acks {
    /// ISA and the separators, of the first set or group.
    header: Option<Document>,
    /// AK2 to AK5 of the sets in the open group.
    sets: Vec<Document>,
    accepted: u64,
    received: u64,
    is_acknowledgement: bool,
}

/// Accepted sets that are listed in the answer to one group. More of them are only counted.
const MOST_SETS: usize = 10_000;

impl Acks {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part. The end of a group gives its 997 or 999, which
    /// [`write`](super::write) writes; the end of an interchange its TA1, which
    /// [`Writer::services`](super::Writer::services) writes, where ISA14 asks for one or where
    /// something is wrong with it. `None` where there is nothing to answer.
    pub fn part(&mut self, part: &Part, options: &AckOptions<'_>) -> Option<Document> {
        match part {
            Part::Message(reading) => {
                self.set(reading, options.set);
                None
            }
            Part::Group(reading) => self.group(reading, options),
            Part::Interchange(reading) => {
                *self = Self::default();
                interchange(reading, options)
            }
        }
    }

    fn set(&mut self, reading: &Reading, set: AckSet) {
        let root = reading.document.root();
        self.is_acknowledgement |= matches!(root.name(), "997" | "999");
        self.received += 1;
        let status = status(reading, |problem| set_code(problem).is_some());
        if status != "R" {
            self.accepted += 1;
        }
        if self.header.is_none()
            && let Some(envelope) = root.child(ENVELOPE)
        {
            let mut builder = Builder::new();
            builder.copy_header(envelope);
            self.header = Some(builder.finish());
        }
        if status == "A" && self.sets.len() >= MOST_SETS {
            return;
        }
        let (ak3, ak4, ak5) = match set {
            AckSet::Functional => ("AK3", "AK4", "AK5"),
            AckSet::Implementation => ("IK3", "IK4", "IK5"),
        };
        let mut builder = Builder::new();
        builder.open(Kind::Group, "", 0);
        let st = root.child("ST");
        let element = |at| st.map_or("", |st| text(st, at));
        let version = if set == AckSet::Implementation { element(2) } else { "" };
        put_values(&mut builder, "AK2", &[&[element(0)], &[element(1)], &[version]]);
        segments(reading, (ak3, ak4), &mut builder);
        let mut codes: Vec<&str> = reading.problems.iter().filter_map(|p| set_code(p)).collect();
        codes.sort_unstable();
        codes.dedup();
        let mut values: Vec<[&str; 1]> = vec![[status]];
        values.extend(codes.into_iter().take(5).map(|code| [code]));
        let values: Vec<&[&str]> = values.iter().map(<[&str; 1]>::as_slice).collect();
        put_values(&mut builder, ak5, &values);
        self.sets.push(builder.finish());
    }

    fn group(&mut self, reading: &Reading, options: &AckOptions<'_>) -> Option<Document> {
        let sets = std::mem::take(&mut self.sets);
        let (accepted, received) = (self.accepted, self.received);
        (self.accepted, self.received) = (0, 0);
        let is_acknowledgement = std::mem::take(&mut self.is_acknowledgement);
        let root = reading.document.root();
        let gs = root.child("GS").filter(|gs| text(*gs, 0) != "FA" && !is_acknowledgement)?;
        // The header is that of a set: a group without sets has nobody to answer to by name.
        let header = self.header.take()?;
        let codes: Vec<&str> = reading.problems.iter().filter_map(group_code).collect();
        let own = status(reading, |problem| group_code(problem).is_some());
        let status = match own {
            "R" => "R",
            _ if received > 0 && accepted == 0 => "R",
            _ if accepted < received => "P",
            own => own,
        };
        let included = root.child("GE").map_or("", |ge| text(ge, 0));
        let (received, accepted) = (received.to_string(), accepted.to_string());
        let accepted = if status == "R" { "0" } else { &accepted };
        let included = if included.is_empty() { &received } else { included };

        let (name, ak1_version) = match options.set {
            AckSet::Functional => ("997", ""),
            AckSet::Implementation => ("999", text(gs, 7)),
        };
        let mut builder = Builder::new();
        builder.open(Kind::Group, name, 0);
        builder.open(Kind::Group, ENVELOPE, 0);
        put_isa(&mut builder, header.root(), options);
        put_gs(&mut builder, header.root(), gs, options);
        builder.close();
        let version = if name == "999" { text(gs, 7) } else { "" };
        put_values(&mut builder, "ST", &[&[name], &["0001"], &[version]]);
        put_values(&mut builder, "AK1", &[&[text(gs, 0)], &[text(gs, 5)], &[ak1_version]]);
        for set in &sets {
            set.root().children().for_each(|child| builder.copy_header(child));
        }
        let mut values = vec![[status], [included], [&received], [accepted]];
        values.extend(codes.into_iter().take(5).map(|code| [code]));
        let values: Vec<&[&str]> = values.iter().map(<[&str; 1]>::as_slice).collect();
        put_values(&mut builder, "AK9", &values);
        Some(builder.finish())
    }
}

/// TA1, in an interchange of its own.
fn interchange(reading: &Reading, options: &AckOptions<'_>) -> Option<Document> {
    let root = reading.document.root();
    let isa = root.child("ISA")?;
    // What only answers is not answered.
    let is_answer = root.child("TA1").is_some();
    let status = match options.is_duplicate {
        true => "R",
        false => status(reading, |problem| note_code(problem).is_some()),
    };
    if is_answer || status == "A" && text(isa, 13) != "1" {
        return None;
    }
    let note = match options.is_duplicate {
        true => "025",
        false => reading.problems.iter().find_map(note_code).unwrap_or("000"),
    };
    let mut builder = Builder::new();
    builder.open(Kind::Group, INTERCHANGE, 0);
    put_isa(&mut builder, root, options);
    let values = [[text(isa, 12)], [text(isa, 8)], [text(isa, 9)], [status], [note]];
    let values: Vec<&[&str]> = values.iter().map(<[&str; 1]>::as_slice).collect();
    put_values(&mut builder, "TA1", &values);
    Some(builder.finish())
}

/// `A` accepted, `E` accepted with errors, `R` rejected.
fn status(reading: &Reading, is_reported: impl Fn(&Problem) -> bool) -> &'static str {
    let worst = reading
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error || is_reported(problem));
    match worst.map(|problem| problem.severity).max() {
        Some(Severity::Error) => "R",
        Some(Severity::Warning) => "E",
        None => "A",
    }
}

/// Puts AK3 and AK4 for every segment that has a fault.
fn segments(reading: &Reading, (ak3, ak4): (&str, &str), builder: &mut Builder) {
    let mut problems: Vec<_> =
        reading.problems.iter().filter(|problem| segment_code(problem).is_some()).collect();
    problems.sort_by_key(|problem| problem.place.segment);
    let mut last = 0;
    for problem in problems {
        let mut path = problem.place.path.split('/');
        let tag = path.next().unwrap_or("");
        let number = problem.place.segment;
        if number != last {
            let code = segment_code(problem).unwrap_or("8");
            put_values(builder, ak3, &[&[tag], &[&number.to_string()], &[], &[code]]);
            last = number;
        }
        let Some(element) = path.next() else { continue };
        if let Some(code) = element_code(problem) {
            let component = path.next().filter(|component| *component != "1").unwrap_or("");
            let place: &[&str] =
                if component.is_empty() { &[element] } else { &[element, component] };
            put_values(builder, ak4, &[place, &[], &[code]]);
        }
    }
}

/// The version of an answer to an interchange whose own (ISA12) is no version, by what ISA11 is: a
/// separator, as from 00402 on, or the letter of a standard.
fn version_of(isa: Node<'_>) -> &str {
    let version = text(isa, 11);
    if version.len() == 5 && version.bytes().all(|byte| byte.is_ascii_digit()) {
        return version;
    }
    let is_separator = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b' ';
    if text(isa, 10).bytes().all(is_separator) { "00501" } else { "00401" }
}

/// The usage of an answer. `P` stands for what is no usage: whoever sent that looks for the answer by
/// its control number.
fn usage_of(isa: Node<'_>) -> &str {
    Some(text(isa, 14)).filter(|usage| matches!(*usage, "P" | "T" | "I")).unwrap_or("P")
}

/// ISA of an answer: version, usage and separators as they came, the parties swapped.
fn put_isa(builder: &mut Builder, header: Node<'_>, options: &AckOptions<'_>) {
    if let Some(separators) = header.child(SEPARATORS) {
        builder.copy_header(separators);
    }
    let Some(isa) = header.child("ISA") else { return };
    let of = |number: usize| text(isa, number - 1);
    let date = options.date.get(2..).unwrap_or("");
    let control = format!("{:0>9}", options.control_number);
    let values = [
        "00",
        "",
        "00",
        "",
        of(7),
        of(8),
        of(5),
        of(6),
        date,
        options.time,
        of(11),
        version_of(isa),
        &control,
        "0",
        usage_of(isa),
        of(16),
    ];
    builder.open(Kind::Segment, "ISA", 0);
    for value in values {
        builder.put(Kind::Field, "", value, 0);
    }
    builder.close();
}

/// GS of an answer: the parties swapped.
fn put_gs(builder: &mut Builder, header: Node<'_>, gs: Node<'_>, options: &AckOptions<'_>) {
    let Some(isa) = header.child("ISA") else { return };
    let number = options.control_number.trim_start_matches('0');
    let number = if number.is_empty() { "1" } else { number };
    // The version of the interchange stands for one that is missing: 00501 for 005010.
    let version = Some(text(gs, 7)).filter(|version| !version.is_empty());
    let version = version.map_or_else(|| format!("{}0", version_of(isa)), str::to_owned);
    let values =
        ["FA", text(gs, 2), text(gs, 1), options.date, options.time, number, "X", &version];
    let values: Vec<[&str; 1]> = values.into_iter().map(|value| [value]).collect();
    let values: Vec<&[&str]> = values.iter().map(<[&str; 1]>::as_slice).collect();
    put_values(builder, "GS", &values);
}

/// An element of a segment, from 0.
fn text(segment: Node<'_>, element: usize) -> &str {
    segment.nth(element).map_or("", |node| node.nth(0).unwrap_or(node).text())
}
