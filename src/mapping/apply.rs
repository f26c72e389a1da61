//! A compiled mapping, and one document through it.
//!
//! This is the hot path: nothing is looked up by name but the fields of the source document, and
//! a field costs no allocation beyond the copy of its text into the document.

use std::fmt;
use std::sync::Arc;

use waybill_parsers::{Builder, Document, Kind, Node};

use super::expr::{Expr, Spot};
use super::field::TargetField;
use super::fill::{Failure, Rule};
use super::lookup::{Repeat, Scope};

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
            Some(source) if !reason.contains(&format!("`{source}`")) => write!(f, " (`{source}`)"),
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
