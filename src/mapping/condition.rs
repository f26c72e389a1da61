//! Conditions outside of mappings, such as `when` of a route: the same language.

use waybill_parsers::{Node, Schema};

use super::budget::{Budget, Work};
use super::expr::Expr;
use super::lookup::{Names, Scope};
use super::written::Written;
use crate::diagnostic::{Problems, Spanned};

/// A checked condition on a document.
#[derive(Debug)]
pub struct Condition {
    expr: Expr,
}

impl Condition {
    /// Checks `written`, a scalar of the file that `problems` are about, for documents of
    /// `schema`; `None` where `problems` got mistakes.
    pub fn compile(
        written: &Spanned<String>,
        schema: &Schema,
        problems: &mut Problems,
    ) -> Option<Self> {
        let text = Written::new(written, problems);
        let expr = Expr::condition(&text, &Names::of(schema), problems)?;
        Some(Self { expr })
    }

    /// Whether the condition holds for `source`. A missing result does not hold.
    ///
    /// # Errors
    ///
    /// Why it cannot be told, with line and column; never the text of the document.
    pub fn holds(&self, source: Node<'_>) -> Result<bool, String> {
        // One expression without loops: the size of the document bounds it.
        let work = Work::new(Budget::UNLIMITED);
        self.expr.holds(&Scope::new(source, &work)).map_err(|stop| {
            let (line, column) = (stop.spot.line, stop.spot.column);
            format!("{line}:{column}: {}", stop.reason)
        })
    }
}
