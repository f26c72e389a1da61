//! What is done with claimed files: scan, begin, hand over, finish. Nothing here has to be undone:
//! whatever ends it, the files are in work and the journal knows how far each has come.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Arrival, Beside};
use crate::journal::{FailedPart, FileOutcome, FileRow, Journal, NewFile};
use crate::source::Taken;
use crate::source::folder::documents::{Cursor, Part, Scan, Scanned};
use crate::source::folder::look::{DONE, REJECTED, Stamp};
use crate::source::folder::place::{FolderError, Place};
use crate::source::folder::session::{LEAST_PERMITS, PERMIT, Session};
use crate::source::folder::{Receipt, blocking};

/// Bytes that are read of a file at once.
const CHUNK: usize = 256 << 10;
/// How often the log says how far a large file has come.
const PROGRESS: Duration = Duration::from_secs(10);

/// A claimed file.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) stamp: Stamp,
}

/// A claimed file that was read once.
#[derive(Clone, Debug)]
struct Work {
    name: String,
    scanned: Scanned,
    /// The journal's number, and the offset and index from which it goes on.
    file: u64,
    from: (u64, u64),
}

impl Session<'_> {
    /// Does all that is to be done with claimed files. `rows` are those that the journal knows.
    pub(super) async fn work_on(
        &mut self,
        held: Vec<Held>,
        rows: &[FileRow],
    ) -> Result<(), FolderError> {
        let mut scans = Vec::with_capacity(held.len());
        for held in held {
            let Some(scanned) = self.scan(&held).await? else { return Ok(()) };
            if self.is_as_claimed(&held, &scanned).await? {
                scans.push((held.name, scanned));
            }
        }
        let started = tokio::time::Instant::now();
        let work = self.begin(scans, rows).await?;
        let (whole, broken): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|work| work.scanned.broken.is_none());
        self.reject(broken).await?;
        for work in &whole {
            if !self.hand_over(work).await? {
                return Ok(());
            }
        }
        let settled = self.permits(self.permits).await?;
        if settled.is_some() { self.finish(whole, started).await } else { Ok(()) }
    }

    /// Pass 1; `None` when the agent stops.
    async fn scan(&mut self, held: &Held) -> Result<Option<Scanned>, FolderError> {
        let (path, largest) = (self.place.work(&held.name), self.context.source.max_message);
        let unavailable = |error| FolderError::Unavailable { path: path.clone(), error };
        let open = path.clone();
        let scan = blocking(move || Scan::open(&open, largest)).await;
        let mut scan = scan.map_err(unavailable)?;
        let mut said = tokio::time::Instant::now();
        while !self.context.is_stopping() {
            let (now, stepped) = blocking(move || {
                let stepped = scan.step();
                (scan, stepped)
            })
            .await;
            scan = now;
            if let Some(scanned) = stepped.map_err(unavailable)? {
                return Ok(Some(scanned));
            }
            self.look_around().await?;
            if said.elapsed() >= PROGRESS {
                said = tokio::time::Instant::now();
                let (source, file) = (&self.context.name, &held.name);
                tracing::info!(%source, %file, read = scan.read(), of = held.stamp.size, "checking");
            }
        }
        Ok(None)
    }

    /// Whether a file is what was judged; one that somebody still writes to is put back.
    async fn is_as_claimed(&mut self, held: &Held, scanned: &Scanned) -> Result<bool, FolderError> {
        let (place, name) = (self.place.clone(), held.name.clone());
        let now = blocking(move || fs::symlink_metadata(place.work(&name))).await;
        let now = now.map(|metadata| Stamp::of(&metadata));
        if now.as_ref().is_ok_and(|now| *now == held.stamp && now.size == scanned.size) {
            return Ok(true);
        }
        let source = self.context.name.clone();
        if now.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            tracing::warn!(%source, file = %held.name, "file was taken out of the work folder");
            return Ok(false);
        }
        let (place, name) = (self.place.clone(), held.name.clone());
        let name = blocking(move || place.put_back(&name)).await?;
        tracing::warn!(
            %source,
            file = %name,
            "file changed after it was claimed: put back; its writer pauses for longer than \
             stable_for: let it rename the file when it is whole, or raise complete.stable_for"
        );
        self.observer.put_back(&name);
        self.context.count("put-back");
        Ok(false)
    }

    /// Lets the journal know the files; one that it knows goes on where it stands.
    async fn begin(
        &self,
        scans: Vec<(String, Scanned)>,
        rows: &[FileRow],
    ) -> Result<Vec<Work>, FolderError> {
        let mut work = Vec::with_capacity(scans.len());
        let mut new = Vec::new();
        let mut other = Vec::new();
        for (name, scanned) in scans {
            let row = rows.iter().find(|row| row.name == name);
            let same = row.filter(|row| row.digest == scanned.digest);
            if let (Some(row), None) = (row, same) {
                let source = &self.context.name;
                tracing::error!(%source, file = %name, "file in work is another one now: begun anew");
                other.push((row.file, FileOutcome::Vanished));
            }
            let from = same.map_or((0, 0), |row| (row.next_offset, row.next_index));
            if let Some(row) = same {
                let (source, taken, of) = (&self.context.name, row.next_index, row.documents);
                tracing::info!(%source, file = %name, taken, of, "goes on");
            } else {
                // The documents of a broken file do not count: none of them is taken.
                let documents = if scanned.broken.is_some() { 0 } else { scanned.documents };
                let (source, name) = (self.context.name.clone(), name.clone());
                let (digest, size) = (scanned.digest, scanned.size);
                new.push(NewFile { source, name, digest, size, documents });
            }
            work.push(Work { name, scanned, file: same.map_or(0, |row| row.file), from });
        }
        self.end(other).await?;
        if !new.is_empty() {
            let begun = self.context.journal.begin_files(new, (self.context.clock)()).await;
            let begun = begun.map_err(|error| FolderError::Journal(error.to_string()))?;
            let unknown = work.iter_mut().filter(|work| work.file == 0);
            unknown.zip(begun).for_each(|(work, file)| work.file = file);
        }
        Ok(work)
    }

    /// Pass 2; `false` when the agent stops.
    async fn hand_over(&mut self, work: &Work) -> Result<bool, FolderError> {
        let path = self.place.work(&work.name);
        let unavailable = |error| FolderError::Unavailable { path: path.clone(), error };
        let (open, of) = (path.clone(), work.clone());
        let cursor = blocking(move || Cursor::open(&open, of.file, of.from, &of.scanned)).await;
        let mut cursor = cursor.map_err(unavailable)?;
        let (mut said, started) = (tokio::time::Instant::now(), tokio::time::Instant::now());
        while !cursor.is_at_end() {
            if !self.wait_until_open().await {
                return Ok(false);
            }
            self.look_around().await?;
            let (now, parts) = blocking(move || {
                let parts = cursor.next(CHUNK);
                (cursor, parts)
            })
            .await;
            cursor = now;
            let parts = parts.map_err(|error| unavailable(io::Error::other(error)))?;
            let Some(last) = parts.last().map(|part| part.position) else { return Ok(true) };
            for part in parts {
                if !self.hand_over_one(work, part).await? {
                    return Ok(false);
                }
            }
            if said.elapsed() >= PROGRESS {
                said = tokio::time::Instant::now();
                let since = started.elapsed().as_secs_f64();
                let idocs = last.index + 1 - work.from.1;
                tracing::info!(
                    source = %self.context.name,
                    file = %work.name,
                    bytes = last.next_offset,
                    of_bytes = work.scanned.size,
                    idocs = last.index + 1,
                    of_idocs = work.scanned.documents,
                    idocs_per_second = (idocs as f64 / since).round(),
                    "working"
                );
            }
        }
        Ok(true)
    }

    async fn hand_over_one(&mut self, work: &Work, part: Part) -> Result<bool, FolderError> {
        let permits = (part.raw.len() as u64).div_ceil(PERMIT);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX).clamp(LEAST_PERMITS, self.permits);
        let Some(permit) = self.permits(permits).await? else { return Ok(false) };
        let labels = [&*self.context.name];
        self.context.metrics.events_received.with_label_values(&labels).inc();
        self.context.metrics.file_bytes.with_label_values(&labels).inc_by(part.position.length);
        let arrival = Arrival {
            source: self.context.name.clone(),
            raw: part.raw,
            message_id: Some(format!("{}:{}", work.scanned.digest, part.position.index + 1)),
            received: (self.context.clock)(),
            position: Some(part.position),
            beside: Beside::default(),
        };
        let receipt = crate::source::Receipt::Folder(Receipt::of(permit));
        Ok(self.context.queue.send(Taken { arrival, receipt }).await.is_ok())
    }

    /// Everything of these files was handed over and answered; the journal says with what result.
    async fn finish(
        &self,
        work: Vec<Work>,
        started: tokio::time::Instant,
    ) -> Result<(), FolderError> {
        let (place, journal) = (self.place.clone(), self.context.journal.clone());
        let source = self.context.name.clone();
        let seconds = started.elapsed().as_secs_f64();
        let finished = blocking(move || {
            let finish = |work: &Work| {
                let row = journal.file(work.file).map_err(journal_error)?;
                let row = row.ok_or_else(|| FolderError::Journal("file unknown".to_owned()))?;
                if row.next_index < row.documents {
                    let left = row.documents - row.next_index;
                    return Err(FolderError::Journal(format!("{left} IDocs were given back")));
                }
                let outcome = finish_one(&place, &journal, &source, &row)?;
                let (documents, failed, duplicates) = (row.documents, row.failed, row.duplicates);
                tracing::info!(
                    %source, file = %work.name, number = row.file, outcome = outcome.as_str(),
                    idocs = documents, failed, duplicates, bytes = row.size, seconds, "file ended"
                );
                Ok((row.file, outcome))
            };
            let ended = work.iter().map(finish).collect::<Result<Vec<_>, _>>()?;
            place.sync(&[DONE, REJECTED])?;
            Ok::<_, FolderError>(ended)
        });
        let ended = finished.await?;
        self.end(ended).await
    }

    /// Moves files away whose frame is broken; nothing of them was taken.
    async fn reject(&self, work: Vec<Work>) -> Result<(), FolderError> {
        if work.is_empty() {
            return Ok(());
        }
        let (place, source) = (self.place.clone(), self.context.name.clone());
        let ended = blocking(move || {
            let mut ended = Vec::with_capacity(work.len());
            for work in work {
                let cause = work.scanned.broken.unwrap_or_default();
                tracing::warn!(%source, file = %work.name, %cause, "file rejected");
                let text = format!(
                    "{}: rejected as a whole, nothing of it was taken\n{cause}\n\nMend the file and drop \
                     it again.\n",
                    work.name
                );
                ended.push((work.file, reject_whole(&place, &work.name, &text)?));
            }
            place.sync(&[REJECTED])?;
            Ok::<_, FolderError>(ended)
        });
        let ended = ended.await?;
        self.end(ended).await
    }
}

