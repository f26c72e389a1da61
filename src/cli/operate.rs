//! `deliveries release`, `deliveries discard`, `events reprocess`, `reload`: through the running
//! agent, or on the journal itself where no agent runs.

use std::path::Path;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::{Acted, CONTROL_SOCKET, Reloaded, Request};
use crate::cli::args::{Act, Reason, Reload, Reprocess};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, check, journal_views, output};
use crate::dispatch::feed::Feeds;
use crate::http::client::{self, CallError};
use crate::intake::{Again, Command, InDecision, Inbox, Intake, ReprocessError, Reprocessed};
use crate::journal::{Action, Done, Journal, Operator, What};
use crate::metrics::Metrics;

pub(super) fn act(
    config: &Path,
    verb: &str,
    options: &Act,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let journal = journal_views::options(config)?;
    let runtime = runtime()?;
    let request = Request {
        who: options.reason.who.clone(),
        why: options.reason.why.clone(),
        events: Vec::new(),
        key: None,
    };
    let mut said = Said::Yes;
    for id in &options.deliveries {
        let path = format!("/deliveries/{id}/{verb}");
        let done = match ask(&runtime, &journal.path, &path, &request)? {
            Some(Ok(body)) => serde_json::from_slice(&body)
                .map_err(|error| format!("the agent's answer cannot be read: {error}")),
            Some(Err(refusal)) => Err(refusal),
            None => {
                let opened = Journal::open(&journal, clock())?;
                let what = if verb == "release" { What::Release(*id) } else { What::Discard(*id) };
                let operator = operator(&options.reason);
                let action = Action { operator, at: clock(), what };
                let done = runtime.block_on(opened.act(action));
                opened.close();
                done.map_err(|error| error.to_string()).and_then(|done| acted(*id, &done.on))
            }
        };
        match done {
            Ok(acted) if options.json => output::json_line(out, &acted)?,
            Ok(acted) => writeln!(out, "delivery {id}: {} -> {}", acted.was, acted.now)?,
            Err(refusal) => {
                said = Said::No;
                writeln!(out, "delivery {id}: not done: {refusal}")?;
            }
        }
    }
    Ok(said)
}

fn acted(id: u64, done: &Done) -> Result<Acted, String> {
    match done {
        Done::Delivery { now, was } => Ok(Acted {
            delivery: id,
            was: was.as_str().to_owned(),
            now: now.state.as_str().to_owned(),
        }),
        other => Err(format!("something else was done: {other:?}")),
    }
}

pub(super) fn reprocess(
    config: &Path,
    options: &Reprocess,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let events = chosen(config, options)?;
    if events.is_empty() {
        writeln!(out, "no event is chosen")?;
        return Ok(Said::No);
    }
    decide_again(config, (Again::Events(events), &options.reason), options.json, clock, out)
}

/// Asks the running agent, or decides itself where none runs; then shows what came of it.
fn decide_again(
    config: &Path,
    (what, reason): (Again, &Reason),
    json: bool,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    decide_slices(config, (vec![what], reason), clock, &mut |done| {
        if json {
            output::json_line(out, done)?
        } else {
            show_decided(done, out)?
        }
        Ok(())
    })?;
    Ok(Said::Yes)
}

/// The same in several slices, one after the other; `done` hears what came of each. Between two of
/// them the agent takes what arrives.
pub(super) fn decide_slices(
    config: &Path,
    (slices, reason): (Vec<Again>, &Reason),
    clock: fn() -> Timestamp,
    done: &mut dyn FnMut(&Value) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let journal = journal_views::options(config)?;
    let runtime = runtime()?;
    for (at, what) in slices.iter().enumerate() {
        let (path, events, key) = match what.clone() {
            Again::Events(events) => ("/events/reprocess", events, None),
            Again::Unparked(key) => ("/events/unpark", Vec::new(), Some(key)),
            Again::UnparkedBy(events) => ("/events/unpark", events, None),
        };
        let Operator { who, why, .. } = operator(reason);
        let request = Request { who, why, events, key };
        match ask(&runtime, &journal.path, path, &request)? {
            Some(Ok(body)) => {
                let answer = serde_json::from_slice::<Value>(&body)
                    .map_err(|error| CliError::Refused(format!("the agent's answer: {error}")))?;
                done(&answer)?;
            }
            Some(Err(refusal)) => return Err(CliError::Refused(refusal)),
            None => {
                let left = slices.get(at..).unwrap_or_default().to_vec();
                let decided = runtime.block_on(offline(config, left, operator(reason), clock))?;
                for slice in decided {
                    let slice = serde_json::to_value(slice);
                    done(&slice.map_err(|error| CliError::Refused(error.to_string()))?)?;
                }
                break;
            }
        }
    }
    Ok(())
}

/// Who asks, by the command line and by the operating system.
fn operator(reason: &Reason) -> Operator {
    let uid = Some(rustix::process::getuid().as_raw());
    Operator { who: reason.who.clone(), why: reason.why.clone(), uid }
}

