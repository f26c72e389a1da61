//! From the bytes of an arrival to a document, and to what identifies and orders it.

use waybill_parsers::{Document, FrameError, Limits, Node, Path, Reading, Severity, idoc, json};

use super::serial::Serial;
use crate::cloudevent::binary::{MOST_PROBLEMS, PROBLEMS};
use crate::config::EventPaths;
use crate::event::{Arrival, KEPT, Shortened};
use crate::plan::{IdocPlan, SourceFormat, SourcePlan};
use crate::trace::{self, Trace};

/// The code of the problem that stands for those above the limit.
const MORE: &str = "more-problems";

/// What an arrival says of itself. An arrival that cannot be read says nothing.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) id: Option<String>,
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) time: String,
    /// Its content, or all reasons why it cannot be used.
    pub(super) content: Result<Content, Vec<String>>,
    /// How new it is, where an older one is to be ignored.
    pub(super) serial: Option<Serial>,
    /// The trace context that its attributes name.
    pub(super) trace: Option<Trace>,
    /// Who published it, where it is a CloudEvent.
    pub(super) origin: Option<String>,
}

/// The content of an event.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) document: Document,
    /// Why no mapping can use it, though it was read: its segments are not decoded.
    pub(super) opaque: Option<&'static str>,
    /// What is to be said of its keys that occur again in their object, where some do.
    pub(super) repeats: Option<String>,
}

impl Decoded {
    pub(super) fn failed(cause: String) -> Self {
        let (kind, key, time) = Default::default();
        let (id, serial, trace, origin) = (None, None, None, None);
        Self { id, kind, key, time, content: Err(vec![cause]), serial, trace, origin }
    }
}

/// Decodes an arrival of `source`.
pub(super) fn decode(source: &SourcePlan, arrival: &Arrival) -> Decoded {
    let (size, limit) = (arrival.raw.len() as u64, source.max_message);
    if let Some(shortened) = Shortened::read(&arrival.raw) {
        return Decoded::failed(too_large(&shortened, limit));
    }
    if size > limit {
        return Decoded::failed(format!("{size} bytes; `max_message` allows {limit}"));
    }
    match &source.format {
        SourceFormat::Json(paths) => json_event(paths, &source.limits, arrival),
        SourceFormat::Idoc(plan) => idoc_event(plan, &source.limits, arrival),
    }
}

fn too_large(Shortened { bytes, digest }: &Shortened, limit: u64) -> String {
    let remedy = match *bytes > limit {
        true => format!("`max_message` allows {limit}; raise it and have the message sent again"),
        false => "`max_message` allowed fewer when it came; have it sent again".to_owned(),
    };
    format!("{bytes} bytes; {remedy} (kept: its digest sha256:{digest}, its first {KEPT} bytes)")
}

fn json_event(paths: &EventPaths, limits: &Limits, arrival: &Arrival) -> Decoded {
    let reading = match json::read(&arrival.raw, limits) {
        Ok(reading) => reading,
        Err(error) => return Decoded::failed(refusal("not JSON", &error)),
    };
    let repeats = repeats(&reading);
    if repeats.is_some() {
        let paths = [&paths.id, &paths.kind, &paths.key];
        if let Err(cause) = unambiguous(&arrival.raw, limits, &paths) {
            // Its id and key are not believed: it uses up no id and parks no key.
            return Decoded::failed(cause);
        }
    }
    let root = reading.document.root();
    let text = |path: &Path| path.text(root).map(str::to_owned);
    let (id, kind, key) = (text(&paths.id), text(&paths.kind), text(&paths.key));
    let time = text(&paths.time).unwrap_or_default();
    let mut missing = Vec::new();
    for (what, value, path) in
        [("id", &id, &paths.id), ("kind", &kind, &paths.kind), ("key", &key, &paths.key)]
    {
        // The transport's own message id serves where the content has none.
        let elsewhere = what == "id" && arrival.message_id.is_some();
        if value.as_ref().is_none_or(String::is_empty) && !elsewhere {
            missing.push(format!("no {what} at `{path}`"));
        }
    }
    let problems = reading.problems.iter().map(ToString::to_string);
    let beside = transport_problems(root);
    let attribute = |name| root.child(name).map_or("", Node::text);
    let trace = Trace::read(attribute(trace::PARENT), attribute(trace::STATE));
    // Elsewhere `source` may be anything, and differ between two deliveries of one event.
    let origin = Some(attribute("source")).filter(|it| !it.is_empty());
    let origin = origin.filter(|_| !attribute("specversion").is_empty()).map(str::to_owned);
    let content = if !beside.is_empty() {
        Err(beside)
    } else if !missing.is_empty() {
        Err(vec![missing.join(", ")])
    } else if reading.is_refused() {
        Err(vec![problems.collect::<Vec<_>>().join("; ")])
    } else {
        Ok(Content { document: reading.document, opaque: None, repeats })
    };
    Decoded {
        id: id.filter(|id| !id.is_empty()),
        kind: kind.unwrap_or_default(),
        key: key.unwrap_or_default(),
        time,
        content,
        serial: None,
        trace,
        origin,
    }
}

/// Why bytes are no document: they are of another format, or exceed a limit.
fn refusal(what: &str, error: &FrameError) -> String {
    match error.code {
        "too-many-nodes" => format!("{error} (`limits.nodes`)"),
        _ => format!("{what}: {error}"),
    }
}

