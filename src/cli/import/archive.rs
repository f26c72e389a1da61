//! The files of a zip, and of the zips inside of it.
//!
//! Nothing is written to a disk: names only stand in problems. The sizes that an archive says of its
//! files are added up before anything is unpacked, and no file is unpacked further than it says: so a
//! bomb is refused before it takes memory, and one that lies as soon as it shows.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::visible::visible;

/// A file of an archive.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path, with those of the archives around it.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// What an import unpacks at all.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes of one unpacked file.
    file: u64,
    /// Bytes of all unpacked files.
    all: u64,
    /// Files and folders in an archive, with those of the archives in it.
    entries: usize,
    /// Archives inside of archives.
    depth: usize,
    /// Bytes of a name, with those of the archives around it.
    name: usize,
    /// Unpacked bytes for each packed one, beyond [`SMALL`]. Text of a directory has up to 12.
    ratio: u64,
}

/// Bytes that a file may have whatever its ratio: short files of blanks pack well.
const SMALL: u64 = 1 << 20;

/// The largest directory of the United Nations has 30 MB in 250 files.
const LIMITS: Limits =
    Limits { file: 32 << 20, all: 128 << 20, entries: 20_000, depth: 3, name: 1000, ratio: 100 };

/// How an entry of an archive's index begins.
const INDEX_ENTRY: &[u8] = b"PK\x01\x02";

/// Why an archive cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("{0}: no zip archive, or a broken one")]
    Broken(String),
    #[error("{0}: packed or encrypted in a way that is not read; stored and deflated files are")]
    Method(String),
    #[error("{0}: cannot be unpacked, or is not what its check sum says")]
    Packed(String),
    #[error("{0}: larger than the limits of an import")]
    TooLarge(String),
    #[error("{0}: more files than an import takes")]
    TooMany(String),
    #[error("{0}: archives in archives in archives")]
    TooDeep(String),
    #[error("{0}: a link, not a file")]
    Link(String),
    #[error("{0}: a file in it has a name that is no path inside of an archive")]
    Name(String),
}

/// Unpacks every file; folders are left out. `name` is that of the archive, for errors.
pub(super) fn unpack(name: &str, bytes: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let mut unpacking = Unpacking { limits: LIMITS, seen: 0, entries: Vec::new() };
    unpacking.append(bytes, name, "", 0)?;
    Ok(unpacking.entries)
}

/// Whether these are the first bytes of a zip.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// What is left of the limits, and what was found.
struct Unpacking {
    limits: Limits,
    seen: usize,
    entries: Vec<Entry>,
}

impl Unpacking {
    /// Appends the files of an archive, whose name in errors is `archive`; the names of files begin
    /// with `path`.
    fn append(
        &mut self,
        bytes: &[u8],
        archive: &str,
        path: &str,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        if depth > self.limits.depth {
            return Err(ArchiveError::TooDeep(archive.to_owned()));
        }
        // The index takes many times its bytes in memory, so its entries are counted before.
        let heads = bytes.windows(INDEX_ENTRY.len()).filter(|four| *four == INDEX_ENTRY);
        if heads.take(self.limits.entries + 1).count() > self.limits.entries {
            return Err(ArchiveError::TooMany(archive.to_owned()));
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|_| ArchiveError::Broken(archive.to_owned()))?;
        if zip.decompressed_size().is_some_and(|said| said > u128::from(self.limits.all)) {
            return Err(ArchiveError::TooLarge(archive.to_owned()));
        }
        for at in 0..zip.len() {
            self.seen += 1;
            if self.seen > self.limits.entries {
                return Err(ArchiveError::TooMany(archive.to_owned()));
            }
            let Some(Entry { name, bytes }) = self.file(&mut zip, at, archive, path)? else {
                continue;
            };
            if is_zip(&bytes) && name.to_ascii_lowercase().ends_with(".zip") {
                self.append(&bytes, &name, &format!("{name}/"), depth + 1)?;
            } else {
                self.entries.push(Entry { name, bytes });
            }
        }
        Ok(())
    }

