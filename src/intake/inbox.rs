//! One bounded queue for each source, drawn fairly.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::source::Taken;

/// The most events of one batch: enough to make an fsync cheap, few enough to stay in the cache.
const MOST_EVENTS: usize = 500;
/// The most bytes of one batch.
const MOST_BYTES: usize = 8 << 20;

/// What the sources have handed over and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inbox {
    queues: Vec<mpsc::Receiver<Taken>>,
    turn: usize,
}

impl Inbox {
    /// Of these queues, one for each source.
    pub fn new(queues: Vec<mpsc::Receiver<Taken>>) -> Self {
        Self { queues, turn: 0 }
    }

    /// Everything that is there, at most a batch: one of each source in turn. Waits for the first;
    /// empty when every source has ended. Nothing is lost where the future is dropped before it is
    /// ready.
    pub async fn batch(&mut self) -> Vec<Taken> {
        poll_fn(|context| self.poll_batch(context)).await
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Vec<Taken>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut idle = 0;
        while !self.queues.is_empty() && idle < self.queues.len() {
            if batch.len() >= MOST_EVENTS || bytes >= MOST_BYTES {
                break;
            }
            self.turn = (self.turn + 1) % self.queues.len();
            match self.queues[self.turn].poll_recv(context) {
                Poll::Ready(Some(taken)) => {
                    bytes += taken.arrival.raw.len();
                    batch.push(taken);
                    idle = 0;
                }
                Poll::Ready(None) => {
                    self.queues.remove(self.turn);
                    idle = 0;
                }
                Poll::Pending => idle += 1,
            }
        }
        if batch.is_empty() && !self.queues.is_empty() { Poll::Pending } else { Poll::Ready(batch) }
    }
}
