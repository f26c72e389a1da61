//! Files of any format, for `show`, `convert` and `ack`.

pub(super) mod json;
pub(super) mod json_read;
pub(super) mod schemas;
pub(super) mod seen;
pub(super) mod source;
pub(super) mod tree;

use waybill_parsers::definition::{Level, check};
use waybill_parsers::{Document, Node, Reading, Severity};

use crate::cli::CliError;
use crate::cli::definitions::{Chosen, Library};

/// How many documents were read, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) documents: u64,
    pub(super) errors: u64,
    pub(super) warnings: u64,
}

impl Count {
    pub(super) fn add(&mut self, reading: &Reading) {
        let errors = reading.problems.iter().filter(|one| one.severity == Severity::Error).count();
        self.errors += errors as u64;
        self.warnings += (reading.problems.len() - errors) as u64;
    }
}

/// Holds a message against the definition that it names, and against rules of the user; adds what
/// is wrong to its problems. Returns the definition that it is best understood by.
pub(super) fn judge(
    reading: &mut Reading,
    level: Level,
    library: &mut Library,
) -> Result<Option<Chosen>, CliError> {
    let Some(chosen) = library.choose(&reading.document)? else { return Ok(None) };
    let kind = chosen.found.message.as_str();
    let repeats = has_repetition(&reading.document);
    let mut found = Vec::new();
    if chosen.is_exact {
        let level = level.min(Level::Codes);
        found.extend(check(reading, kind, &chosen.definition, level, repeats));
    }
    if level == Level::Profile {
        for profile in library.profiles(&chosen.found, &reading.document) {
            found.extend(check(reading, kind, &profile, level, repeats));
        }
    }
    reading.problems.extend(found);
    reading.problems.sort_by_key(|problem| problem.place.offset);
    Ok(Some(chosen))
}

/// Whether the syntax of a message has repetitions: EDIFACT from version 4 on.
pub(super) fn has_repetition(document: &Document) -> bool {
    let envelope = document.root().child("envelope");
    let unb = envelope.and_then(|envelope| envelope.child("UNB"));
    unb.is_some_and(|unb| matches!(component(unb, 0, 1), "4" | "X"))
}

/// A component of an element, both from 0; empty where there is none.
pub(super) fn component<'d>(segment: Node<'d>, element: usize, component: usize) -> &'d str {
    let Some(element) = segment.nth(element) else { return "" };
    match element.nth(component) {
        Some(component) => component.text(),
        None if component == 0 => element.text(),
        None => "",
    }
}
