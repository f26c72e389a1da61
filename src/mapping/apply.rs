//! A compiled mapping, and one document through it.
//!
//! This is the hot path: nothing is looked up by name but the fields of the source document, and
//! a field costs no allocation beyond the copy of its text into the document.

use std::fmt;
use std::sync::Arc;

use waybill_parsers::{Builder, Document, Kind, Node};

use super::budget::{Budget, Work};
use super::expr::{Expr, Spot};
use super::field::TargetField;
use super::fill::{Failure, Rule};
use super::lookup::{Repeat, Scope};
use super::members::Member;

/// Faults kept for one document. Behind them it is given up.
const MOST_FAULTS: usize = 100;

/// A mapping, checked and ready.
#[derive(Debug)]
pub struct Mapping {
    pub(super) name: Box<str>,
    pub(super) file: Arc<str>,
    /// The message type of the IDocs that it reads; `None` where it reads JSON.
    pub(super) reads: Option<Box<str>>,
    pub(super) makes: Makes,
}

/// What a mapping makes, and how.
#[derive(Debug)]
pub(super) enum Makes {
    Idoc { idoc_type: Box<str>, message: Box<str>, groups: Vec<SegmentGroup> },
    Json(Vec<Member>),
}

/// What a mapping makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product<'a> {
    /// An IDoc.
    Idoc {
        /// Its type.
        idoc_type: &'a str,
        /// The message type that travels in the control record.
        message: &'a str,
    },
    /// A JSON object.
    Json,
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
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// The mapping file as the user would type it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Segment and field, `Z1VHPRT[2]/PARVW`, or member, `partners[2].role`; occurrences count
    /// from 1.
    pub target: String,
    /// The path in the source that is to blame, if it is one.
    pub source: Option<String>,
    /// What is wrong; never the text of the document, which may be personal.
    pub reason: String,
}

/// What kind of fault keeps a document from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A rule found no value, or one that its field cannot take.
    Rule,
    /// The document costs more than its [`Budget`].
    Budget,
}

impl fmt::Display for Fault {
    /// `file:line:column: target: reason (source path)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind: _, file, line, column, target, source, reason } = self;
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

    /// What it makes.
    pub fn product(&self) -> Product<'_> {
        match &self.makes {
            Makes::Idoc { idoc_type, message, .. } => Product::Idoc { idoc_type, message },
            Makes::Json(_) => Product::Json,
        }
    }

    /// The message type of the IDocs that it reads; `None` where it reads JSON.
    pub fn reads(&self) -> Option<&str> {
        self.reads.as_deref()
    }

    /// How many numbers of a number range one document takes: its DOCNUM.
    pub fn numbers_needed(&self) -> usize {
        1
    }

    /// Makes the document for `source`, with `control` as the fields of its control record where
    /// it is an IDoc.
    ///
    /// # Errors
    ///
    /// Every fault of this document, in the order in which its segments and fields are made: the
    /// first hundred, or those until it has cost more than `budget`.
    pub fn apply(
        &self,
        source: Node<'_>,
        control: &[(&str, &str)],
        budget: Budget,
    ) -> Result<Document, Vec<Fault>> {
        self.run(source, control, &Work::new(budget))
    }

    /// As [`apply`](Self::apply), counting in `work`.
    pub(super) fn run(
        &self,
        source: Node<'_>,
        control: &[(&str, &str)],
        work: &Work,
    ) -> Result<Document, Vec<Fault>> {
        let mut run = Run {
            mapping: self,
            scope: Scope::new(source, work),
            builder: Builder::with_capacity(64, 1024),
            pending: Vec::new(),
            path: Vec::new(),
            scratch: String::new(),
            faults: Vec::new(),
            is_over: false,
        };
        match &self.makes {
            Makes::Idoc { idoc_type, groups, .. } => {
                run.builder.open(Kind::Group, idoc_type, 0);
                run.builder.open(Kind::Segment, "EDI_DC40", 0);
                for (name, text) in control {
                    run.builder.put(Kind::Field, name, text, 0);
                }
                run.builder.close();
                run.groups(groups);
            }
            Makes::Json(members) => {
                run.builder.open(Kind::Group, "", 0);
                run.members(members);
            }
        }
        if run.faults.is_empty() { Ok(run.builder.finish()) } else { Err(run.faults) }
    }
}

