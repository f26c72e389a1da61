//! The text files of a UN/EDIFACT directory.
//!
//! What a file is, its headings say and not its name, which changed over the years. Characters are
//! those of code page 437 (the lines around segment groups are box drawings), or ASCII.
//!
//! | oddity of the files | what is done |
//! |---|---|
//! | signs of change (`+ * # \| X -`) between position and tag | skipped |
//! | names that go on in the next line | put together |
//! | groups end with `┘`, `┴` or `+`, several at once | counted, and compared with the lines drawn |
//! | one tag several times on a level | kept, each at its place |
//! | code lists in several files, the first without a heading | all are read |
//! | interactive messages and their segments | read as the others; the first of a number is kept |
//! | notes between the form of an element and its values | skipped |

mod codes;
mod message;
mod tables;
mod text;

use std::collections::BTreeMap;

use crate::definition::import::{Faults, ImportProblem, Imported, SourceFile};
use crate::definition::model::{Definition, Standard};

/// Reads the text files of one directory. Files that are nothing of it are skipped.
///
/// # Errors
///
/// Where no message was found. Problems of single messages do not end an import: those messages are
/// left out. Codes: `no-message`, `no-name`, `no-table`, `no-status`, `group-lines`, `no-group`, `no-trailer`,
/// `unknown-segment`, `unknown-element`, `no-form`.
pub fn edifact(files: &[SourceFile<'_>]) -> Result<Imported, Vec<ImportProblem>> {
    let mut definition = Definition::new(Standard::Edifact, "");
    let mut problems = Vec::new();
    let mut releases: BTreeMap<String, usize> = BTreeMap::new();
    let mut messages = 0;
    let mut faults_of_tables = Vec::new();
    for file in files {
        let text = text::decode(file.bytes);
        let mut faults = Faults::new(file.name);
        match text::kind_of(&text) {
            None => {}
            Some(text::FileKind::Message) => {
                messages += 1;
                let read = message::read(&text, &mut faults);
                *releases.entry(read.release).or_default() += 1;
                if let Some(message) = read.message {
                    definition.messages.entry(read.name).or_insert(message);
                }
            }
            Some(text::FileKind::Segments) => tables::segments(&text, &mut definition, &mut faults),
            Some(text::FileKind::Composites) => {
                tables::composites(&text, &mut definition, &mut faults);
            }
            Some(text::FileKind::Elements) => tables::elements(&text, &mut definition, &mut faults),
            Some(text::FileKind::Codes) => faults_of_tables.push((file.name, text)),
        }
        problems.extend(faults.finish());
    }
    // The forms of elements are those of the element directory, so the code lists come last.
    for (name, text) in faults_of_tables {
        let mut faults = Faults::new(name);
        codes::read(&text, &mut definition, &mut faults);
        problems.extend(faults.finish());
    }
    if definition.messages.is_empty() {
        let mut faults = Faults::new(files.first().map_or("(no file)", |file| file.name));
        faults.push("no-message", 0, "no message of an EDIFACT directory was found");
        problems.extend(faults.finish());
        return Err(problems);
    }
    let most = releases.into_iter().max_by_key(|(_, count)| *count);
    definition.release = most.map(|(release, _)| release).unwrap_or_default();
    undefined(&definition, &mut problems);
    Ok(Imported { definition, messages, problems })
}

/// Reports what is used and not defined; service segments are of ISO 9735 and not of a directory.
fn undefined(definition: &Definition, problems: &mut Vec<ImportProblem>) {
    let mut faults = Faults::new("(directory)");
    let mut tags: Vec<_> = definition
        .messages
        .values()
        .flat_map(|message| message.items.iter().filter(|item| !item.is_group()))
        .map(|item| item.name.as_str())
        .filter(|tag| !tag.starts_with('U') && !definition.segments.contains_key(*tag))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        faults.push("unknown-segment", 0, format!("segment {tag} is used and not defined"));
    }
    let segments = definition.segments.values().flat_map(|segment| &segment.uses);
    let composites = definition.composites.values().flat_map(|composite| &composite.uses);
    let mut ids: Vec<_> = segments
        .chain(composites)
        .map(|place| place.id.as_str())
        .filter(|id| {
            !definition.composites.contains_key(*id) && !definition.elements.contains_key(*id)
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        faults.push("unknown-element", 0, format!("element {id} is used and not defined"));
    }
    problems.extend(faults.finish());
}
