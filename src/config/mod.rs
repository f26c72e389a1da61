//! The configuration as written: what a file may say, before anything is looked up.
//!
//! [`read`] turns a file into a [`Config`] and reports every mistake; [`load`] is the edge that
//! reads the files which a configuration names. What holds between them (a route's mapping
//! exists, its paths are right) is for [`plan`](crate::plan) to say.

pub mod exchange;
pub mod expect;
pub mod folder;
pub mod format;
pub mod http;
pub mod limits;
pub mod listen;
pub mod load;
pub mod path_template;
pub mod read;
pub mod routing_key;
pub mod secret;
pub mod tls;
pub mod unit;

use std::sync::Arc;
use std::time::Duration;

use waybill_parsers::Path;

pub use crate::config::exchange::{AmqpTarget, DeclareExchange, Mode};
pub use crate::config::folder::{FolderSource, LEAST_WEIGHT, Marker, Order};
pub use crate::config::format::{IdocSource, SourceFormat};
pub use crate::config::http::HttpTarget;
pub use crate::config::limits::Limits;
pub use crate::config::listen::Listen;
pub use crate::config::routing_key::{RoutingKey, RoutingValues};
use crate::config::secret::Secret;
use crate::diagnostic::{Mark, Spanned};

/// One configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this agent is.
    pub agent: Agent,
    /// Where it answers for health and metrics; `None` for nowhere.
    pub http: Option<Listen>,
    /// The journal.
    pub journal: Journal,
    /// How much one document may cost.
    pub limits: Limits,
    /// Where events come from.
    pub sources: Vec<Source>,
    /// Where documents go.
    pub targets: Vec<Target>,
    /// The names of targets with mistakes: a route to one of them is no further mistake.
    pub broken_targets: Vec<String>,
    /// Partner files, as patterns relative to this file.
    pub partners: Vec<Spanned<String>>,
    /// Lifecycle files, as patterns.
    pub lifecycles: Vec<Spanned<String>>,
    /// Mapping files, as patterns.
    pub mappings: Vec<Spanned<String>>,
    /// Folders with schema files; `schemas/idoc` beside a mapping or its parent is searched too.
    pub schemas: Vec<Spanned<String>>,
    /// Which events make which deliveries.
    pub routes: Vec<Route>,
}

/// `agent:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The name that logs and the audit trail show.
    pub name: Arc<str>,
    /// Three digits that no other agent which feeds the same SAP client has; document numbers
    /// begin with them.
    pub instance: u16,
    /// Where the journal, the lock and the control socket live. Relative to the file.
    pub data_dir: String,
    /// How long a shutdown may take to finish what has begun. Default 20s: below the 30s after
    /// which container runtimes kill.
    pub drain: Duration,
    /// When a changed configuration is taken over. Default on-signal.
    pub reload: Reload,
}

/// When a changed configuration is taken over while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At SIGHUP, or when an operator asks for it.
    OnSignal,
    /// Also when one of its files has changed and stands still.
    OnChange,
}

impl Agent {
    /// Stands for an `agent:` with mistakes, which are reported; nothing can run with it.
    pub(crate) fn unusable() -> Self {
        let (name, data_dir) = (Arc::from(""), String::new());
        let (drain, reload) = (Duration::ZERO, Reload::OnSignal);
        Self { name, instance: 0, data_dir, drain, reload }
    }
}

/// `journal:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The file name below `data_dir`.
    pub file: String,
    /// Free bytes on the journal's disk below which sources stop. Default 64MiB: enough to commit
    /// what is in flight and to settle what was sent.
    pub min_free: u64,
}

/// One entry of `sources:`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name: in logs, metrics and the identity of events.
    pub name: Arc<str>,
    /// Where its name stands.
    pub mark: Mark,
    /// What it is.
    pub kind: SourceKind,
    /// What its events are written in. Default JSON.
    pub format: SourceFormat,
    /// Where JSON events hold what waybill needs to know.
    pub event: EventPaths,
}

impl Source {
    /// Whether it is the same, wherever in its file it stands.
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { name, mark: _, kind, format, event } = self;
        (name, kind, format, event) == (&other.name, &other.kind, &other.format, &other.event)
    }
}