/// One document on its way.
pub(super) struct Run<'a> {
    mapping: &'a Mapping,
    pub(super) scope: Scope<'a>,
    pub(super) builder: Builder,
    /// What was begun but has no field yet; it is opened by its first field.
    pub(super) pending: Vec<(Kind, &'a str)>,
    /// What is around the current place, with its occurrence, for messages.
    pub(super) path: Vec<(&'a str, u64)>,
    scratch: String,
    pub(super) faults: Vec<Fault>,
    /// Whether the document was given up: it has too many faults, or costs too much.
    is_over: bool,
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
                    // A list may be much longer than what is allowed of it.
                    if count > group.max || self.is_over(group.spot, &group.name) {
                        break;
                    }
                    self.scope.enter(repeat, item, index);
                    self.segment(group, entry, &mut count);
                    self.scope.leave();
                }
            }
            if count > group.max {
                let reason = format!("occurs more than {} times, which is the maximum", group.max);
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
            self.pending.push((Kind::Segment, &group.name));
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

    pub(super) fn open_pending(&mut self) {
        for (kind, name) in self.pending.drain(..) {
            self.builder.open(kind, name, 0);
        }
    }

    /// Whether a condition holds; one that cannot be computed is a fault.
    pub(super) fn holds(&mut self, when: Option<&'a Expr>) -> bool {
        match when.map(|when| when.holds(&self.scope)) {
            None => true,
            Some(Ok(holds)) => holds,
            Some(Err(stop)) => {
                self.fault(stop.spot, "", stop.path, stop.reason);
                false
            }
        }
    }

    /// Whether the document is to be given up here, at the rule at `spot` or at `name` below it.
    pub(super) fn is_over(&mut self, spot: Spot, name: &str) -> bool {
        let work = self.scope.work;
        let Budget { nodes, steps } = work.budget;
        if self.is_over || (!work.is_spent() && self.builder.has_room(nodes)) {
            return self.is_over;
        }
        let reason = if work.is_spent() {
            format!("mapping this document takes more than {steps} steps (`limits.steps`)")
        } else {
            format!("the document has more than {nodes} nodes (`limits.nodes`)")
        };
        let fault = Fault { kind: FaultKind::Budget, ..self.fault_at(spot, name, reason) };
        self.faults.push(fault);
        self.is_over = true;
        true
    }

    /// Fills a field; whether it has a value now.
    pub(super) fn field(&mut self, rule: &'a FieldRule) -> bool {
        if self.is_over(rule.spot, &rule.field.name) {
            return false;
        }
        self.scope.work.spend(1);
        let mut has_value = false;
        self.path.push((&rule.field.name, 0));
        if self.holds(rule.when.as_ref()) {
            match &rule.filling {
                Filling::Constant(text) => {
                    self.put(&rule.field, text);
                    has_value = true;
                }
                Filling::Rule(filling) => {
                    let mut scratch = std::mem::take(&mut self.scratch);
                    scratch.clear();
                    match filling.text(&rule.field, &self.scope, &mut scratch) {
                        Ok(Some(text)) => {
                            self.put(&rule.field, text);
                            has_value = true;
                        }
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
        has_value
    }

    fn put(&mut self, field: &TargetField, text: &str) {
        self.open_pending();
        self.builder.put(field.kind(), &field.name, text, 0);
    }

    /// Adds a fault at the current place, or below it at `name`. What is missing of a document that
    /// was given up is no fault of its own.
    pub(super) fn fault(&mut self, spot: Spot, name: &str, source: Option<String>, reason: String) {
        if !self.is_over {
            let fault = Fault { source, ..self.fault_at(spot, name, reason) };
            self.faults.push(fault);
            self.is_over = self.faults.len() >= MOST_FAULTS;
        }
    }

    fn fault_at(&self, spot: Spot, name: &str, reason: String) -> Fault {
        let mut target = String::new();
        // As paths of either format are written.
        let between = if matches!(self.mapping.makes, Makes::Json(_)) { '.' } else { '/' };
        for (name, number) in self.path.iter().copied().chain(Some((name, 0))) {
            if !name.is_empty() && !target.is_empty() {
                target.push(between);
            }
            target.push_str(name);
            if number > 0 {
                target.push_str(&format!("[{number}]"));
            }
        }
        let (file, Spot { line, column }) = (self.mapping.file.clone(), spot);
        Fault { kind: FaultKind::Rule, file, line, column, target, source: None, reason }
    }
}
