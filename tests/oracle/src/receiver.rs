//! What stands behind the agent: somebody who empties a folder, somebody who reads a queue, or a web
//! service; and what may come twice from each.

use std::collections::HashMap;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::consumer::Consumer;
use crate::evidence::{Consumed, Evidence, Micros};
use crate::judge::{Check, Judgement, judge};
use crate::service::{Log, Manner, Service};
use crate::site::{IN_FLIGHT, Site};
use crate::subscriber::Subscriber;

/// A message that comes again was taken this close to the kill or outage that excuses it. After a
/// restart of the broker the agent may need that long until it has found it again.
const AROUND: Micros = 15_000_000;

/// The way out of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Files in a folder.
    #[default]
    Files,
    /// Messages to an exchange.
    Messages,
    /// Requests to a web service that knows what comes twice by its id.
    Http,
    /// Requests to one that does not; a person decides about doubts.
    HttpHeld,
}

impl Way {
    /// The kill points on this way.
    pub fn points(self) -> &'static [&'static str] {
        match self {
            Self::Files => &[
                "before-commit",
                "after-commit",
                "before-ack",
                "after-ack",
                "before-prepared",
                "after-prepared",
                "after-rename",
                "before-settle",
                "after-settle",
            ],
            Self::Messages => &[
                "after-commit",
                "after-ack",
                "before-prepared",
                "after-prepared",
                "after-publish",
                "before-settle",
                "after-settle",
            ],
            Self::Http => &[
                "before-commit",
                "after-commit",
                "before-ack",
                "after-ack",
                "after-publish",
                "before-settle",
                "after-settle",
            ],
            Self::HttpHeld => &[
                "after-commit",
                "after-ack",
                "before-prepared",
                "after-prepared",
                "after-publish",
                "before-settle",
                "after-settle",
            ],
        }
    }
}

/// Who takes what comes out.
pub enum Receiver {
    /// Of files.
    Files(Consumer),
    /// Of messages.
    Messages(Subscriber),
    /// Of requests.
    Requests(Service),
}

impl Receiver {
    /// Starts to take.
    pub async fn start(way: Way, site: &Site) -> Result<Self> {
        match way {
            Way::Files => Ok(Self::Files(Consumer::start(&site.out())?)),
            Way::Messages => Ok(Self::Messages(Subscriber::start(site.queue()).await?)),
            Way::Http => Self::service(site, true, "dedupes: id"),
            Way::HttpHeld => Self::service(site, false, "dedupes: none, on_doubt: hold"),
        }
    }

    fn service(site: &Site, dedupes: bool, keys: &str) -> Result<Self> {
        let service = Service::start(Manner { dedupes, ..Manner::default() })?;
        site.send_to(service.address(), keys)?;
        Ok(Self::Requests(service))
    }

    /// What the web service has seen, where it is one.
    pub(crate) fn log(&self) -> Option<Log> {
        match self {
            Self::Files(_) | Self::Messages(_) => None,
            Self::Requests(service) => Some(service.log()),
        }
    }

    /// How many were taken so far.
    pub fn taken(&self) -> usize {
        match self {
            Self::Files(consumer) => consumer.taken(),
            Self::Messages(subscriber) => subscriber.taken(),
            Self::Requests(service) => service.taken(),
        }
    }

    /// Stops, and hands over the log.
    pub fn finish(self) -> Result<Vec<Consumed>> {
        match self {
            Self::Files(consumer) => consumer.finish(),
            Self::Messages(subscriber) => Ok(subscriber.finish()),
            Self::Requests(service) => Ok(service.log().came),
        }
    }
}

/// Judges messages as files are judged, by the first occurrence of each id. One may come again, the
/// same byte for byte, around a kill of the agent or an outage of the broker: that is counted.
pub fn judge_messages(evidence: &Evidence, outages: &[(Micros, Micros)]) -> Judgement {
    let kills = evidence.kills.iter().map(|&at| (at, at));
    let excuses: Vec<_> = kills.chain(outages.iter().copied()).collect();
    let mut first: HashMap<&str, &Consumed> = HashMap::new();
    let (mut firsts, mut again, mut findings) = (Vec::new(), 0, Vec::new());
    for message in &evidence.consumed {
        let Some(before) = first.insert(&message.name, message) else {
            // The judge of files knows documents by the names of their files.
            let name = format!("ZVEHREG_{}.idoc", message.docnum);
            firsts.push(Consumed { name, ..message.clone() });
            continue;
        };
        if before.digest != message.digest {
            findings.push((Check::ReappearedChanged, format!("{} has other bytes", message.name)));
        } else if excuses.iter().any(|&outage| excused(outage, before.seen, message.seen)) {
            again += 1;
        } else {
            findings.push((Check::ReappearedUnexcused, format!("{} came twice", message.name)));
        }
    }
    let published = evidence.published.clone();
    let mut judgement = judge(&Evidence { published, consumed: firsts, kills: Vec::new() });
    judgement.reappeared_identical = again;
    for (check, finding) in findings {
        judgement.findings.entry(check).or_default().push(finding);
    }
    judgement
}

