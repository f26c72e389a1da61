//! The fields of a segment: what fills each, checked against its declaration.

use std::sync::Arc;

use waybill_parsers::{DataType, ElementId, Kind};

use super::apply::{FieldRule, Filling};
use super::compile::{Compiler, spot};
use super::entry::{FieldEntry, PadEntry, RuleEntry, ValueEntry};
use super::expr::Expr;
use super::field::TargetField;
use super::file::SegmentEntry;
use super::fill::{Pad, Rule};
use super::lookup::{BadPath, Type};
use super::written::Written;
use crate::diagnostic::{Mark, Problems, Spanned};
use crate::table::Table;

/// The rules of the fields of `entry`, in the order of the segment `id`.
pub(super) fn fields(
    compiler: &mut Compiler<'_>,
    entry: &SegmentEntry,
    id: ElementId,
) -> Vec<FieldRule> {
    let target = compiler.inputs.target;
    let mut rules: Vec<(ElementId, FieldRule)> = Vec::new();
    for (name, written) in &entry.fields {
        let found = target.child(id, &name.value);
        let Some(field) = found.filter(|field| target.element(*field).kind == Kind::Field) else {
            let names = target.element(id).children().iter().map(|field| target.element(*field));
            let names = names.filter(|field| field.kind == Kind::Field);
            let what = format!("field of {}", entry.name.value);
            let names = names.map(|field| field.name.as_str());
            compiler.problems.unknown(name.mark, &what, &name.value, names);
            continue;
        };
        let field_type = TargetField::of(target.element(field));
        if let FieldEntry::Rule(rule) = written
            && let Some(typed) = &rule.typed
        {
            let message = "`number` and `bool` are for JSON";
            let remedy = "the definition of the IDoc type says what its fields hold";
            compiler.problems.advise(typed.mark, message, remedy);
        }
        if let Some(rule) = compiler.field(name, written, field_type) {
            rules.push((field, rule));
        }
    }
    for field in target.element(id).children() {
        let element = target.element(*field);
        let mapped = entry.fields.iter().any(|(name, _)| name.value == element.name);
        if element.kind == Kind::Field && element.min > 0 && !mapped {
            let message = format!("field {} is mandatory and not mapped", element.name);
            compiler.problems.add(entry.name.mark, message);
        }
    }
    rules.sort_by_key(|(field, _)| *field);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// Adds what is wrong with a path.
pub(super) fn report(problems: &mut Problems, mark: Mark, bad: BadPath) {
    match bad.remedy {
        Some(remedy) => problems.advise(mark, bad.message, remedy),
        None => problems.add(mark, bad.message),
    }
}

/// A part that may be absent but not wrong.
fn all<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    checked.map_or(Some(None), |value| value.map(Some))
}

