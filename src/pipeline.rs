//! The heart: what follows from an event. Pure: it reads no clock, no disk, no network.
//!
//! A batch goes through three functions. [`read`] decodes each arrival, [`needs`] says what the
//! journal must be asked, once for all of them, and [`process`] decides them one after the other;
//! an event sees what the earlier ones of its batch did, because `process` writes it into the
//! facts.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use waybill_parsers::{Document, Path, json};

use crate::config::OnFailed;
use crate::event::{Arrival, Decision, Digest, Header, Identity, Seen, Transition, Verdict};
use crate::facts::{Facts, Needs};
use crate::lifecycle::{Lifecycle, Step};
use crate::plan::{Plan, SourcePlan};
use crate::route::Inputs;

/// An arrival that was looked into.
#[derive(Clone, Debug)]
pub struct Read {
    header: Header,
    raw: Arc<[u8]>,
    content: Result<Document, String>,
    /// The lifecycle of its kind, with the object and status asked for.
    step: Option<Result<(usize, String, String), String>>,
    again: Option<u64>,
}

impl Read {
    /// The event's head.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Marks it as the event of that number, which is decided again: it is no duplicate of itself.
    pub fn again(mut self, event: u64) -> Self {
        self.again = Some(event);
        self
    }
}

/// What came of an event.
#[derive(Debug)]
pub enum Outcome {
    /// The journal has it already, byte for byte.
    Redelivery,
    /// A verdict.
    Decided(Box<Decision>),
}

/// Decodes an arrival. It always has a header: an event that cannot be read is known by the
/// digest of its bytes.
pub fn read(plan: &Plan, arrival: Arrival) -> Read {
    let digest = Digest::of(&arrival.raw);
    let decoded = match plan.source(&arrival.source) {
        Some(source) => decode(source, &arrival),
        None => Decoded::failed(format!("source {} is not configured any more", arrival.source)),
    };
    let id = decoded.id.or(arrival.message_id).unwrap_or_else(|| format!("sha256:{digest}"));
    let header = Header {
        identity: Identity::of(&arrival.source, &id),
        source: arrival.source,
        id,
        kind: decoded.kind,
        key: decoded.key,
        time: decoded.time,
        received: arrival.received,
        digest,
    };
    let step = decoded.content.as_ref().ok().and_then(|content| {
        let (at, lifecycle) = plan.lifecycle(&header.kind)?;
        Some(asked(lifecycle, content).map(|(object, status)| (at, object, status)))
    });
    Read { header, raw: arrival.raw, content: decoded.content, step, again: None }
}

/// What the journal must be asked before these are decided.
pub fn needs(plan: &Plan, reads: &[Read]) -> Needs {
    let mut needs = Needs::default();
    for read in reads {
        needs.identities.push((read.header.identity, read.header.digest));
        if !read.header.key.is_empty() {
            needs.keys.push(read.header.key.clone());
        }
        if let Some(Ok((at, object, _))) = &read.step {
            needs.objects.push((plan.lifecycles()[*at].name.clone(), object.clone()));
        }
    }
    needs
}

/// Decides one event. `numbers` are reserved for this batch; what is used is taken from the front.
pub fn process(
    plan: &Plan,
    mut read: Read,
    facts: &mut Facts,
    numbers: &mut Range<u64>,
    now: Timestamp,
) -> Outcome {
    let mut causes = Vec::new();
    if read.again.is_none() {
        match recognise(&mut read.header, facts, now) {
            Recognised::New => {}
            Recognised::Redelivery => return Outcome::Redelivery,
            Recognised::Reused(cause) => causes.push(cause),
        }
    }
    let seen = Seen { event: read.again.unwrap_or(0), digest: read.header.digest };
    facts.seen.insert(read.header.identity, seen);
    let decided = if causes.is_empty() {
        decide(plan, &read, facts, numbers, now)
    } else {
        Decided { verdict: Verdict::Failed, causes, ..Decided::default() }
    };
    if decided.parks {
        facts.parked.insert(read.header.key.clone(), seen.event);
    }
    if let Some(step) = decided.transition.as_ref().filter(|step| step.applied) {
        facts.objects.insert((step.lifecycle.clone(), step.object.clone()), step.to.clone());
    }
    Outcome::Decided(Box::new(Decision {
        header: read.header,
        raw: read.raw,
        verdict: decided.verdict,
        causes: decided.causes,
        transition: decided.transition,
        failed_mappings: decided.failed_mappings,
        parks: decided.parks,
        deliveries: decided.deliveries,
        now,
        again: read.again,
    }))
}