fn journal_error(error: crate::journal::JournalError) -> FolderError {
    FolderError::Journal(error.to_string())
}

/// Writes what failed of a file into `rejected`, and moves the file into `done`.
fn finish_one(
    place: &Place,
    journal: &Journal,
    source: &Arc<str>,
    row: &FileRow,
) -> Result<FileOutcome, FolderError> {
    let path = place.work(&row.name);
    let unavailable = |error| FolderError::Unavailable { path: path.clone(), error };
    let (name, file) = (&row.name, File::open(&path));
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            place.check()?;
            tracing::warn!(%source, file = %name, "file was taken out of the work folder");
            return Ok(FileOutcome::Vanished);
        }
        file => file.map_err(unavailable)?,
    };
    let size = file.metadata().map_err(unavailable)?.len();
    if size != row.size {
        let (taken, had) = (row.documents, row.size);
        let text = format!(
            "{name}: its writer went on after it was taken\nThe first {had} bytes ({taken} IDocs) are in \
             the journal, what came after them is not.\n\nDrop the whole file again: what was taken is \
             recognised. Let the sender write under another name and rename the file when it is whole, \
             or raise complete.stable_for.\n"
        );
        tracing::error!(%source, file = %name, size, taken = had, "file grew after it was taken: rejected");
        return reject_whole(place, name, &text);
    }
    for failed in journal.file_failures(row.file).map_err(journal_error)? {
        let mut raw = vec![0; usize::try_from(failed.length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut raw, failed.start).map_err(unavailable)?;
        let part = format!("{name}.{}", failed.index + 1);
        place.write(REJECTED, &part, &raw)?;
        place.write(
            REJECTED,
            &format!("{part}.problems.txt"),
            problems(row, &failed).as_bytes(),
        )?;
    }
    let duplicate = (row.duplicates == row.documents).then(|| duplicate(journal, source, row));
    let done = place.move_to(DONE, name)?;
    if let Some(text) = duplicate {
        tracing::warn!(%source, file = %name, "duplicate: all of it was in the journal before");
        place.write(DONE, &format!("{done}.duplicate.txt"), text?.as_bytes())?;
    }
    Ok(FileOutcome::Done)
}

