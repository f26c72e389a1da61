//! From taking a folder to losing it: look, claim, work, wait.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, sleep_until};

use crate::config::{LEAST_WEIGHT, Order};
use crate::journal::network_fs;
use crate::source::folder::judge::{Completeness, Settings, Waiting};
use crate::source::folder::look::{Look, Observer};
use crate::source::folder::place::{Claim, FolderError, Place};
use crate::source::folder::troubles::Troubles;
use crate::source::folder::watch::{Told, Watch};
use crate::source::folder::work::Held;
use crate::source::folder::{Context, blocking};

/// Files that are worked on together, so that many small ones share commits and syncs.
const GROUP_FILES: usize = 256;
/// Bytes of files that are worked on together; a larger file is worked on alone.
const GROUP_BYTES: u64 = 8 << 20;
/// The word of the metric for files that are whole and wait for those in work.
const BEHIND: &str = "behind";
/// The word of the metric for files that could not be worked on and are tried again.
const FAILING: &str = "failing";
/// The unit of the gate, in bytes.
pub(super) const PERMIT: u64 = 1 << 10;
/// The least that a document counts for at the gate, in permits.
pub(super) const LEAST_PERMITS: u32 = (LEAST_WEIGHT / PERMIT) as u32;

/// A folder that is ours.
pub(super) struct Session<'c> {
    pub(super) context: &'c mut Context,
    pub(super) place: Arc<Place>,
    pub(super) settings: Settings,
    pub(super) observer: Observer,
    pub(super) troubles: &'c mut Troubles,
    /// What documents may hold in memory.
    pub(super) gate: Arc<Semaphore>,
    pub(super) permits: u32,
    watch: Option<Watch>,
    /// When the folder was looked at last.
    looked: tokio::time::Instant,
    /// Small files are taken in the middle of a large one.
    is_between: bool,
}

/// What a step of the work comes to.
type Boxed<'s> = Pin<Box<dyn Future<Output = Result<(), FolderError>> + Send + 's>>;

/// Works until the agent stops, or the folder is lost. `worked` turns true when the files were worked
/// on once without an error that ends the session.
pub(super) async fn run(
    context: &mut Context,
    troubles: &mut Troubles,
    worked: &mut bool,
) -> Result<(), FolderError> {
    let folder = context.path.clone();
    let place = Arc::new(blocking(move || Place::open(&folder)).await?);
    let path = context.path.clone();
    let kind = blocking(move || network_fs(&path)).await;
    let kind =
        kind.map_err(|error| FolderError::Unavailable { path: context.path.clone(), error })?;
    let settings = Settings::of(&context.source, kind.is_some());
    let watch = Watch::new(&context.path).inspect_err(|error| {
        tracing::warn!(source = %context.name, %error, "the kernel does not tell of new files");
    });
    let up = context.metrics.source_up.with_label_values(&[&context.name]);
    up.set(1);
    tracing::info!(
        source = %context.name,
        folder = %context.path.display(),
        stable_for = ?settings.stable_for,
        network = kind.unwrap_or("no"),
        "source is up"
    );
    if !context.settle().await {
        return Ok(());
    }
    let (gate, permits) = (context.gate.room.clone(), context.gate.all);
    let (observer, watch) = (Observer::default(), watch.ok());
    let looked = tokio::time::Instant::now();
    let is_between = false;
    let mut session = Session {
        context,
        place,
        settings,
        observer,
        troubles,
        gate,
        permits,
        watch,
        looked,
        is_between,
    };
    session.recover().await?;
    while !session.context.is_stopping() {
        if !session.wait_until_open().await {
            break;
        }
        session.turn().await?;
        *worked = true;
    }
    Ok(())
}

