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
/// Bytes of a file that are worked through between two chances to stop. The digest of a broken file is
/// of so many bytes: what is behind them is not read for it.
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
    /// SHA-256 of all of it; of one that is broken, of its first 8 MiB.
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

/// What a file may have.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Bytes of a document.
    pub document: u64,
    /// Bytes of the file.
    pub file: u64,
}

/// What was read so far.
#[derive(Clone, Debug, Default)]
struct Sum {
    all: Sha256,
    read: u64,
    /// Of the first [`STEP`] bytes, once they were read.
    head: Option<Sha256>,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let left = usize::try_from(STEP.saturating_sub(self.read)).unwrap_or(usize::MAX);
        let (head, rest) = bytes.split_at(left.min(bytes.len()));
        self.all.update(head);
        self.read += bytes.len() as u64;
        if self.head.is_none() && self.read >= STEP {
            self.head = Some(self.all.clone());
        }
        self.all.update(rest);
    }
}

/// A reader that sums up what goes through it.
#[derive(Debug)]
struct Summing {
    file: File,
    sum: Arc<Mutex<Sum>>,
}

impl Read for Summing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Pass 1: digest, framing, count. It ends at the first broken frame: no document of the file will be
/// taken, so the rest of it is of no interest.
#[derive(Debug)]
pub struct Scan {
    spans: Spans<BufReader<Summing>>,
    /// The same open file, for what is behind a broken frame.
    rest: File,
    sum: Arc<Mutex<Sum>>,
    documents: u64,
    /// The most bytes that the file may have.
    largest: u64,
}

impl Scan {
    /// Of a file.
    pub fn of(file: File, most: Most) -> io::Result<Self> {
        let sum = Arc::new(Mutex::new(Sum::default()));
        let rest = file.try_clone()?;
        let input = BufReader::with_capacity(BUFFER, Summing { file, sum: sum.clone() });
        let spans = Spans::new(input, 0, most.document);
        Ok(Self { spans, rest, sum, documents: 0, largest: most.file })
    }

    /// Works through the next [`STEP`] bytes; the result at the end.
    pub fn step(&mut self) -> io::Result<Option<Scanned>> {
        let size = self.rest.metadata()?.len();
        if size > self.largest {
            let largest = self.largest;
            return self
                .end(Some(format!(
                    "it has {size} bytes, more than {largest} (`max_file`): split it, or raise max_file"
                )))
                .map(Some);
        }
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
        self.sum.lock().unwrap_or_else(PoisonError::into_inner).read
    }

    fn end(&self, broken: Option<String>) -> io::Result<Scanned> {
        let broken =
            broken.or_else(|| (self.documents == 0).then(|| "there is no IDoc in it".to_owned()));
        let mut size = self.read();
        if broken.is_some() {
            // Both handles share one place in the file: what comes now was not summed up yet.
            let rest = Summing { file: self.rest.try_clone()?, sum: self.sum.clone() };
            io::copy(&mut rest.take(STEP.saturating_sub(self.read())), &mut io::sink())?;
            size = self.rest.metadata()?.len();
        }
        let Sum { all, head, .. } = self.sum.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sum = head.filter(|_| broken.is_some()).unwrap_or(all);
        let (digest, documents) = (Digest(sum.finalize().into()), self.documents);
        Ok(Scanned { digest, size, documents, broken })
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

    fn scan(path: &std::path::Path, document: u64) -> Scanned {
        let most = Most { document, file: 1 << 30 };
        let mut scan = Scan::of(File::open(path).unwrap(), most).unwrap();
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
    fn a_broken_file_is_not_read_to_its_end() {
        const SIZE: u64 = 8 << 30;
        let (_folder, path) = written(&(idoc(1, 7) + "E2KNA1M005"));
        File::options().write(true).open(&path).unwrap().set_len(SIZE).unwrap();
        for (most, why) in [(SIZE, "9:1: a record longer than"), (SIZE - 1, "`max_file`")] {
            let most = Most { document: 1 << 20, file: most };
            let mut scan = Scan::of(File::open(&path).unwrap(), most).unwrap();
            let scanned = scan.step().unwrap().expect("it ends in its first step");
            // The longest record is one of 16 MiB.
            assert!(scan.read() <= 20 << 20, "{} bytes were read", scan.read());
            assert_eq!((scanned.size, scanned.digest), (SIZE, head(&path)));
            assert!(scanned.broken.as_ref().unwrap().contains(why), "{scanned:?}");
        }
    }

    /// The digest of the first 8 MiB.
    fn head(path: &std::path::Path) -> Digest {
        let mut bytes = Vec::new();
        File::open(path).unwrap().take(STEP).read_to_end(&mut bytes).unwrap();
        Digest::of(&bytes)
    }

    #[test]
    fn a_file_that_is_broken_far_behind_has_the_digest_of_its_beginning() {
        let whole = idoc(1, 200_000);
        assert!(whole.len() as u64 > STEP);
        let (_folder, path) = written(&(whole.clone() + &"x".repeat(17 << 20)));
        let scanned = scan(&path, u64::MAX);
        assert!(scanned.broken.is_some());
        assert_eq!(scanned.digest, head(&path));
        let (_folder, path) = written(&whole);
        assert_eq!(scan(&path, u64::MAX).digest, Digest::of(whole.as_bytes()));
    }

    #[test]
    fn a_document_above_the_limit_breaks_the_file() {
        let (_folder, path) = written(&(idoc(1, 1) + &idoc(2, 50)));
        assert!(scan(&path, 2_000).broken.unwrap().contains("max_message"));
        assert_eq!(scan(&path, 10_000).documents, 2);
    }
}
