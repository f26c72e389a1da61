//! Another plan, between two batches: no event is decided by half of it, and no delivery is left
//! without a target, because nothing can make one while this looks.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::intake::{Intake, heard};
use crate::journal::JournalError;
use crate::plan::Plan;

/// Why another plan was not taken. The old one goes on.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A target that is gone has deliveries left.
    #[error(
        "target {target} is gone from the configuration, but {due} of its deliveries wait, {dead} are \
         dead and {in_doubt} in doubt; keep it until they are delivered, or decide about them: \
         waybill deliveries list --target {target}"
    )]
    Queued {
        /// The target.
        target: Arc<str>,
        /// Deliveries that wait.
        due: u64,
        /// Deliveries that are dead.
        dead: u64,
        /// Deliveries in doubt.
        in_doubt: u64,
    },
    /// The intake is busy: the journal takes nothing, most likely.
    #[error(
        "the journal is busy and the plan could not be changed; try again when it takes events"
    )]
    Busy,
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopping,
}

impl Intake {
    /// Decides by `plan` from here on, unless one of the targets that are `gone` has deliveries
    /// that are not done, or nobody waits for it any more.
    pub(super) async fn adopt(
        &mut self,
        plan: Arc<Plan>,
        gone: Vec<Arc<str>>,
        answer: oneshot::Sender<Result<(), AdoptError>>,
    ) {
        if answer.is_closed() {
            return heard(false);
        }
        let checked = self.without(gone).await;
        let before = checked.is_ok().then(|| std::mem::replace(&mut self.plan, plan));
        if answer.send(checked).is_err() {
            // Whoever asked has gone on with the old one.
            self.plan = before.unwrap_or_else(|| self.plan.clone());
            heard(false);
        }
    }

    /// Whether there is nothing left to deliver to these targets.
    async fn without(&self, gone: Vec<Arc<str>>) -> Result<(), AdoptError> {
        if gone.is_empty() {
            return Ok(());
        }
        let journal = self.journal.clone();
        let outbox = match tokio::task::spawn_blocking(move || journal.outbox()).await {
            Ok(outbox) => outbox?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        for target in gone {
            let Some(counts) = outbox.get(&*target) else { continue };
            let (due, dead, in_doubt) = (counts.due, counts.dead, counts.in_doubt);
            if due + dead + in_doubt > 0 {
                return Err(AdoptError::Queued { target, due, dead, in_doubt });
            }
        }
        Ok(())
    }
}