/// What a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `type: amqp`.
    Amqp(Amqp),
    /// `type: folder`.
    Folder(FolderSource),
}

impl SourceKind {
    /// The most bytes of one event; a larger one fails.
    pub fn max_message(&self) -> u64 {
        match self {
            Self::Amqp(amqp) => amqp.max_message,
            Self::Folder(folder) => folder.max_message,
        }
    }
}

/// A queue of an AMQP 0-9-1 broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amqp {
    /// `amqp://user:password@host:port/vhost`.
    pub url: Secret,
    /// Certificates.
    pub tls: tls::Tls,
    /// What the broker has to call its cluster; it is given no login else.
    pub expect: Option<String>,
    /// The queue's name.
    pub queue: String,
    /// Whether and how to declare the queue. Default `quorum`.
    pub declare: Declare,
    /// Whether the queue is declared so that the broker feeds one consumer at a time. Default
    /// true: without it, later messages can overtake earlier ones when a session is lost.
    pub single_active: bool,
    /// The most messages that the broker may have sent and not seen acknowledged. Default 500.
    pub prefetch: u16,
    /// The most bytes of messages in memory that are not yet in the journal; one that does not fit
    /// waits at the socket, unless it is alone. Default 16MiB.
    pub in_flight: u64,
    /// Of a larger message only the digest and the first bytes are journaled, as failed. Default
    /// 16MiB.
    pub max_message: u64,
}

/// How a queue comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// It must be there already.
    Passive,
    /// Declared durable, replicated.
    Quorum,
    /// Declared durable, on one node.
    Classic,
}

/// Where an event holds what orders and identifies it. Defaults: the names of CloudEvents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPaths {
    /// Its id. Default `id`.
    pub id: Path,
    /// Its kind. Default `type`.
    pub kind: Path,
    /// The business object that orders it. Default `subject`.
    pub key: Path,
    /// When it happened. Default `time`.
    pub time: Path,
}

/// One entry of `targets:`.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name: in routes, logs and metrics.
    pub name: Arc<str>,
    /// Where its name stands.
    pub mark: Mark,
    /// What it is.
    pub kind: TargetKind,
    /// How often and when to try again.
    pub retry: Retry,
    /// The most deliveries under way at once, each of another key. Default 256; 16 over HTTP,
    /// where each has a connection of its own.
    pub in_flight: usize,
    /// What a dead delivery does to its lane. Default hold.
    pub on_dead: OnDead,
}

impl Target {
    /// Whether it is the same, wherever in its file it stands.
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { name, mark: _, kind, retry, in_flight, on_dead } = self;
        (name, kind, retry) == (&other.name, &other.kind, &other.retry)
            && (in_flight, on_dead) == (&other.in_flight, &other.on_dead)
    }
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// `type: file`.
    File(FileTarget),
    /// `type: amqp`.
    Amqp(AmqpTarget),
    /// `type: http`.
    Http(Box<HttpTarget>),
}

/// A folder that somebody else empties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTarget {
    /// The folder, relative to the configuration file.
    pub path: String,
    /// How files are named.
    pub name: NameTemplate,
    /// The mode of files. Default 0640: their reader is in the group of the folder.
    pub mode: u32,
}

/// What becomes of a delivery that may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDoubt {
    /// It is sent again: the same bytes, the same id.
    Resend,
    /// It stays in doubt and holds its lane until an operator decides.
    Hold,
}

/// A file name with placeholders: `{message_type}_{docnum}.idoc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    parts: Vec<NamePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NamePart {
    Text(String),
    MessageType,
    IdocType,
    Docnum,
    Partner,
}

/// What a [`NameTemplate`] may show.
#[derive(Clone, Copy, Debug)]
pub struct NameValues<'a> {
    /// The message type (`MESTYP`).
    pub message_type: &'a str,
    /// The basic type (`IDOCTYP`).
    pub idoc_type: &'a str,
    /// The document number, 16 digits.
    pub docnum: &'a str,
    /// The partner's name.
    pub partner: &'a str,
}

