//! The judge: two logs in, a judgement out. Pure: it has no clock and touches nothing.
//!
//! What was promised: every accepted event gives exactly one file with its vehicle and its status;
//! nothing else gives one; the files of a vehicle come in the order of its events; a file that was
//! in flight when the agent was killed may come again, if every byte of it is the same.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use crate::evidence::{Consumed, Evidence, Micros, Published};
use crate::workload::Kind;

/// A file is in flight at a kill if it was taken this close to it.
const IN_FLIGHT: Micros = 2_000_000;

/// How many findings of each check are printed in full.
const SHOWN: usize = 5;

/// What is checked. The name of a check is what `faults` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// An accepted event without a file.
    Missing,
    /// An accepted event with two files of different names.
    Doubled,
    /// A file for an event that deserves none, or that nobody published.
    Unexpected,
    /// A file that says something else than its event.
    ChangedContent,
    /// The files of a vehicle in another order than its events.
    WrongOrder,
    /// A name that came again with other bytes.
    ReappearedChanged,
    /// A name that came again, the same, without a kill that would excuse it.
    ReappearedUnexcused,
    /// A file that is no whole document, or whose name is not that of its number.
    Unreadable,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Unexpected => "unexpected",
            Self::ChangedContent => "changed content",
            Self::WrongOrder => "wrong order",
            Self::ReappearedChanged => "reappeared with other bytes",
            Self::ReappearedUnexcused => "reappeared without a kill",
            Self::Unreadable => "unreadable",
        })
    }
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Messages published.
    pub published: usize,
    /// Files that had to come.
    pub expected: usize,
    /// Files that came, each name once.
    pub files: usize,
    /// Vehicles whose order was checked over two files or more.
    pub ordered_vins: usize,
    /// Files in flight at a kill that came again with the same name and bytes: allowed, counted.
    pub reappeared_identical: usize,
    /// What is wrong, by check.
    pub findings: BTreeMap<Check, Vec<String>>,
}

impl Judgement {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether `check` found something.
    pub fn found(&self, check: Check) -> bool {
        self.findings.contains_key(&check)
    }

    /// The number of findings of each check that found any: `missing 3, doubled 1`.
    pub fn summary(&self) -> String {
        let counts: Vec<_> =
            self.findings.iter().map(|(check, all)| format!("{check} {}", all.len())).collect();
        if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
    }

    fn add(&mut self, check: Check, finding: String) {
        self.findings.entry(check).or_default().push(finding);
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_clean() { "KEPT" } else { "BROKEN" };
        writeln!(
            f,
            "verdict: {verdict}: {} messages, {} files expected, {} came; order checked for {} \
             vehicles; {} reappeared identically after a kill",
            self.published, self.expected, self.files, self.ordered_vins, self.reappeared_identical
        )?;
        for (check, findings) in &self.findings {
            writeln!(f, "  {check}: {}", findings.len())?;
            for finding in findings.iter().take(SHOWN) {
                writeln!(f, "    {finding}")?;
            }
        }
        Ok(())
    }
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Judgement {
    let Evidence { published, consumed, kills } = evidence;
    let mut judgement = Judgement { published: published.len(), ..Judgement::default() };
    let files = distinct(consumed, kills, &mut judgement);
    judgement.files = files.len();
    let readable = readable(&files, &mut judgement);
    let by_event = match_events(published, &readable, &mut judgement);
    check_order(published, &by_event, &mut judgement);
    judgement
}

/// Each name once, with its place in the order of consumption; judges what came again.
fn distinct<'a>(
    consumed: &'a [Consumed],
    kills: &[Micros],
    judgement: &mut Judgement,
) -> Vec<(usize, &'a Consumed)> {
    let mut last: HashMap<&str, &Consumed> = HashMap::new();
    let mut files = Vec::new();
    for (place, file) in consumed.iter().enumerate() {
        let Some(before) = last.insert(&file.name, file) else {
            files.push((place, file));
            continue;
        };
        if before.digest != file.digest {
            judgement.add(
                Check::ReappearedChanged,
                format!("{}: event {:?}, then {:?}", file.name, before.event_id, file.event_id),
            );
        } else if kills.iter().any(|&kill| excuses(kill, before.seen, file.seen)) {
            judgement.reappeared_identical += 1;
        } else {
            judgement.add(Check::ReappearedUnexcused, format!("{} came twice", file.name));
        }
    }
    files
}

