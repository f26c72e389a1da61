//! Web services: one request that changes nothing.

use std::path::Path;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::config::http::HttpTarget;
use crate::doctor::{Part, Refused, ends_at};
use crate::target::http::probe::{Identified, Probe, Probed};
use crate::tls::expiry;

const LOGIN: &str = "mend the credential; a running agent takes over a changed secret by itself";

/// A URL that documents go to.
pub(super) async fn target(
    part: &mut Part<'_>,
    http: &HttpTarget,
    (base, refused): (&Path, &mut Refused),
    clock: fn() -> Timestamp,
) {
    let probe = match Probe::read(http, base) {
        Ok(probe) => probe,
        Err(error) => {
            return part.fail("address", error, "mend the url, or put the file there");
        }
    };
    let server = &probe.server;
    if refused.contains(&probe.login) {
        let found = format!("{server}: not tried; this login was refused just before");
        return part.fail("login", found, LOGIN);
    }
    match probe.ask().await {
        Ok(answer) if answer.refuses_login() => {
            refused.insert(probe.login);
            let found = format!("{server}: {} to OPTIONS; it was tried once", answer.status);
            part.fail("login", found, LOGIN);
            beside(part, &answer, clock());
        }
        Ok(answer) => {
            identity(part, &probe, refused).await;
            let found = format!("{server}: {} to OPTIONS", answer.status);
            if answer.status >= 500 {
                part.warn("connection", found, "ask those who run it");
            } else {
                part.ok("connection", found);
            }
            beside(part, &answer, clock());
        }
        Err(error) => {
            let remedy =
                "is it up, the address right, the network open, its authority in `tls.ca`?";
            part.fail("connection", format!("{server}: {error}"), remedy);
        }
    }
}

/// Whether it is the system that is expected.
async fn identity(part: &mut Part<'_>, probe: &Probe, refused: &mut Refused) {
    let server = &probe.server;
    match probe.identify().await {
        None => {}
        Some(Identified::Known(said)) => {
            part.ok("identity", format!("{server}: {said}, as expected"));
        }
        Some(Identified::Unknown(why)) => {
            let remedy =
                "is the url that of another landscape? mend `url`, `expect` or `expect_at`";
            part.fail("identity", format!("{server}: {why}"), remedy);
        }
        Some(Identified::Refused(why)) => {
            refused.insert(probe.login);
            part.fail("login", format!("{server}: {why}; it was tried once"), LOGIN);
        }
    }
}

/// What an answer says beside its status.
fn beside(part: &mut Part<'_>, answer: &Probed, now: Timestamp) {
    if let Some(ends) = answer.certificate.as_deref().and_then(expiry::not_after) {
        ends_at(part, "server certificate", ends, now);
    }
    let date = answer.date.as_deref().and_then(|date| rfc2822::parse(date).ok());
    if let Some(date) = date {
        part.clock(date.timestamp(), now, "the server's clock");
    }
}