pub(super) fn show_decided(done: &Value, out: &mut Output<'_>) -> std::io::Result<()> {
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows: Vec<_> = done
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let causes: Vec<_> = row["causes"].as_array().into_iter().flatten().map(cell).collect();
            vec![
                cell(&row["event"]),
                cell(&row["verdict"]),
                cell(&row["deliveries"]),
                causes.join("; "),
            ]
        })
        .collect();
    if rows.is_empty() {
        return writeln!(out, "done; nothing waited behind it");
    }
    output::table(out, &["event", "verdict", "deliveries", "causes"], &rows)
}

/// Lets the running agent read its configuration again.
pub(super) fn reload(
    config: &Path,
    options: &Reload,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let journal = journal_views::options(config)?;
    let (who, why) = (options.reason.who.clone(), options.reason.why.clone());
    let request = Request { who, why, events: Vec::new(), key: None };
    let done = match ask(&runtime()?, &journal.path, "/reload", &request)? {
        Some(Ok(body)) => serde_json::from_slice::<Reloaded>(&body)
            .map_err(|error| CliError::Refused(format!("the agent's answer: {error}")))?,
        Some(Err(refusal)) => {
            writeln!(out, "refused; the agent goes on as it was")?;
            out.lines(&refusal)?;
            return Ok(Said::No);
        }
        None => {
            let text =
                "no agent runs on this data directory; the next start reads the configuration";
            return Err(CliError::Refused(text.to_owned()));
        }
    };
    if options.json {
        output::json_line(out, &done)?;
        return Ok(Said::Yes);
    }
    let Reloaded { generation, plan, changed, stopped, started } = &done;
    let what = if *changed { "taken over" } else { "nothing has changed" };
    writeln!(out, "{what}: generation {generation}, plan {}", plan.get(..12).unwrap_or(plan))?;
    for (what, names) in [("stopped", stopped), ("started", started)] {
        if !names.is_empty() {
            writeln!(out, "{what}: {}", names.join(", "))?;
        }
    }
    Ok(Said::Yes)
}

/// The events by their numbers, or those that the choice means; never all by accident.
fn chosen(config: &Path, options: &Reprocess) -> Result<Vec<u64>, CliError> {
    let choice = &options.choice;
    if !options.events.is_empty() {
        return Ok(options.events.clone());
    }
    if choice.verdict.is_none() && choice.key.is_none() && choice.cause.is_none() {
        let text = "name events by number, or choose them by --verdict, --key or --cause";
        return Err(CliError::Usage(text.to_owned()));
    }
    let rows =
        journal_views::open(config)?.events(&journal_views::filter(choice)?, choice.limit)?;
    Ok(rows.into_iter().map(|row| row.event).collect())
}

/// Without a running agent: the same intake, with nothing but this command to do.
async fn offline(
    config: &Path,
    slices: Vec<Again>,
    operator: Operator,
    clock: fn() -> Timestamp,
) -> Result<Vec<Vec<Reprocessed>>, CliError> {
    let (written, plan) = check::compiled(config)?;
    let journal = Journal::open(&crate::agent::journal_options(&written), clock())?;
    let (ask, commands) = mpsc::channel(slices.len().max(1));
    let mut answers = Vec::with_capacity(slices.len());
    for what in slices {
        let (answer, answered) = oneshot::channel();
        let operator = operator.clone();
        // There is room for all of them, and the intake is not running yet.
        if ask.send(Command::Reprocess { what, operator, answer }).await.is_ok() {
            answers.push(answered);
        }
    }
    let intake = Intake {
        in_decision: InDecision::default(),
        journal: journal.clone(),
        plan: Arc::new(plan),
        inbox: Inbox::new(Vec::new()),
        commands,
        feeds: Feeds::of(written.config.targets.iter().map(|target| target.name.clone())),
        room: watch::channel(true).0,
        metrics: Arc::new(Metrics::new().map_err(crate::agent::AgentError::from)?),
        clock,
    };
    intake.run().await;
    tokio::task::spawn_blocking(move || journal.close()).await.map_err(std::io::Error::other)?;
    let mut done = Vec::with_capacity(answers.len());
    for answered in answers {
        let slice = answered.await.unwrap_or(Err(ReprocessError::Stopping));
        done.push(slice.map_err(|error| CliError::Refused(error.to_string()))?);
    }
    Ok(done)
}

/// Asks the running agent; `None` where none runs.
fn ask(
    runtime: &tokio::runtime::Runtime,
    journal: &Path,
    path: &str,
    request: &Request,
) -> Result<Option<Result<Vec<u8>, String>>, CliError> {
    let socket = journal.with_file_name(CONTROL_SOCKET);
    let body = serde_json::to_vec(request).map_err(|error| CliError::Refused(error.to_string()))?;
    match runtime.block_on(client::call(&socket, Method::POST, path, body)) {
        Ok((StatusCode::OK, body)) => Ok(Some(Ok(body))),
        Ok((_, body)) => Ok(Some(Err(String::from_utf8_lossy(&body).into_owned()))),
        Err(CallError::Absent(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
