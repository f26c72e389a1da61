//! JSON objects: members with a value, objects around them, lists of items.
//!
//! As with segments, an object or list appears with the first value below it. What the target
//! schema requires must come where the object around it does.

use waybill_parsers::Kind;

use super::apply::{FieldRule, Run};
use super::expr::{Expr, Spot};
use super::lookup::Repeat;

/// A member of a JSON object.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Box<str>,
    pub(super) spot: Spot,
    /// Whether the target schema requires it.
    pub(super) required: bool,
    pub(super) what: MemberKind,
}

#[derive(Debug)]
pub(super) enum MemberKind {
    Value(FieldRule),
    Object(Vec<Member>),
    List { min: u32, max: u64, entries: Vec<ListRule> },
}

/// One entry for a list: the items that it makes.
#[derive(Debug)]
pub(super) struct ListRule {
    pub(super) repeat: Option<Repeat>,
    pub(super) when: Option<Expr>,
    pub(super) item: ItemRule,
}

#[derive(Debug)]
pub(super) enum ItemRule {
    Value(FieldRule),
    Object(Vec<Member>),
}

impl<'a> Run<'a> {
    /// The members of the object opened, or pending, last.
    pub(super) fn members(&mut self, members: &'a [Member]) {
        let mut missing: Vec<&'a Member> = Vec::new();
        for member in members {
            let faults = self.faults.len();
            let is_there = self.member(member);
            // What failed was reported; that it is missing would be said twice.
            if is_there || !member.required || self.faults.len() > faults {
                continue;
            }
            match member.what {
                // In its place, where the object around it is there already.
                MemberKind::List { min: 0, .. } if self.pending.is_empty() => self.no_items(member),
                _ => missing.push(member),
            }
        }
        // Nothing is required of an object that is left out.
        if !self.pending.is_empty() {
            return;
        }
        for member in missing {
            if let MemberKind::List { min: 0, .. } = member.what {
                self.no_items(member);
            } else {
                let reason = "the schema requires it, and there is no value".to_owned();
                self.fault(member.spot, &member.name, None, reason);
            }
        }
    }

    fn no_items(&mut self, list: &Member) {
        self.builder.open(Kind::List, &list.name, 0);
        self.builder.close();
    }

    /// Makes a member; whether there is one now.
    fn member(&mut self, member: &'a Member) -> bool {
        match &member.what {
            MemberKind::Value(rule) => self.field(rule),
            MemberKind::Object(members) => {
                self.path.push((&member.name, 0));
                let is_there =
                    self.container(Kind::Group, &member.name, |run| run.members(members));
                self.path.pop();
                is_there
            }
            MemberKind::List { min, max, entries } => {
                let (mut count, faults) = (0, self.faults.len());
                let is_there = self.container(Kind::List, &member.name, |run| {
                    entries.iter().for_each(|entry| run.items(member, *max, entry, &mut count));
                });
                if count > *max {
                    let reason = format!("has more than {max} items, which is the maximum");
                    self.fault(member.spot, &member.name, None, reason);
                } else if is_there && count < u64::from(*min) && self.faults.len() == faults {
                    let reason = format!("has {count} items, but at least {min} are needed");
                    self.fault(member.spot, &member.name, None, reason);
                }
                is_there
            }
        }
    }

    /// What `fill` makes, in a container that is left out where that is nothing.
    fn container(&mut self, kind: Kind, name: &'a str, fill: impl FnOnce(&mut Self)) -> bool {
        self.pending.push((kind, name));
        fill(self);
        // Pending still: nothing opened it, nor those around it.
        let is_there = self.pending.pop().is_none();
        if is_there {
            self.builder.close();
        }
        is_there
    }

    /// The items of `list` that one entry makes, until there is one more than its maximum.
    fn items(&mut self, list: &'a Member, max: u64, rule: &'a ListRule, count: &mut u64) {
        let Some(repeat) = &rule.repeat else {
            return self.item(&list.name, rule, count);
        };
        for (index, item) in repeat.items(&self.scope) {
            if *count > max || self.is_over(list.spot, &list.name) {
                break;
            }
            self.scope.enter(repeat, item, index);
            self.item(&list.name, rule, count);
            self.scope.leave();
        }
    }

    fn item(&mut self, list: &'a str, rule: &'a ListRule, count: &mut u64) {
        self.path.push((list, *count + 1));
        if self.holds(rule.when.as_ref()) {
            let is_there = match &rule.item {
                ItemRule::Value(value) => self.field(value),
                ItemRule::Object(members) => {
                    self.container(Kind::Group, "", |run| run.members(members))
                }
            };
            *count += u64::from(is_there);
        }
        self.path.pop();
    }
}