fn reject_whole(place: &Place, name: &str, problems: &str) -> Result<FileOutcome, FolderError> {
    let to = match place.move_to(REJECTED, name) {
        Err(FolderError::Unavailable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(FileOutcome::Vanished);
        }
        to => to?,
    };
    place.write(REJECTED, &format!("{to}.problems.txt"), problems.as_bytes())?;
    Ok(FileOutcome::Rejected)
}

/// Why a document failed: rules and places, nothing of what it says.
fn problems(row: &FileRow, failed: &FailedPart) -> String {
    let FailedPart { index, event, start, length, causes } = failed;
    let (name, number, of, end) = (&row.name, index + 1, row.documents, start + length);
    let mut text =
        format!("{name}: IDoc {number} of {of} (bytes {start} to {end}) failed as event {event}\n");
    causes.iter().for_each(|cause| text.push_str(&format!("- {cause}\n")));
    text.push_str(
        "\nMend it and drop it again, alone or with the rest of its file: what was taken is recognised.\n\
         Or mend the mapping or table: waybill events reprocess ",
    );
    text.push_str(&format!("{event} --why '...'\n"));
    text
}

fn duplicate(journal: &Journal, source: &str, row: &FileRow) -> Result<String, FolderError> {
    let before = journal.file_before(source, &row.digest).map_err(journal_error)?;
    let (name, documents) = (&row.name, row.documents);
    let mut text = format!("{name}: all {documents} IDocs were in the journal before\n");
    if let Some(before) = before {
        let (first, file, at) = (&before.name, before.file, before.begun);
        text.push_str(&format!("The same bytes came as {first} (file {file}) at {at}.\n"));
    }
    Ok(text)
}
