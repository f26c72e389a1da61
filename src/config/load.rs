//! Reads the files that a configuration names: the edge where configuration meets the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, read};
use crate::diagnostic::{Diagnostic, Mark, Problems, SourceFile, Spanned};

/// A configuration with everything it names, as text.
#[derive(Clone, Debug)]
pub struct Written {
    /// The configuration file.
    pub file: SourceFile,
    /// Its folder, which its relative paths start from.
    pub base: PathBuf,
    /// Where relative `data_dir` and folders of sources and targets start: the environment's
    /// `WAYBILL_HOME`, or the folder of the configuration file.
    pub home: PathBuf,
    /// What it says.
    pub config: Config,
    /// The lifecycle files.
    pub lifecycles: Vec<SourceFile>,
    /// The partner files.
    pub partners: Vec<SourceFile>,
    /// The mapping files, each with its folder.
    pub mappings: Vec<(SourceFile, PathBuf)>,
    /// Folders where schemas are looked for beside the mappings' own.
    pub schemas: Vec<PathBuf>,
    /// The definitions of IDoc types in those folders (`*.idoc`), which sources read with.
    pub idoc_types: Vec<SourceFile>,
}

/// Reads `path` and the files that it names. All mistakes are returned, also beside a result.
pub fn load(path: &Path) -> (Option<Written>, Vec<Diagnostic>) {
    let file = match file(path) {
        Ok(file) => file,
        Err(diagnostic) => return (None, vec![*diagnostic]),
    };
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut problems = Problems::new(file.clone());
    let Some(config) = read::config(&mut problems) else {
        return (None, problems.into_list());
    };
    let lifecycles = files(&base, &config.lifecycles, &mut problems);
    let partners = files(&base, &config.partners, &mut problems);
    let mappings = files(&base, &config.mappings, &mut problems);
    let schemas = config.schemas.iter().map(|folder| base.join(&folder.value)).collect();
    let idoc_types = idoc_types(&base, &config.schemas, &mut problems);
    let plain =
        |files: Vec<(SourceFile, PathBuf)>| files.into_iter().map(|(file, _)| file).collect();
    let written = Written {
        file,
        home: std::env::var_os("WAYBILL_HOME").map_or_else(|| base.clone(), PathBuf::from),
        base,
        config,
        lifecycles: plain(lifecycles),
        partners: plain(partners),
        mappings,
        schemas,
        idoc_types,
    };
    (Some(written), problems.into_list())
}

/// Reads one file that a person named; the mistake says why it cannot be read.
pub fn file(path: &Path) -> Result<SourceFile, Box<Diagnostic>> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile::new(name, text)),
        Err(error) => Err(Box::new(Diagnostic {
            file: name.into(),
            mark: Mark { line: 1, column: 1, ..Mark::default() },
            message: format!("cannot be read: {error}"),
            remedy: None,
            excerpt: String::new(),
            span: 0..0,
        })),
    }
}

/// All definitions in the schema folders. A folder without any is fine: it may hold other schemas.
fn idoc_types(
    base: &Path,
    folders: &[Spanned<String>],
    problems: &mut Problems,
) -> Vec<SourceFile> {
    let mut found = Vec::new();
    for folder in folders {
        let full = base.join(&folder.value);
        // The folder is a name, not a pattern.
        let pattern = format!("{}/*.idoc", glob::Pattern::escape(&full.to_string_lossy()));
        for path in glob::glob(&pattern).into_iter().flatten().filter_map(Result::ok) {
            match file(&path) {
                Ok(file) => found.push(file),
                Err(error) => problems.add(folder.mark, error.to_string()),
            }
        }
    }
    found
}

/// The files of all patterns, each once, in the order of their names.
fn files(
    base: &Path,
    patterns: &[Spanned<String>],
    problems: &mut Problems,
) -> Vec<(SourceFile, PathBuf)> {
    let mut found: Vec<(SourceFile, PathBuf)> = Vec::new();
    for pattern in patterns {
        let full = base.join(&pattern.value);
        let paths = match glob::glob(&full.to_string_lossy()) {
            Ok(paths) => paths,
            Err(error) => {
                problems.add(pattern.mark, format!("not a pattern: {error}"));
                continue;
            }
        };
        let before = found.len();
        for path in paths.filter_map(Result::ok) {
            let name: Arc<str> = path.display().to_string().into();
            if found.iter().any(|(file, _)| file.name == name) {
                continue;
            }
            match file(&path) {
                Ok(file) => {
                    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
                    found.push((file, folder));
                }
                Err(error) => problems.add(pattern.mark, error.to_string()),
            }
        }
        if found.len() == before {
            let remedy = "paths are relative to the configuration file";
            problems.advise(pattern.mark, format!("no file matches `{}`", pattern.value), remedy);
        }
    }
    found
}
