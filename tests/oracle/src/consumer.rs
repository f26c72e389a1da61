//! Takes finished files out of the agent's folder, as SAP's file port does: by name, one after the
//! other, each read and deleted. Keeps a log for the judge.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use sha2::{Digest as _, Sha256};

use crate::evidence::{self, Consumed, Micros};
use crate::idoc;

/// How often an empty folder is looked at. It bounds what this adds to the measured latency.
const LOOK: Duration = Duration::from_millis(2);

/// A consumer at work on its own thread.
pub struct Consumer {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<Vec<Consumed>>>>,
}

impl Consumer {
    /// Starts to empty `folder`, which need not be there yet.
    pub fn start(folder: &Path) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let taken = Arc::new(AtomicUsize::new(0));
        let work = Work { folder: folder.to_owned(), stop: stop.clone(), taken: taken.clone() };
        let thread = std::thread::Builder::new()
            .name("consumer".to_owned())
            .spawn(move || work.run())
            .context("cannot start the consumer")?;
        Ok(Self { stop, taken, thread: Some(thread) })
    }

    /// How many files were taken so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Takes what is still there, stops, and hands over the log.
    pub fn finish(mut self) -> Result<Vec<Consumed>> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().ok_or_else(|| anyhow!("the consumer is not running"))?;
        thread.join().map_err(|_| anyhow!("the consumer panicked"))?
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Work {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
}

impl Work {
    fn run(self) -> Result<Vec<Consumed>> {
        let mut log = Vec::new();
        loop {
            let last = self.stop.load(Ordering::Acquire);
            let files = look(&self.folder)?;
            let seen = evidence::now();
            if files.is_empty() {
                if last {
                    return Ok(log);
                }
                std::thread::sleep(LOOK);
            }
            for name in files {
                if let Some(file) = take(&self.folder, name, seen)? {
                    log.push(file);
                    self.taken.store(log.len(), Ordering::Release);
                }
            }
        }
    }
}

/// The finished files, by name.
fn look(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot look into {}", folder.display()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context("cannot look into the folder")?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What starts with a dot is work in progress and none of the consumer's business.
        if !name.starts_with('.') && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn take(folder: &Path, name: String, seen: Micros) -> Result<Option<Consumed>> {
    let path = folder.join(&name);
    let about = || format!("cannot take {}", path.display());
    // A finished file that goes away by itself would be a finding; the judge sees it as missing.
    let metadata = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.with_context(about)?,
    };
    let bytes = fs::read(&path).with_context(about)?;
    fs::remove_file(&path).with_context(about)?;
    let (registration, problem) = match idoc::read(&bytes) {
        Ok(registration) => (registration, None),
        Err(problem) => (idoc::Registration::default(), Some(problem)),
    };
    Ok(Some(Consumed {
        name,
        digest: format!("{:x}", Sha256::digest(&bytes)),
        docnum: registration.docnum,
        vin: registration.vin,
        event_id: registration.event_id,
        code: registration.code,
        marks: registration.marks,
        seen,
        appeared: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
        problem,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idoc::Registration;
    use crate::scratch::Scratch;

    fn document(n: usize) -> (String, Vec<u8>) {
        let registration = Registration {
            docnum: format!("{n:016}"),
            vin: "11111111111111111".to_owned(),
            event_id: format!("e{n}"),
            code: "SOLD".to_owned(),
            marks: Default::default(),
        };
        (format!("ZVEHREG_{n:016}.idoc"), idoc::write(&registration))
    }

    #[test]
    fn files_are_taken_by_name_and_deleted_and_work_in_progress_is_left_alone() {
        let scratch = Scratch::new("consumer").unwrap();
        fs::create_dir(scratch.path().join(".waybill")).unwrap();
        fs::write(scratch.path().join(".waybill/part"), b"half").unwrap();
        for n in [3, 1, 2] {
            let (name, bytes) = document(n);
            fs::write(scratch.path().join(name), bytes).unwrap();
        }
        let log = Consumer::start(scratch.path()).unwrap().finish().unwrap();
        let events: Vec<_> = log.iter().map(|file| file.event_id.as_str()).collect();
        assert_eq!(events, ["e1", "e2", "e3"]);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_logged_with_its_problem() {
        let scratch = Scratch::new("consumer").unwrap();
        fs::write(scratch.path().join("ZVEHREG_1.idoc"), b"EDI_DC40").unwrap();
        let log = Consumer::start(scratch.path()).unwrap().finish().unwrap();
        assert!(log[0].problem.as_deref().unwrap().contains("cut off"));
    }
}
