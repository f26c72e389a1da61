//! The heart: what follows from an event. Pure: it reads no clock, no disk, no network.
//!
//! A batch goes through three functions. [`read`] decodes each arrival, [`needs`] says what the
//! journal must be asked, once for all of them, and [`process`] decides them one after the other;
//! an event sees what the earlier ones of its batch did, because `process` writes it into the
//! facts.

mod decode;
mod recognise;
mod serial;

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use waybill_parsers::{Document, Path};

use crate::config::OnFailed;
use crate::event::{
    Arrival, Decision, Digest, FailedMapping, Header, Identity, Seen, Transition, Verdict,
};
use crate::facts::{self, Facts, Needs};
use crate::lifecycle::{Lifecycle, Step};
use crate::pipeline::decode::{Content, Decoded};
use crate::pipeline::recognise::{Recognised, recognise};
use crate::pipeline::serial::{Newest, newest_wins};
use crate::plan::{Plan, SourceFormat, SourcePlan};
use crate::route::{Failure, Inputs};

/// An arrival that was looked into.
#[derive(Clone, Debug)]
pub struct Read {
    header: Header,
    /// Its identity with its origin.
    sent_by: Identity,
    raw: Arc<[u8]>,
    content: Result<Content, Vec<String>>,
    step: Option<Result<Asked, String>>,
    again: Option<u64>,
    /// The failed event whose place it takes.
    mends: Option<u64>,
}

/// A step that an event asks for.
#[derive(Clone, Debug)]
enum Asked {
    /// Of the lifecycle at that place, with object and status.
    Lifecycle(usize, String, String),
    /// To be what was taken last of its key.
    Newest(Newest),
}

impl Read {
    /// The event's head.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes of memory that its content takes, beside its raw bytes.
    pub fn heap_bytes(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.document.heap_bytes())
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
    let source = plan.source(&arrival.source);
    let arrival = whole(source, arrival);
    let decoded = match source {
        Some(source) => decode::decode(source, &arrival),
        None => Decoded::failed(format!("source {} is not configured any more", arrival.source)),
    };
    of(plan, arrival, decoded)
}

/// An arrival that is not looked into, for that cause.
pub fn given_up(plan: &Plan, arrival: Arrival, cause: String) -> Read {
    let arrival = whole(plan.source(&arrival.source), arrival);
    of(plan, arrival, Decoded::failed(cause))
}

fn of(plan: &Plan, arrival: Arrival, decoded: Decoded) -> Read {
    let digest = Digest::of(&arrival.raw);
    let id = decoded.id.or(arrival.message_id).unwrap_or_else(|| format!("sha256:{digest}"));
    let identity = Identity::of(&arrival.source, &id);
    let sent_by = identity.sent_by(decoded.origin.as_deref());
    let header = Header {
        identity,
        origin: decoded.origin,
        source: arrival.source,
        id,
        kind: decoded.kind,
        key: decoded.key,
        time: decoded.time,
        received: arrival.received,
        digest,
        trace: arrival.beside.trace.or(decoded.trace),
    };
    let step = match (&decoded.content, plan.lifecycle(&header.kind)) {
        (Err(_), _) => None,
        (Ok(content), Some((at, lifecycle))) => {
            let asked = match (&content.repeats, plan.source(&header.source)) {
                (Some(_), Some(source)) => {
                    let paths = [&lifecycle.object, &lifecycle.status];
                    decode::unambiguous(&arrival.raw, &source.limits, &paths)
                }
                _ => Ok(()),
            };
            let asked = asked.and_then(|()| self::asked(lifecycle, &content.document));
            Some(asked.map(|(object, status)| Asked::Lifecycle(at, object, status)))
        }
        (Ok(_), None) => decoded.serial.and_then(|serial| {
            let SourceFormat::Idoc(idoc) = &plan.source(&header.source)?.format else {
                return None;
            };
            let (rule, object) = (idoc.newest.clone(), format!("{}/{}", header.kind, header.key));
            Some(Ok(Asked::Newest(Newest { rule, object, serial })))
        }),
    };
    let (raw, content) = (arrival.raw, decoded.content);
    Read { header, sent_by, raw, content, step, again: None, mends: None }
}

/// The event as one text: what a transport carried in headers is put around its data. An IDoc has
/// its own head; headers say nothing more about it.
fn whole(source: Option<&SourcePlan>, mut arrival: Arrival) -> Arrival {
    if !matches!(source, Some(SourcePlan { format: SourceFormat::Idoc(_), .. }))
        && let Some(head) = arrival.beside.head.take()
    {
        arrival.raw = Arc::unwrap_or_clone(head).structured(&arrival.raw).into();
    }
    arrival
}

