//! One bounded queue for each source, drawn so that nobody waits behind a file.
//!
//! A batch is decided and committed as one, so an event waits for the batch before its own and for
//! its own. What a broker sends is *live*: somebody waits for it. The documents of a dropped file
//! are *bulk*: a hundred thousand of them are there at once, and nobody waits for one. While live
//! events come, bulk is taken in small batches and rests after each for as long as it took, so that
//! a core stays free; in a batch with live events it gets next to nothing, but it always gets that
//! much. When no live event has come for a while, bulk has all to itself.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep};

use crate::source::Taken;

/// The most events of one batch: enough to make an fsync cheap, few enough to stay in the cache.
const MOST_EVENTS: usize = 256;
/// The most bytes of one batch that are live, and the most that are bulk.
const MOST_BYTES: usize = 8 << 20;
/// The most of it that is bulk, where nobody waits: documents are large, and so is what is made of
/// them until it is committed.
const BULK_ALONE: usize = 64;
/// The same between live events: about two milliseconds of work.
const BULK_BETWEEN: usize = 32;
/// The same in a batch that has live events in it.
const BULK_BESIDE: usize = 8;
/// So many batches of bulk without a live event, about a second, and nobody waits any more.
const CALM: u32 = 256;

/// How events of a source come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One by one; somebody waits for each.
    Live,
    /// Very many at once; nobody waits for one.
    Bulk,
}

/// What a source has handed over and nobody has taken yet.
#[derive(Debug)]
pub struct Waiting {
    /// The source's queue.
    pub queue: mpsc::Receiver<Taken>,
    /// How its events come.
    pub pace: Pace,
}

/// What all sources have handed over.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Sources that begin later.
    later: Option<mpsc::Receiver<Waiting>>,
    live: Turns,
    bulk: Turns,
    /// Batches of bulk since a live event came.
    calm: u32,
    /// When the last batch with bulk in it was handed out.
    handed: Option<tokio::time::Instant>,
    /// The rest of bulk after it.
    rest: Option<Pin<Box<Sleep>>>,
}

/// Queues that are drawn from in turn.
#[derive(Debug, Default)]
struct Turns {
    queues: Vec<mpsc::Receiver<Taken>>,
    turn: usize,
}

/// What is drawn for one batch.
#[derive(Default)]
struct Draw {
    taken: Vec<Taken>,
    /// Of the queues that are being drawn from.
    bytes: usize,
}

impl Inbox {
    /// Of these queues, one for each source.
    pub fn new(waiting: Vec<Waiting>) -> Self {
        let mut inbox = Self { calm: CALM, ..Self::default() };
        waiting.into_iter().for_each(|waiting| inbox.add(waiting));
        inbox
    }

    /// Of the queues that come, until nobody can send another one.
    pub fn of(later: mpsc::Receiver<Waiting>) -> Self {
        Self { calm: CALM, later: Some(later), ..Self::default() }
    }

    fn add(&mut self, Waiting { queue, pace }: Waiting) {
        match pace {
            Pace::Live => self.live.queues.push(queue),
            Pace::Bulk => self.bulk.queues.push(queue),
        }
    }

    fn poll_later(&mut self, context: &mut Context<'_>) {
        while let Some(later) = &mut self.later {
            match later.poll_recv(context) {
                Poll::Ready(Some(waiting)) => self.add(waiting),
                Poll::Ready(None) => self.later = None,
                Poll::Pending => break,
            }
        }
    }

