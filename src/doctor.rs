//! Whether everything that a configuration names is there and as it should be: every connection is
//! tried once, every folder is written to, the journal is read, certificates are looked at.
//!
//! Runs beside an agent without disturbing it: nothing is consumed, published or declared that is
//! not there; the files that are made have hidden names, which the agent passes over, and are taken
//! away. A login that was refused is not tried a second time, not even for another part that uses
//! the same one. No answer quotes a secret.

mod amqp;
mod folder;
mod journal;
mod web;

use std::collections::HashSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::agent;
use crate::config::load::Written;
use crate::config::tls::ServerTls;
use crate::config::{SourceKind, TargetKind};
use crate::event::Digest;
use crate::tls::expiry;
use crate::tls::server::Served;

/// A certificate that ends within so many days is to be renewed.
const SOON: i64 = 30;
/// Clocks that differ by more are worth a word.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// How it is with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

impl Grade {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `source vms`, `target sap`, `journal`.
    pub part: String,
    /// What of it.
    pub check: &'static str,
    /// How it is.
    pub result: Grade,
    /// What was found.
    pub found: String,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How closely it is looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The whole chain of the journal instead of its end.
    pub deep: bool,
}

/// What is found out about one part.
struct Part<'a> {
    name: String,
    findings: &'a mut Vec<Finding>,
}

impl Part<'_> {
    fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add((check, Grade::Ok), found.into(), None);
    }

    fn warn(&mut self, check: &'static str, found: impl Into<String>, remedy: &str) {
        self.add((check, Grade::Warn), found.into(), Some(remedy.to_owned()));
    }

    fn fail(&mut self, check: &'static str, found: impl Into<String>, remedy: &str) {
        self.add((check, Grade::Fail), found.into(), Some(remedy.to_owned()));
    }

    fn add(
        &mut self,
        (check, result): (&'static str, Grade),
        found: String,
        remedy: Option<String>,
    ) {
        let part = self.name.clone();
        self.findings.push(Finding { part, check, result, found, remedy });
    }

    /// The clock of somebody else.
    fn clock(&mut self, theirs: Timestamp, ours: Timestamp, whose: &str) {
        let skew = theirs.duration_since(ours);
        if skew.abs() > SKEW {
            let word = if skew.is_negative() { "behind" } else { "ahead of" };
            let found = format!("{whose} is {:#} {word} ours", skew.abs());
            self.warn("clock", found, "set both by NTP; times in documents are ours");
        } else {
            self.ok("clock", format!("{whose} agrees with ours"));
        }
    }
}

/// Logins that were refused, by what tells them apart; nothing of it is kept or shown.
type Refused = HashSet<Digest>;

/// Looks at everything, one after the other.
pub async fn examine(
    written: &Written,
    options: Options,
    clock: fn() -> Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refused = Refused::new();
    let config = &written.config;
    let mut part = Part { name: "journal".to_owned(), findings: &mut findings };
    journal::examine(&mut part, written, options, clock).await;
    for source in &config.sources {
        part.name = format!("source {}", source.name);
        match &source.kind {
            SourceKind::Amqp(amqp) => {
                amqp::source(&mut part, amqp, &written.base, &mut refused).await;
            }
            SourceKind::Folder(folder) => {
                folder::source(&mut part, &written.home.join(&folder.path), clock);
            }
        }
    }
    for target in &config.targets {
        part.name = format!("target {}", target.name);
        match &target.kind {
            TargetKind::File(file) => {
                folder::target(&mut part, &written.home.join(&file.path), clock);
            }
            TargetKind::Amqp(amqp) => {
                amqp::target(&mut part, amqp, &written.base, &mut refused).await;
            }
            TargetKind::Http(http) => {
                web::target(&mut part, http, (&written.base, &mut refused), clock).await;
            }
        }
    }
    for (name, path) in agent::certificates(config) {
        part.name = name.replace('/', " ");
        certificate(&mut part, &written.base.join(path), clock());
    }
    if let Some(tls) = config.http.as_ref().and_then(|listen| listen.tls.as_ref()) {
        part.name = "http".to_owned();
        listener(&mut part, tls, &written.base, clock());
    }
    findings
}

/// The certificate of our port: whether it can be shown, and how long.
fn listener(part: &mut Part<'_>, tls: &ServerTls, base: &Path, now: Timestamp) {
    match Served::read(tls, base) {
        Ok(served) => {
            if let Some(ends) = served.ends {
                ends_at(part, "certificate", ends, now);
            }
            // Lists are renewed every few days: one that is due soon is no news.
            if let Some(due) = served.list_ends {
                let remedy = "renew the list; until then no client of its authority is let in";
                match due > now {
                    true => part.ok("revocation list", format!("due for renewal at {due}")),
                    false => part.fail("revocation list", format!("was due at {due}"), remedy),
                }
            }
        }
        Err(troubles) => {
            let remedy =
                "mend the file; a running agent goes on with what it has and takes it over";
            for trouble in troubles {
                part.fail("certificate", trouble.error.to_string(), remedy);
            }
        }
    }
}

/// A certificate of ours, as a file.
fn certificate(part: &mut Part<'_>, path: &Path, now: Timestamp) {
    let shown = path.display();
    match std::fs::read(path) {
        Err(error) => part.fail("certificate", format!("{shown}: {error}"), "put it there"),
        Ok(pem) => match expiry::earliest(&pem) {
            None => {
                let found = format!("{shown}: no certificate in PEM form is in it");
                part.fail("certificate", found, "put one there");
            }
            Some(ends) => ends_at(part, "certificate", ends, now),
        },
    }
}

/// Something that ends.
fn ends_at(part: &mut Part<'_>, check: &'static str, ends: Timestamp, now: Timestamp) {
    let days = ends.duration_since(now).as_hours() / 24;
    let remedy = "have it renewed; a new file is used without a restart";
    if ends <= now {
        part.fail(check, format!("ended at {ends}"), remedy);
    } else if days < SOON {
        part.warn(check, format!("ends at {ends}, in {days} days"), remedy);
    } else {
        part.ok(check, format!("ends at {ends}, in {days} days"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_renewed_in_time() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut findings = Vec::new();
        let mut part = Part { name: "source vms".to_owned(), findings: &mut findings };
        for ends in ["2026-11-21T00:00:00Z", "2026-12-01T00:00:00Z", "2027-11-21T00:00:00Z"] {
            ends_at(&mut part, "certificate", ends.parse().unwrap(), now);
        }
        let grades: Vec<_> = findings.iter().map(|finding| finding.result).collect();
        assert_eq!(grades, [Grade::Fail, Grade::Warn, Grade::Ok]);
        assert_eq!(findings[1].found, "ends at 2026-12-01T00:00:00Z, in 9 days");
    }

    #[test]
    fn a_clock_may_differ_by_a_little() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut findings = Vec::new();
        let mut part = Part { name: "journal".to_owned(), findings: &mut findings };
        for seconds in [-60, -2, 0, 4, 6] {
            part.clock(now + SignedDuration::from_secs(seconds), now, "its clock");
        }
        let grades: Vec<_> = findings.iter().map(|finding| finding.result).collect();
        assert_eq!(grades, [Grade::Warn, Grade::Ok, Grade::Ok, Grade::Ok, Grade::Warn]);
        assert_eq!(findings[0].found, "its clock is 1m behind ours");
    }
}
