//! The routes: each name in them looked up, each mapping fit for what it is given.

use std::sync::Arc;

use waybill_parsers::Schema;

use crate::config::{self, Config, TargetKind};
use crate::diagnostic::{Mark, Problems, Spanned};
use crate::mapping::{Condition, Mapping, Product};
use crate::partner::Partner;
use crate::plan::files::Compiled;
use crate::route::{Address, Destination, Makes, MessageAddress, RequestAddress, Route};

/// The routes of the configuration, as far as they are right.
pub(super) fn compile(config: &Config, compiled: &Compiled, problems: &mut Problems) -> Vec<Route> {
    let routes = config.routes.iter();
    routes.filter_map(|route| self::route(route, config, compiled, problems)).collect()
}

fn route(
    route: &config::Route,
    config: &Config,
    compiled: &Compiled,
    problems: &mut Problems,
) -> Option<Route> {
    let open = Schema::open("event");
    let when = route.when.as_ref().map(|when| Condition::compile(when, &open, problems));
    let found = compiled.mapping(&route.mapping, problems);
    let is_json = found.as_ref().is_some_and(|(mapping, _)| mapping.product() == Product::Json);
    let partner = partner(route, is_json, compiled, problems);
    let to = destinations(route, config, problems);
    if route.on.is_empty() {
        problems.add(route.mark, "route: `on` names no kind of event");
    }
    if route.to.is_empty() {
        problems.add(route.mark, "route: `to` names no target");
    }
    let (mapping, schema) = found?;
    check_kinds(route, &mapping, problems);
    let (makes, kind) = match mapping.product() {
        Product::Idoc { message, .. } => {
            let kind = format!("idoc.{message}");
            (Makes::Idoc { schema, message: message.into() }, Some(kind))
        }
        Product::Json => (Makes::Json, None),
    };
    let kind = route.kind.as_ref().map(|kind| kind.value.clone()).or(kind);
    if kind.is_none() {
        let remedy = "name the event that the document is, such as `as: customer.changed`";
        problems.advise(route.mapping.mark, "route: `as` is missing", remedy);
    }
    Some(Route {
        on: route.on.clone(),
        when: when.flatten().map(Arc::new),
        mapping,
        makes,
        kind: kind?.into(),
        partner: partner?,
        to,
        on_failed: route.on_failed,
        limits: config.limits,
    })
}

fn destinations(
    route: &config::Route,
    config: &Config,
    problems: &mut Problems,
) -> Vec<Destination> {
    let mut targets: Vec<&str> = config.targets.iter().map(|target| &*target.name).collect();
    targets.sort_unstable();
    let mut to = Vec::new();
    for name in &route.to {
        match config.targets.iter().find(|target| *target.name == *name.value) {
            Some(target) => {
                let address = match &target.kind {
                    TargetKind::File(file) => Address::File(file.name.clone()),
                    TargetKind::Amqp(amqp) => Address::Message(MessageAddress {
                        agent: config.agent.name.clone(),
                        routing_key: amqp.routing_key.clone(),
                    }),
                    TargetKind::Http(http) => Address::Request(RequestAddress {
                        agent: config.agent.name.clone(),
                        method: http.method,
                        path: http.path.clone(),
                        id_header: http.id_header.as_str().into(),
                        content_type: http.content_type.as_deref().map(Arc::from),
                    }),
                };
                to.push(Destination { target: target.name.clone(), address });
            }
            // Its own mistakes are reported where it stands.
            None if config.broken_targets.contains(&name.value) => {}
            None => problems.unknown(name.mark, "target", &name.value, targets.iter().copied()),
        }
    }
    to
}

/// What a mapping of IDocs is given must be IDocs of its message type: in others its paths lead
/// nowhere.
fn check_kinds(route: &config::Route, mapping: &Mapping, problems: &mut Problems) {
    let Some(message) = mapping.reads() else { return };
    let kind = format!("idoc.{message}");
    if let Some(other) = route.on.iter().find(|on| **on != kind) {
        let name = mapping.name();
        let message = format!("mapping {name} reads `{kind}`, but the route is on `{other}`");
        problems.add(route.mapping.mark, message);
    }
}

/// The partner; `Some(None)` where none is needed.
fn partner(
    route: &config::Route,
    is_json: bool,
    compiled: &Compiled,
    problems: &mut Problems,
) -> Option<Option<Arc<Partner>>> {
    match &route.partner {
        Some(name) => named(name, compiled, problems).map(Some),
        None if is_json => Some(None),
        None => {
            let mark: Mark = route.mapping.mark;
            let remedy = "an IDoc's control record needs its sender and receiver";
            problems.advise(mark, "route: `partner` is missing", remedy);
            None
        }
    }
}

fn named(
    name: &Spanned<String>,
    compiled: &Compiled,
    problems: &mut Problems,
) -> Option<Arc<Partner>> {
    let found = compiled.partners.iter().find(|partner| *partner.name == *name.value);
    if found.is_none() {
        let names = compiled.partners.iter().map(|partner| &*partner.name);
        let names = names.chain(compiled.broken_partners());
        problems.unknown(name.mark, "partner", &name.value, names);
    }
    found.cloned()
}
