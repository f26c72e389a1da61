//! The files of a zip, and of the zips inside of it.
//!
//! As much of the format as directories of the United Nations need: stored and deflated entries by
//! the central directory, with their check sums. What is larger than the limits is refused before it
//! is unpacked.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// Bytes of one unpacked file.
const LARGEST_FILE: usize = 64 << 20;
/// Bytes of all unpacked files.
const LARGEST_ARCHIVE: usize = 512 << 20;
/// Files in an archive, with those of the archives in it.
const MOST_FILES: usize = 20_000;
/// Archives inside of archives.
const DEEPEST: usize = 3;

/// A file of an archive.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path, with those of the archives around it.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Why an archive cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("no zip archive: its directory is not there")]
    NoDirectory,
    #[error("{0}: the directory of the archive is broken")]
    Broken(String),
    #[error("{0}: packed by method {1}; only stored and deflated files are read")]
    Method(String, u16),
    #[error("{0}: cannot be unpacked")]
    Packed(String),
    #[error("{0}: its check sum is not the one of the archive")]
    Sum(String),
    #[error("{0}: larger than the limits of an import")]
    TooLarge(String),
    #[error("{0}: archives in archives in archives")]
    TooDeep(String),
}

/// Unpacks every file; folders are left out.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let mut entries = Vec::new();
    let mut left = LARGEST_ARCHIVE;
    append(bytes, "", (0, &mut left), &mut entries)?;
    Ok(entries)
}

/// Whether these are the first bytes of a zip.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

fn append(
    bytes: &[u8],
    path: &str,
    (depth, left): (usize, &mut usize),
    entries: &mut Vec<Entry>,
) -> Result<(), ArchiveError> {
    if depth > DEEPEST {
        return Err(ArchiveError::TooDeep(path.to_owned()));
    }
    let broken = || ArchiveError::Broken(path.to_owned());
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06");
    let end = end.ok_or(ArchiveError::NoDirectory)?;
    let count = short(bytes, end + 10).ok_or_else(broken)?;
    let mut at = long(bytes, end + 16).ok_or_else(broken)?;
    // The last field is the length of a comment, which ends the archive.
    let comment = short(bytes, end + 20).ok_or_else(broken)?;
    if bytes.len() < end + 22 + usize::from(comment) {
        return Err(broken());
    }
    for _ in 0..count {
        let (header, next) = Header::read(bytes, at).ok_or_else(broken)?;
        at = next;
        let name = format!("{path}{}", header.name);
        if header.name.ends_with('/') {
            continue;
        }
        if header.size > LARGEST_FILE || header.size > *left || entries.len() >= MOST_FILES {
            return Err(ArchiveError::TooLarge(name));
        }
        *left -= header.size;
        let file = header.unpack(bytes, &name)?;
        if is_zip(&file) && name.to_ascii_lowercase().ends_with(".zip") {
            append(&file, &format!("{name}/"), (depth + 1, &mut *left), entries)?;
        } else {
            entries.push(Entry { name, bytes: file });
        }
    }
    Ok(())
}

/// What the central directory says of a file.
struct Header {
    name: String,
    method: u16,
    sum: u32,
    packed: usize,
    size: usize,
    /// Where the local header begins.
    local: usize,
}

impl Header {
    /// The header at `at`, and where the next one begins.
    fn read(bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        if bytes.get(at..at + 4)? != b"PK\x01\x02" {
            return None;
        }
        let lengths = [28, 30, 32].map(|field| short(bytes, at + field).map(usize::from));
        let [Some(name), Some(extra), Some(comment)] = lengths else { return None };
        let header = Self {
            // Names are ASCII in all directories seen; others only look odd in messages.
            name: String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned(),
            method: short(bytes, at + 10)?,
            sum: u32::try_from(long(bytes, at + 16)?).ok()?,
            packed: long(bytes, at + 20)?,
            size: long(bytes, at + 24)?,
            local: long(bytes, at + 42)?,
        };
        Some((header, at + 46 + name + extra + comment))
    }

    fn unpack(&self, bytes: &[u8], name: &str) -> Result<Vec<u8>, ArchiveError> {
        let packed = self.content(bytes).ok_or_else(|| ArchiveError::Broken(name.to_owned()))?;
        let file = match self.method {
            0 => packed.to_vec(),
            8 => decompress_to_vec_with_limit(packed, self.size)
                .map_err(|_| ArchiveError::Packed(name.to_owned()))?,
            method => return Err(ArchiveError::Method(name.to_owned(), method)),
        };
        if file.len() != self.size || sum(&file) != self.sum {
            return Err(ArchiveError::Sum(name.to_owned()));
        }
        Ok(file)
    }

    fn content<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let name = usize::from(short(bytes, self.local + 26)?);
        let extra = usize::from(short(bytes, self.local + 28)?);
        let start = self.local.checked_add(30 + name + extra)?;
        bytes.get(start..start.checked_add(self.packed)?)
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}

/// CRC-32 as zip has it.
fn sum(bytes: &[u8]) -> u32 {
    let step = |rest: u32| (rest >> 1) ^ (0xedb8_8320 & (rest & 1).wrapping_neg());
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, |rest, _| step(rest))).collect();
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let at = (sum ^ u32::from(*byte)) & 0xff;
        (sum >> 8) ^ table.get(at as usize).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one file, packed as `method` says.
    fn archive(name: &str, (method, packed): (u16, &[u8]), content: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&[0; 4]);
        fields.extend_from_slice(&method.to_le_bytes());
        fields.extend_from_slice(&[0; 4]);
        fields.extend_from_slice(&sum(content).to_le_bytes());
        fields.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        fields.extend_from_slice(&(content.len() as u32).to_le_bytes());
        fields.extend_from_slice(&(name.len() as u16).to_le_bytes());
        fields.extend_from_slice(&[0; 2]);
        let mut zip = [b"PK\x03\x04", fields.as_slice(), name.as_bytes(), packed].concat();
        let directory = zip.len() as u32;
        zip.extend_from_slice(b"PK\x01\x02\0\0");
        zip.extend_from_slice(&fields);
        zip.extend_from_slice(&[0; 14]);
        zip.extend_from_slice(name.as_bytes());
        zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\0\0\0\0");
        zip.extend_from_slice(&directory.to_le_bytes());
        zip.extend_from_slice(&[0; 2]);
        zip
    }

    #[test]
    fn archives_in_archives_are_unpacked() {
        let text = b"a file of some length, of some length, of some length".as_slice();
        let packed = miniz_oxide::deflate::compress_to_vec(text, 6);
        let inner = archive("A.TXT", (8, &packed), text);
        let outer = archive("IN.ZIP", (0, &inner), &inner);
        let entries = unpack(&outer).unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.bytes.as_slice())).collect();
        assert_eq!(found, [("IN.ZIP/A.TXT", text)]);
    }

    #[test]
    fn what_is_broken_is_named() {
        assert_eq!(unpack(b"nothing").unwrap_err(), ArchiveError::NoDirectory);
        let imploded = archive("A", (6, b"xx"), b"xx");
        assert_eq!(unpack(&imploded).unwrap_err(), ArchiveError::Method("A".to_owned(), 6));
        let mut spoiled = archive("A", (0, b"xx"), b"xx");
        spoiled[32] = b'y';
        assert_eq!(unpack(&spoiled).unwrap_err(), ArchiveError::Sum("A".to_owned()));
        let whole = archive("A.ZIP", (0, b"xx"), b"xx");
        for end in 0..whole.len() {
            assert!(unpack(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