impl NameTemplate {
    const PLACEHOLDERS: [(&'static str, NamePart); 4] = [
        ("message_type", NamePart::MessageType),
        ("idoc_type", NamePart::IdocType),
        ("docnum", NamePart::Docnum),
        ("partner", NamePart::Partner),
    ];

    /// Reads a template. It must hold `{docnum}`: names that repeat are refused on delivery.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let close = after.find('}').ok_or("`{` is not closed")?;
            let word = &after[1..close];
            let known = Self::PLACEHOLDERS.iter().find(|(name, _)| *name == word);
            let (_, part) = known.ok_or_else(|| {
                let names: Vec<_> = Self::PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
                format!("unknown placeholder `{{{word}}}`; known: {}", names.join(", "))
            })?;
            parts.push(NamePart::Text(before.to_owned()));
            parts.push(part.clone());
            rest = &after[close + 1..];
        }
        parts.push(NamePart::Text(rest.to_owned()));
        if text.contains(['/', '\\', '\0']) || text.starts_with('.') {
            return Err("a file name holds no `/`, `\\` and no leading `.`".to_owned());
        }
        if !parts.contains(&NamePart::Docnum) {
            return Err("`{docnum}` is missing: every file needs a name of its own".to_owned());
        }
        Ok(Self { parts })
    }

    /// The name with its values. Characters that have a meaning in file names become `_`.
    pub fn fill(&self, values: NameValues<'_>) -> String {
        let mut name = String::with_capacity(48);
        for part in &self.parts {
            match part {
                NamePart::Text(text) => name.push_str(text),
                NamePart::MessageType => push_safe(&mut name, values.message_type),
                NamePart::IdocType => push_safe(&mut name, values.idoc_type),
                NamePart::Docnum => push_safe(&mut name, values.docnum),
                NamePart::Partner => push_safe(&mut name, values.partner),
            }
        }
        name
    }
}

fn push_safe(name: &mut String, value: &str) {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.extend(value.chars().map(safe));
}

/// When a delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts before it is dead. Default 20: with the delays below, about six hours.
    pub attempts: u32,
    /// The first delay; it doubles each time. Default 1s.
    pub first: Duration,
    /// The greatest delay. Default 30m.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 20, first: Duration::from_secs(1), most: Duration::from_secs(30 * 60) }
    }
}

/// What a dead delivery does to the later ones of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDead {
    /// They wait, as behind a stopped qRFC queue, until an operator decides.
    Hold,
    /// They pass.
    Skip,
}

/// One entry of `routes:`.
#[derive(Clone, Debug)]
pub struct Route {
    /// The kinds of events it takes.
    pub on: Vec<String>,
    /// A condition on the event.
    pub when: Option<Spanned<String>>,
    /// The mapping's name.
    pub mapping: Spanned<String>,
    /// What the document is called where it is an event of its own (`customer.changed`).
    pub kind: Option<Spanned<String>>,
    /// The partner's name.
    pub partner: Option<Spanned<String>>,
    /// The targets' names.
    pub to: Vec<Spanned<String>>,
    /// Whether a failure holds back the later events of its key. Default park.
    pub on_failed: OnFailed,
    /// Where the route stands.
    pub mark: Mark,
}

/// What a failed event does to the later ones of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailed {
    /// They wait until the failed one was decided again.
    Park,
    /// They pass.
    Pass,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_filled_and_made_safe() {
        let template = NameTemplate::parse("{message_type}_{docnum}.idoc").unwrap();
        let values = NameValues {
            message_type: "/RB04/YP3",
            idoc_type: "ZVEHREG01",
            docnum: "0010100000000001",
            partner: "sap",
        };
        assert_eq!(template.fill(values), "_RB04_YP3_0010100000000001.idoc");
    }

    #[test]
    fn a_template_without_a_number_or_with_a_folder_is_refused() {
        for text in ["{message_type}.idoc", "../{docnum}", "{vin}_{docnum}", "{docnum", ".{docnum}"]
        {
            assert!(NameTemplate::parse(text).is_err(), "{text}");
        }
    }
}
