//! A compiled mapping, and one document through it.
//!
//! This is the hot path: nothing is looked up by name but the fields of the source document, and
//! a field costs no allocation beyond the copy of its text into the document.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use waybill_parsers::{Builder, DataType, Document, Kind, Node};

use super::expr::{Expr, Spot, Stop, Value};
use super::field::TargetField;
use super::lookup::{Repeat, Scope};
use super::number;
use crate::table::Table;

/// Faults kept for one document.
const MOST_FAULTS: usize = 100;

/// A mapping, checked and ready.
#[derive(Debug)]
pub struct Mapping {
    pub(super) name: Box<str>,
    pub(super) idoc_type: Box<str>,
    pub(super) message: Box<str>,
    pub(super) file: Arc<str>,
    pub(super) groups: Vec<SegmentGroup>,
}

/// All entries of one segment type below one parent.
#[derive(Debug)]
pub(super) struct SegmentGroup {
    pub(super) name: Box<str>,
    pub(super) min: u32,
    pub(super) max: u64,
    pub(super) spot: Spot,
    pub(super) entries: Vec<SegmentRule>,
}

#[derive(Debug)]
pub(super) struct SegmentRule {
    pub(super) repeat: Option<Repeat>,
    pub(super) when: Option<Expr>,
    pub(super) fields: Vec<FieldRule>,
    pub(super) children: Vec<SegmentGroup>,
}

#[derive(Debug)]
pub(super) struct FieldRule {
    pub(super) field: TargetField,
    pub(super) spot: Spot,
    pub(super) when: Option<Expr>,
    pub(super) filling: Filling,
}

#[derive(Debug)]
pub(super) enum Filling {
    Constant(Box<str>),
    Rule(Box<Rule>),
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) value: Expr,
    pub(super) default: Option<Box<str>>,
    pub(super) required: bool,
    pub(super) table: Option<Arc<Table>>,
    pub(super) decimals: Option<u32>,
    pub(super) pad: Option<Pad>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pad {
    pub(super) with: char,
    pub(super) left: bool,
    pub(super) width: usize,
}

/// Why a document cannot be mapped: one reason, with its place in the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The mapping file as the user would type it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Segment and field, `Z1VHPRT[2]/PARVW`; occurrences count from 1.
    pub target: String,
    /// The path in the source that is to blame, if it is one.
    pub source: Option<String>,
    /// What is wrong; never the text of the document, which may be personal.
    pub reason: String,
}

