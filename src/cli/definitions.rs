//! Where imported definitions are kept, and the one that a message asks for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waybill_parsers::Document;
use waybill_parsers::definition::{
    Definition, Definitions, Found, Standard, best_profile, profile_names, profiles,
    read_definition, release_of, service,
};

use crate::cli::CliError;

/// What the names of definition files end with.
const EXTENSION: &str = "edidef";

/// The folder for definitions: the one given, else that of the user.
pub(super) fn folder(given: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(given) = given {
        return Ok(given.to_path_buf());
    }
    let home = |name, below| std::env::var_os(name).map(|home| PathBuf::from(home).join(below));
    let data = home("XDG_DATA_HOME", "").or_else(|| home("HOME", ".local/share"));
    let data = data.filter(|data| data.is_absolute()).map(|data| data.join("waybill/definitions"));
    data.ok_or_else(|| CliError::Usage("no home folder; name one for definitions".to_owned()))
}

/// The name of the file of a release; `None` for what is no name of one.
pub(super) fn file_name(standard: Standard, release: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let is_name = !release.trim_matches('.').is_empty() && release.chars().all(is_plain);
    is_name.then(|| format!("{}-{release}.{EXTENSION}", standard.name()))
}

/// The definitions of a folder, each read when the first message asks for it.
#[derive(Debug, Default)]
pub(super) struct Library {
    folder: PathBuf,
    known: Definitions,
    read: HashMap<PathBuf, Arc<Definition>>,
    /// What is known of every release.
    built_in: HashMap<Standard, Arc<Definition>>,
    /// Rules of the user, from files that were named.
    profiles: Vec<Arc<Definition>>,
    /// Messages whose profile that ships was named.
    named: Vec<String>,
    /// The profiles that ship for a message, one for each structure that it had.
    shipped: HashMap<(Standard, String), Vec<Arc<Definition>>>,
}

/// The definition for a message.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) found: Found,
    pub(super) definition: Arc<Definition>,
    /// Whether it is of the release that the message names.
    pub(super) is_exact: bool,
}

impl Library {
    /// The definitions that a command is asked to use.
    pub(super) fn of(options: &crate::cli::args::WithDefinitions) -> Result<Self, CliError> {
        let mut library = Self::open(options.definitions.as_deref())?;
        options.profile.iter().try_for_each(|path| library.add_profile(path))?;
        Ok(library)
    }

    /// The definitions of the folder given, which must be there, or of that of the user.
    pub(super) fn open(given: Option<&Path>) -> Result<Self, CliError> {
        let folder = match (given, folder(given)) {
            (Some(_), folder) => folder?,
            // Without a home there are no definitions either.
            (None, folder) => folder.unwrap_or_default(),
        };
        let mut library = Self { folder, ..Self::default() };
        let entries = match std::fs::read_dir(&library.folder) {
            Ok(entries) => entries,
            Err(error) if given.is_some() => {
                let folder = library.folder.display();
                return Err(CliError::Refused(format!("{folder}: {error}")));
            }
            Err(_) => return Ok(library),
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((stem, EXTENSION)) = name.rsplit_once('.') else { continue };
            match stem.split_once('-') {
                Some(("edifact", release)) => library.known.add(Standard::Edifact, release),
                Some(("x12", release)) => library.known.add(Standard::X12, release),
                _ => {}
            }
        }
        Ok(library)
    }

    /// Adds rules of the user: a file, or the name of a message that a profile ships for.
    pub(super) fn add_profile(&mut self, path: &Path) -> Result<(), CliError> {
        let is_name = path.extension().is_none() && path.components().count() == 1;
        if is_name && !path.is_file() {
            let name = path.to_string_lossy().to_uppercase();
            let known = [Standard::Edifact, Standard::X12].map(profile_names).concat();
            if !known.contains(&name) {
                let known = known.join(", ");
                let text = format!("{name}: no such file, and no profile: {known}");
                return Err(CliError::Usage(text));
            }
            self.named.push(name);
            return Ok(());
        }
        let profile = self.load(path)?;
        self.profiles.push(profile);
        Ok(())
    }

    /// The rules that a message is to be held against.
    pub(super) fn profiles(&mut self, found: &Found, document: &Document) -> Vec<Arc<Definition>> {
        let mut of: Vec<_> = self.of_user(found).cloned().collect();
        if self.named.contains(&found.message) {
            of.extend(self.shipped(found, document));
        }
        of
    }

    fn of_user(&self, found: &Found) -> impl Iterator<Item = &Arc<Definition>> {
        self.profiles.iter().filter(|profile| {
            profile.standard == found.standard && profile.messages.contains_key(&found.message)
        })
    }

    /// The profile that ships and that a message fits best.
    fn shipped(&mut self, found: &Found, document: &Document) -> Option<Arc<Definition>> {
        let Found { standard, message, release } = found;
        // Types without a profile are not remembered: a file can name any number of them.
        let key = (*standard, message.clone());
        if !self.shipped.contains_key(&key) {
            let read: Vec<_> = profiles(*standard, message).into_iter().map(Arc::new).collect();
            if read.is_empty() {
                return None;
            }
            self.shipped.insert(key.clone(), read);
        }
        best_profile(self.shipped.get(&key)?, document, message, release).cloned()
    }

    /// The definition that a message is best understood by; `None` where the document is no message.
    /// Where no release with this message was imported, it is the profile that ships, else that of
    /// the user, else that of the envelope and the acknowledgements.
    pub(super) fn choose(&mut self, document: &Document) -> Result<Option<Chosen>, CliError> {
        let Some(found) = release_of(document) else { return Ok(None) };
        let release = self.known.nearest(found.standard, &found.release);
        let is_exact = release == Some(found.release.as_str());
        let name = release.and_then(|release| file_name(found.standard, release));
        let imported = name.map(|name| self.load(&self.folder.join(name))).transpose()?;
        let has_message =
            imported.as_ref().is_some_and(|it| it.messages.contains_key(&found.message));
        if !has_message && !is_exact {
            let profile = self.shipped(&found, document);
            if let Some(definition) = profile.or_else(|| self.of_user(&found).next().cloned()) {
                return Ok(Some(Chosen { found, definition, is_exact: false }));
            }
        }
        let definition = imported.unwrap_or_else(|| {
            let built_in = self.built_in.entry(found.standard);
            Arc::clone(built_in.or_insert_with(|| Arc::new(service(found.standard))))
        });
        Ok(Some(Chosen { found, definition, is_exact }))
    }

    fn load(&mut self, path: &Path) -> Result<Arc<Definition>, CliError> {
        if let Some(definition) = self.read.get(path) {
            return Ok(Arc::clone(definition));
        }
        let refused = |error: String| CliError::Refused(format!("{}:{error}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refused(format!(" {error}")))?;
        let definition = read_definition(&bytes).map_err(|problems| {
            refused(problems.first().map(ToString::to_string).unwrap_or_default())
        })?;
        let mut definition = definition;
        definition.add_service();
        let definition = Arc::new(definition);
        self.read.insert(path.to_path_buf(), Arc::clone(&definition));
        Ok(definition)
    }
}
