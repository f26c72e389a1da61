//! `waybill files`: why a dropped file is taken or not.
//!
//! The answer is that of the agent's own decision; only what it has seen over time is not known
//! here. So the folder is looked at twice.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::agent;
use crate::cli::args::Explain;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, check, output};
use crate::config::load::Written;
use crate::config::{FolderSource, SourceKind};
use crate::directory::Directory;
use crate::journal::{FileOutcome, FileRow, Journal, Reader, network_fs};
use crate::source::folder::judge::{Completeness, Settings, Waiting};
use crate::source::folder::look::{Look, Observer, WORK};
use crate::source::folder::place;

/// The longest that the second look is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Files of one name that are shown when they are gone.
const MOST_ENDED: u32 = 5;
/// The word for a file that could not be worked on.
const FAILING: &str = "failing";
/// Failed events that are named for one file.
const MOST_EVENTS: usize = 5;

/// One file, as JSON shows it.
#[derive(Serialize)]
struct Explained {
    file: String,
    bytes: u64,
    /// `taken`, `waiting`, `left-alone`, `in-work`, or of one that is gone `ended`.
    state: &'static str,
    reason: &'static str,
    explanation: String,
}

/// The folder that was asked about.
struct Asked<'w> {
    source: &'w str,
    settings: FolderSource,
    folder: PathBuf,
    /// The one file of it.
    only: Option<String>,
}

pub(super) fn explain(
    path: &Path,
    options: &Explain,
    clock: fn() -> Timestamp,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let (written, _) = check::compiled(path)?;
    let asked = asked(&written, &options.path)?;
    let network = network_fs(&asked.folder).map_err(|error| unreadable(&asked.folder, &error))?;
    let settings = Settings::of(&asked.settings, network.is_some());
    let mut looks = look_twice(&asked.folder, &settings, clock)?;
    looks.retain(|look| asked.only.as_ref().is_none_or(|only| *only == look.name));
    let failing = place::failing(&asked.folder);
    let mut explained: Vec<_> = looks.iter().map(|look| explained(look, &failing)).collect();
    let journal = Journal::open_read_only(&agent::journal_options(&written).path).ok();
    explained.extend(in_work(journal.as_ref(), &asked, &failing));
    if explained.is_empty() {
        explained.extend(ended(journal.as_ref(), &asked));
    }
    if options.json {
        explained.iter().try_for_each(|file| output::json_line(out, file))?;
    } else {
        show(&asked, &explained, out)?;
    }
    Ok(if explained.is_empty() { Said::No } else { Said::Yes })
}

/// The source whose folder that path is, or leads into.
fn asked<'w>(written: &'w Written, path: &Path) -> Result<Asked<'w>, CliError> {
    let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut known = Vec::new();
    for source in &written.config.sources {
        let SourceKind::Folder(settings) = &source.kind else { continue };
        let folder = written.home.join(&settings.path);
        let only = if same(&folder, path) {
            None
        } else if same(&folder, parent) {
            path.file_name().map(|name| name.to_string_lossy().into_owned())
        } else {
            known.push(folder.display().to_string());
            continue;
        };
        return Ok(Asked { source: &source.name, settings: settings.clone(), folder, only });
    }
    let path = path.display();
    Err(CliError::Refused(match known.is_empty() {
        true => format!("{path}: no source of the configuration is a folder"),
        false => format!("{path}: not the folder of a source; these are: {}", known.join(", ")),
    }))
}

