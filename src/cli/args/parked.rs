//! What `events unpark` is told.

use super::Reason;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Unpark {
    /// The key, or the number of the event that parked it; or choose several by what parked them.
    #[arg(value_name = "KEY|EVENT",
          conflicts_with_all = ["cause", "kind", "source", "since", "until", "all"])]
    pub(in crate::cli) key: Option<String>,
    /// Parked by an event with this text in its causes, such as the file of a mapping.
    #[arg(long)]
    pub(in crate::cli) cause: Option<String>,
    /// Parked by an event of this kind.
    #[arg(long)]
    pub(in crate::cli) kind: Option<String>,
    /// Parked by an event of this source.
    #[arg(long)]
    pub(in crate::cli) source: Option<String>,
    /// Parked at this time or later (2026-11-22T00:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<jiff::Timestamp>,
    /// Parked before this time.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<jiff::Timestamp>,
    /// All that are parked.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// Only say which keys would go on.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Why; it is kept in the audit trail.
    #[arg(long, required_unless_present = "dry_run")]
    pub(in crate::cli) why: Option<String>,
    /// Who asks; it is kept in the audit trail.
    #[arg(long, env = "USER", default_value = "operator")]
    pub(in crate::cli) who: String,
    /// One JSON array for each slice of keys; with --dry-run one object a key.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl Unpark {
    /// Who asks, and why.
    pub(in crate::cli) fn reason(&self) -> Reason {
        Reason { why: self.why.clone().unwrap_or_default(), who: self.who.clone() }
    }
}