impl fmt::Display for Fault {
    /// `file:line:column: target: reason (source path)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, target, source, reason } = self;
        write!(f, "{file}:{line}:{column}: {target}: {reason}")?;
        match source {
            Some(source) if !reason.contains(source.as_str()) => write!(f, " (`{source}`)"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

impl Mapping {
    /// What the mapping is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The IDoc type that it makes.
    pub fn idoc_type(&self) -> &str {
        &self.idoc_type
    }

    /// The message type that travels in the control record.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How many numbers of a number range one document takes: its DOCNUM.
    pub fn numbers_needed(&self) -> usize {
        1
    }

    /// Makes the document for `source`, with `control` as the fields of its control record.
    ///
    /// # Errors
    ///
    /// Every fault of this document, in the order in which its segments and fields are made.
    pub fn apply(
        &self,
        source: Node<'_>,
        control: &[(&str, &str)],
    ) -> Result<Document, Vec<Fault>> {
        let mut run = Run {
            mapping: self,
            scope: Scope::new(source),
            builder: Builder::with_capacity(64, 1024),
            pending: Vec::new(),
            path: Vec::new(),
            scratch: String::new(),
            faults: Vec::new(),
        };
        run.builder.open(Kind::Group, &self.idoc_type, 0);
        run.builder.open(Kind::Segment, "EDI_DC40", 0);
        for (name, text) in control {
            run.builder.put(Kind::Field, name, text, 0);
        }
        run.builder.close();
        run.groups(&self.groups);
        if run.faults.is_empty() { Ok(run.builder.finish()) } else { Err(run.faults) }
    }
}

/// One document on its way.
struct Run<'a> {
    mapping: &'a Mapping,
    scope: Scope<'a>,
    builder: Builder,
    /// Segments that were begun but have no field yet; they are opened by their first field.
    pending: Vec<&'a str>,
    /// The segments around the current place and their occurrence, for messages.
    path: Vec<(&'a str, u64)>,
    scratch: String,
    faults: Vec<Fault>,
}

impl<'a> Run<'a> {
    fn groups(&mut self, groups: &'a [SegmentGroup]) {
        // Allocates only for a document that is about to fail.
        let mut short: Vec<(&SegmentGroup, u64)> = Vec::new();
        for group in groups {
            let (mut count, faults) = (0, self.faults.len());
            for entry in &group.entries {
                let Some(repeat) = &entry.repeat else {
                    self.segment(group, entry, &mut count);
                    continue;
                };
                for (index, item) in repeat.items(&self.scope) {
                    self.scope.enter(repeat, item, index);
                    self.segment(group, entry, &mut count);
                    self.scope.leave();
                }
            }
            if count > group.max {
                let reason = format!("occurs {count} times, but at most {} are allowed", group.max);
                self.fault(group.spot, &group.name, None, reason);
            } else if count < u64::from(group.min) && self.faults.len() == faults {
                short.push((group, count));
            }
        }
        // Below a segment that is left out, nothing is mandatory.
        let short = if self.pending.is_empty() { short } else { Vec::new() };
        for (group, count) in short {
            let reason = format!("occurs {count} times, but at least {} are needed", group.min);
            self.fault(group.spot, &group.name, None, reason);
        }
    }

    fn segment(&mut self, group: &'a SegmentGroup, rule: &'a SegmentRule, count: &mut u64) {
        // A number that is always 1 would only make the path longer.
        self.path.push((&group.name, if group.max > 1 { *count + 1 } else { 0 }));
        if self.holds(rule.when.as_ref()) {
            self.pending.push(&group.name);
            for field in &rule.fields {
                self.field(field);
            }
            self.groups(&rule.children);
            let mandatory = self.pending.len() == 1 && *count < u64::from(group.min);
            if mandatory {
                self.open_pending();
            }
            // A segment that is still pending has nothing in it and is left out; those around it
            // would have been opened together with it.
            if self.pending.pop().is_none() {
                self.builder.close();
                *count += 1;
            }
        }
        self.path.pop();
    }

    fn open_pending(&mut self) {
        for name in self.pending.drain(..) {
            self.builder.open(Kind::Segment, name, 0);
        }
    }

    /// Whether a condition holds; one that cannot be computed is a fault.
    fn holds(&mut self, when: Option<&'a Expr>) -> bool {
        match when.map(|when| when.holds(&self.scope)) {
            None => true,
            Some(Ok(holds)) => holds,
            Some(Err(stop)) => {
                self.fault(stop.spot, "", stop.path, stop.reason);
                false
            }
        }
    }

    fn field(&mut self, rule: &'a FieldRule) {
        let name = &rule.field.name;
        self.path.push((name, 0));
        if self.holds(rule.when.as_ref()) {
            match &rule.filling {
                Filling::Constant(text) => self.put(name, text),
                Filling::Rule(filling) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    scratch.clear();
                    match filling.text(&rule.field, &self.scope, &mut scratch) {
                        Ok(Some(text)) => self.put(name, text),
                        Ok(None) => {}
                        Err(Failure::Stop(stop)) => {
                            self.fault(stop.spot, "", stop.path, stop.reason);
                        }
                        Err(Failure::Unfit(reason)) => {
                            let source = filling.value.source(&self.scope);
                            self.fault(rule.spot, "", source, reason);
                        }
                    }
                    self.scratch = scratch;
                }
            }
        }
        self.path.pop();
    }

    fn put(&mut self, name: &str, text: &str) {
        self.open_pending();
        self.builder.put(Kind::Field, name, text, 0);
    }

    /// A fault at the current place, or below it at `name`.
    fn fault(&mut self, spot: Spot, name: &str, source: Option<String>, reason: String) {
        if self.faults.len() >= MOST_FAULTS {
            return;
        }
        let mut target = String::new();
        for (name, number) in self.path.iter().copied().chain(Some((name, 0))) {
            if !name.is_empty() && !target.is_empty() {
                target.push('/');
            }
            target.push_str(name);
            if number > 0 {
                target.push_str(&format!("[{number}]"));
            }
        }
        let file = self.mapping.file.clone();
        let Spot { line, column } = spot;
        self.faults.push(Fault { file, line, column, target, source, reason });
    }
}

/// Why a rule gives no text.
enum Failure {
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
    fn text<'t>(
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
        let truth = field.data == DataType::Bool && self.table.is_none();
        Ok(match self.value.value(scope)? {
            Value::Missing => Raw::Nothing,
            Value::Text(Cow::Borrowed("")) => Raw::Nothing,
            Value::Text(Cow::Borrowed(text)) | Value::Source(text) => Raw::Kept(text),
            Value::Text(Cow::Owned(text)) if text.is_empty() => Raw::Nothing,
            Value::Text(Cow::Owned(text)) => {
                *scratch = text;
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
        if self.left {
            (0..short).for_each(|_| scratch.insert(0, self.with));
        } else {
            (0..short).for_each(|_| scratch.push(self.with));
        }
        true
    }
}
