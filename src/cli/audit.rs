//! `waybill audit verify`: whether the journal still says what it said. `waybill audit actions`:
//! what operators did.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::cli::args::{AuditActions, AuditVerify};
use crate::cli::output::Output;
use crate::cli::{CliError, Said, journal_views, output};
use crate::event::Digest;
use crate::journal::{Anchor, MOST_BREAKS, Verification};

/// The answer, as JSON shows it.
#[derive(Serialize)]
struct Answer<'a> {
    holds: bool,
    #[serde(flatten)]
    found: &'a Verification,
}

pub(super) fn verify(
    config: &Path,
    options: &AuditVerify,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let anchor = options.anchor.as_deref().map(anchor).transpose()?;
    let journal = journal_views::open(config)?;
    let total = journal.anchor()?.number;
    let mut progress = Progress::of(total, options.json);
    let found = journal.verify_with(anchor, &mut |commits| progress.show(commits))?;
    progress.end();
    let holds = found.breaks.is_empty();
    if options.json {
        output::json_line(out, &Answer { holds, found: &found })?;
    } else {
        tell(&found, out)?;
    }
    Ok(if holds { Said::Yes } else { Said::No })
}

/// What operators did.
pub(super) fn actions(
    config: &Path,
    options: &AuditActions,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let rows = journal_views::open(config)?.actions(options.limit)?;
    if options.json {
        rows.iter().try_for_each(|row| output::json_line(out, row))?;
    } else {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |it| it.to_string());
        let cells: Vec<_> = rows
            .iter()
            .map(|row| {
                let (event, delivery) = (number(row.event), number(row.delivery));
                let (at, who) = (journal_views::short(row.at), journal_views::who(row));
                vec![at, row.verb.clone(), event, delivery, who, row.why.clone()]
            })
            .collect();
        output::table(out, &["time", "action", "event", "delivery", "who", "why"], &cells)?;
    }
    Ok(if rows.is_empty() { Said::No } else { Said::Yes })
}

fn tell(found: &Verification, out: &mut Output<'_>) -> io::Result<()> {
    let Verification { commits, events, deliveries, breaks, head } = found;
    match breaks.as_slice() {
        [] => writeln!(
            out,
            "the chain holds: {commits} commits, {events} events, {deliveries} deliveries"
        )?,
        [first, rest @ ..] => {
            writeln!(out, "the chain is broken at commit {}: {}", first.commit, first.what)?;
            for broken in rest {
                writeln!(out, "  commit {}: {}", broken.commit, broken.what)?;
            }
            if breaks.len() == MOST_BREAKS {
                writeln!(out, "  and perhaps more: these are the first {MOST_BREAKS}")?;
            }
        }
    }
    match head {
        Some(Anchor { number, hash }) => writeln!(out, "head {number}:{hash}"),
        None => Ok(()),
    }
}

fn anchor(text: &str) -> Result<Anchor, CliError> {
    let wrong = || CliError::Usage("--anchor: a number, a colon and 64 hexadecimal digits".into());
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    let hash = Digest::parse(hash).ok_or_else(wrong)?;
    Ok(Anchor { number, hash })
}

/// How far it is, for somebody who sits there.
struct Progress {
    total: u64,
    shown: Option<u64>,
    is_on: bool,
}

impl Progress {
    fn of(total: u64, json: bool) -> Self {
        Self { total, shown: None, is_on: !json && Output::errors().is_terminal() }
    }

    fn show(&mut self, commits: u64) {
        let percent = commits.saturating_mul(100).checked_div(self.total).unwrap_or(100).min(100);
        if self.is_on && self.shown != Some(percent) {
            self.shown = Some(percent);
            self.write(&format!("{percent} % of {} commits", self.total));
        }
    }

    fn end(&mut self) {
        if self.shown.is_some() {
            self.write("");
        }
    }

    /// A screen that cannot be written to need not hear it.
    fn write(&mut self, text: &str) {
        if Output::errors().progress(text).is_err() {
            self.is_on = false;
        }
    }
}
