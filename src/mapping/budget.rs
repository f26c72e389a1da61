//! How much work one document may cost.
//!
//! A mapping file is trusted, a document is not: with a loop inside of a loop, or a path that looks
//! through a long list for each item of another one, a small message can ask for hours of work. So
//! the work is counted while it is done, and a document that costs more than its budget fails with
//! the place that the mapping had come to.

use std::cell::Cell;

/// The bounds of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Nodes of the document that is made.
    pub nodes: usize,
    /// Steps. A step looks at one node of the source, fills one field, computes one operator, or
    /// copies [`STEP_BYTES`] bytes of text: some nanoseconds each.
    pub steps: u64,
}

impl Budget {
    /// No bounds.
    pub const UNLIMITED: Self = Self { nodes: usize::MAX, steps: u64::MAX };
}

/// Bytes of text that count as one step.
pub const STEP_BYTES: usize = 64;

/// The work done for one document. It is counted behind shared references, as expressions are
/// evaluated behind them.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) budget: Budget,
    steps: Cell<u64>,
}

impl Work {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, steps: Cell::new(0) }
    }

    /// Counts `steps`.
    #[inline]
    pub(crate) fn spend(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// Counts one step, and the text that it reads or writes.
    #[inline]
    pub(crate) fn spend_text(&self, text: &str) {
        self.spend(1 + (text.len() / STEP_BYTES) as u64);
    }

    /// The steps so far.
    #[cfg(test)]
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Whether more was done than the budget allows.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.steps.get() > self.budget.steps
    }
}