    /// Everything that is there, at most a batch. Waits for the first; empty when every source has
    /// ended. Nothing is lost where the future is dropped before it is ready.
    pub async fn batch(&mut self) -> Vec<Taken> {
        if let Some(handed) = self.handed.take().filter(|_| self.is_awaited()) {
            self.rest = Some(Box::pin(sleep(handed.elapsed())));
        }
        // A batch is bounded by itself; the runtime's own bound would cut it at 128 events.
        unconstrained(poll_fn(|context| self.poll_batch(context))).await
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Vec<Taken>> {
        self.poll_later(context);
        let mut draw = Draw::default();
        self.live.draw(&mut draw, MOST_EVENTS - BULK_BESIDE, context);
        let live = draw.taken.len();
        if live > 0 {
            self.calm = 0;
        }
        if !self.is_resting(context) {
            let most = match live {
                0 if self.is_awaited() => BULK_BETWEEN,
                0 => BULK_ALONE,
                live => live + BULK_BESIDE,
            };
            self.bulk.draw(&mut draw, most, context);
        }
        if draw.taken.len() > live {
            self.calm = self.calm.saturating_add(1);
            self.handed = Some(tokio::time::Instant::now());
        }
        let ended =
            self.later.is_none() && self.live.queues.is_empty() && self.bulk.queues.is_empty();
        if draw.taken.is_empty() && !ended { Poll::Pending } else { Poll::Ready(draw.taken) }
    }

    /// What sources have handed over that have ended since. At most what their queues hold.
    pub fn ended(&mut self) -> Vec<Taken> {
        let mut left = Vec::new();
        for queue in self.live.queues.iter_mut().chain(&mut self.bulk.queues) {
            while queue.is_closed() {
                let Ok(taken) = queue.try_recv() else { break };
                left.push(taken);
            }
        }
        left
    }

    /// Whether live events have to be reckoned with.
    fn is_awaited(&self) -> bool {
        self.calm < CALM && !self.live.queues.is_empty()
    }

    fn is_resting(&mut self, context: &mut Context<'_>) -> bool {
        let resting =
            self.rest.as_mut().is_some_and(|rest| rest.as_mut().poll(context).is_pending());
        if !resting {
            self.rest = None;
        }
        resting
    }
}

impl Turns {
    /// Takes one of each queue in turn, until none has any, or the batch holds `most` events, or so
    /// many bytes came from here. The first comes however large it is.
    fn draw(&mut self, draw: &mut Draw, most: usize, context: &mut Context<'_>) {
        let mut idle = 0;
        draw.bytes = 0;
        while !self.queues.is_empty() && idle < self.queues.len() {
            if draw.taken.len() >= most || draw.bytes >= MOST_BYTES {
                break;
            }
            self.turn = (self.turn + 1) % self.queues.len();
            match self.queues[self.turn].poll_recv(context) {
                Poll::Ready(Some(taken)) => {
                    draw.bytes += taken.arrival.raw.len();
                    draw.taken.push(taken);
                    idle = 0;
                }
                Poll::Ready(None) => {
                    self.queues.remove(self.turn);
                    idle = 0;
                }
                Poll::Pending => idle += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::sync::{Semaphore, mpsc::Sender};

    use super::*;
    use crate::event::{Arrival, Beside};
    use crate::source::{Receipt, folder};

    fn taken(source: &str, permits: &Arc<Semaphore>) -> Taken {
        sized(source, permits, 2)
    }

    fn sized(source: &str, permits: &Arc<Semaphore>, bytes: usize) -> Taken {
        let arrival = Arrival {
            source: source.into(),
            raw: vec![b' '; bytes].into(),
            message_id: None,
            received: Timestamp::UNIX_EPOCH,
            position: None,
            beside: Beside::default(),
        };
        let permit = permits.clone().try_acquire_owned().unwrap();
        Taken { arrival, receipt: Receipt::Folder(folder::Receipt::of(permit)) }
    }

    struct Senders {
        permits: Arc<Semaphore>,
        live: Sender<Taken>,
        bulk: Sender<Taken>,
    }

    impl Senders {
        fn live(&self, count: usize) {
            (0..count).for_each(|_| self.live.try_send(taken("live", &self.permits)).unwrap());
        }

        fn bulk(&self, count: usize) {
            (0..count).for_each(|_| self.bulk.try_send(taken("bulk", &self.permits)).unwrap());
        }
    }

    fn inbox() -> (Inbox, Senders) {
        let ((live, first), (bulk, second)) = (mpsc::channel(100_000), mpsc::channel(100_000));
        let waiting = vec![
            Waiting { queue: second, pace: Pace::Bulk },
            Waiting { queue: first, pace: Pace::Live },
        ];
        let permits = Arc::new(Semaphore::new(1_000_000));
        (Inbox::new(waiting), Senders { permits, live, bulk })
    }

    /// How many live and bulk events the next batch has.
    async fn batch(inbox: &mut Inbox) -> (usize, usize) {
        let taken = inbox.batch().await;
        let live = taken.iter().filter(|taken| &*taken.arrival.source == "live").count();
        (live, taken.len() - live)
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_alone_takes_large_batches() {
        let (mut inbox, senders) = inbox();
        senders.bulk(BULK_ALONE + 1);
        assert_eq!(batch(&mut inbox).await, (0, BULK_ALONE));
        assert_eq!(batch(&mut inbox).await, (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn live_events_take_little_bulk_along_and_bulk_stays_small_after_them() {
        let (mut inbox, senders) = inbox();
        senders.bulk(100_000);
        senders.live(3);
        assert_eq!(batch(&mut inbox).await, (3, BULK_BESIDE));
        for _ in 1..CALM {
            assert_eq!(batch(&mut inbox).await, (0, BULK_BETWEEN));
        }
        assert_eq!(batch(&mut inbox).await, (0, BULK_ALONE));
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_rests_for_as_long_as_its_batch_took_and_live_events_do_not() {
        let (mut inbox, senders) = inbox();
        senders.bulk(1_000);
        senders.live(1);
        assert_eq!(batch(&mut inbox).await, (1, BULK_BESIDE));
        tokio::time::advance(Duration::from_millis(40)).await;
        senders.live(2);
        let asked = tokio::time::Instant::now();
        assert_eq!(batch(&mut inbox).await, (2, 0), "bulk rests, live events do not wait for it");
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(batch(&mut inbox).await, (0, BULK_BETWEEN));
        let rested = asked.elapsed();
        assert!(rested >= Duration::from_millis(40) && rested < Duration::from_millis(45));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_live_events_leaves_bulk_its_share() {
        let (mut inbox, senders) = inbox();
        senders.live(2_000);
        senders.bulk(1_000);
        let (mut live, mut bulk) = (0, 0);
        while live < 2_000 {
            let taken = batch(&mut inbox).await;
            assert!(taken.0 + taken.1 <= MOST_EVENTS);
            (live, bulk) = (live + taken.0, bulk + taken.1);
        }
        assert!(bulk >= 2 * BULK_BESIDE, "{bulk}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_live_events_do_not_starve_files() {
        let (mut inbox, senders) = inbox();
        senders.bulk(1);
        for _ in 0..20 {
            senders.live.try_send(sized("live", &senders.permits, 1 << 20)).unwrap();
        }
        assert_eq!(batch(&mut inbox).await, (8, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_ended_source_left_is_handed_out_at_once() {
        let (mut inbox, Senders { permits, live, bulk }) = inbox();
        bulk.try_send(taken("bulk", &permits)).unwrap();
        live.try_send(taken("live", &permits)).unwrap();
        assert!(inbox.ended().is_empty(), "both may still send");
        drop(bulk);
        let ended = inbox.ended();
        assert_eq!(ended.iter().map(|one| &*one.arrival.source).collect::<Vec<_>>(), ["bulk"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_begins_later_is_drawn_from_and_keeps_the_inbox_open() {
        let (begin, later) = mpsc::channel(4);
        let mut inbox = Inbox::of(later);
        let (live, queue) = mpsc::channel(10);
        let (bulk, _) = mpsc::channel(10);
        let senders = Senders { permits: Arc::new(Semaphore::new(10)), live, bulk };
        assert!(futures_util::poll!(std::pin::pin!(inbox.batch())).is_pending());
        begin.send(Waiting { queue, pace: Pace::Live }).await.unwrap();
        senders.live(2);
        assert_eq!(batch(&mut inbox).await, (2, 0));
        drop(senders);
        assert!(futures_util::poll!(std::pin::pin!(inbox.batch())).is_pending());
        drop(begin);
        assert!(inbox.batch().await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_every_source_has_ended_and_nothing_waits() {
        let (mut inbox, senders) = inbox();
        senders.bulk(1);
        senders.live(1);
        drop(senders);
        assert_eq!(batch(&mut inbox).await, (1, 1));
        assert!(inbox.batch().await.is_empty());
    }
}
