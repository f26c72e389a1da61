//! `waybill status`: whether the running agent is ready, and all that keeps it from being so. Its
//! port tells anybody who asks less than this.

use std::path::Path;

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::agent::CONTROL_SOCKET;
use crate::cli::args::Status;
use crate::cli::output::Output;
use crate::cli::{CliError, Said, journal_views, operate, output};
use crate::http::client;

/// What the agent answers.
#[derive(Debug, Deserialize, Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
    generation: i64,
    plan: String,
    reload_refused: Option<String>,
}

pub(super) fn status(
    config: &Path,
    options: &Status,
    out: &mut Output<'_>,
) -> Result<Said, CliError> {
    let socket = journal_views::options(config)?.path.with_file_name(CONTROL_SOCKET);
    let asked = client::call(&socket, Method::GET, "/readyz", Vec::new());
    let (_, body) = operate::runtime()?.block_on(asked)?;
    let said: Readiness = serde_json::from_slice(&body)
        .map_err(|error| CliError::Refused(format!("the agent's answer: {error}")))?;
    if options.json {
        output::json_line(out, &said)?;
    } else {
        let (word, plan) = (if said.ready { "ready" } else { "not ready" }, &said.plan);
        let plan = plan.get(..12).unwrap_or(plan);
        writeln!(out, "{word}: generation {}, plan {plan}", said.generation)?;
        said.reasons.iter().try_for_each(|reason| writeln!(out, "{reason}"))?;
        if let Some(why) = &said.reload_refused {
            writeln!(out, "the last reload was refused: {why}")?;
        }
    }
    Ok(if said.ready { Said::Yes } else { Said::No })
}