/// Only a second look shows whether a file stands still; where the first says all, it is enough.
fn look_twice(
    folder: &Path,
    settings: &Settings,
    clock: fn() -> Timestamp,
) -> Result<Vec<Look>, CliError> {
    let mut observer = Observer::default();
    let mut look = || {
        let looks = observer.look(folder, settings, clock());
        looks.map_err(|error| unreadable(folder, &error))
    };
    let looks = look()?;
    let left = looks.iter().filter_map(|look| match look.judged {
        Completeness::Waiting(Waiting::Changing(left)) => Some(left),
        _ => None,
    });
    let Some(left) = left.max() else { return Ok(looks) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    // A timer is made inside of its runtime.
    runtime.block_on(async { tokio::time::sleep(left.min(PATIENCE)).await });
    look()
}

fn unreadable(folder: &Path, error: &std::io::Error) -> CliError {
    CliError::Refused(format!("{}: {error}", folder.display()))
}

fn explained(look: &Look, failing: &BTreeMap<String, String>) -> Explained {
    let failed =
        failing.get(&look.name).filter(|_| matches!(look.judged, Completeness::Complete(_)));
    if let Some(why) = failed {
        let (file, bytes) = (look.name.clone(), look.stamp.size);
        return Explained {
            file,
            bytes,
            state: "waiting",
            reason: FAILING,
            explanation: again(why),
        };
    }
    let state = match look.judged {
        Completeness::Complete(_) => "taken",
        Completeness::Waiting(_) => "waiting",
        Completeness::Left(_) => "left-alone",
    };
    Explained {
        file: look.name.clone(),
        bytes: look.stamp.size,
        state,
        reason: look.judged.reason(),
        explanation: look.judged.explanation(),
    }
}

/// What the journal says of files that are in work; nothing where there is no journal yet.
fn in_work(
    journal: Option<&Reader>,
    asked: &Asked<'_>,
    failing: &BTreeMap<String, String>,
) -> Vec<Explained> {
    let rows = journal.and_then(|journal| journal.open_files(asked.source).ok());
    let rows = rows.unwrap_or_default();
    let opened = Directory::open(&asked.folder).ok();
    let Some(work) = opened.and_then(|folder| folder.look_into(WORK).ok()) else {
        return Vec::new();
    };
    let mut explained = Vec::new();
    for file in work.names().unwrap_or_default() {
        let is_asked = asked.only.as_ref().is_none_or(|only| *only == file);
        if file == "lock" || file.starts_with('.') || !is_asked {
            continue;
        }
        let facts = work.metadata(&file);
        let bytes = facts.as_ref().map_or(0, Metadata::len);
        let is_file = facts.is_ok_and(|facts| facts.is_file());
        let (reason, explanation) = match rows.iter().find(|row| row.name == file) {
            _ if !is_file => {
                ("special", "not a plain file, and none of waybill's: remove it".into())
            }
            Some(row) => match failing.get(&file) {
                Some(why) => (FAILING, format!("{}; {}", progress(row), again(why))),
                None => ("working", progress(row)),
            },
            None => match failing.get(&file) {
                Some(why) => (FAILING, again(why)),
                None => ("checking", "its framing and digest are being checked".to_owned()),
            },
        };
        explained.push(Explained { file, bytes, state: "in-work", reason, explanation });
    }
    explained.sort_by(|a, b| a.file.cmp(&b.file));
    explained
}

fn again(why: &str) -> String {
    format!("{why}; it is tried again within 5 minutes, and the others go on")
}

fn progress(row: &FileRow) -> String {
    let FileRow { next_index, documents, failed, .. } = row;
    let percent = (row.next_offset * 100).checked_div(row.size).unwrap_or(100);
    format!("{next_index} of {documents} IDocs are in the journal ({percent} %), {failed} failed")
}

/// What became of a file that is not there any more, the newest of its name first.
fn ended(journal: Option<&Reader>, asked: &Asked<'_>) -> Vec<Explained> {
    let Some((journal, name)) = journal.zip(asked.only.as_deref()) else { return Vec::new() };
    let rows = journal.files_named(asked.source, name, MOST_ENDED).unwrap_or_default();
    let explained = |row: FileRow| {
        let outcome = row.outcome.map_or("ending", FileOutcome::as_str);
        let FileRow { begun, documents, duplicates, failed, .. } = row;
        let mut explanation = match row.outcome {
            Some(FileOutcome::Rejected) => format!("{begun}: rejected as a whole, see rejected/"),
            Some(FileOutcome::Vanished) => format!("{begun}: taken away by somebody else"),
            // The agent was stopped between moving it away and saying so.
            None => format!("{begun}: {}; the agent ends it at its next start", progress(&row)),
            Some(FileOutcome::Done) => {
                format!("{begun}: {documents} IDocs, {duplicates} known before, {failed} failed")
            }
        };
        let failures = journal.file_failures(row.file).unwrap_or_default();
        let events = failures.iter().take(MOST_EVENTS).map(|part| part.event.to_string());
        let events: Vec<_> = events.collect();
        if !events.is_empty() {
            let more = if failures.len() > events.len() { " and more" } else { "" };
            explanation += &format!(" (events {}{more}), see rejected/", events.join(", "));
        }
        Explained { file: row.name, bytes: row.size, state: "ended", reason: outcome, explanation }
    };
    rows.into_iter().map(explained).collect()
}

fn show(asked: &Asked<'_>, files: &[Explained], out: &mut Output<'_>) -> Result<(), CliError> {
    let (source, folder) = (asked.source, asked.folder.display());
    match place::owner(&asked.folder) {
        Some(pid) => writeln!(out, "source {source}, {folder}: process {pid} works on it")?,
        None => writeln!(out, "source {source}, {folder}: no agent works on it now")?,
    }
    writeln!(out)?;
    let row = |file: &Explained| {
        let (state, text) = (file.state.to_owned(), file.explanation.clone());
        vec![file.file.clone(), file.bytes.to_string(), state, text]
    };
    let rows: Vec<_> = files.iter().map(row).collect();
    if let Some(only) = asked.only.as_ref().filter(|_| files.is_empty()) {
        writeln!(out, "{only} is not there, and no file of this name was taken before")?;
        return Ok(());
    }
    output::table(out, &["file", "bytes", "state", "why"], &rows)?;
    Ok(())
}
