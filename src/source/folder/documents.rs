//! The documents of a claimed file, twice: pass 1 knows all of it before anything is handed over,
//! pass 2 reads it from wherever the journal stands. Memory is one record and one document.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use waybill_parsers::idoc::{RecordKind, Records};
use waybill_parsers::{FrameError, Limits};

use crate::event::{Digest, FilePosition};

/// Bytes that are read from the disk at once.
const BUFFER: usize = 256 << 10;
/// Bytes of a file that are worked through before somebody may stop it.
pub const STEP: u64 = 8 << 20;

/// Why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its frame is broken, or what the disk says of it.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What pass 1 found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// SHA-256 of all of it.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Its documents.
    pub documents: u64,
    /// Why no document of it can be trusted.
    pub broken: Option<String>,
}

/// Where documents begin and end.
#[derive(Debug)]
struct Spans<R> {
    records: Records<R>,
    /// The offset of the first byte that `records` reads.
    base: u64,
    largest: u64,
    /// The document that is being read: its start and its end so far.
    open: Option<(u64, u64)>,
}

impl<R: io::BufRead> Spans<R> {
    fn new(input: R, base: u64, largest: u64) -> Self {
        Self { records: Records::new(input, &Limits::default()), base, largest, open: None }
    }

    /// The next document: its first byte, and the one behind its last record.
    fn next(&mut self) -> Result<Option<(u64, u64)>, FrameError> {
        loop {
            let Some(kind) = self.records.next()? else { return Ok(self.open.take()) };
            let start = self.base + self.records.place().offset;
            let end = self.base + self.records.end();
            let before = match (kind, &mut self.open) {
                (RecordKind::Data, Some(open)) => {
                    open.1 = end;
                    None
                }
                (_, open) => open.replace((start, end)),
            };
            let from = self.open.map_or(start, |(from, _)| from);
            if end - from > self.largest {
                let largest = self.largest;
                let message = format!("an IDoc of more than {largest} bytes (`max_message`)");
                let place = self.records.place().clone();
                return Err(FrameError { code: "too-long", message, place });
            }
            if before.is_some() {
                return Ok(before);
            }
        }
    }
}

/// A reader that sums up what goes through it.
#[derive(Debug)]
struct Summing {
    file: File,
    sum: Arc<Mutex<(Sha256, u64)>>,
}

impl Read for Summing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.0.update(buffer.get(..count).unwrap_or_default());
        sum.1 += count as u64;
        Ok(count)
    }
}

/// Pass 1: digest, framing, count.
#[derive(Debug)]
pub struct Scan {
    spans: Spans<BufReader<Summing>>,
    /// The same open file, for what is behind a broken frame.
    rest: File,
    sum: Arc<Mutex<(Sha256, u64)>>,
    documents: u64,
}

impl Scan {
    /// Of a file; a document may have `largest` bytes.
    pub fn of(file: File, largest: u64) -> io::Result<Self> {
        let sum = Arc::new(Mutex::new((Sha256::new(), 0)));
        let rest = file.try_clone()?;
        let input = BufReader::with_capacity(BUFFER, Summing { file, sum: sum.clone() });
        Ok(Self { spans: Spans::new(input, 0, largest), rest, sum, documents: 0 })
    }

    /// Works through the next [`STEP`] bytes; the result at the end.
    pub fn step(&mut self) -> io::Result<Option<Scanned>> {
        let until = self.read() + STEP;
        while self.read() < until {
            match self.spans.next() {
                Ok(Some(_)) => self.documents += 1,
                Ok(None) => return self.end(None).map(Some),
                Err(error) if error.code == "io" => return Err(io::Error::other(error.message)),
                Err(error) => return self.end(Some(error.to_string())).map(Some),
            }
        }
        Ok(None)
    }

    /// Bytes so far.
    pub fn read(&self) -> u64 {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn end(&self, broken: Option<String>) -> io::Result<Scanned> {
        // Both handles share one place in the file: what comes now was not summed up yet.
        let mut rest = Summing { file: self.rest.try_clone()?, sum: self.sum.clone() };
        io::copy(&mut rest, &mut io::sink())?;
        let (sum, size) = self.sum.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let none = (self.documents == 0).then(|| "there is no IDoc in it".to_owned());
        Ok(Scanned {
            digest: Digest(sum.finalize().into()),
            size,
            documents: self.documents,
            broken: broken.or(none),
        })
    }
}

/// One document and where it stood.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes, as they are in the file.
    pub raw: Arc<[u8]>,
    /// Its place.
    pub position: FilePosition,
}

