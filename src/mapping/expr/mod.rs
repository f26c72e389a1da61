//! Expressions: CEL in syntax, checked against a schema before the first document.
//!
//! [`Expr`] is text that went through three steps, each a module: [`parse`](self) by operator
//! precedence, a check of every path and operator against the types of the schema, and evaluation
//! without further look-ups by name. What CEL has and this version has not is refused with its
//! name and place. The differences in meaning are listed in `docs/mapping.md`.

mod check;
mod eval;
mod parse;
mod token;

use std::borrow::Cow;

use rust_decimal::Decimal;
use waybill_parsers::Path;

use super::lookup::{Lookup, Names, Scope, Type};
use super::written::Written;
use crate::diagnostic::Problems;

/// Longer expressions are refused; they belong into a table or into several fields.
const MOST_BYTES: usize = 4096;
/// Operators and operands of one expression. It also bounds the recursion over a chain of `+`.
const MOST_NODES: usize = 256;
/// Parentheses and prefix operators inside of each other.
const MAX_DEPTH: usize = 32;

/// One mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    /// Byte of the expression.
    at: usize,
    message: String,
    remedy: Option<String>,
}

impl Mistake {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), remedy: None }
    }

    fn not_yet(at: usize, what: &str, sign: &str) -> Self {
        Self::new(at, format!("{what} `{sign}` is not supported yet"))
    }

    fn remedied(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// A place in the mapping file: line and character, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Expr {
    code: Code,
    kind: Type,
}

/// What an expression results in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Nothing: no such node, a null, or computed from nothing.
    Missing,
    /// Text.
    Text(Cow<'a, str>),
    /// A number as the source wrote it.
    Source(&'a str),
    /// A computed number.
    Number(Decimal),
    /// A truth value.
    Bool(bool),
}

/// Why an expression has no result for one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) spot: Spot,
    /// The source path that is to blame, if it is one.
    pub(crate) path: Option<String>,
    /// What is wrong, without the text of the document.
    pub(crate) reason: String,
}

impl Expr {
    /// Reads and checks an expression; `None` where `problems` got its mistakes.
    pub(crate) fn compile(
        written: &Written<'_>,
        names: &Names<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let tree = match parse::parse(written.text()) {
            Ok(tree) => tree,
            Err(mistake) => {
                report(written, mistake, problems);
                return None;
            }
        };
        match check::check(&tree, names, written) {
            Ok((code, kind)) => Some(Self { code, kind }),
            Err(mistakes) => {
                mistakes.into_iter().for_each(|mistake| report(written, mistake, problems));
                None
            }
        }
    }

    /// Checks a condition: an expression that is true or false.
    pub(crate) fn condition(
        written: &Written<'_>,
        names: &Names<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let compiled = Self::compile(written, names, problems)?;
        if !matches!(compiled.kind, Type::Bool | Type::Any) {
            let message =
                format!("a condition is true or false, but this is {}", name(compiled.kind));
            problems.add(written.mark(0), message);
            return None;
        }
        Some(compiled)
    }

    /// Checks a path alone, in the notation of [`Path`].
    pub(crate) fn path(
        written: &Written<'_>,
        names: &Names<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = read_path(written, problems)?;
        match names.value(&path) {
            Ok((lookup, kind)) => {
                let code = Code { spot: written.spot(0), what: What::Path(lookup, kind) };
                Some(Self { code, kind })
            }
            Err(bad) => {
                let mistake = Mistake { at: 0, message: bad.message, remedy: bad.remedy };
                report(written, mistake, problems);
                None
            }
        }
    }

    /// The type of the result.
    pub(crate) fn kind(&self) -> Type {
        self.kind
    }

    /// The result for the document in `scope`.
    pub(crate) fn value<'a>(&'a self, scope: &Scope<'a>) -> Result<Value<'a>, Stop> {
        self.code.value(scope)
    }

    /// Whether a condition holds; a missing value does not.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Stop> {
        Ok(self.code.truth(scope)? == Some(true))
    }

    /// The source path of an expression that is nothing else, for messages.
    pub(crate) fn source(&self, scope: &Scope<'_>) -> Option<String> {
        match &self.code.what {
            What::Path(lookup, _) => Some(lookup.place(scope)),
            _ => None,
        }
    }
}

/// Reads a path in the notation of [`Path`].
pub(crate) fn read_path(written: &Written<'_>, problems: &mut Problems) -> Option<Path> {
    Path::parse(written.text())
        .map_err(|error| {
            let before = written.text().char_indices().nth(error.column - 1);
            let at = before.map_or(written.text().len(), |(at, _)| at);
            problems.add(written.mark(at), format!("not a path: {}", error.reason));
        })
        .ok()
}

fn report(written: &Written<'_>, mistake: Mistake, problems: &mut Problems) {
    let mark = written.mark(mistake.at);
    match mistake.remedy {
        Some(remedy) => problems.advise(mark, mistake.message, remedy),
        None => problems.add(mark, mistake.message),
    }
}

/// A type in messages.
fn name(kind: Type) -> &'static str {
    match kind {
        Type::Text => "text",
        Type::Decimal => "a number",
        Type::Bool => "true or false",
        Type::Null => "null",
        Type::Any => "anything",
    }
}

/// A checked node: what to do, and where it was written.
#[derive(Debug)]
struct Code {
    spot: Spot,
    what: What,
}

#[derive(Debug)]
enum What {
    Null,
    Bool(bool),
    Text(Box<str>),
    Number(Decimal),
    Path(Lookup, Type),
    Not(Box<Code>),
    Negate(Box<Code>),
    String(Box<Code>),
    And(Box<[Code; 2]>),
    Or(Box<[Code; 2]>),
    Compare(Comparison, Operands, Box<[Code; 2]>),
    Arithmetic(Arithmetic, Box<[Code; 2]>),
    /// `+` on texts.
    Join(Box<[Code; 2]>),
    /// `+` where only the document tells whether it joins or adds.
    AddOrJoin(Box<[Code; 2]>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What the operands of a comparison are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operands {
    Numbers,
    Texts,
    Bools,
    /// Only the document tells.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

#[cfg(test)]
mod tests;