    /// A file of an archive; `None` for a folder.
    fn file(
        &mut self,
        zip: &mut ZipArchive<Cursor<&[u8]>>,
        at: usize,
        archive: &str,
        path: &str,
    ) -> Result<Option<Entry>, ArchiveError> {
        let file = zip.by_index(at).map_err(|error| match error {
            ZipError::UnsupportedArchive(_) => ArchiveError::Method(archive.to_owned()),
            _ => ArchiveError::Broken(archive.to_owned()),
        })?;
        let name = file.name().ok().filter(|_| file.enclosed_name().is_some());
        let name =
            name.filter(|name| !name.starts_with(['/', '\\'])).map(|name| format!("{path}{name}"));
        let is_name = |name: &String| {
            name.len() <= self.limits.name && matches!(visible(name), Cow::Borrowed(_))
        };
        let name = name.filter(is_name).ok_or_else(|| ArchiveError::Name(archive.to_owned()))?;
        if file.is_dir() {
            return Ok(None);
        }
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::Method(name));
        }
        if file.is_symlink() {
            return Err(ArchiveError::Link(name));
        }
        let packed = file.compressed_size().saturating_mul(self.limits.ratio).max(SMALL);
        let most = self.limits.file.min(self.limits.all).min(packed);
        if file.size() > most {
            return Err(ArchiveError::TooLarge(name));
        }
        // A size that is said may be a lie, so room is made as bytes come, and no more than it says.
        let most = file.size();
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() as u64 > most {
            return Err(ArchiveError::Packed(name));
        }
        self.limits.all -= bytes.len() as u64;
        Ok(Some(Entry { name, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, content) in files {
            zip.start_file(*name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn stored(name: &str, content: &[u8]) -> Vec<u8> {
        archive(&[(name, content)], CompressionMethod::Stored)
    }

    fn deflated(files: &[(&str, &[u8])]) -> Vec<u8> {
        archive(files, CompressionMethod::Deflated)
    }

    fn within(limits: Limits, bytes: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
        let mut unpacking = Unpacking { limits, seen: 0, entries: Vec::new() };
        unpacking.append(bytes, "D.ZIP", "", 0)?;
        Ok(unpacking.entries)
    }

    /// The same bytes with others instead of some, wherever they stand.
    fn patched(zip: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let (mut out, mut at) = (zip.to_vec(), 0);
        while at + from.len() <= out.len() {
            if out[at..].starts_with(from) {
                out[at..at + to.len()].copy_from_slice(to);
            }
            at += 1;
        }
        out
    }

    #[test]
    fn archives_in_archives_are_unpacked() {
        let text = b"a file of some length, of some length, of some length".as_slice();
        let inner = deflated(&[("A.TXT", text), ("FOLDER/", b""), ("FOLDER/B.TXT", b"b")]);
        let entries = unpack("OUT.ZIP", &stored("IN.ZIP", &inner)).unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.bytes.as_slice())).collect();
        assert_eq!(found, [("IN.ZIP/A.TXT", text), ("IN.ZIP/FOLDER/B.TXT", b"b")]);
    }

    #[test]
    fn what_is_broken_is_named() {
        let error = |bytes: &[u8]| unpack("D.ZIP", bytes).unwrap_err();
        assert_eq!(error(b"nothing"), ArchiveError::Broken("D.ZIP".to_owned()));
        let whole = stored("A", b"xx");
        assert_eq!(error(&patched(&whole, b"xx", b"xy")), ArchiveError::Packed("A".to_owned()));
        // Method 6 is imploded: behind the version and the flags of both headers.
        let mut imploded =
            patched(&whole, b"PK\x03\x04\x0a\0\0\0\0\0", b"PK\x03\x04\x0a\0\0\0\x06\0");
        let at = imploded.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        imploded[at + 10] = 6;
        assert_eq!(error(&imploded), ArchiveError::Method("A".to_owned()));
        for end in 0..whole.len() {
            assert!(unpack("D.ZIP", &whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let limits = Limits { file: 1000, all: 1500, entries: 3, depth: 1, ..LIMITS };
        let zeros = deflated(&[("ZEROS", &vec![0; 100_000])]);
        assert!(zeros.len() < 500);
        let too_large = |name: &str| ArchiveError::TooLarge(name.to_owned());
        assert_eq!(within(limits, &zeros).unwrap_err(), too_large("D.ZIP"));
        // One that says that it is small.
        let small = patched(&zeros, &100_000_u32.to_le_bytes(), &10_u32.to_le_bytes());
        assert!(within(limits, &small).is_err());
        let lies = Limits { file: u64::MAX - 1, all: 1500, ..limits };
        assert!(within(lies, &small).is_err());
        // Together too large, each of them small; also where they are nested.
        let file = [0; 800].as_slice();
        let two = deflated(&[("A", file), ("B", file)]);
        assert_eq!(within(limits, &two).unwrap_err(), too_large("D.ZIP"));
        let nested = stored("IN.ZIP", &two);
        assert_eq!(within(limits, &nested).unwrap_err(), too_large("IN.ZIP"));
        let deeper = stored("OUT.ZIP", &stored("IN.ZIP", &stored("A", b"a")));
        assert_eq!(
            within(limits, &deeper).unwrap_err(),
            ArchiveError::TooDeep("OUT.ZIP/IN.ZIP".to_owned())
        );
    }

    #[test]
    fn a_file_that_unpacks_to_too_many_times_its_bytes_is_refused() {
        let limits = Limits { ratio: 10, ..LIMITS };
        let zeros = |count: u64| deflated(&[("Z", &vec![0; usize::try_from(count).unwrap()])]);
        assert!(within(limits, &zeros(SMALL)).is_ok());
        let error = within(limits, &zeros(SMALL + 1)).unwrap_err();
        assert_eq!(error, ArchiveError::TooLarge("Z".to_owned()));
    }

    #[test]
    fn a_link_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("L", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let zip = zip.finish().unwrap().into_inner();
        assert_eq!(unpack("D.ZIP", &zip).unwrap_err(), ArchiveError::Link("L".to_owned()));
    }

    #[test]
    fn files_are_counted_with_those_of_the_archives_inside() {
        let limits = Limits { entries: 3, ..LIMITS };
        let two = deflated(&[("A", b""), ("B", b"")]);
        let outer = |more: &str| deflated(&[("IN.ZIP", &two), (more, b"")]);
        assert_eq!(within(limits, &two).unwrap().len(), 2);
        let error = within(limits, &outer("C")).unwrap_err();
        assert_eq!(error, ArchiveError::TooMany("D.ZIP".to_owned()));
        let error = within(Limits { entries: 2, ..limits }, &outer("C")).unwrap_err();
        assert_eq!(error, ArchiveError::TooMany("IN.ZIP".to_owned()));
    }

    #[test]
    fn names_stay_inside_of_the_archive_and_cannot_command_a_terminal() {
        let long = "n".repeat(LIMITS.name + 1);
        for name in ["../up", "a/../../up", "/root", "a\u{1b}[2J", &long] {
            let zip = patched(
                &stored(&"x".repeat(name.len()), b""),
                &b"x".repeat(name.len()),
                name.as_bytes(),
            );
            let error = unpack("D.ZIP", &zip).unwrap_err();
            assert_eq!(error, ArchiveError::Name("D.ZIP".to_owned()), "{name:?}");
        }
    }
}
