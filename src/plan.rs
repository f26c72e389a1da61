//! What holds: configuration, lifecycles, mappings, schemas and tables, checked against each
//! other and ready to be applied. After this nothing is looked up by a name that might not exist.
//!
//! Compiling is pure: the texts of all files come in as [`Texts`]. Every mistake of every file is
//! reported, also those that only show between files.

mod files;
mod routes;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use waybill_parsers::Schema;

use crate::config::load::Written;
use crate::diagnostic::{Diagnostic, Problems};
use crate::event::Digest;
use crate::lifecycle::Lifecycle;
use crate::mapping::Mapping;
use crate::plan::files::Compiled;
use crate::route::Route;

pub use self::files::Texts;
pub use self::sources::{IdocKey, IdocPlan, SourceFormat, SourcePlan};

/// Everything that decides about events.
#[derive(Debug)]
pub struct Plan {
    generation: u64,
    digest: Digest,
    sources: BTreeMap<Arc<str>, SourcePlan>,
    lifecycles: Vec<Lifecycle>,
    routes: Vec<Route>,
}

impl Plan {
    /// Compiles what was written. All mistakes are returned, ordered by file and place; a plan
    /// only where there are none.
    pub fn compile(
        written: &Written,
        texts: &Texts<'_>,
        generation: u64,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut sum = Sha256::new();
        sum.update(env!("CARGO_PKG_VERSION"));
        let mut compiled = files::compile(written, texts, &mut sum);
        let mut problems = Problems::new(written.file.clone());
        sum.update(written.file.text.as_bytes());
        let routes = routes::compile(&written.config, &compiled, &mut problems);
        let lifecycles: Vec<_> = compiled.lifecycles.iter().map(|(one, _)| one).collect();
        let types = &compiled.idoc_types;
        let sources = sources::compile(&written.config, types, &lifecycles, &mut problems);
        one_lifecycle_per_kind(&mut compiled);
        let mut list = problems.into_list();
        list.append(&mut compiled.diagnostics);
        if !list.is_empty() {
            return Err(list);
        }
        Ok(Self {
            generation,
            digest: Digest(sum.finalize().into()),
            sources,
            lifecycles: compiled.lifecycles.into_iter().map(|(lifecycle, _)| lifecycle).collect(),
            routes,
        })
    }

    /// The generation of the configuration, counted from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// SHA-256 over the engine's version and the text of every file that it was made of.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How the events of that source are read.
    pub fn source(&self, name: &str) -> Option<&SourcePlan> {
        self.sources.get(name)
    }

    /// All lifecycles.
    pub fn lifecycles(&self) -> &[Lifecycle] {
        &self.lifecycles
    }

    /// The lifecycle that a kind of event steps, with its place in [`Self::lifecycles`].
    pub fn lifecycle(&self, kind: &str) -> Option<(usize, &Lifecycle)> {
        let steps = |lifecycle: &Lifecycle| lifecycle.on.iter().any(|on| on == kind);
        self.lifecycles.iter().enumerate().find(|(_, lifecycle)| steps(lifecycle))
    }

    /// All routes, in the order in which they are tried.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

/// An event steps one lifecycle: two would have to agree, and a verdict names one.
fn one_lifecycle_per_kind(compiled: &mut Compiled) {
    let mut kinds: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for (lifecycle, file) in &compiled.lifecycles {
        for kind in &lifecycle.on {
            let Some(other) = kinds.insert(kind.clone(), lifecycle.name.clone()) else { continue };
            let mut problems = Problems::new(file.clone());
            let mark = crate::diagnostic::Mark { line: 1, column: 1, ..Default::default() };
            problems.add(mark, format!("events of kind `{kind}` already step lifecycle {other}"));
            compiled.diagnostics.extend(problems.into_list());
        }
    }
}

/// A mapping and the type that it makes.
type MappingAndType = (Arc<Mapping>, Arc<Schema>);
