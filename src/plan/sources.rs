//! How the events of each source are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use waybill_parsers::idoc::Types;
use waybill_parsers::{Kind, Limits, Path, Resolved, Schema};

use crate::config::{self, EventPaths, IdocSource, Source};
use crate::diagnostic::{Mark, Problems};
use crate::lifecycle::Lifecycle;

/// Nodes of one document: a JSON list of zeros has one for every two bytes, and a node takes 28.
const MOST_NODES: usize = 1_000_000;

/// How the events of a source are read.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// What they are written in.
    pub format: SourceFormat,
    /// The most bytes of one.
    pub max_message: u64,
    /// The bounds of their content.
    pub limits: Limits,
}

/// What the events of a source are written in.
#[derive(Clone, Debug)]
pub enum SourceFormat {
    /// JSON, which holds at these paths what identifies and orders it.
    Json(EventPaths),
    /// IDocs.
    Idoc(IdocPlan),
}

/// How the IDocs of a source are read.
#[derive(Clone, Debug)]
pub struct IdocPlan {
    /// The types that are known.
    pub types: Arc<Types>,
    /// By message type: what orders its IDocs.
    pub keys: BTreeMap<String, IdocKey>,
    /// The name under which it is kept how new the last IDoc of a key was.
    pub newest: Arc<str>,
}

/// What orders the IDocs of a message type.
#[derive(Clone, Debug)]
pub struct IdocKey {
    /// Where they hold the business object.
    pub path: Path,
    /// Whether one that is older than the last one of its key is ignored.
    pub newest_wins: bool,
}

/// The plans of all sources, by name.
pub(super) fn compile(
    sources: &[Source],
    schemas: &[Arc<Schema>],
    lifecycles: &[&Lifecycle],
    problems: &mut Problems,
) -> BTreeMap<Arc<str>, SourcePlan> {
    let mut types = Types::new();
    schemas.iter().for_each(|schema| types.add(schema.clone()));
    let types = Arc::new(types);
    let mut plans = BTreeMap::new();
    for source in sources {
        let max_message = source.kind.max_message();
        let document = usize::try_from(max_message).unwrap_or(usize::MAX);
        let format = match &source.format {
            config::SourceFormat::Json => SourceFormat::Json(source.event.clone()),
            config::SourceFormat::Idoc(idoc) => {
                check_keys(idoc, schemas, problems);
                check_newest(idoc, lifecycles, problems);
                let newest = format!("serial:{}", source.name).into();
                SourceFormat::Idoc(IdocPlan { types: types.clone(), keys: keys(idoc), newest })
            }
        };
        let limits = Limits { document, nodes: MOST_NODES, ..Limits::default() };
        plans.insert(source.name.clone(), SourcePlan { format, max_message, limits });
    }
    plans
}

fn keys(idoc: &IdocSource) -> BTreeMap<String, IdocKey> {
    let keys = idoc.keys.iter().map(|(message, path)| {
        let newest_wins = idoc.newest_wins.iter().any(|other| other.value == message.value);
        (message.value.clone(), IdocKey { path: path.clone(), newest_wins })
    });
    keys.collect()
}

/// A message type does not tell its IDoc type, so a path is right where any type declares it.
fn check_keys(idoc: &IdocSource, schemas: &[Arc<Schema>], problems: &mut Problems) {
    for (message, path) in &idoc.keys {
        let is_field = |schema: &Arc<Schema>| match schema.resolve(schema.root(), path) {
            Resolved::Declared(id) => schema.element(id).kind == Kind::Field,
            Resolved::Open => true,
            Resolved::Unknown { .. } => false,
        };
        if schemas.iter().any(is_field) {
            continue;
        }
        let text = format!("{}: no IDoc type declares a field `{path}`", message.value);
        // The type that knows the most of it is the one that was meant.
        let near = schemas.iter().filter_map(|schema| match schema.resolve(schema.root(), path) {
            Resolved::Unknown { step, near: Some(near), .. } => Some((step, near)),
            _ => None,
        });
        let remedy = match near.max_by_key(|(step, _)| *step) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => "definitions are read from the folders of `schemas`".to_owned(),
        };
        problems.advise(message.mark, text, remedy);
    }
}

/// An event steps one thing: what a lifecycle orders needs no second order.
fn check_newest(idoc: &IdocSource, lifecycles: &[&Lifecycle], problems: &mut Problems) {
    for message in &idoc.newest_wins {
        let kind = format!("idoc.{}", message.value);
        let mut steps = lifecycles.iter().filter(|lifecycle| lifecycle.on.contains(&kind));
        if let Some(lifecycle) = steps.next() {
            let mark: Mark = message.mark;
            let name = &lifecycle.name;
            problems.add(mark, format!("newest_wins: lifecycle {name} orders `{kind}` already"));
        }
    }
}
