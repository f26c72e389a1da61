//! The files of a plan: lifecycles, partners, and mappings with their schemas and tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use waybill_parsers::{Problem, Schema, idoc, json};

use crate::config::load::Written;
use crate::diagnostic::{Diagnostic, Mark, Problems, SourceFile, Spanned};
use crate::lifecycle::Lifecycle;
use crate::mapping::{self, FormatEntry, MappingFile};
use crate::partner::Partner;
use crate::plan::MappingAndType;
use crate::table::Table;

/// Gives the text of a file that a mapping names, or why it cannot be read.
pub type Texts<'a> = dyn Fn(&Path) -> Result<SourceFile, String> + 'a;

/// What the files gave.
pub(super) struct Compiled {
    pub(super) lifecycles: Vec<(Lifecycle, SourceFile)>,
    pub(super) partners: Vec<Arc<Partner>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The IDoc types that sources read with: those of the configuration and of the mappings.
    pub(super) idoc_types: Vec<Arc<Schema>>,
    mappings: Vec<(String, Option<MappingAndType>)>,
    broken_partners: Vec<String>,
}

impl Compiled {
    /// The mapping of that name. A mapping whose own file has mistakes is no mistake of the route.
    pub(super) fn mapping(
        &self,
        name: &Spanned<String>,
        problems: &mut Problems,
    ) -> Option<MappingAndType> {
        match self.mappings.iter().find(|(other, _)| *other == name.value) {
            Some((_, mapping)) => mapping.clone(),
            None => {
                let names = self.mappings.iter().map(|(name, _)| name.as_str());
                problems.unknown(name.mark, "mapping", &name.value, names);
                None
            }
        }
    }

    pub(super) fn broken_partners(&self) -> impl Iterator<Item = &str> {
        self.broken_partners.iter().map(String::as_str)
    }
}

/// Compiles all files that the configuration names; `sum` takes their texts.
pub(super) fn compile(written: &Written, texts: &Texts<'_>, sum: &mut Sha256) -> Compiled {
    let mut compiled = Compiled {
        lifecycles: Vec::new(),
        partners: Vec::new(),
        diagnostics: Vec::new(),
        idoc_types: Vec::new(),
        mappings: Vec::new(),
        broken_partners: Vec::new(),
    };
    for file in &written.lifecycles {
        sum.update(file.text.as_bytes());
        let mut problems = Problems::new(file.clone());
        let lifecycle = Lifecycle::read(&mut problems);
        compiled.lifecycles.extend(lifecycle.map(|lifecycle| (lifecycle, file.clone())));
        compiled.diagnostics.extend(problems.into_list());
    }
    for file in &written.partners {
        sum.update(file.text.as_bytes());
        let mut problems = Problems::new(file.clone());
        match Partner::read(&mut problems) {
            Some(partner) => compiled.partners.push(Arc::new(partner)),
            None => compiled.broken_partners.push(stem(file)),
        }
        compiled.diagnostics.extend(problems.into_list());
    }
    let mut library = Library { written, texts, sum, types: BTreeMap::new(), reported: Vec::new() };
    for file in &written.idoc_types {
        library.read_type(Path::new(&*file.name), file);
    }
    for (file, folder) in &written.mappings {
        library.sum.update(file.text.as_bytes());
        let mut problems = Problems::new(file.clone());
        let Some(read) = mapping::read(&mut problems) else {
            compiled.mappings.push((stem(file), None));
            compiled.diagnostics.extend(problems.into_list());
            continue;
        };
        let name = read.name.clone();
        if compiled.mappings.iter().any(|(other, _)| *other == name.value) {
            problems.add(name.mark, format!("there is another mapping `{}`", name.value));
        }
        let mapping = library.mapping(&read, folder, &mut problems);
        compiled.mappings.push((name.value, mapping));
        compiled.diagnostics.extend(problems.into_list());
    }
    compiled.idoc_types = library.types.into_values().flatten().collect();
    compiled.diagnostics.append(&mut library.reported);
    compiled
}

/// What a route most likely calls the thing in a file that cannot be read.
fn stem(file: &SourceFile) -> String {
    let path = Path::new(&*file.name);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    match (stem.as_deref(), path.parent().and_then(Path::file_name)) {
        (Some("mapping"), Some(folder)) => folder.to_string_lossy().into_owned(),
        _ => stem.unwrap_or_default(),
    }
}

/// Schemas and tables, read once however many mappings use them.
struct Library<'a> {
    written: &'a Written,
    texts: &'a Texts<'a>,
    sum: &'a mut Sha256,
    types: BTreeMap<PathBuf, Option<Arc<Schema>>>,
    reported: Vec<Diagnostic>,
}