/// Judges requests as messages are judged. Where the service knows ids, one may come again around a
/// kill of the agent, and after each kill no more than were under way; where it knows none, none may.
pub fn judge_requests(evidence: &Evidence, dedupes: bool) -> Judgement {
    if !dedupes {
        return judge_messages(&Evidence { kills: Vec::new(), ..evidence.clone() }, &[]);
    }
    let mut judgement = judge_messages(evidence, &[]);
    let (again, kills) = (judgement.reappeared_identical, evidence.kills.len());
    if again > kills * IN_FLIGHT {
        let finding = format!("{again} came again after {kills} kills with {IN_FLIGHT} under way");
        judgement.findings.entry(Check::ReappearedUnexcused).or_default().push(finding);
    }
    judgement
}

/// The first copy was taken around the outage, the second after its beginning and not long after
/// its end.
fn excused((from, to): (Micros, Micros), first: Micros, again: Micros) -> bool {
    let near = |at: Micros| at + AROUND >= from && at <= to + AROUND;
    near(first) && near(again) && again >= from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Published;
    use crate::workload::Kind;

    const SECOND: Micros = 1_000_000;

    fn message(number: usize, digest: &str, seen: Micros) -> Consumed {
        let docnum = format!("{number:016}");
        Consumed {
            name: format!("proof-{docnum}"),
            digest: digest.to_owned(),
            docnum,
            vin: "VIN".to_owned(),
            event_id: format!("e{number}"),
            code: "SOLD".to_owned(),
            marks: Default::default(),
            seen,
            appeared: i64::try_from(seen).unwrap(),
            problem: None,
        }
    }

    fn evidence(consumed: Vec<Consumed>) -> Evidence {
        let published = |n: usize| Published {
            kind: Kind::Fresh,
            event_id: format!("e{n}"),
            vin: "VIN".to_owned(),
            code: "SOLD",
            at: 0,
        };
        let published = (1..=2).map(published).collect();
        Evidence { published, consumed, kills: vec![100 * SECOND] }
    }

    #[test]
    fn a_message_may_come_again_around_a_kill_with_the_same_bytes() {
        let (one, two) = (message(1, "a", 99 * SECOND), message(2, "b", 102 * SECOND));
        let again = Consumed { seen: 101 * SECOND, ..one.clone() };
        let judgement = judge_messages(&evidence(vec![one, again, two]), &[]);
        assert!(judgement.is_clean(), "{judgement}");
        assert_eq!((judgement.files, judgement.reappeared_identical), (2, 1));
    }

    #[test]
    fn other_bytes_no_reason_a_loss_and_a_wrong_order_are_found() {
        let (one, two) = (message(1, "a", 50 * SECOND), message(2, "b", 51 * SECOND));
        let found = |consumed, check| {
            let judgement = judge_messages(&evidence(consumed), &[]);
            assert!(judgement.found(check), "{check}: {judgement}");
        };
        let changed = Consumed { digest: "c".to_owned(), ..one.clone() };
        found(vec![one.clone(), changed, two.clone()], Check::ReappearedChanged);
        found(vec![one.clone(), one.clone(), two.clone()], Check::ReappearedUnexcused);
        found(vec![one.clone()], Check::Missing);
        found(vec![two, one], Check::WrongOrder);
    }

    #[test]
    fn a_request_may_come_again_where_ids_are_known_and_as_often_as_were_under_way() {
        let (one, two) = (message(1, "a", 99 * SECOND), message(2, "b", 102 * SECOND));
        let again = Consumed { seen: 101 * SECOND, ..one.clone() };
        let twice = evidence(vec![one.clone(), again.clone(), two.clone()]);
        assert!(judge_requests(&twice, true).is_clean());
        assert!(judge_requests(&twice, false).found(Check::ReappearedUnexcused));
        let mut often = vec![one.clone(), two.clone()];
        often.extend(vec![again.clone(); IN_FLIGHT + 1]);
        assert!(judge_requests(&evidence(often), true).found(Check::ReappearedUnexcused));
        // The same document under another id is another document to the receiver.
        let renamed = Consumed { name: "other".to_owned(), ..again };
        let judgement = judge_requests(&evidence(vec![one, renamed, two]), true);
        assert!(judgement.found(Check::ReappearedUnexcused), "{judgement}");
    }

    #[test]
    fn an_outage_of_the_broker_excuses_as_a_kill_does() {
        let (one, two) = (message(1, "a", 49 * SECOND), message(2, "b", 62 * SECOND));
        let again = Consumed { seen: 61 * SECOND, ..one.clone() };
        let outages = [(50 * SECOND, 60 * SECOND)];
        let judgement = judge_messages(&evidence(vec![one, again, two]), &outages);
        assert!(judgement.is_clean(), "{judgement}");
    }
}
