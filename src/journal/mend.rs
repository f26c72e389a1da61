//! A failed event whose id comes again with other bytes: somebody mended it. The new event takes
//! the place of the failed one: it has the identity, and it frees the key that the failed one
//! parked.

use rusqlite::{OptionalExtension as _, params};

use crate::event::{Decision, Verdict};
use crate::journal::error::CommitError;
use crate::journal::filling::Filling;
use crate::journal::schema::{number, row_id, verdict_code};

/// The keys that wait for an event wait for another one.
pub(super) const MOVE: &str = "UPDATE parked SET event = ?2 WHERE event = ?1";

/// Puts `event` in the place of the event that has its identity. That one must have failed, and
/// its bytes must be others. Its number.
pub(super) fn replace(
    filling: &Filling<'_>,
    decision: &Decision,
    event: u64,
) -> Result<u64, CommitError> {
    let (header, connection) = (&decision.header, filling.connection);
    let failed: Option<i64> = connection
        .prepare_cached(
            "SELECT event FROM seen JOIN events ON events.id = event
             WHERE identity = ?1 AND seen.digest <> ?2 AND verdict = ?3",
        )?
        .query_row(
            params![header.identity.0, header.digest.0, verdict_code(Verdict::Failed)],
            |row| row.get(0),
        )
        .optional()?;
    let failed = failed.ok_or(CommitError::Duplicate { index: 0 })?;
    connection
        .prepare_cached("UPDATE seen SET event = ?2, digest = ?3 WHERE identity = ?1")?
        .execute(params![header.identity.0, row_id(event), header.digest.0])?;
    Ok(number(failed))
}

/// What waited for the failed event waits for the one in its place, or goes on. That one must be
/// recorded.
pub(super) fn take_over(
    filling: &mut Filling<'_>,
    (failed, event): (u64, u64),
    verdict: Verdict,
) -> Result<(), CommitError> {
    if verdict != Verdict::Failed {
        return filling.free(failed);
    }
    let moved =
        filling.connection.prepare_cached(MOVE)?.execute([row_id(failed), row_id(event)])?;
    if moved > 0 {
        filling.entries.unpark(failed);
        filling.say_all_parked(event)?;
    }
    Ok(())
}