/// Pass 2.
#[derive(Debug)]
pub struct Cursor {
    spans: Spans<BufReader<File>>,
    bytes: File,
    file: u64,
    index: u64,
    scanned: Scanned,
}

impl Cursor {
    /// Of a file, which the journal knows as `number`, from an offset and index on.
    pub fn of(
        mut file: File,
        number: u64,
        (offset, index): (u64, u64),
        scanned: &Scanned,
    ) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        let bytes = file.try_clone()?;
        let input = BufReader::with_capacity(BUFFER, file);
        Ok(Self {
            spans: Spans::new(input, offset, u64::MAX),
            bytes,
            file: number,
            index,
            scanned: scanned.clone(),
        })
    }

    /// Whether every document was read.
    pub fn is_at_end(&self) -> bool {
        self.index >= self.scanned.documents
    }

    /// The next documents, of about `most` bytes together; none at the end.
    pub fn next(&mut self, most: usize) -> Result<Vec<Part>, ReadError> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while bytes < most && !self.is_at_end() {
            let Some((start, end)) = self.spans.next()? else { break };
            let length = end - start;
            let mut raw = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            self.bytes.read_exact_at(&mut raw, start)?;
            bytes += raw.len();
            let is_last = self.index + 1 == self.scanned.documents;
            let next_offset = if is_last { self.scanned.size } else { end };
            let (file, index) = (self.file, self.index);
            let position = FilePosition { file, index, start, length, next_offset };
            parts.push(Part { raw: raw.into(), position });
            self.index += 1;
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IDoc of a control record and some data records.
    fn idoc(number: u32, records: usize) -> String {
        let mut text = format!("{:<524}\n", format!("EDI_DC40  100{number:016}"));
        for at in 0..records {
            text += &format!("{:<63}data {at}\r\n", "E2KNA1M005");
        }
        text
    }

    fn scan(path: &std::path::Path, largest: u64) -> Scanned {
        let mut scan = Scan::of(File::open(path).unwrap(), largest).unwrap();
        loop {
            if let Some(scanned) = scan.step().unwrap() {
                return scanned;
            }
        }
    }

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.idoc");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_is_read_from_any_of_its_documents_on() {
        let idocs: Vec<_> = (1..=5).map(|number| idoc(number, number as usize)).collect();
        let text = idocs.concat() + "\n \n";
        let (_folder, path) = written(&text);
        let scanned = scan(&path, 1 << 20);
        assert_eq!((scanned.documents, scanned.size), (5, text.len() as u64));
        assert_eq!(scanned.digest, Digest::of(text.as_bytes()));
        assert_eq!(scanned.broken, None);
        let mut from = (0, 0);
        for skipped in 0..5 {
            let file = File::open(&path).unwrap();
            let mut cursor = Cursor::of(file, 7, from, &scanned).unwrap();
            let parts = cursor.next(usize::MAX).unwrap();
            let raws: Vec<_> =
                parts.iter().map(|part| String::from_utf8_lossy(&part.raw)).collect();
            assert_eq!(raws, idocs[skipped..]);
            assert_eq!(parts.last().unwrap().position.next_offset, scanned.size);
            from = (parts[0].position.next_offset, parts[0].position.index + 1);
        }
    }

    #[test]
    fn a_broken_frame_is_said_and_the_digest_is_of_the_whole_file() {
        let text = "this is no IDoc\n".repeat(100_000);
        let (_folder, path) = written(&text);
        let scanned = scan(&path, 1 << 20);
        assert_eq!(scanned.digest, Digest::of(text.as_bytes()));
        assert!(scanned.broken.unwrap().contains("EDI_DC40"));
        let (_folder, path) = written("\n\n");
        assert_eq!(scan(&path, 1).broken.unwrap(), "there is no IDoc in it");
    }

    #[test]
    fn a_document_above_the_limit_breaks_the_file() {
        let (_folder, path) = written(&(idoc(1, 1) + &idoc(2, 50)));
        assert!(scan(&path, 2_000).broken.unwrap().contains("max_message"));
        assert_eq!(scan(&path, 10_000).documents, 2);
    }
}
