//! A dropped file of customers as SAP would write it, and who reads what came of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::queue::{Queue, close};

/// Characters of a control record, and of a data record, with their line ends.
const CONTROL: usize = 525;
const DATA: usize = 1064;
/// Bytes of one document: control record, customer, sales area.
pub(super) const DOCUMENT: u64 = (CONTROL + 2 * DATA) as u64;
/// Messages on their way to us; every this many are acknowledged together.
const PREFETCH: u16 = 2_000;
const ACKNOWLEDGED: usize = 500;

/// One DEBMAS document about the customer `number`.
fn document(number: u64) -> String {
    let put = |record: &mut [u8], at: usize, value: &str| {
        record[at..at + value.len()].copy_from_slice(value.as_bytes());
    };
    let docnum = format!("{:016}", 7_000_000 + number);
    let mut bytes = vec![b' '; CONTROL + 2 * DATA];
    let (control, rest) = bytes.split_at_mut(CONTROL);
    let (customer, area) = rest.split_at_mut(DATA);
    for (at, value) in [
        (0, "EDI_DC40"),
        (10, "100"),
        (13, &docnum),
        (39, "DEBMAS07"),
        (99, "DEBMAS"),
        (148, "SAPQ01"),
        (158, "LS"),
        (162, "Q01CLNT100"),
        (263, "WAYBILL"),
        (273, "LS"),
        (277, "VMSQAS"),
    ] {
        put(control, at, value);
    }
    let head = |name, own: u32, above: u32, level| {
        [
            (0, name),
            (30, "100".to_owned()),
            (33, docnum.clone()),
            (49, format!("{own:06}{above:06}{level}")),
        ]
    };
    for (at, value) in head("E2KNA1M005".to_owned(), 1, 0, "01") {
        put(customer, at, &value);
    }
    for (at, value) in head("E2KNVVM007".to_owned(), 2, 1, "02") {
        put(area, at, &value);
    }
    put(customer, 66, &format!("{number:010}"));
    put(customer, 216, "CH");
    put(customer, 242, "Muster Garage");
    put(area, 66, "10001000");
    for record in [control, customer, area] {
        if let Some(last) = record.last_mut() {
            *last = b'\n';
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes the customers 1 to `count` to `path`, on the disk when this returns.
pub(super) fn write(path: &Path, count: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    for number in 1..=count {
        file.write_all(document(number).as_bytes())?;
    }
    file.into_inner().map_err(|error| anyhow!("{error}"))?.sync_all()?;
    Ok(())
}

/// What came of the customers: each with how often it came, and what was wrong with it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By customer: the digest of id and bytes.
    first: HashMap<u64, [u8; 16]>,
    /// Came again with the same id and bytes.
    pub(super) again: usize,
    /// Came again with another id or other bytes.
    pub(super) other: usize,
    /// Could not be read, or are about nobody.
    pub(super) odd: usize,
}

impl Seen {
    /// Customers of `1..=count` that never came.
    pub(super) fn missing(&self, count: u64) -> u64 {
        (1..=count).map(|number| u64::from(!self.first.contains_key(&number))).sum()
    }

    /// Takes one message.
    fn take(&mut self, id: &str, body: &[u8]) {
        let Some(number) = customer(body) else {
            self.odd += 1;
            return;
        };
        let mut hash = Sha256::new();
        hash.update(id.as_bytes());
        hash.update([0]);
        hash.update(body);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        match self.first.get(&number) {
            None => drop(self.first.insert(number, digest)),
            Some(first) if *first == digest => self.again += 1,
            Some(_) => self.other += 1,
        }
    }
}

fn customer(body: &[u8]) -> Option<u64> {
    let event: Value = serde_json::from_slice(body).ok()?;
    event["data"]["customer"]["number"].as_str()?.parse().ok()
}

/// Empties the queue of customers.
pub(super) struct Reader {
    seen: Arc<Mutex<Seen>>,
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    connection: Connection,
}

/// The queue behind an agent that reads from `queue`.
pub(super) fn queue(queue: &Queue) -> Queue {
    Queue { url: queue.url.clone(), name: format!("{}.customers", queue.name) }
}

impl Reader {
    /// Makes the queue and begins to empty it.
    pub(super) async fn start(from: &Queue) -> Result<Self> {
        let queue = queue(from);
        let connection = queue.connect().await?;
        let channel = connection.create_channel().await?;
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        let name = queue.name.as_str();
        channel.queue_declare(name.into(), durable, FieldTable::default()).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (seen, taken) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicUsize>::default());
        let (shared, counter) = (seen.clone(), taken.clone());
        let name = queue.name.clone();
        let task = tokio::spawn(async move {
            // However it ends: the count of what was taken tells.
            let _ = consume(&channel, &name, &shared, &counter).await;
        });
        Ok(Self { seen, taken, task, connection })
    }

    /// How many messages were taken so far, those that came again included.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Stops, and hands over what was seen.
    pub(super) async fn finish(self) -> Seen {
        self.task.abort();
        close(&self.connection).await;
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn consume(
    channel: &Channel,
    name: &str,
    seen: &Mutex<Seen>,
    taken: &AtomicUsize,
) -> Result<()> {
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(name.into(), "".into(), options, FieldTable::default());
    let mut consumer = consuming.await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&id.unwrap_or_default(), &delivery.data);
        if (taken.fetch_add(1, Ordering::AcqRel) + 1).is_multiple_of(ACKNOWLEDGED) {
            let multiple = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, multiple).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_three_records_of_their_full_length() {
        let text = document(42);
        assert_eq!(text.len() as u64, DOCUMENT);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [524, 1063, 1063]);
        assert_eq!(&lines[1][66..76], "0000000042");
        assert_eq!((&lines[1][49..63], &lines[2][49..63]), ("00000100000001", "00000200000102"));
    }

    #[test]
    fn what_is_missing_doubled_or_changed_is_seen() {
        let body = |number: u64| {
            format!("{{\"data\":{{\"customer\":{{\"number\":\"{number}\"}}}}}}").into_bytes()
        };
        let mut seen = Seen::default();
        seen.take("a", &body(1));
        seen.take("a", &body(1));
        seen.take("b", &body(3));
        seen.take("c", &body(3));
        seen.take("d", b"{}");
        assert_eq!((seen.missing(3), seen.again, seen.other, seen.odd), (1, 1, 1, 1));
    }
}
