//! `trail`, `events list`, `deliveries list`: what the journal shows, beside a running agent or
//! without one.

use std::path::Path;

use jiff::Timestamp;

use crate::agent;
use crate::cli::args::{DeliveriesList, EventChoice, EventsList, Trail};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, check, output};
use crate::config::load;
use crate::delivery::State;
use crate::event::Verdict;
use crate::journal::{ActionRow, DeliveryFilter, EventFilter, Journal, Options, Reader, Story};

pub(super) fn trail(
    config: &Path,
    options: &Trail,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let stories = open(config)?.trail(&options.word)?;
    for story in &stories {
        if options.json {
            output::json_line(out, story)?;
        } else {
            tell(story, out)?;
        }
    }
    if stories.is_empty() && !options.json {
        writeln!(out, "nothing is known about {}", options.word)?;
        if options.word.contains('.') {
            writeln!(
                out,
                "of a file that was dropped: waybill files explain FOLDER/{}",
                options.word
            )?;
        }
    }
    Ok(found(stories.is_empty()))
}

pub(super) fn events(
    config: &Path,
    options: &EventsList,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let filter = EventFilter { newest: !options.oldest, ..filter(&options.choice)? };
    let limit = options.choice.limit;
    let mut rows = open(config)?.events(&filter, limit.saturating_add(1))?;
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    if options.json {
        rows.iter().try_for_each(|row| output::json_line(out, row))?;
        return Ok(found(rows.is_empty()));
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.event.to_string(),
                short(row.received),
                row.source.clone(),
                row.verdict.as_str().to_owned(),
                row.kind.clone(),
                row.key.clone(),
                row.causes.join("; "),
            ]
        })
        .collect();
    let headings = ["event", "received", "source", "verdict", "kind", "key", "causes"];
    output::table(out, &headings, &cells)?;
    say_cut(is_cut, limit, options.oldest)?;
    Ok(found(rows.is_empty()))
}

/// Says that a list shows a part of what there is: on the screen, not among its rows.
fn say_cut(is_cut: bool, limit: usize, oldest: bool) -> std::io::Result<()> {
    if is_cut {
        let which = if oldest { "oldest" } else { "newest" };
        writeln!(Output::errors(), "waybill: the {which} {limit}; there are more (--limit)")?;
    }
    Ok(())
}

pub(super) fn deliveries(
    config: &Path,
    options: &DeliveriesList,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let state =
        word(options.state.as_deref(), State::parse, || State::ALL.map(State::as_str).join(", "))?;
    let (target, key) = (options.target.clone(), options.key.clone());
    let newest = !options.oldest;
    let filter = DeliveryFilter { target, state, key, newest, ..Default::default() };
    let mut rows = open(config)?.deliveries(&filter, options.limit.saturating_add(1))?;
    let is_cut = rows.len() > options.limit;
    rows.truncate(options.limit);
    if options.json {
        rows.iter().try_for_each(|row| output::json_line(out, row))?;
        return Ok(found(rows.is_empty()));
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                row.delivery.to_string(),
                row.target.clone(),
                row.state.as_str().to_owned(),
                row.attempts.to_string(),
                short(row.due),
                row.key.clone(),
                row.name.clone(),
            ]
        })
        .collect();
    let headings = ["delivery", "target", "state", "attempts", "due", "key", "name"];
    output::table(out, &headings, &cells)?;
    say_cut(is_cut, options.limit, options.oldest)?;
    Ok(found(rows.is_empty()))
}

/// The journal of a configuration, for reading. Mistakes elsewhere in the configuration do not
/// keep an operator from looking.
pub(super) fn open(config: &Path) -> Result<Reader, CliError> {
    let path = options(config)?.path;
    if !path.is_file() {
        let text = format!("there is no journal at {} yet: has the agent run?", path.display());
        return Err(CliError::Refused(text));
    }
    Ok(Journal::open_read_only(&path)?)
}

/// Where the journal of a configuration is.
pub(super) fn options(config: &Path) -> Result<Options, CliError> {
    match load::load(config) {
        (Some(written), _) if !written.config.agent.data_dir.is_empty() => {
            Ok(agent::journal_options(&written))
        }
        _ => {
            check::compiled(config)?;
            Err(CliError::Refused(format!("{}: no configuration", config.display())))
        }
    }
}

/// The filter that a choice of events means.
pub(super) fn filter(choice: &EventChoice) -> Result<EventFilter, CliError> {
    let verdict = word(choice.verdict.as_deref(), Verdict::parse, || {
        Verdict::ALL.map(Verdict::as_str).join(", ")
    })?;
    Ok(EventFilter {
        verdict,
        source: choice.source.clone(),
        key: choice.key.clone(),
        cause: choice.cause.clone(),
        since: choice.since,
        until: choice.until,
        ..Default::default()
    })
}

fn word<T>(
    written: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    known: impl Fn() -> String,
) -> Result<Option<T>, CliError> {
    let Some(written) = written else { return Ok(None) };
    match parse(written) {
        Some(value) => Ok(Some(value)),
        None => Err(CliError::Usage(format!("unknown word `{written}`; known: {}", known()))),
    }
}

fn tell(story: &Story, out: &mut Output<'_>) -> std::io::Result<()> {
    let event = &story.event;
    writeln!(
        out,
        "{}  event {}: {} {} from {} ({})",
        short(event.received),
        event.event,
        event.kind,
        event.id,
        event.source,
        event.key
    )?;
    if let Some(step) = &event.transition {
        let from = step.from.as_deref().unwrap_or("(unknown)");
        let applied = if step.applied { "" } else { ", not applied" };
        writeln!(out, "    {} {}: {from} -> {}{applied}", step.lifecycle, step.object, step.to)?;
    }
    if let Some(trace) = &event.trace {
        writeln!(out, "    trace {trace}")?;
    }
    writeln!(out, "    {} (commit {})", event.verdict.as_str(), event.commit)?;
    for cause in &event.causes {
        writeln!(out, "      {cause}")?;
    }
    for (delivery, attempts) in &story.deliveries {
        let settled = delivery.settled.map(|at| format!(" {}", short(at))).unwrap_or_default();
        writeln!(
            out,
            "    delivery {} to {}: {} as {}{settled}",
            delivery.delivery,
            delivery.target,
            delivery.state.as_str(),
            delivery.name
        )?;
        for attempt in attempts {
            let state = attempt.state.as_str();
            writeln!(
                out,
                "      {} attempt {}: {state}: {}",
                short(attempt.at),
                attempt.attempt,
                attempt.reason
            )?;
        }
    }
    for action in &story.actions {
        writeln!(
            out,
            "    {} {} by {}: {}",
            short(action.at),
            action.verb,
            who(action),
            action.why
        )?;
    }
    Ok(())
}

/// The name that an operator gave, and the user that the operating system knows.
pub(super) fn who(action: &ActionRow) -> String {
    match action.uid {
        Some(uid) => format!("{} (uid {uid})", action.who),
        None => action.who.clone(),
    }
}

/// Milliseconds are what people compare.
pub(super) fn short(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn found(nothing: bool) -> Said {
    if nothing { Said::No } else { Said::Yes }
}
