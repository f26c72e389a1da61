//! `events unpark`: one key by name, or many by what parked them.
//!
//! Many are let go in slices, so that a running agent takes what arrives between two of them. What
//! is parked while this works stays parked.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::args::Unpark;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, journal_views, operate, output};
use crate::intake::Again;
use crate::journal::{ParkedFilter, ParkedRow, Reader};

/// Keys of one slice: a running agent takes nothing while it decides what waited behind them.
const SLICE: usize = 50;
/// Parked keys that are read at once.
const PAGE: usize = 1_000;

pub(super) fn unpark(
    config: &Path,
    options: &Unpark,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    match &options.key {
        Some(word) => one(config, (word, options), clock, out),
        None => many(config, options, clock, out),
    }
}

/// Lets one key go on without the event that parked it.
fn one(
    config: &Path,
    (word, options): (&str, &Unpark),
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let Some(row) = journal_views::open(config)?.parked_as(word)? else {
        let text = "no key of that name is parked, and none by an event of that number";
        writeln!(out, "{word}: {text}; parked keys: waybill events unpark --all --dry-run")?;
        return Ok(Said::No);
    };
    if options.dry_run {
        show(&[row], options.json, out)?;
        return Ok(Said::Yes);
    }
    let slices = vec![Again::Unparked(row.key)];
    operate::decide_slices(config, (slices, &options.reason()), clock, &mut |done| {
        if options.json {
            output::json_line(out, done)?
        } else {
            operate::show_decided(done, out)?
        }
        Ok(())
    })?;
    Ok(Said::Yes)
}

/// Lets all keys go on that the choice means.
fn many(
    config: &Path,
    options: &Unpark,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let filter = filter(options, clock())?;
    let journal = journal_views::open(config)?;
    if options.dry_run {
        return dry_run(&journal, filter, options.json, out);
    }
    let mut events = Vec::new();
    pages(&journal, filter, &mut |rows| {
        events.extend(rows.iter().map(|row| row.event));
        Ok(())
    })?;
    events.dedup();
    if events.is_empty() {
        writeln!(out, "no parked key is meant")?;
        return Ok(Said::No);
    }
    let slices = events.chunks(SLICE).map(|slice| Again::UnparkedBy(slice.to_vec())).collect();
    let (mut left, mut verdicts) = (events.len(), BTreeMap::<String, u64>::new());
    let mut progress = Progress::of(events.len(), options.json);
    operate::decide_slices(config, (slices, &options.reason()), clock, &mut |done| {
        left = left.saturating_sub(SLICE);
        progress.show(left);
        if options.json {
            return Ok(output::json_line(out, done)?);
        }
        for verdict in verdicts_of(done) {
            *verdicts.entry(verdict).or_default() += 1;
        }
        Ok(())
    })?;
    progress.end();
    if !options.json {
        let counts: Vec<_> =
            verdicts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let decided =
            if counts.is_empty() { "nothing waited".to_owned() } else { counts.join(", ") };
        writeln!(out, "{} keys go on; what waited behind them: {decided}", events.len())?;
    }
    Ok(Said::Yes)
}

fn verdicts_of(done: &Value) -> impl Iterator<Item = String> {
    let rows = done.as_array().into_iter().flatten();
    rows.filter_map(|row| row["verdict"].as_str()).map(str::to_owned)
}

/// What is meant, never all by accident. What is parked from now on is not.
fn filter(options: &Unpark, now: Timestamp) -> Result<ParkedFilter, CliError> {
    let Unpark { cause, kind, source, since, until, all, .. } = options;
    let nothing = cause.is_none() && kind.is_none() && source.is_none();
    if nothing && since.is_none() && until.is_none() && !all {
        let text = "name a key, or choose by --cause, --kind, --source, --since, --until, or --all";
        return Err(CliError::Usage(text.to_owned()));
    }
    Ok(ParkedFilter {
        cause: cause.clone(),
        kind: kind.clone(),
        source: source.clone(),
        since: *since,
        until: Some(until.map_or(now, |until| until.min(now))),
        after: 0,
    })
}

/// All parked keys that are meant, a page at a time.
fn pages(
    journal: &Reader,
    mut filter: ParkedFilter,
    page: &mut dyn FnMut(&[ParkedRow]) -> Result<(), CliError>,
) -> Result<(), CliError> {
    loop {
        let rows = journal.parked(&filter, PAGE)?;
        let Some(last) = rows.last() else { return Ok(()) };
        filter.after = last.event;
        page(&rows)?;
    }
}

/// Says which keys would go on.
fn dry_run(
    journal: &Reader,
    filter: ParkedFilter,
    json: bool,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let mut count = 0;
    pages(journal, filter, &mut |rows| {
        count += rows.len();
        show(rows, json, out)
    })?;
    if !json {
        writeln!(out, "{count} keys would go on")?;
    }
    Ok(if count == 0 { Said::No } else { Said::Yes })
}

fn show(rows: &[ParkedRow], json: bool, out: &mut Output<'_>) -> Result<(), CliError> {
    if json {
        rows.iter().try_for_each(|row| output::json_line(out, row))?;
        return Ok(());
    }
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let causes = row.causes.join("; ");
            let at = journal_views::short(row.at);
            vec![row.event.to_string(), at, row.kind.clone(), row.key.clone(), causes]
        })
        .collect();
    Ok(output::table(out, &["event", "since", "kind", "key", "causes"], &cells)?)
}

/// How far it is, for a person who waits.
struct Progress {
    total: usize,
    is_on: bool,
    shown: bool,
}

impl Progress {
    fn of(total: usize, json: bool) -> Self {
        Self { total, is_on: !json && Output::errors().is_terminal(), shown: false }
    }

    fn show(&mut self, left: usize) {
        self.write(&format!("{} of {} keys", self.total - left, self.total));
        self.shown = true;
    }

    fn end(&mut self) {
        if self.shown {
            self.write("");
        }
    }

    /// A screen that cannot be written to does not stop the work.
    fn write(&mut self, text: &str) {
        if self.is_on && Output::errors().progress(text).is_err() {
            self.is_on = false;
        }
    }
}
