//! How files end: what failed of them is set aside, the file is moved away, the journal is told. A crash
//! between two of these steps is mended by doing all of them again.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::journal::{FailedPart, FileOutcome, FileRow, Journal};
use crate::source::folder::blocking;
use crate::source::folder::names::derived;
use crate::source::folder::place::{End, FolderError, Place};
use crate::source::folder::session::Session;
use crate::source::folder::work::Work;
use crate::visible::visible;

/// A file, and how it ended.
type Ended = (String, Result<(u64, FileOutcome), FolderError>);

impl Session<'_> {
    /// Everything of these files was handed over and answered; the journal says with what result.
    pub(super) async fn finish(
        &mut self,
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
                    let error = io::Error::other(format!("{left} IDocs were given back"));
                    return Err(FolderError::File { name: work.name.clone(), error });
                }
                let outcome = finish_one(&place, &journal, &source, &row)?;
                let (documents, failed, duplicates) = (row.documents, row.failed, row.duplicates);
                tracing::info!(
                    %source, file = %work.name, number = row.file, outcome = outcome.as_str(),
                    idocs = documents, failed, duplicates, bytes = row.size, seconds, "file ended"
                );
                Ok((row.file, outcome))
            };
            let ended: Vec<_> = work.iter().map(|work| (work.name.clone(), finish(work))).collect();
            place.sync_ends()?;
            Ok::<_, FolderError>(ended)
        });
        let ended = finished.await?;
        self.end_each(ended).await
    }

    /// Ends files, those alone that could be moved away.
    async fn end_each(&mut self, each: Vec<Ended>) -> Result<(), FolderError> {
        let mut ended = Vec::with_capacity(each.len());
        for (name, end) in each {
            match end {
                Ok(end) => {
                    self.troubles.ended(&name);
                    ended.push(end);
                }
                Err(error) => self.excuse(error)?,
            }
        }
        self.end(ended).await
    }

    /// Moves files away whose frame is broken; nothing of them was taken.
    pub(super) async fn reject(&mut self, work: Vec<Work>) -> Result<(), FolderError> {
        if work.is_empty() {
            return Ok(());
        }
        let (place, source) = (self.place.clone(), self.context.name.clone());
        let ended = blocking(move || {
            let mut ended = Vec::with_capacity(work.len());
            for work in work {
                let cause = work.scanned.broken.unwrap_or_default();
                tracing::warn!(%source, file = %work.name, %cause, "file rejected");
                let cause = visible(&cause);
                let text = format!(
                    "{}: rejected as a whole, nothing of it was taken\n{cause}\n\nMend the file and drop \
                     it again.\n",
                    visible(&work.name)
                );
                let rejected = reject_whole(&place, &work.name, &text);
                ended.push((work.name, rejected.map(|outcome| (work.file, outcome))));
            }
            place.sync_ends()?;
            Ok::<_, FolderError>(ended)
        });
        let ended = ended.await?;
        self.end_each(ended).await
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
    let of_file = |error| place.of_file(&row.name, error);
    let (name, file) = (&row.name, place.read(&row.name));
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            place.check()?;
            tracing::warn!(%source, file = %name, "file was taken out of the work folder");
            return Ok(FileOutcome::Vanished);
        }
        file => file.map_err(of_file)?,
    };
    let size = file.metadata().map_err(of_file)?.len();
    if size != row.size {
        let (taken, had) = (row.documents, row.size);
        let text = format!(
            "{}: its writer went on after it was taken\nThe first {had} bytes ({taken} IDocs) are in \
             the journal, what came after them is not.\n\nDrop the whole file again: what was taken is \
             recognised. Let the sender write under another name and rename the file when it is whole, \
             or raise complete.stable_for.\n",
            visible(name)
        );
        tracing::error!(%source, file = %name, size, taken = had, "file grew after it was taken: rejected");
        return reject_whole(place, name, &text);
    }
    for failed in journal.file_failures(row.file).map_err(journal_error)? {
        let mut raw = vec![0; usize::try_from(failed.length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut raw, failed.start).map_err(of_file)?;
        let number = failed.index + 1;
        place.write(End::Rejected, &derived(name, &format!(".{number}")), &raw)?;
        let why = derived(name, &format!(".{number}.problems.txt"));
        place.write(End::Rejected, &why, problems(row, &failed).as_bytes())?;
    }
    let duplicate = (row.duplicates == row.documents).then(|| duplicate(journal, source, row));
    let done = place.move_to(End::Done, name)?;
    if let Some(text) = duplicate {
        tracing::warn!(%source, file = %name, "duplicate: all of it was in the journal before");
        place.write(End::Done, &derived(&done, ".duplicate.txt"), text?.as_bytes())?;
    }
    Ok(FileOutcome::Done)
}

fn reject_whole(place: &Place, name: &str, problems: &str) -> Result<FileOutcome, FolderError> {
    let to = match place.move_to(End::Rejected, name) {
        Err(FolderError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(FileOutcome::Vanished);
        }
        to => to?,
    };
    place.write(End::Rejected, &derived(&to, ".problems.txt"), problems.as_bytes())?;
    Ok(FileOutcome::Rejected)
}

/// Why a document failed: rules and places, nothing of what it says.
fn problems(row: &FileRow, failed: &FailedPart) -> String {
    let FailedPart { index, event, start, length, causes } = failed;
    let (name, number, of, end) = (visible(&row.name), index + 1, row.documents, start + length);
    let mut text =
        format!("{name}: IDoc {number} of {of} (bytes {start} to {end}) failed as event {event}\n");
    causes.iter().for_each(|cause| text.push_str(&format!("- {}\n", visible(cause))));
    text.push_str(
        "\nMend it and drop it again, alone or with the rest of its file: what was taken is recognised.\n\
         Or mend the mapping or table: waybill events reprocess ",
    );
    text.push_str(&format!("{event} --why '...'\n"));
    text
}

fn duplicate(journal: &Journal, source: &str, row: &FileRow) -> Result<String, FolderError> {
    let before = journal.file_before(source, &row.digest).map_err(journal_error)?;
    let (name, documents) = (visible(&row.name), row.documents);
    let mut text = format!("{name}: all {documents} IDocs were in the journal before\n");
    if let Some(before) = before {
        let (first, file, at) = (visible(&before.name), before.file, before.begun);
        text.push_str(&format!("The same bytes came as {first} (file {file}) at {at}.\n"));
    }
    Ok(text)
}