/// A warning of keys that occur again in their object; their names are not in it.
fn repeats(reading: &Reading) -> Option<String> {
    // The last of too many warnings says only that there were more.
    let mut repeats = reading.problems.iter().filter(|one| one.code == "duplicate-key");
    let place = &repeats.next().or_else(|| reading.problems.first())?.place;
    let (line, column) = (place.line, place.column);
    let more = repeats.count();
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    let has = reading.problems.iter().any(|one| matches!(one.code, "duplicate-key" | MORE));
    has.then(|| format!("warning: a key occurs again in its object (line {line}, column {column}{more}): its first value counts"))
}

/// Whether no key on these paths occurs again in its object, so that all who read the event mean the
/// same by it. Only for an event with [`Content::repeats`].
pub(super) fn unambiguous(raw: &[u8], limits: &Limits, paths: &[&Path]) -> Result<(), String> {
    let found = json::ambiguous(raw, limits, paths);
    if found.is_empty() {
        return Ok(());
    }
    let paths: Vec<_> = found.iter().map(|path| format!("`{path}`")).collect();
    Err(format!("ambiguous: a key on {} occurs again in its object", paths.join(", ")))
}

/// What was wrong with the headers that it came with.
fn transport_problems(root: Node<'_>) -> Vec<String> {
    // The text came from outside, like the names of headers in it.
    let plain =
        |node: Node<'_>| node.text().chars().filter(|c| !c.is_control()).take(120).collect();
    let list = root.child(PROBLEMS).into_iter().flat_map(Node::children);
    list.take(MOST_PROBLEMS).map(plain).collect()
}

/// One IDoc, with its control record in front. Whoever splits a file splits it before.
fn idoc_event(plan: &IdocPlan, limits: &Limits, arrival: &Arrival) -> Decoded {
    let mut reader = idoc::Reader::new(&*arrival.raw, plan.types.clone(), *limits);
    let reading = match reader.next() {
        None => return Decoded::failed("no IDoc: it is empty".to_owned()),
        Some(Err(error)) => return Decoded::failed(refusal("not an IDoc", &error)),
        Some(Ok(reading)) => reading,
    };
    let mut causes: Vec<String> = errors(&reading);
    match reader.next() {
        None => {}
        Some(Ok(_)) => causes.push("more than one IDoc".to_owned()),
        Some(Err(error)) => causes.push(format!("not an IDoc behind the first one: {error}")),
    }
    let root = reading.document.root();
    let Some(control) = root.child("EDI_DC40") else {
        causes.push("no control record".to_owned());
        return Decoded { content: Err(causes), ..Decoded::failed(String::new()) };
    };
    let text = |name| field(control, name);
    let message = text("MESTYP");
    if message.is_empty() {
        causes.push("no message type (MESTYP)".to_owned());
    }
    let id = identity(control);
    let (key, newest_wins) = match plan.keys.get(message) {
        Some(key) => {
            let found = key.path.text(root).unwrap_or_default();
            if found.is_empty() {
                causes.push(format!("no key at `{}`", key.path));
            }
            (found, key.newest_wins)
        }
        // Nothing but itself orders it.
        None => (text("DOCNUM"), false),
    };
    Decoded {
        kind: if message.is_empty() { String::new() } else { format!("idoc.{message}") },
        key: if key.is_empty() { id.clone().unwrap_or_default() } else { key.to_owned() },
        time: time(text("CREDAT"), text("CRETIM")),
        serial: newest_wins.then(|| Serial::of(control)).flatten(),
        trace: None,
        origin: None,
        id,
        content: if causes.is_empty() { Ok(content(reading)) } else { Err(causes) },
    }
}

fn content(reading: Reading) -> Content {
    let is_opaque = reading.problems.iter().any(|problem| problem.code == "unknown-type");
    let why = "there is no definition of its IDoc type, so its segments are not decoded";
    Content { document: reading.document, opaque: is_opaque.then_some(why), repeats: None }
}

fn errors(reading: &Reading) -> Vec<String> {
    let errors = reading.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

fn field<'a>(control: Node<'a>, name: &str) -> &'a str {
    control.child(name).map_or("", Node::text)
}

/// `MANDT/SNDPOR/SNDPRN/DOCNUM`, and `/SERIAL` where it is set: a number may be sent again as
/// another document, but not under the same serialization. `None` without a number; SAP takes zero
/// for none.
fn identity(control: Node<'_>) -> Option<String> {
    let text = |name| field(control, name);
    let number = text("DOCNUM");
    if number.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let mut id = [text("MANDT"), text("SNDPOR"), text("SNDPRN"), number].join("/");
    if !text("SERIAL").is_empty() {
        id = format!("{id}/{}", text("SERIAL"));
    }
    Some(id)
}

/// `2026-03-01T10:20:30`, in the sender's own time zone, which IDocs do not name; as it stands
/// where it is no date and time.
fn time(date: &str, time: &str) -> String {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || time.len() != 6 || !digits(date) || !digits(time) {
        return format!("{date}{time}");
    }
    let ((year, date), (hour, time)) = (date.split_at(4), time.split_at(2));
    let ((month, day), (minute, second)) = (date.split_at(2), time.split_at(2));
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}")
}
