//! Files in work that have to be gone on with: those of the session before, and those that could not be
//! worked on and are tried again.

use jiff::Timestamp;

use crate::journal::{FileOutcome, FileRow};
use crate::source::folder::blocking;
use crate::source::folder::look::Look;
use crate::source::folder::place::FolderError;
use crate::source::folder::session::{Session, group_length};
use crate::source::folder::work::Held;

impl Session<'_> {
    /// Goes on with the files that were in work when the last session ended.
    pub(super) async fn recover(&mut self) -> Result<(), FolderError> {
        let place = self.place.clone();
        let names = blocking(move || place.in_work()).await?;
        let rows = self.open_files().await?;
        let (left, gone): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| names.contains(&row.name));
        self.end_gone(gone).await?;
        self.resume(names, &left).await
    }

    /// Goes on with files in work. `left` are those that the journal knows.
    async fn resume(&mut self, names: Vec<String>, left: &[FileRow]) -> Result<(), FolderError> {
        let place = self.place.clone();
        let held = blocking(move || {
            let stamp = |name: String| Some(Held { stamp: place.stamp(&name).ok()?, name });
            names.into_iter().filter_map(stamp).collect::<Vec<_>>()
        });
        let mut held = held.await;
        // What was begun first goes on first.
        let order = |held: &Held| left.iter().position(|row| row.name == held.name);
        held.sort_by_key(|held| order(held).unwrap_or(usize::MAX));
        while !held.is_empty() && self.wait_until_open().await {
            let rest = held.split_off(group_length(held.iter().map(|held| held.stamp.size)));
            self.work_on(std::mem::replace(&mut held, rest), left).await?;
        }
        Ok(())
    }

    async fn open_files(&self) -> Result<Vec<FileRow>, FolderError> {
        let (journal, name) = (self.context.journal.clone(), self.context.name.clone());
        let rows = blocking(move || journal.open_files(&name)).await;
        rows.map_err(|error| FolderError::Journal(error.to_string()))
    }

    /// Ends files that are not in work any more: they were moved and the journal was not told, or
    /// somebody took them away.
    async fn end_gone(&self, rows: Vec<FileRow>) -> Result<(), FolderError> {
        let outcome = |row: &FileRow| match row {
            FileRow { documents: 0, .. } => FileOutcome::Rejected,
            row if row.next_index >= row.documents => FileOutcome::Done,
            _ => FileOutcome::Vanished,
        };
        let ended: Vec<_> = rows.iter().map(|row| (row.file, outcome(row))).collect();
        for (row, (_, outcome)) in rows.iter().zip(&ended) {
            if *outcome == FileOutcome::Vanished {
                tracing::error!(
                    source = %self.context.name,
                    file = %row.name,
                    taken = row.next_index,
                    of = row.documents,
                    "file was taken out of the work folder; drop it again, what was taken is known"
                );
            }
        }
        self.end(ended).await
    }

    /// Ends files in the journal, and counts them then: what the journal did not take is ended once
    /// more by the next session.
    pub(super) async fn end(&self, ended: Vec<(u64, FileOutcome)>) -> Result<(), FolderError> {
        if ended.is_empty() {
            return Ok(());
        }
        let now: Timestamp = (self.context.clock)();
        let outcomes: Vec<_> = ended.iter().map(|(_, outcome)| *outcome).collect();
        let done = self.context.journal.end_files(ended, now).await;
        done.map_err(|error| FolderError::Journal(error.to_string()))?;
        outcomes.iter().for_each(|outcome| self.context.count(outcome.as_str()));
        Ok(())
    }

    /// Works on files in work once more whose pause is over.
    pub(super) async fn try_again(&mut self, looks: &[Look]) -> Result<(), FolderError> {
        if self.troubles.len() > 0 {
            let place = self.place.clone();
            let in_work = blocking(move || place.in_work()).await?;
            self.troubles.keep(|name| {
                in_work.iter().any(|it| it == name) || looks.iter().any(|look| look.name == name)
            });
            let mut due = self.troubles.due(tokio::time::Instant::now());
            due.retain(|name| in_work.contains(name));
            let rows = self.open_files().await?;
            self.resume(due, &rows).await?;
        }
        let Some(failing) = self.troubles.told() else { return Ok(()) };
        let place = self.place.clone();
        blocking(move || place.tell_failing(&failing)).await
    }

    /// Takes note of an error that belongs to one file, so that the others go on. Any other error
    /// is given back.
    pub(super) fn excuse(&mut self, error: FolderError) -> Result<(), FolderError> {
        let FolderError::File { name, .. } = &error else { return Err(error) };
        let (source, now) = (&self.context.name, tokio::time::Instant::now());
        let again_in = self.troubles.failed(name, error.to_string(), now);
        tracing::warn!(%source, %error, ?again_in, "file cannot be worked on, the others go on");
        Ok(())
    }
}
