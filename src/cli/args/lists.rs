//! Which rows of the journal a command lists.

use jiff::Timestamp;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EventChoice {
    /// ignored, accepted, refused, failed or waiting.
    #[arg(long)]
    pub(in crate::cli) verdict: Option<String>,
    /// Of this source.
    #[arg(long)]
    pub(in crate::cli) source: Option<String>,
    /// With this key.
    #[arg(long)]
    pub(in crate::cli) key: Option<String>,
    /// With this text in their causes.
    #[arg(long)]
    pub(in crate::cli) cause: Option<String>,
    /// Received at this time or later (2026-11-22T00:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<Timestamp>,
    /// Received before this time.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub(in crate::cli) limit: usize,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EventsList {
    #[command(flatten)]
    pub(in crate::cli) choice: EventChoice,
    /// The oldest first, instead of the newest.
    #[arg(long)]
    pub(in crate::cli) oldest: bool,
    /// One JSON object an event.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeliveriesList {
    /// due, prepared, delivered, dead, discarded or in-doubt.
    #[arg(long)]
    pub(in crate::cli) state: Option<String>,
    /// Of this target.
    #[arg(long)]
    pub(in crate::cli) target: Option<String>,
    /// With this key.
    #[arg(long)]
    pub(in crate::cli) key: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub(in crate::cli) limit: usize,
    /// The oldest first, instead of the newest.
    #[arg(long)]
    pub(in crate::cli) oldest: bool,
    /// One JSON object a delivery.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