impl Session<'_> {
    /// Looks once and works on what is whole; waits where nothing is.
    async fn turn(&mut self) -> Result<(), FolderError> {
        let looks = self.look().await?;
        self.try_again(&looks).await?;
        self.show_waiting(&looks);
        let ready = self.ready(&looks);
        if ready.is_empty() {
            let now = tokio::time::Instant::now();
            let next = looks.iter().filter_map(|look| match look.judged {
                Completeness::Waiting(Waiting::Changing(left)) => Some(left),
                _ => None,
            });
            let next = next.chain(self.troubles.next(now)).min();
            self.wait(next).await;
            return Ok(());
        }
        self.take(ready).await
    }

    async fn look(&mut self) -> Result<Vec<Look>, FolderError> {
        let told = self.watch.as_ref().map(Watch::read).transpose();
        match told {
            Ok(told) => self.heard(told.unwrap_or_default()),
            Err(error) => self.deaf(&error),
        }
        let mut observer = std::mem::take(&mut self.observer);
        let (place, settings) = (self.place.clone(), self.settings.clone());
        let now = (self.context.clock)();
        let (observer, looks) = blocking(move || {
            let looks = place.check().and_then(|()| {
                let folder = place.folder();
                observer
                    .look(folder, &settings, now)
                    .map_err(|error| FolderError::Unavailable { path: folder.to_owned(), error })
            });
            (observer, looks)
        })
        .await;
        self.observer = observer;
        self.looked = tokio::time::Instant::now();
        looks
    }

    /// Shows what waits while a large file is worked on, as often as at other times. Where order is
    /// of no account, small files are taken meanwhile.
    pub(super) async fn look_around(&mut self) -> Result<(), FolderError> {
        if self.looked.elapsed() < self.context.source.poll {
            return Ok(());
        }
        let looks = self.look().await?;
        self.show_waiting(&looks);
        let order = self.context.source.order;
        if order == Order::Changed || std::mem::replace(&mut self.is_between, true) {
            return Ok(());
        }
        let small = self.ready(&looks).into_iter().filter(|look| look.stamp.size <= GROUP_BYTES);
        let small = small.collect();
        let taken = self.take_between(small).await;
        self.is_between = false;
        taken
    }

    /// Boxed: this is work that is done in the middle of other work.
    fn take_between(&mut self, small: Vec<Look>) -> Boxed<'_> {
        Box::pin(self.take(small))
    }

    /// Claims files and works on them, group by group.
    async fn take(&mut self, ready: Vec<Look>) -> Result<(), FolderError> {
        for group in groups(ready) {
            if self.context.is_stopping() || !*self.context.open.borrow() {
                break;
            }
            let held = self.claim(group).await?;
            self.work_on(held, &[]).await?;
        }
        Ok(())
    }

    /// Those that are whole, and have no pause to wait for.
    fn ready(&self, looks: &[Look]) -> Vec<Look> {
        let now = tokio::time::Instant::now();
        let whole = |look: &&Look| {
            matches!(look.judged, Completeness::Complete(_))
                && !self.troubles.waits(&look.name, now)
        };
        looks.iter().filter(whole).cloned().collect()
    }

    /// Waits for room at the gate. `None` when the agent stops.
    pub(super) async fn permits(
        &mut self,
        count: u32,
    ) -> Result<Option<OwnedSemaphorePermit>, FolderError> {
        loop {
            let next = self.looked + self.context.source.poll;
            tokio::select! {
                biased;
                _ = self.context.stop.changed() => return Ok(None),
                permit = self.gate.clone().acquire_many_owned(count) => return Ok(permit.ok()),
                () = sleep_until(next) => {}
            }
            self.look_around().await?;
        }
    }

    fn heard(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::RenamedIn(name) => self.observer.renamed_in(name),
                Told::Written(name) => self.observer.written(&name),
            }
        }
    }

    fn deaf(&mut self, error: &std::io::Error) {
        tracing::warn!(source = %self.context.name, %error, "the kernel tells no more of new files");
        self.watch = None;
    }

    fn show_waiting(&self, looks: &[Look]) {
        let now = tokio::time::Instant::now();
        for reason in Waiting::REASONS.into_iter().chain([BEHIND, FAILING]) {
            let waits = |look: &&Look| match look.judged {
                Completeness::Waiting(waiting) => waiting.reason() == reason,
                Completeness::Complete(_) => {
                    reason == BEHIND && !self.troubles.waits(&look.name, now)
                }
                Completeness::Left(_) => false,
            };
            // Those in work are not in the folder.
            let failing = if reason == FAILING { self.troubles.len() } else { 0 };
            let count = failing + looks.iter().filter(waits).count();
            let labels: [&str; 2] = [&self.context.name, reason];
            let gauge = self.context.metrics.files_waiting.with_label_values(&labels);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Waits for the kernel, for the next file that may be whole, and for the next poll at most.
    async fn wait(&mut self, next: Option<Duration>) {
        let poll = self.context.source.poll;
        let pause = next.map_or(poll, |next| next.min(poll)).max(Duration::from_millis(1));
        let told = async {
            match &self.watch {
                Some(watch) => watch.next().await,
                None => pending().await,
            }
        };
        let told = tokio::select! {
            told = told => told,
            () = sleep(pause) => Ok(Vec::new()),
            _ = self.context.stop.changed() => Ok(Vec::new()),
        };
        match told {
            Ok(told) => self.heard(told),
            Err(error) => self.deaf(&error),
        }
    }

    /// Waits while the journal has no room. `false` when the agent stops.
    pub(super) async fn wait_until_open(&mut self) -> bool {
        while !self.context.is_stopping() {
            if *self.context.open.borrow() {
                return true;
            }
            tokio::select! {
                changed = self.context.open.changed() => if changed.is_err() { return false },
                _ = self.context.stop.changed() => {}
            }
        }
        false
    }

    async fn claim(&mut self, group: Vec<Look>) -> Result<Vec<Held>, FolderError> {
        let (place, source) = (self.place.clone(), self.context.name.clone());
        let claimed = blocking(move || {
            let (mut held, mut changed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
            for look in group {
                let claim = match place.claim(&look.name, &look.stamp) {
                    Err(error @ FolderError::File { .. }) => {
                        failed.push(error);
                        continue;
                    }
                    claim => claim?,
                };
                match claim {
                    Claim::Taken => {
                        if let Some(marker) = &look.marker {
                            place.remove_marker(marker);
                        }
                        held.push(Held { name: look.name, stamp: look.stamp });
                    }
                    Claim::Changed(name) => {
                        tracing::info!(%source, file = %name, "file changed when it was claimed: put back");
                        changed.push(name);
                    }
                    Claim::Vanished => {
                        tracing::info!(%source, file = %look.name, "file vanished before it was claimed");
                    }
                    Claim::InWork => {
                        tracing::debug!(%source, file = %look.name, "file of this name is in work");
                    }
                }
            }
            // Without this a power cut may undo the claim that the journal knows of.
            place.sync_claims()?;
            Ok::<_, FolderError>((held, changed, failed))
        });
        let (held, changed, failed) = claimed.await?;
        failed.into_iter().try_for_each(|error| self.excuse(error))?;
        for name in changed {
            self.observer.put_back(&name);
            self.context.count("put-back");
        }
        held.iter().for_each(|_| self.context.count("taken"));
        Ok(held)
    }
}

/// Cuts a list into groups that are worked on together.
fn groups(mut looks: Vec<Look>) -> Vec<Vec<Look>> {
    let mut groups = Vec::new();
    while !looks.is_empty() {
        let rest = looks.split_off(group_length(looks.iter().map(|look| look.stamp.size)));
        groups.push(std::mem::replace(&mut looks, rest));
    }
    groups
}

/// How many of the first files make a group: at least one.
pub(super) fn group_length(sizes: impl Iterator<Item = u64>) -> usize {
    let mut bytes: u64 = 0;
    let fits = sizes.take(GROUP_FILES).take_while(|size| {
        bytes = bytes.saturating_add(*size);
        bytes <= GROUP_BYTES
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_go_together_and_a_large_one_alone() {
        let length = |sizes: &[u64]| group_length(sizes.iter().copied());
        assert_eq!(length(&[1 << 30, 1]), 1);
        assert_eq!(length(&[1, 1 << 30]), 1);
        assert_eq!(length(&[4 << 20, 4 << 20, 1]), 2);
        assert_eq!(length(&[100; 1000]), GROUP_FILES);
    }
}
