//! What the journal costs: processor time per event and per settlement, and how long a commit
//! takes, beside the disk's own sync in the same run. `cargo bench -p waybill --bench journal`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a program to be read by its author; it stops at the first mistake"
)]

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use waybill::delivery::{DeliveryId, NewDelivery, Outcome, Settlement};
use waybill::event::{Decision, Digest, Header, Identity, Transition, Verdict};
use waybill::journal::{Asked, Batch, Journal, Needs, Options, docnum};

const BATCH: usize = 300;

fn main() {
    let events: usize =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(100_000);
    let directory = tempfile::tempdir_in(".").unwrap();
    let path = directory.path().join("journal.db");
    let journal = Journal::open(&Options { path, instance: 1 }, now()).unwrap();
    let mut phases = Phases::default();
    let mut deliveries = Vec::new();
    for first in (0..events).step_by(BATCH) {
        let batch = batch(first);
        let needs = needs(&batch);
        phases.facts.run(BATCH, || drop(journal.facts(&needs).unwrap()));
        let committed =
            phases.commits.run(BATCH, || journal.commit_blocking(batch.clone()).unwrap());
        let ids: Vec<_> = committed.deliveries.iter().map(|due| due.id).collect();
        deliveries.extend_from_slice(&ids);
        phases.load.run(BATCH, || drop(journal.consignments(&ids).unwrap()));
        settle(&journal, &mut phases.prepared, &ids, || Outcome::Prepared);
        settle(&journal, &mut phases.delivered, &ids, || Outcome::Delivered {
            reference: "out/DELVRY_0010000000000042.idoc".to_owned(),
        });
    }
    phases.print();
    let sizes = journal.sizes().unwrap();
    println!("bytes per event: {}, log {} KiB", sizes.database / events as u64, sizes.wal / 1024);
    sync_of_the_disk(directory.path());
    let start = Instant::now();
    assert_eq!(journal.verify(None).unwrap().breaks, []);
    println!("verify: {:.1} µs per event", start.elapsed().as_secs_f64() * 1e6 / events as f64);
    let start = Instant::now();
    journal.close();
    println!("close: {:?}", start.elapsed());
}

fn settle(journal: &Journal, phase: &mut Phase, ids: &[DeliveryId], outcome: fn() -> Outcome) {
    let all = ids.iter().map(|id| Settlement { id: *id, at: now(), outcome: outcome() }).collect();
    phase.run(ids.len(), || futures(journal.settle(all)));
}

fn futures(work: impl Future<Output = Result<(), waybill::journal::CommitError>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(work).unwrap();
}

fn needs(batch: &Batch) -> Needs {
    let mut needs = Needs::default();
    for decision in &batch.decisions {
        let Header { identity, digest, .. } = decision.header;
        let sent_by = identity.sent_by(None);
        needs.identities.push(Asked { identity, sent_by, digest });
        needs.objects.push((Arc::from("vehicle"), decision.header.key.clone()));
        needs.keys.push(decision.header.key.clone());
    }
    needs
}

fn batch(first: usize) -> Arc<Batch> {
    let decisions = (first..first + BATCH).map(decision).collect();
    Arc::new(Batch {
        plan: Digest::of(b"plan"),
        generation: 1,
        at: now(),
        operator: None,
        decisions,
        files: Vec::new(),
    })
}

fn decision(number: usize) -> Decision {
    // 32,768 vehicles, met in an order that jumps about.
    let vin = format!("WVWZZZ1K{:09}", number.wrapping_mul(40_503) % 32_768);
    let id = format!("0192f0c1-7a3e-7{:03x}-{number:016x}", number % 4096);
    let raw: Arc<[u8]> = format!("{id}{}", "x".repeat(1024 - id.len())).into_bytes().into();
    let source: Arc<str> = Arc::from("vms");
    let reference = docnum(1, 0, number as u64 + 1).to_string();
    let document: Arc<[u8]> = format!("{reference}{}", "y".repeat(1575)).into_bytes().into();
    Decision {
        header: Header {
            identity: Identity::of(&source, &id),
            origin: None,
            source,
            id,
            kind: "vehicle.status.changed".to_owned(),
            key: vin.clone(),
            time: "2026-11-22T22:34:24Z".to_owned(),
            received: now(),
            digest: Digest::of(&raw),
            trace: None,
        },
        raw,
        verdict: Verdict::Accepted,
        causes: Vec::new(),
        transition: Some(Transition {
            lifecycle: Arc::from("vehicle"),
            object: vin.clone(),
            from: Some("ordered".to_owned()),
            to: "built".to_owned(),
            legal: true,
            applied: true,
        }),
        parks: false,
        failed_mappings: Vec::new(),
        deliveries: vec![NewDelivery {
            target: Arc::from("sap"),
            key: vin,
            name: format!("DELVRY_{reference}.idoc"),
            reference,
            mapping: Arc::from("vehicle-delivery"),
            document,
        }],
        now: now(),
        again: None,
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

#[derive(Default)]
struct Phases {
    facts: Phase,
    commits: Phase,
    load: Phase,
    prepared: Phase,
    delivered: Phase,
}

impl Phases {
    fn print(&mut self) {
        self.facts.print("facts");
        self.commits.print("event + verdict + delivery + object");
        self.load.print("consignments");
        self.prepared.print("settle: prepared");
        self.delivered.print("settle: delivered");
    }
}

#[derive(Default)]
struct Phase {
    items: usize,
    processor: u64,
    walls: Vec<Duration>,
}

impl Phase {
    fn run<T>(&mut self, items: usize, work: impl FnOnce() -> T) -> T {
        let (processor, start) = (processor_nanoseconds(), Instant::now());
        let result = work();
        self.walls.push(start.elapsed());
        self.processor += processor_nanoseconds() - processor;
        self.items += items;
        result
    }

    fn print(&mut self, name: &str) {
        self.walls.sort();
        let at = |part: usize| self.walls[(self.walls.len() - 1) * part / 100];
        println!(
            "{name:38} {:6.2} µs cpu each; per call: p50 {:?} p99 {:?} max {:?}",
            self.processor as f64 / 1000.0 / self.items as f64,
            at(50),
            at(99),
            at(100),
        );
    }
}

/// Of all threads that are alive.
fn processor_nanoseconds() -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        sum += text.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    sum
}

fn sync_of_the_disk(directory: &std::path::Path) {
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let mut walls = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 65_536]).unwrap();
        let start = Instant::now();
        file.sync_data().unwrap();
        walls.push(start.elapsed());
    }
    walls.sort();
    println!("the disk's own sync of 64 KiB: p50 {:?} p99 {:?}", walls[100], walls[197]);
}
