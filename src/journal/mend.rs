//! A failed event whose id comes again with other bytes: somebody mended it. The new event takes
//! the place of the failed one: it has the identity, and it frees the key that the failed one
//! parked.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::{Decision, Verdict};
use crate::journal::error::CommitError;
use crate::journal::schema::{row_id, verdict_code};

/// Puts `event` in the place of the event that has its identity. That one must have failed, and
/// its bytes must be others.
pub(super) fn replace(
    connection: &Connection,
    decision: &Decision,
    event: u64,
) -> Result<(), CommitError> {
    let (header, event) = (&decision.header, row_id(event));
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
        .execute(params![header.identity.0, event, header.digest.0])?;
    if decision.verdict == Verdict::Failed {
        connection
            .prepare_cached("UPDATE parked SET event = ?2 WHERE event = ?1")?
            .execute([failed, event])?;
    } else {
        connection.prepare_cached("DELETE FROM parked WHERE event = ?1")?.execute([failed])?;
    }
    Ok(())
}
