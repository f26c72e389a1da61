//! Definitions from what others publish, into our own.
//!
//! | source | function |
//! |---|---|
//! | UN/EDIFACT directory, D.94A to D.21B and after, as its text files | [`edifact()`] |
//! | an X12 release as JSON | [`x12()`] |
//!
//! Directories belong to the United Nations and X12 releases to X12: a user compiles what the user
//! may use, and the outcome stays with the user.

mod edifact;
mod x12;

use crate::definition::model::Definition;
use crate::reading::{Limits, Place, Problem, Problems, Severity};

pub use edifact::edifact;
pub use x12::x12;

/// A file to import.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'a> {
    /// Its name, for problems.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{problem}")]
pub struct ImportProblem {
    /// The name of the file.
    pub file: String,
    /// What, and on which line.
    pub problem: Problem,
}

/// What an import gave.
#[derive(Clone, Debug)]
pub struct Imported {
    /// All that could be read.
    pub definition: Definition,
    /// How many messages there are, with those that are left out.
    pub messages: usize,
    /// What is wrong. A message with an error is left out of the definition.
    pub problems: Vec<ImportProblem>,
}

/// The problems of one file.
struct Faults<'a> {
    file: &'a str,
    problems: Problems,
}

impl<'a> Faults<'a> {
    fn new(file: &'a str) -> Self {
        Self { file, problems: Problems::new(Limits::default().problems) }
    }

    /// Reports what is wrong on a line, from 1.
    fn push(&mut self, code: &'static str, line: usize, message: impl Into<String>) {
        let severity = Severity::Error;
        let place = Place { line: line as u64, column: 1, ..Place::default() };
        self.problems.push(severity, || Problem { severity, code, message: message.into(), place });
    }

    fn finish(mut self) -> Vec<ImportProblem> {
        let file = self.file;
        let mut problems = self.problems.finish();
        problems.sort_by_key(|problem| problem.place.line);
        let named = |problem| ImportProblem { file: file.to_owned(), problem };
        problems.into_iter().map(named).collect()
    }
}
