//! A bound on the documents that are in memory for a target.
//!
//! A group may have hundreds of deliveries, and each may be as large as a document can be. So it
//! travels in portions, and a portion waits until there is room for its documents before any of them
//! is read.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::delivery::Due;

/// Bytes of documents that are in memory for a target; one that is larger is there alone.
const MOST: u64 = 8 << 20;
/// The same for a portion: one is on its way while the next is read.
const PORTION: u64 = MOST / 2;
/// Bytes of one permit.
const PERMIT: u64 = 1 << 10;

/// The room for the documents of a target.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new((MOST / PERMIT) as usize))
    }
}

impl Room {
    /// Waits until there is room for so many bytes. It is free again when the permit is dropped;
    /// `None` where nothing is left to wait for.
    pub(super) async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let permits = bytes.min(MOST).div_ceil(PERMIT);
        self.0.acquire_many(u32::try_from(permits).unwrap_or(u32::MAX)).await.ok()
    }
}

/// Heads with the bytes of their documents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) heads: Vec<Due>,
    pub(super) bytes: u64,
}

/// Heads in portions, in their order.
pub(super) fn portions(heads: Vec<Due>, sizes: &[u64]) -> Vec<Portion> {
    let mut portions: Vec<Portion> = Vec::new();
    for (head, size) in heads.into_iter().zip(sizes) {
        match portions.last_mut().filter(|last| last.bytes + size <= PORTION) {
            Some(last) => {
                last.heads.push(head);
                last.bytes += size;
            }
            None => portions.push(Portion { heads: vec![head], bytes: *size }),
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::delivery::State;

    fn split(sizes: &[u64]) -> Vec<Vec<u64>> {
        let head = |id| Due {
            id,
            target: "sap".into(),
            key: "key".into(),
            state: State::Due,
            due: Timestamp::UNIX_EPOCH,
            attempts: 0,
        };
        let heads = (0..sizes.len() as u64).map(head).collect();
        let portions = portions(heads, sizes);
        portions.iter().map(|one| one.heads.iter().map(|head| head.id).collect()).collect()
    }

    #[test]
    fn heads_travel_together_as_far_as_their_documents_are_small() {
        assert_eq!(split(&[1, 2, 3]), [[0, 1, 2]]);
        assert_eq!(split(&[PORTION - 2, 1, 1, 1, PORTION]), [vec![0, 1, 2], vec![3], vec![4]]);
        assert_eq!(split(&[MOST * 3, 1, MOST * 3]), [[0], [1], [2]]);
        assert!(split(&[]).is_empty());
    }

    #[tokio::test]
    async fn a_document_larger_than_the_room_takes_all_of_it() {
        let room = Room::default();
        let large = room.take(MOST * 3).await;
        assert!(large.is_some());
        let mut small = std::pin::pin!(room.take(1));
        assert!(futures_util::poll!(&mut small).is_pending());
        drop(large);
        assert!(small.await.is_some());
    }
}