impl Library<'_> {
    fn mapping(
        &mut self,
        file: &MappingFile,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<MappingAndType> {
        let source = self.schema(&file.from, folder, problems);
        let source = source.map(|schema| match &file.from {
            FormatEntry::Idoc { .. } => Arc::new(mapping::idoc_source(&schema)),
            FormatEntry::Json(_) => schema,
        });
        let target = self.schema(&file.to, folder, problems);
        let tables: Vec<_> = file
            .tables
            .iter()
            .filter_map(|(name, path)| {
                Some((name.value.clone(), self.table(path, folder, problems)?))
            })
            .collect();
        let (source, target) = (source?, target?);
        if tables.len() < file.tables.len() {
            return None;
        }
        let inputs = mapping::Inputs { source: &source, target: &target, tables: &tables };
        let mapping = mapping::compile(file, &inputs, problems)?;
        Some((Arc::new(mapping), target))
    }

    /// The schema that `from` or `to` names.
    fn schema(
        &mut self,
        entry: &FormatEntry,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Schema>> {
        match entry {
            FormatEntry::Json(Some(path)) => self.json_schema(path, folder, problems),
            FormatEntry::Json(None) => Some(Arc::new(Schema::open("event"))),
            FormatEntry::Idoc { idoc_type, .. } => self.idoc_type(idoc_type, folder, problems),
        }
    }

    fn json_schema(
        &mut self,
        path: &Spanned<String>,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Schema>> {
        let file = self.text(&folder.join(&path.value), path.mark, problems)?;
        match json::read_schema(file.text.as_bytes()) {
            Ok(schema) => Some(Arc::new(schema)),
            Err(list) => {
                self.report(&file, &list);
                None
            }
        }
    }

    /// An IDoc type: `schemas/idoc/<TYPE>.idoc` beside the mapping or its parent, or in a folder
    /// of the configuration.
    fn idoc_type(
        &mut self,
        name: &Spanned<String>,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Schema>> {
        let file_name = format!("{}.idoc", name.value);
        let beside = folder.join("schemas/idoc");
        let above = folder.parent().map(|parent| parent.join("schemas/idoc"));
        let folders = self.written.schemas.iter().cloned().chain([beside]).chain(above);
        let paths: Vec<_> = folders.map(|folder| folder.join(&file_name)).collect();
        for path in &paths {
            if let Some(known) = self.types.get(path) {
                return known.clone();
            }
            let Ok(file) = (self.texts)(path) else { continue };
            return self.read_type(path, &file);
        }
        let looked: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let message = format!("unknown IDoc type `{}`", name.value);
        problems.advise(name.mark, message, format!("looked for {}", looked.join(", ")));
        None
    }

    fn read_type(&mut self, path: &Path, file: &SourceFile) -> Option<Arc<Schema>> {
        self.sum.update(file.text.as_bytes());
        let schema = idoc::read_schema(file.text.as_bytes());
        let schema = schema.map_err(|list| self.report(file, &list)).ok().map(Arc::new);
        self.types.insert(path.to_owned(), schema.clone());
        schema
    }

    fn table(
        &mut self,
        path: &Spanned<String>,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Table>> {
        let file = self.text(&folder.join(&path.value), path.mark, problems)?;
        let mut mistakes = Problems::new(file);
        let table = Table::read(&path.value, &mut mistakes);
        self.reported.extend(mistakes.into_list());
        table.map(Arc::new)
    }

    fn text(&mut self, path: &Path, mark: Mark, problems: &mut Problems) -> Option<SourceFile> {
        match (self.texts)(path) {
            Ok(file) => {
                self.sum.update(file.text.as_bytes());
                Some(file)
            }
            Err(reason) => {
                let remedy = "paths are relative to the mapping file";
                problems.advise(mark, format!("{}: {reason}", path.display()), remedy);
                None
            }
        }
    }

    /// What a parser says of a file, as mistakes of that file.
    fn report(&mut self, file: &SourceFile, list: &[Problem]) {
        let mut problems = Problems::new(file.clone());
        for problem in list {
            let start = usize::try_from(problem.place.offset).unwrap_or(0);
            let line = usize::try_from(problem.place.line).unwrap_or(0).max(1);
            let column = (problem.place.column as usize).max(1);
            problems.add(Mark { start, end: start + 1, line, column }, problem.message.clone());
        }
        self.reported.extend(problems.into_list());
    }
}
