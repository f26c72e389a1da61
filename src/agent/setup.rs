//! What an agent is started from, and read again from: a configuration file and what the command
//! line adds to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::Listen;
use crate::config::load::{self, Written};
use crate::diagnostic::{Diagnostic, Mark, Spanned};
use crate::plan::Plan;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration file.
    pub path: PathBuf,
    /// Where `/metrics` and its like are served, instead of `http.listen`: a container's port has to
    /// be reached from outside, and the file need not know that.
    pub listen: Option<SocketAddr>,
}

/// A configuration that may be run.
#[derive(Debug)]
pub struct Loaded {
    /// As it is written.
    pub written: Written,
    /// What was made of it.
    pub plan: Plan,
    /// The files that it was read from.
    pub(super) files: Vec<PathBuf>,
}

impl Setup {
    /// Of that file alone.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), listen: None }
    }

    /// Reads and compiles everything. All mistakes of all files, ordered by file and place.
    pub fn load(&self, generation: u64) -> Result<Loaded, Vec<Diagnostic>> {
        let (written, mut mistakes) = load::load(&self.path);
        let Some(mut written) = written else { return Err(mistakes) };
        let files = RefCell::new(named(&written));
        let texts = |path: &Path| {
            files.borrow_mut().push(path.to_owned());
            load::file(path).map_err(|mistake| mistake.message.clone())
        };
        match Plan::compile(&written, &texts, generation) {
            Ok(plan) if mistakes.is_empty() => {
                if let Some(value) = self.listen {
                    let address = Spanned { value, mark: Mark::default() };
                    let own = Listen::at(address.clone());
                    let listen = written.config.http.unwrap_or(own);
                    written.config.http = Some(Listen { address, ..listen });
                }
                let mut files = files.into_inner();
                files.push(self.path.clone());
                Ok(Loaded { written, plan, files })
            }
            Ok(_) => Err(mistakes),
            Err(more) => {
                mistakes.extend(more);
                mistakes.sort_by(|a, b| (&a.file, a.mark.start).cmp(&(&b.file, b.mark.start)));
                mistakes.dedup();
                Err(mistakes)
            }
        }
    }
}

/// The files that the configuration itself names.
fn named(written: &Written) -> Vec<PathBuf> {
    let mappings = written.mappings.iter().map(|(file, _)| file);
    let named = written.lifecycles.iter().chain(&written.partners).chain(mappings);
    named.chain(&written.idoc_types).map(|file| PathBuf::from(&*file.name)).collect()
}

/// What tells a file from its next version: size, time of change, inode. A file that is not there
/// has none.
pub(super) type Stamps = BTreeMap<PathBuf, Option<(u64, i64, i64, u64)>>;

impl Loaded {
    /// Where to look for a change.
    pub(super) fn places(&self) -> Places {
        let config = &self.written.config;
        let patterns = [&config.lifecycles, &config.partners, &config.mappings];
        let of = |pattern: &Spanned<String>| self.written.base.join(&pattern.value);
        Places {
            files: self.files.clone(),
            patterns: patterns.into_iter().flatten().map(of).collect(),
        }
    }
}

/// The files of a configuration, and the patterns that further ones would match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    files: Vec<PathBuf>,
    patterns: Vec<PathBuf>,
}

impl Places {
    /// How they stand now.
    pub(super) fn stamps(&self) -> Stamps {
        let matching = self.patterns.iter().flat_map(|pattern| {
            let paths = glob::glob(&pattern.to_string_lossy()).ok();
            paths.into_iter().flatten().filter_map(Result::ok)
        });
        let stamp = |path: PathBuf| {
            let metadata = std::fs::metadata(&path).ok();
            let stamp = metadata.map(|it| (it.len(), it.mtime(), it.mtime_nsec(), it.ino()));
            (path, stamp)
        };
        self.files.iter().cloned().chain(matching).map(stamp).collect()
    }
}
