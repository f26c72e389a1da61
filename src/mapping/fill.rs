//! From a rule to the text of one field.
//!
//! In this order: the value, trimmed, the default where there is none, the table, rounding, the
//! form of the field, padding, and the check that the field takes the result.

use std::borrow::Cow;
use std::sync::Arc;

use waybill_parsers::DataType;

use super::expr::{Expr, Stop, Value};
use super::field::TargetField;
use super::lookup::Scope;
use super::number;
use crate::table::Table;

/// What fills a field, checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) value: Expr,
    pub(super) default: Option<Box<str>>,
    pub(super) required: bool,
    /// The character that is taken away in front (`true`) or behind.
    pub(super) trim: Option<(char, bool)>,
    pub(super) table: Option<Arc<Table>>,
    pub(super) decimals: Option<u32>,
    pub(super) pad: Option<Pad>,
}

/// How short values are filled up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pad {
    pub(super) with: char,
    pub(super) left: bool,
    pub(super) width: usize,
}

/// Why a rule gives no text.
pub(super) enum Failure {
    /// The value cannot be computed.
    Stop(Stop),
    /// There is a value, or none, and the field cannot take that.
    Unfit(String),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Rule {
    /// The text for `field`; it lies in the source, in the mapping or in `scratch`, which is
    /// empty at the start.
    pub(super) fn text<'t>(
        &'t self,
        field: &TargetField,
        scope: &Scope<'t>,
        scratch: &'t mut String,
    ) -> Result<Option<&'t str>, Failure> {
        // `None`: the text is in `scratch`.
        let mut kept = match self.raw(field, scope, scratch)? {
            Raw::Nothing => return self.nothing(),
            Raw::Kept(text) => Some(text),
            Raw::Scratch => None,
        };
        if let Some(table) = &self.table {
            let from = kept.unwrap_or(scratch);
            match (table.lookup(from), &self.default) {
                (Some(to), _) => kept = Some(to),
                (None, Some(default)) => return Ok(Some(default)),
                (None, None) => {
                    let reason = format!("the value is not in table `{}`", table.name());
                    return Err(Failure::Unfit(reason));
                }
            }
        }
        if let Some(decimals) = self.decimals {
            let number = number::read(kept.unwrap_or(scratch))
                .map_err(|error| Failure::Unfit(format!("the value {error}")))?;
            scratch.clear();
            number::write_rounded(number, decimals, scratch);
            kept = None;
        }
        let mut formed = String::new();
        match field.reform(kept.unwrap_or(scratch), &mut formed) {
            Ok(false) => {}
            Ok(true) => {
                *scratch = formed;
                kept = None;
            }
            Err(reason) => return Err(Failure::Unfit(reason.to_owned())),
        }
        if let Some(pad) = self.pad
            && pad.fill(kept, scratch)
        {
            kept = None;
        }
        let text = kept.unwrap_or(scratch);
        scope.work.spend_text(text);
        field.accept(text).map_err(Failure::Unfit)?;
        Ok(Some(text))
    }

    /// The value as text, before anything is done with it.
    fn raw<'t>(
        &'t self,
        field: &TargetField,
        scope: &Scope<'t>,
        scratch: &mut String,
    ) -> Result<Raw<'t>, Failure> {
        let truth = field.data == DataType::Bool && !field.json && self.table.is_none();
        // Blanks at the end mean nothing in a field, and blanks alone are no value.
        Ok(match self.value.value(scope)? {
            Value::Missing => Raw::Nothing,
            Value::Text(Cow::Borrowed(text)) | Value::Source(text) => {
                match self.trimmed(text.trim_end_matches(' ')) {
                    "" => Raw::Nothing,
                    text if field.is_initial(text) => Raw::Nothing,
                    text => Raw::Kept(text),
                }
            }
            Value::Text(Cow::Owned(text)) => {
                let text = self.trimmed(text.trim_end_matches(' '));
                if text.is_empty() {
                    return Ok(Raw::Nothing);
                }
                scratch.push_str(text);
                Raw::Scratch
            }
            Value::Number(number) => {
                number::write(number, scratch);
                Raw::Scratch
            }
            Value::Bool(true) if truth => Raw::Kept("X"),
            Value::Bool(false) if truth => Raw::Nothing,
            Value::Bool(value) => Raw::Kept(if value { "true" } else { "false" }),
        })
    }

    fn trimmed<'t>(&self, text: &'t str) -> &'t str {
        match self.trim {
            None => text,
            Some((what, true)) => text.trim_start_matches(what),
            Some((what, false)) => text.trim_end_matches(what),
        }
    }

    fn nothing(&self) -> Result<Option<&str>, Failure> {
        match &self.default {
            Some(default) => Ok(Some(default)),
            None if self.required => Err(Failure::Unfit("there is no value".to_owned())),
            None => Ok(None),
        }
    }
}

/// Where the text of a value is.
enum Raw<'t> {
    Nothing,
    Kept(&'t str),
    Scratch,
}

impl Pad {
    /// Fills a short text up; true where the result is in `scratch`, which is also where the text
    /// is when it was not `kept` elsewhere.
    fn fill(self, kept: Option<&str>, scratch: &mut String) -> bool {
        let short = self.width.saturating_sub(kept.unwrap_or(scratch).chars().count());
        if short == 0 {
            return false;
        }
        if let Some(text) = kept {
            scratch.clear();
            scratch.push_str(text);
        }
        let filling = std::iter::repeat_n(self.with, short);
        if self.left {
            scratch.insert_str(0, &filling.collect::<String>());
        } else {
            scratch.extend(filling);
        }
        true
    }
}
