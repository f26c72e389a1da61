//! How much one document may cost: the keys of `limits:`.

use std::time::Duration;

use crate::config::unit;
use crate::diagnostic::Problems;
use crate::yaml::{Fields, Node};

/// The bounds of one document, and of the time that deciding takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of a document that is read or made: values, fields, segments, lists.
    pub nodes: usize,
    /// Steps of mapping it, as [`Budget`](crate::mapping::Budget) counts them.
    pub steps: u64,
    /// Bytes of a document that is made.
    pub document: usize,
    /// How long a batch of events may be in decision before the agent says that it is not ready.
    pub decision: Duration,
}

impl Default for Limits {
    /// A node has 24 bytes, so a document of a million has 24 MB beside its text. A hundred million
    /// steps take about half a second. A document that is made takes about three times its bytes while
    /// it is written and recorded.
    fn default() -> Self {
        Self {
            nodes: 1_000_000,
            steps: 100_000_000,
            document: 32 << 20,
            decision: Duration::from_secs(10),
        }
    }
}

/// Reads `limits:`.
pub(super) fn read(node: Option<&Node>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "limits", problems)) else {
        return limits;
    };
    let count = |most: u64| move |text: &str| unit::count(text, 1_000, most);
    if let Some(nodes) = fields.parsed("nodes", problems, count(100_000_000)) {
        limits.nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
    }
    limits.steps = fields.parsed("steps", problems, count(1 << 50)).unwrap_or(limits.steps);
    if let Some(bytes) = fields.parsed("document", problems, unit::size) {
        limits.document = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let decision = fields.parsed("decision", problems, unit::duration);
    limits.decision = decision.unwrap_or(limits.decision);
    fields.finish(problems);
    limits
}
