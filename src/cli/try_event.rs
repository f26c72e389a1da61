//! `waybill try`: what would become of an event, without doing it.

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::agent;
use crate::cli::args::Try;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, check, output};
use crate::config::load::Written;
use crate::event::{Arrival, Beside, Decision, Verdict};
use crate::facts::{Facts, Needs};
use crate::journal::Journal;
use crate::pipeline::{self, Outcome};

/// Numbers that no real document has: the highest of the last instance.
const NUMBERS: std::ops::Range<u64> = 9_999_999_999_999_000..9_999_999_999_999_999;

#[derive(Serialize)]
struct Trial<'a> {
    verdict: &'a str,
    causes: &'a [String],
    id: &'a str,
    kind: &'a str,
    key: &'a str,
    transition: Option<Step<'a>>,
    deliveries: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    lifecycle: &'a str,
    object: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    applied: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    target: &'a str,
    name: &'a str,
    mapping: &'a str,
    document: std::borrow::Cow<'a, str>,
}

pub(super) fn try_event(
    config: &Path,
    options: &Try,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let (written, plan) = check::compiled(config)?;
    let name = source(&written, options)?;
    let raw = event(&options.event)?;
    let now = clock();
    let arrival = Arrival {
        source: name.into(),
        raw: raw.into(),
        message_id: None,
        received: now,
        position: None,
        beside: Beside::default(),
    };
    let read = pipeline::read(&plan, arrival);
    let mut facts = facts(&written, &pipeline::needs(&plan, std::slice::from_ref(&read)))?;
    let mut numbers = NUMBERS;
    match pipeline::process(&plan, read, &mut facts, &mut numbers, now) {
        Outcome::Redelivery => {
            writeln!(out, "redelivery: the journal has this event already, byte for byte")?;
            Ok(Said::Yes)
        }
        Outcome::Decided(decision) => {
            if options.json {
                output::json_line(out, &trial(&decision))?;
            } else {
                story(&decision, out)?;
            }
            let refused = matches!(decision.verdict, Verdict::Failed | Verdict::Refused);
            Ok(if refused { Said::No } else { Said::Yes })
        }
    }
}

fn source(written: &Written, options: &Try) -> Result<String, CliError> {
    let names: Vec<&str> = written.config.sources.iter().map(|source| &*source.name).collect();
    match (&options.source, names.as_slice()) {
        (Some(name), names) if names.contains(&name.as_str()) => Ok(name.clone()),
        (None, [only]) => Ok((*only).to_owned()),
        (_, names) => {
            Err(CliError::Usage(format!("--source must be one of: {}", names.join(", "))))
        }
    }
}

fn event(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut raw = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut raw).map(|_| ())
    } else {
        std::fs::read(path).map(|bytes| raw = bytes)
    };
    read.map_err(|error| CliError::Refused(format!("{}: {error}", path.display())))?;
    Ok(raw)
}

/// What the journal knows; nothing where there is none yet.
fn facts(written: &Written, needs: &Needs) -> Result<Facts, CliError> {
    let path = agent::journal_options(written).path;
    if !path.is_file() {
        return Ok(Facts::default());
    }
    Ok(Journal::open_read_only(&path)?.facts(needs)?)
}

fn trial(decision: &Decision) -> Trial<'_> {
    let transition = decision.transition.as_ref().map(|step| Step {
        lifecycle: &step.lifecycle,
        object: &step.object,
        from: step.from.as_deref(),
        to: &step.to,
        applied: step.applied,
    });
    let shown = decision.deliveries.iter().map(|delivery| Shown {
        target: &delivery.target,
        name: &delivery.name,
        mapping: &delivery.mapping,
        document: String::from_utf8_lossy(&delivery.document),
    });
    Trial {
        verdict: decision.verdict.as_str(),
        causes: &decision.causes,
        id: &decision.header.id,
        kind: &decision.header.kind,
        key: &decision.header.key,
        transition,
        deliveries: shown.collect(),
    }
}

fn story(decision: &Decision, out: &mut Output<'_>) -> std::io::Result<()> {
    let header = &decision.header;
    writeln!(out, "event    {} ({}) of {}", header.id, header.kind, header.key)?;
    if let Some(step) = &decision.transition {
        let from = step.from.as_deref().unwrap_or("(unknown)");
        let applied = if step.applied { "" } else { " (not applied)" };
        writeln!(out, "{}: {from} -> {}{applied}", step.lifecycle, step.to)?;
    }
    writeln!(out, "verdict  {}", decision.verdict.as_str())?;
    for cause in &decision.causes {
        writeln!(out, "  {cause}")?;
    }
    for delivery in &decision.deliveries {
        let bytes = delivery.document.len();
        writeln!(
            out,
            "delivery to {}: {} ({bytes} bytes, {})",
            delivery.target, delivery.name, delivery.mapping
        )?;
        for line in String::from_utf8_lossy(&delivery.document).lines() {
            writeln!(out, "  | {}", line.trim_end())?;
        }
    }
    Ok(())
}