/// The first copy was taken around the kill, the second after it.
fn excuses(kill: Micros, first: Micros, again: Micros) -> bool {
    first.abs_diff(kill) <= IN_FLIGHT && kill < again
}

fn readable<'a>(
    files: &[(usize, &'a Consumed)],
    judgement: &mut Judgement,
) -> Vec<(usize, &'a Consumed)> {
    let mut readable = Vec::new();
    for &(place, file) in files {
        let expected = format!("ZVEHREG_{}.idoc", file.docnum);
        if let Some(problem) = &file.problem {
            judgement.add(Check::Unreadable, format!("{}: {problem}", file.name));
        } else if file.name != expected {
            judgement.add(Check::Unreadable, format!("{} is document {}", file.name, file.docnum));
        } else {
            readable.push((place, file));
        }
    }
    readable
}

/// Lays the files beside the events; what is left over on either side is a finding.
fn match_events<'a>(
    published: &[Published],
    files: &[(usize, &'a Consumed)],
    judgement: &mut Judgement,
) -> HashMap<&'a str, (usize, &'a Consumed)> {
    let due: HashMap<&str, &Published> = published
        .iter()
        .filter(|message| message.kind == Kind::Fresh)
        .map(|message| (message.event_id.as_str(), message))
        .collect();
    judgement.expected = due.len();
    let mut by_event: HashMap<&str, (usize, &Consumed)> = HashMap::new();
    for &(place, file) in files {
        let Some(event) = due.get(file.event_id.as_str()) else {
            judgement.add(Check::Unexpected, format!("{}: {}", file.name, whose(published, file)));
            continue;
        };
        if file.vin != event.vin || file.code != event.code {
            judgement.add(
                Check::ChangedContent,
                format!(
                    "{}: event {} says {} {}, the file says {} {}",
                    file.name, event.event_id, event.vin, event.code, file.vin, file.code
                ),
            );
        }
        if let Some((_, before)) = by_event.get(file.event_id.as_str()) {
            judgement.add(
                Check::Doubled,
                format!("event {}: {} and {}", file.event_id, before.name, file.name),
            );
        } else {
            by_event.insert(&file.event_id, (place, file));
        }
    }
    for message in published.iter().filter(|message| message.kind == Kind::Fresh) {
        if !by_event.contains_key(message.event_id.as_str()) {
            judgement.add(
                Check::Missing,
                format!("event {} ({} {})", message.event_id, message.vin, message.code),
            );
        }
    }
    by_event
}

fn whose(published: &[Published], file: &Consumed) -> String {
    let origin = published
        .iter()
        .find(|message| !message.event_id.is_empty() && message.event_id == file.event_id);
    match origin {
        Some(message) => format!("event {} was {:?}", file.event_id, message.kind),
        None => format!("nobody published event {:?}", file.event_id),
    }
}

/// Per vehicle: a later event's file must not be taken before, nor appear before, an earlier one's.
fn check_order(
    published: &[Published],
    by_event: &HashMap<&str, (usize, &Consumed)>,
    judgement: &mut Judgement,
) {
    let mut lanes: BTreeMap<&str, Vec<(usize, &Consumed)>> = BTreeMap::new();
    for message in published.iter().filter(|message| message.kind == Kind::Fresh) {
        if let Some(&entry) = by_event.get(message.event_id.as_str()) {
            lanes.entry(&message.vin).or_default().push(entry);
        }
    }
    judgement.ordered_vins = lanes.values().filter(|lane| lane.len() > 1).count();
    for (vin, lane) in lanes {
        for pair in lane.windows(2) {
            let [(place, file), (next_place, next)] = pair else { continue };
            let how = if next_place < place {
                "was taken"
            } else if next.appeared < file.appeared {
                "appeared"
            } else {
                continue;
            };
            judgement.add(
                Check::WrongOrder,
                format!(
                    "{vin}: {} ({}) {how} before {} ({}), whose event is older",
                    next.name, next.code, file.name, file.code
                ),
            );
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
