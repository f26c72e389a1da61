//! What is done with claimed files: scan, begin, hand over. Nothing here has to be undone:
//! whatever ends it, the files are in work and the journal knows how far each has come. An error that
//! belongs to one file leaves it there for later.

use std::io;
use std::time::Duration;

use crate::event::{Arrival, Beside};
use crate::journal::{FileOutcome, FileRow, NewFile};
use crate::source::Taken;
use crate::source::folder::documents::{Cursor, Most, Part, Scan, Scanned};
use crate::source::folder::look::Stamp;
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
pub(super) struct Work {
    pub(super) name: String,
    pub(super) scanned: Scanned,
    /// The journal's number, and the offset and index from which it goes on.
    pub(super) file: u64,
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
            match self.check_one(&held).await {
                Ok(Some(scanned)) => scans.push((held.name, scanned)),
                Ok(None) if self.context.is_stopping() => return Ok(()),
                Ok(None) => {}
                Err(error) => self.excuse(error)?,
            }
        }
        let started = tokio::time::Instant::now();
        let work = self.begin(scans, rows).await?;
        let (whole, broken): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|work| work.scanned.broken.is_none());
        self.reject(broken).await?;
        let mut handed = Vec::with_capacity(whole.len());
        for work in whole {
            match self.hand_over(&work).await {
                Ok(true) => handed.push(work),
                Ok(false) => return Ok(()),
                Err(error) => self.excuse(error)?,
            }
        }
        let settled = self.permits(self.permits).await?;
        if settled.is_some() { self.finish(handed, started).await } else { Ok(()) }
    }

    /// What pass 1 found; `None` where the file is not ours any more, or the agent stops.
    async fn check_one(&mut self, held: &Held) -> Result<Option<Scanned>, FolderError> {
        let Some(scanned) = self.scan(held).await? else { return Ok(None) };
        Ok(self.is_as_claimed(held, &scanned).await?.then_some(scanned))
    }

    /// Pass 1; `None` when the agent stops.
    async fn scan(&mut self, held: &Held) -> Result<Option<Scanned>, FolderError> {
        let source = &self.context.source;
        let most = Most { document: source.max_message, file: source.max_file };
        let (place, name) = (self.place.clone(), held.name.clone());
        let opening = blocking(move || place.read(&name).and_then(|file| Scan::of(file, most)));
        let of_file = |place: &Place, error| place.of_file(&held.name, error);
        let mut scan = opening.await.map_err(|error| of_file(&self.place, error))?;
        let mut said = tokio::time::Instant::now();
        while !self.context.is_stopping() {
            let (now, stepped) = blocking(move || {
                let stepped = scan.step();
                (scan, stepped)
            })
            .await;
            scan = now;
            if let Some(scanned) = stepped.map_err(|error| of_file(&self.place, error))? {
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
        let now = blocking(move || place.stamp(&name)).await;
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
        let (place, of) = (self.place.clone(), work.clone());
        let opening = blocking(move || {
            let file = place.read(&of.name)?;
            Cursor::of(file, of.file, of.from, &of.scanned)
        });
        let of_file = |place: &Place, error| place.of_file(&work.name, error);
        let mut cursor = opening.await.map_err(|error| of_file(&self.place, error))?;
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
            let parts = parts.map_err(|error| of_file(&self.place, io::Error::other(error)))?;
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
}
