//! Flat IDocs that stay flat: each is written as it came, byte for byte.
//!
//! A definition is not needed, and nothing is made anew: segments keep their versions, records
//! their lengths, numbers and line ends.

use std::io;

use waybill_parsers::{Format, Reading};

use crate::cli::args::Convert;
use crate::cli::formats::seen::Seen;
use crate::cli::formats::source::Source;
use crate::cli::output::Output;

/// The bytes of a file whose documents are copied. Those of one document are held in memory.
pub(super) struct Copy {
    seen: Seen,
    /// Behind the last document.
    end: u64,
    /// What stands behind the last document belongs to one that was left out.
    is_left_out: bool,
}

impl Copy {
    /// Where the documents of this file are copied.
    pub(super) fn of(options: &Convert, source: &Source) -> Option<Self> {
        let is_flat = source.format == Format::Idoc && options.to == Format::Idoc;
        if !is_flat || options.rewrite {
            return None;
        }
        source.seen.keep_from(0);
        Some(Self { seen: source.seen.clone(), end: 0, is_left_out: false })
    }

    /// Writes a document with what stands before it, such as a byte order mark.
    pub(super) fn write(&mut self, reading: &Reading, out: &mut Output<'_>) -> io::Result<()> {
        out.write_document(&self.seen.bytes(self.end, reading.span.end))?;
        self.pass(reading, false);
        Ok(())
    }

    /// Passes over a document.
    pub(super) fn leave_out(&mut self, reading: &Reading) {
        self.pass(reading, true);
    }

    fn pass(&mut self, reading: &Reading, is_left_out: bool) {
        (self.end, self.is_left_out) = (reading.span.end, is_left_out);
        self.seen.keep_from(self.end);
    }

    /// Writes what stands behind the last document, such as the end-of-file mark of DOS.
    pub(super) fn finish(&self, out: &mut Output<'_>) -> io::Result<()> {
        if self.is_left_out {
            return Ok(());
        }
        out.write_document(&self.seen.bytes(self.end, u64::MAX))
    }
}
