//! The definitions of IDoc types and fixed-length records that a command reads with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill_parsers::idoc::{self, Types};
use waybill_parsers::{Document, Node, Schema, fixed, vda};

use crate::cli::CliError;
use crate::config::load;

/// The types of both kinds.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Schemas {
    pub(in crate::cli) idoc: Arc<Types>,
    pub(in crate::cli) fixed: Arc<fixed::Types>,
}

impl Schemas {
    /// The definitions of the folders given, and those that the configuration would read with, where
    /// there is one. A configuration with mistakes is no reason to show nothing.
    pub(in crate::cli) fn load(config: &Path, folders: &[PathBuf]) -> Result<Self, CliError> {
        let mut loading = Loading { idoc: Types::new(), fixed: vda::types() };
        let mut beside = Vec::new();
        if config.is_file()
            && let (Some(written), _) = load::load(config)
        {
            beside.extend(written.schemas);
            for (_, folder) in written.mappings {
                beside.extend(folder.parent().map(|parent| parent.join("schemas/idoc")));
                beside.push(folder.join("schemas/idoc"));
            }
        }
        beside.sort();
        beside.dedup();
        for folder in beside.iter().filter(|folder| folder.is_dir()) {
            loading.add(folder, false)?;
        }
        // Last, so that they win.
        for folder in folders {
            loading.add(folder, true)?;
        }
        Ok(Self { idoc: Arc::new(loading.idoc), fixed: Arc::new(loading.fixed) })
    }

    /// The type of an IDoc, by its control record.
    pub(in crate::cli) fn of_idoc(&self, document: &Document) -> Option<&Arc<Schema>> {
        let control = document.root().child("EDI_DC40")?;
        let text = |name| control.child(name).map_or("", Node::text);
        self.idoc.find(text("IDOCTYP"), text("CIMTYP"))
    }
}

struct Loading {
    idoc: Types,
    fixed: fixed::Types,
}

impl Loading {
    /// Adds the definitions of a folder. A broken one is an error where the folder was `asked` for.
    fn add(&mut self, folder: &Path, asked: bool) -> Result<(), CliError> {
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let read = match extension {
                Some("idoc") => idoc::read_schema,
                Some("fixed") => fixed::read_schema,
                _ => continue,
            };
            let text = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
            match read(&text) {
                Ok(schema) if extension == Some("idoc") => self.idoc.add(Arc::new(schema)),
                Ok(schema) => self.fixed.add(Arc::new(schema)),
                Err(problems) if asked => {
                    let first = problems.first().map(ToString::to_string).unwrap_or_default();
                    return Err(CliError::Refused(format!("{}: {first}", path.display())));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// A file or folder cannot be read.
pub(in crate::cli) fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Refused(format!("{}: {error}", path.display()))
}