impl Compiler<'_> {
    pub(super) fn field(
        &mut self,
        name: &Spanned<String>,
        entry: &FieldEntry,
        field: TargetField,
    ) -> Option<FieldRule> {
        let (at, filling, when) = match entry {
            FieldEntry::Constant(text) => {
                let constant = self.constant(&field, text)?;
                (text.mark, Filling::Constant(constant), None)
            }
            FieldEntry::Rule(entry) => {
                let written = match &entry.value {
                    ValueEntry::From(text) | ValueEntry::Expr(text) => text.mark,
                };
                // Both are checked before either can end the check of this field.
                let when = entry.when.as_ref().map(|written| self.condition(written));
                let rule = self.rule(entry, &field);
                if entry.required.as_ref().is_some_and(|required| required.value)
                    && entry.default.is_some()
                {
                    let message =
                        format!("{}: `required` has no effect beside `default`", name.value);
                    self.problems.add(name.mark, message);
                }
                (written, Filling::Rule(Box::new(rule?)), all(when)?)
            }
        };
        Some(FieldRule { field, spot: spot(at), when, filling })
    }

    /// A constant in the form of its field.
    fn constant(&mut self, field: &TargetField, text: &Spanned<String>) -> Option<Box<str>> {
        if text.value.is_empty() {
            let message = format!("{}: the constant is empty", field.name);
            self.problems.advise(text.mark, message, "leave the field out");
            return None;
        }
        let mut formed = String::new();
        let checked = match field.reform(&text.value, &mut formed) {
            Ok(true) => field.accept(&formed).map(|()| formed.as_str()),
            Ok(false) => field.accept(&text.value).map(|()| text.value.as_str()),
            Err(reason) => Err(reason.to_owned()),
        };
        match checked {
            Ok(text) => Some(text.into()),
            Err(_) if field.codes().next().is_some() => {
                let what = format!("code of {}", field.name);
                self.problems.unknown(text.mark, &what, &text.value, field.codes());
                None
            }
            Err(reason) => {
                self.problems.add(text.mark, reason);
                None
            }
        }
    }

    fn rule(&mut self, entry: &RuleEntry, field: &TargetField) -> Option<Rule> {
        let value = match &entry.value {
            ValueEntry::From(text) => {
                Expr::path(&Written::new(text, self.problems), &self.names, self.problems)
            }
            ValueEntry::Expr(text) => {
                Expr::compile(&Written::new(text, self.problems), &self.names, self.problems)
            }
        };
        // Everything is checked before the first mistake ends the rule.
        let default = entry.default.as_ref().map(|text| self.constant(field, text));
        let table = entry.table.as_ref().map(|name| self.table(name, entry, field));
        let pad = entry.pad.as_ref().map(|pad| self.pad(pad, field));
        let value = value?;
        self.fits(&value, entry, field)?;
        Some(Rule {
            value,
            default: all(default)?,
            required: entry.required.as_ref().is_some_and(|required| required.value),
            trim: entry.trim.as_ref().map(|trim| (trim.what.value, trim.left)),
            table: all(table)?,
            decimals: entry.decimals.as_ref().map(|decimals| decimals.value),
            pad: all(pad)?,
        })
    }

    /// Whether a value of this type can ever stand in the field.
    fn fits(&mut self, value: &Expr, entry: &RuleEntry, field: &TargetField) -> Option<()> {
        let mark = match &entry.value {
            ValueEntry::From(text) | ValueEntry::Expr(text) => text.mark,
        };
        if entry.table.is_some() {
            return Some(());
        }
        let wrong = match (value.kind(), field.data) {
            (Type::Null, _) => Some("the value is always null".to_owned()),
            (
                Type::Bool,
                DataType::Decimal | DataType::Date | DataType::Time | DataType::Digits,
            ) => Some(format!("{} cannot hold true or false", field.name)),
            (Type::Decimal, DataType::Bool | DataType::Date | DataType::Time) => {
                Some(format!("{} cannot hold a number", field.name))
            }
            (Type::Bool, _) if entry.decimals.is_some() => {
                Some("`decimals` needs a number, but this is true or false".to_owned())
            }
            _ => None,
        };
        if let Some(message) = wrong {
            self.problems.add(mark, message);
            return None;
        }
        Some(())
    }

    fn table(
        &mut self,
        name: &Spanned<String>,
        entry: &RuleEntry,
        field: &TargetField,
    ) -> Option<Arc<Table>> {
        let declared = self.file.tables.iter().any(|(other, _)| other.value == name.value);
        if !declared {
            let names = self.file.tables.iter().map(|(name, _)| name.value.as_str());
            self.problems.unknown(name.mark, "table", &name.value, names);
            return None;
        }
        let tables = self.inputs.tables;
        let (_, table) = tables.iter().find(|(other, _)| *other == name.value)?;
        let changed = entry.pad.is_some() || entry.decimals.is_some();
        let mut formed = String::new();
        let wrong = table.entries().find_map(|(from, to)| {
            formed.clear();
            let reason = match field.reform(to, &mut formed) {
                Err(reason) => reason.to_owned(),
                Ok(true) => field.accept(&formed).err()?,
                Ok(false) => field.accept(to).err()?,
            };
            Some(format!("table `{}` gives `{to}` for `{from}`: {reason}", table.name()))
        });
        if let Some(message) = wrong.filter(|_| !changed) {
            self.problems.add(name.mark, message);
            return None;
        }
        Some(table.clone())
    }

    fn pad(&mut self, pad: &PadEntry, field: &TargetField) -> Option<Pad> {
        if field.json && field.data != DataType::Text {
            let message = format!("pad: {} is no text", field.name);
            self.problems.add(pad.width.mark, message);
            return None;
        }
        let width = pad.width.value as usize;
        // Where no length is declared, nothing else would bound what one value takes.
        let most = field.length.unwrap_or(4096);
        if width > most {
            let message = format!("pad: width {width}, but {} holds {most}", field.name);
            self.problems.add(pad.width.mark, message);
            return None;
        }
        Some(Pad { with: pad.with.value, left: pad.left, width })
    }
}