enum Recognised {
    New,
    Redelivery,
    Reused(String),
}

/// Tells a new event from a redelivery and from another one under the same id.
fn recognise(header: &mut Header, facts: &Facts, now: Timestamp) -> Recognised {
    if crate::fault::is_on("skip-duplicate-check") {
        let salt = format!("{}{}{}", header.id, now.as_nanosecond(), facts.seen.len());
        header.identity = Identity::of(&header.source, &salt);
        return Recognised::New;
    }
    let Some(first) = facts.seen.get(&header.identity) else { return Recognised::New };
    if first.digest == header.digest {
        return Recognised::Redelivery;
    }
    header.identity = header.identity.reused_by(&header.digest);
    match facts.seen.get(&header.identity) {
        Some(_) => Recognised::Redelivery,
        None => Recognised::Reused("its id was used before with other bytes".to_owned()),
    }
}

#[derive(Debug)]
struct Decided {
    verdict: Verdict,
    causes: Vec<String>,
    transition: Option<Transition>,
    failed_mappings: Vec<Arc<str>>,
    parks: bool,
    deliveries: Vec<crate::delivery::NewDelivery>,
}

impl Default for Decided {
    fn default() -> Self {
        Self {
            verdict: Verdict::Accepted,
            causes: Vec::new(),
            transition: None,
            failed_mappings: Vec::new(),
            parks: false,
            deliveries: Vec::new(),
        }
    }
}

fn decide(
    plan: &Plan,
    read: &Read,
    facts: &Facts,
    numbers: &mut Range<u64>,
    now: Timestamp,
) -> Decided {
    let failed = |cause: &String| Decided {
        verdict: Verdict::Failed,
        causes: vec![cause.clone()],
        ..Decided::default()
    };
    let content = match &read.content {
        Ok(content) => content,
        Err(cause) => return failed(cause),
    };
    let parked_by = facts.parked.get(&read.header.key).copied();
    if let Some(event) = parked_by.filter(|event| read.again.is_none_or(|again| again != *event)) {
        let cause = match event {
            0 => "an earlier event of its key failed just before it".to_owned(),
            event => format!("event {event} of its key failed; it waits for that one"),
        };
        return Decided { verdict: Verdict::Waiting, causes: vec![cause], ..Decided::default() };
    }
    let mut decided = match &read.step {
        None => Decided::default(),
        Some(Err(cause)) => return failed(cause),
        Some(Ok((at, object, status))) => {
            let decided = step(&plan.lifecycles()[*at], object, status, facts);
            if decided.verdict == Verdict::Refused {
                return decided;
            }
            decided
        }
    };
    route(plan, read, content, numbers, now, &mut decided);
    decided
}

fn step(lifecycle: &Lifecycle, object: &str, status: &str, facts: &Facts) -> Decided {
    let from = facts.objects.get(&(lifecycle.name.clone(), object.to_owned())).cloned();
    let step = lifecycle.step(from.as_deref(), status);
    let transition = Transition {
        lifecycle: lifecycle.name.clone(),
        object: object.to_owned(),
        from,
        to: status.to_owned(),
        applied: !matches!(step, Step::Refused(_)),
    };
    let (verdict, causes) = match step {
        Step::Legal => (Verdict::Accepted, Vec::new()),
        Step::Noted(cause) => (Verdict::Accepted, vec![cause]),
        Step::Refused(cause) => (Verdict::Refused, vec![cause]),
    };
    Decided { verdict, causes, transition: Some(transition), ..Decided::default() }
}

