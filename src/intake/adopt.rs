//! Another plan, between two batches: no event is decided by half of it, and no delivery is left
//! without a target, because nothing can make one while this looks.

use std::sync::Arc;

use crate::intake::{AdoptError, Intake};
use crate::plan::Plan;

impl Intake {
    /// Decides by `plan` from here on, unless one of the targets that are `gone` has deliveries
    /// that are not done.
    pub(super) async fn adopt(
        &mut self,
        plan: Arc<Plan>,
        gone: Vec<Arc<str>>,
    ) -> Result<(), AdoptError> {
        if !gone.is_empty() {
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
        }
        self.plan = plan;
        Ok(())
    }
}
