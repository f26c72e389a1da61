//! A target that stands elsewhere than it did: what was begun there cannot be finished here.

use crate::delivery::{Outcome, Settlement};
use crate::dispatch::{Dispatcher, PROBE};
use crate::journal::{CommitError, JournalError};

/// Why it is not known yet.
#[derive(Debug, thiserror::Error)]
enum MovedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Dispatcher {
    /// Before the first attempt: where the target stands elsewhere than it did, what was begun
    /// there is in doubt. `false` when the agent stops before that is settled.
    pub(super) async fn settle_in(&mut self) -> bool {
        while !*self.stop.borrow() {
            match self.find_moved().await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::error!(target = %self.target.name, %error, "not known where it stood");
                    tokio::select! {
                        () = tokio::time::sleep(PROBE.0) => {}
                        _ = self.stop.changed() => {}
                    }
                }
            }
        }
        false
    }

    async fn find_moved(&self) -> Result<(), MovedError> {
        let (name, place) = (self.target.name.clone(), self.reached.place());
        let journal = self.journal.clone();
        let read = move || Ok::<_, JournalError>((journal.place(&name)?, journal.begun(&name)?));
        let (stood, begun) = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let name = &*self.target.name;
        match stood {
            Some(stood) if stood == place => return Ok(()),
            Some(stood) if !begun.is_empty() => {
                tracing::warn!(target = %name, %stood, %place, begun = begun.len(), "the target was moved: what was begun is in doubt");
                let reason =
                    format!("it was begun at {stood}; look for it there before it is released");
                let doubt = |id| {
                    let outcome = Outcome::InDoubt { reason: reason.clone() };
                    Settlement { id, at: (self.clock)(), outcome }
                };
                self.journal.settle(begun.into_iter().map(doubt).collect()).await?;
            }
            _ => {}
        }
        Ok(self.journal.keep_place(name, &place).await?)
    }
}
