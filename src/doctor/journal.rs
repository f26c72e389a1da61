//! The journal: where it lies, who owns it, whether it still says what it said.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;
use tokio::net::UnixStream;

use crate::agent::{self, CONTROL_SOCKET};
use crate::config::load::Written;
use crate::directory::{Directory, open_to_others as open_mode};
use crate::doctor::{Options, Part};
use crate::journal::{Journal, JournalError, Reader, network_fs, owner_of};

/// Commits at the end of the chain that are looked at where not all of it is.
const LAST: u64 = 1_000;

pub(super) async fn examine(
    part: &mut Part<'_>,
    written: &Written,
    options: Options,
    clock: fn() -> Timestamp,
) {
    let directory = agent::data_dir(written);
    if !there(part, &directory) {
        return;
    }
    owner(part, &directory).await;
    let path = agent::journal_options(written).path;
    if !path.is_file() {
        return part.ok("journal", "none yet; the agent makes it when it starts");
    }
    let min_free = written.config.journal.min_free;
    let reading = tokio::task::spawn_blocking(move || read(&path, min_free, options));
    let facts = match reading.await {
        Ok(Ok(facts)) => facts,
        Ok(Err(error @ JournalError::Older { .. })) => {
            let remedy = "start the agent; it keeps a backup of what was there";
            return part.warn("journal", error.to_string(), remedy);
        }
        Ok(Err(error)) => {
            let remedy = "see docs/operations/backup-and-restore.md";
            return part.fail("journal", error.to_string(), remedy);
        }
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    tell(part, &facts, clock());
}

/// What was read.
struct Facts {
    free: u64,
    least: u64,
    commits: u64,
    broken: Option<String>,
    deep: bool,
    last: Option<Timestamp>,
}

fn read(path: &Path, min_free: u64, options: Options) -> Result<Facts, JournalError> {
    let journal: Reader = Journal::open_read_only(path)?;
    let sizes = journal.sizes()?;
    let found = if options.deep { journal.verify(None)? } else { journal.verify_last(LAST)? };
    let broken = found.breaks.first();
    Ok(Facts {
        free: sizes.free,
        // As the agent has it.
        least: min_free.min(sizes.total / 10),
        commits: found.commits,
        broken: broken.map(|it| format!("broken at commit {}: {}", it.commit, it.what)),
        deep: options.deep,
        last: journal.last_commit()?,
    })
}

fn tell(part: &mut Part<'_>, facts: &Facts, now: Timestamp) {
    let Facts { free, least, commits, .. } = facts;
    let found = format!("{} MiB are free; sources pause below {} MiB", free >> 20, least >> 20);
    if free < least {
        part.fail("space", found, "free some space, or lower `journal.min_free`");
    } else if free / 4 < *least {
        part.warn("space", found, "free some space");
    } else {
        part.ok("space", found);
    }
    let all = if facts.deep { "all" } else { "the last" };
    match &facts.broken {
        None => part.ok("chain", format!("holds over {all} {commits} commits")),
        Some(broken) => {
            let remedy = "somebody changed the journal, or the disk did: waybill audit verify";
            part.fail("chain", broken.clone(), remedy);
        }
    }
    // Only ever in the past, unless the clock was set back.
    if let Some(last) = facts.last.filter(|last| *last > now) {
        part.clock(last, now, "the last commit's time");
    }
}

fn there(part: &mut Part<'_>, directory: &Path) -> bool {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            part.fail("data_dir", format!("{shown} is no folder"), "move it away");
            return false;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let remedy = "the agent makes it when it starts, where its user may";
            part.warn("data_dir", format!("{shown} is not there yet"), remedy);
            return false;
        }
        Err(error) => {
            part.fail("data_dir", format!("{shown}: {error}"), "let the agent's user read it");
            return false;
        }
    }
    if let Ok(Some(kind)) = network_fs(directory) {
        let remedy = "put it on a local disk or a block volume";
        part.fail("data_dir", format!("{shown} is on {kind}"), remedy);
        return false;
    }
    open_to_others(part, directory);
    let probe = directory.join(format!(".waybill-doctor-{}", std::process::id()));
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => part.ok("data_dir", shown.to_string()),
        Err(error) => {
            let remedy = "run this as the agent's user, or let that user write there";
            part.fail("data_dir", format!("{shown}: {error}"), remedy);
        }
    }
    true
}

/// Whether other users may enter the directory, or read what is in there.
fn open_to_others(part: &mut Part<'_>, directory: &Path) {
    let looked = Directory::open(directory).and_then(|opened| {
        let facts = opened.facts()?;
        let names = opened
            .names()?
            .into_iter()
            .filter(|name| opened.metadata(name).is_ok_and(|facts| open_mode(&facts).is_some()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        Ok((facts, names))
    });
    let Ok((facts, names)) = looked else { return };
    if facts.mode() & 0o007 != 0 || open_mode(&facts).is_some() {
        let found = format!("mode {:04o} lets other users in", facts.mode() & 0o7777);
        part.warn(
            "mode",
            found,
            "the agent closes it when it starts, where it is its own: chmod 700",
        );
    } else if !names.is_empty() {
        let found = format!("open to other users: {}", names.join(", "));
        part.warn("mode", found, "the agent closes its own files when it starts: chmod 600");
    }
}

/// Who runs.
async fn owner(part: &mut Part<'_>, directory: &Path) {
    let answers = UnixStream::connect(directory.join(CONTROL_SOCKET)).await.is_ok();
    match owner_of(directory) {
        Ok(Some(pid)) if answers => part.ok("owner", format!("an agent runs: process {pid}")),
        Ok(Some(pid)) => {
            let found = format!("process {pid} has the journal and does not answer to operators");
            part.warn("owner", found, "is it starting, or is it another user's?");
        }
        Ok(None) => part.ok("owner", "no agent runs"),
        Err(error) => part.warn("owner", error.to_string(), "run this as the agent's user"),
    }
}