/// Tries all routes. One that fails fails the event: no half of its deliveries leaves, and the
/// object's status does not advance.
#[allow(
    clippy::too_many_arguments,
    reason = "the decision so far is completed in place; a struct for two callers would hide it"
)]
fn route(
    plan: &Plan,
    read: &Read,
    content: &Document,
    numbers: &mut Range<u64>,
    now: Timestamp,
    decided: &mut Decided,
) {
    let mut failures = Vec::new();
    let mut taken = false;
    for route in plan.routes() {
        let deliveries = match route.takes(&read.header.kind, content) {
            Ok(false) => continue,
            Ok(true) => match numbers.next() {
                Some(number) => route.deliver(content, &read.header.key, Inputs { now, number }),
                None => Err(vec!["no document number was reserved for it".to_owned()]),
            },
            Err(cause) => Err(vec![cause]),
        };
        taken = true;
        match deliveries {
            Ok(deliveries) => decided.deliveries.extend(deliveries),
            Err(causes) => {
                failures.extend(causes);
                decided.failed_mappings.push(route.mapping.name().into());
                decided.parks |= route.on_failed == OnFailed::Park && !read.header.key.is_empty();
            }
        }
    }
    if !failures.is_empty() {
        decided.verdict = Verdict::Failed;
        decided.causes = failures;
        decided.deliveries.clear();
        if let Some(transition) = &mut decided.transition {
            transition.applied = false;
        }
    } else if !taken {
        decided.verdict = Verdict::Ignored;
        decided.causes.push(format!("no route takes its kind {:?}", plain(&read.header.kind)));
    }
}

/// The most numbers that one event can use.
pub fn numbers_per_event(plan: &Plan) -> u64 {
    plan.routes().len() as u64
}

struct Decoded {
    id: Option<String>,
    kind: String,
    key: String,
    time: String,
    content: Result<Document, String>,
}

impl Decoded {
    fn failed(cause: String) -> Self {
        let (kind, key, time) = Default::default();
        Self { id: None, kind, key, time, content: Err(cause) }
    }
}

fn decode(source: &SourcePlan, arrival: &Arrival) -> Decoded {
    let size = arrival.raw.len() as u64;
    if size > source.max_message {
        let limit = source.max_message;
        return Decoded::failed(format!("{size} bytes; `max_message` allows {limit}"));
    }
    let reading = match json::read(&arrival.raw, &source.limits) {
        Ok(reading) => reading,
        Err(error) => return Decoded::failed(format!("not JSON: {error}")),
    };
    let root = reading.document.root();
    let text = |path: &Path| path.text(root).map(str::to_owned);
    let paths = &source.event;
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
    let content = if !missing.is_empty() {
        Err(missing.join(", "))
    } else if reading.is_refused() {
        Err(problems.collect::<Vec<_>>().join("; "))
    } else {
        Ok(reading.document)
    };
    let id = id.filter(|id| !id.is_empty());
    Decoded { id, kind: kind.unwrap_or_default(), key: key.unwrap_or_default(), time, content }
}

fn asked(lifecycle: &Lifecycle, content: &Document) -> Result<(String, String), String> {
    let text = |what: &str, path: &Path| {
        let found = path.text(content.root()).filter(|text| !text.is_empty());
        found.map(str::to_owned).ok_or_else(|| format!("{}: no {what} at `{path}`", lifecycle.name))
    };
    Ok((text("object", &lifecycle.object)?, text("status", &lifecycle.status)?))
}

/// A kind comes from outside: kept short and printable in messages.
fn plain(kind: &str) -> String {
    kind.chars().filter(|c| !c.is_control()).take(80).collect()
}