/// What the journal must be asked before these are decided.
pub fn needs(plan: &Plan, reads: &[Read]) -> Needs {
    let mut needs = Needs::default();
    for read in reads {
        let Header { identity, digest, .. } = read.header;
        needs.identities.push(facts::Asked { identity, sent_by: read.sent_by, digest });
        if !read.header.key.is_empty() {
            needs.keys.push(read.header.key.clone());
        }
        match &read.step {
            Some(Ok(Asked::Lifecycle(at, object, _))) => {
                needs.objects.push((plan.lifecycles()[*at].name.clone(), object.clone()));
            }
            Some(Ok(Asked::Newest(newest))) => {
                needs.objects.push((newest.rule.clone(), newest.object.clone()));
            }
            Some(Err(_)) | None => {}
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
        match recognise(&mut read.header, read.sent_by, facts, now) {
            Recognised::New => {}
            Recognised::Mended(failed) => read.mends = Some(failed),
            Recognised::Redelivery => return Outcome::Redelivery,
            Recognised::Reused(cause) => causes.push(cause),
        }
    }
    let (event, digest) = (read.again.unwrap_or(0), read.header.digest);
    let mut seen = Seen { event, digest, failed: false, sent_by: Some(read.sent_by) };
    facts.seen.insert(read.header.identity, seen);
    let mut decided = if causes.is_empty() {
        decide(plan, &read, facts, numbers, now)
    } else {
        Decided { verdict: Verdict::Failed, causes, ..Decided::default() }
    };
    if let Ok(Content { repeats: Some(warning), .. }) = &read.content {
        decided.causes.push(warning.clone());
    }
    seen.failed = decided.verdict == Verdict::Failed;
    facts.seen.insert(read.header.identity, seen);
    let parked_by = facts.parked.get(&read.header.key);
    if read.mends.is_some() && parked_by == read.mends.as_ref() && !seen.failed {
        facts.parked.remove(&read.header.key);
    }
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

#[derive(Debug)]
struct Decided {
    verdict: Verdict,
    causes: Vec<String>,
    transition: Option<Transition>,
    failed_mappings: Vec<FailedMapping>,
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
    let failed = |causes: &[String]| Decided {
        verdict: Verdict::Failed,
        causes: causes.to_vec(),
        ..Decided::default()
    };
    let content = match &read.content {
        Ok(content) => content,
        Err(causes) => return failed(causes),
    };
    let parked_by = facts.parked.get(&read.header.key).copied();
    if let Some(event) =
        parked_by.filter(|event| read.again.or(read.mends).is_none_or(|own| own != *event))
    {
        let cause = match event {
            0 => "an earlier event of its key failed just before it".to_owned(),
            event => format!("event {event} of its key failed; it waits for that one"),
        };
        return Decided { verdict: Verdict::Waiting, causes: vec![cause], ..Decided::default() };
    }
    let mut decided = match &read.step {
        None => Decided::default(),
        Some(Err(cause)) => return failed(std::slice::from_ref(cause)),
        Some(Ok(Asked::Lifecycle(at, object, status))) => {
            step(&plan.lifecycles()[*at], object, status, facts)
        }
        Some(Ok(Asked::Newest(newest))) => newest_wins(newest, facts),
    };
    if decided.verdict != Verdict::Accepted {
        return decided;
    }
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
        legal: step == Step::Legal,
        applied: !matches!(step, Step::Refused(_)),
    };
    let (verdict, causes) = match step {
        Step::Legal | Step::Shadowed => (Verdict::Accepted, Vec::new()),
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
    content: &Content,
    numbers: &mut Range<u64>,
    now: Timestamp,
    decided: &mut Decided,
) {
    let mut failures = Vec::new();
    let mut taken = false;
    for route in plan.routes() {
        let document = &content.document;
        let deliveries = match route.takes(&read.header.kind, document) {
            Ok(false) => continue,
            Ok(true) => match (content.opaque, numbers.next()) {
                // Every path would lead to nothing, and optional fields would be missed by nobody.
                (Some(why), _) => Err(Failure::from(why.to_owned())),
                (None, Some(number)) => {
                    route.deliver(&read.header, document, Inputs { now, number })
                }
                (None, None) => Err("no document number is reserved".to_owned().into()),
            },
            Err(cause) => Err(cause.into()),
        };
        taken = true;
        match deliveries {
            Ok(deliveries) => decided.deliveries.extend(deliveries),
            Err(Failure { causes, over_budget }) => {
                failures.extend(causes);
                let mapping = route.mapping.name().into();
                decided.failed_mappings.push(FailedMapping { mapping, over_budget });
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
        decided.causes.push(format!("no route takes it (kind {:?})", plain(&read.header.kind)));
    }
}

/// The most numbers that one event can use.
pub fn numbers_per_event(plan: &Plan) -> u64 {
    plan.routes().len() as u64
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
