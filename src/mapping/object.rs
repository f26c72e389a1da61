//! The fields and lists of a JSON object, checked against the target schema.

use waybill_parsers::{DataType, Element, ElementId, Kind, Path, Schema, Step};

use super::apply::FieldRule;
use super::compile::{Compiler, spot};
use super::entry::{FieldEntry, Typed};
use super::field::TargetField;
use super::file::{ItemEntry, ListEntry, MappingFile};
use super::members::{ItemRule, ListRule, Member, MemberKind};
use crate::diagnostic::{Mark, Spanned};

/// What the target schema declares at a place; `None` where it is open.
type Declared = Option<ElementId>;

/// An object as it is written: its fields, its lists, and where it stands.
struct Written<'e> {
    fields: &'e [(Spanned<String>, FieldEntry)],
    lists: &'e [ListEntry],
    mark: Mark,
}

/// The members of the whole document.
pub(super) fn root(compiler: &mut Compiler<'_>, file: &MappingFile) -> Vec<Member> {
    let written = Written { fields: &file.fields, lists: &file.lists, mark: file.name.mark };
    let root = compiler.inputs.target.root();
    object(compiler, Some(root), &written)
}

/// The members of the object declared at `at`.
fn object(compiler: &mut Compiler<'_>, at: Declared, written: &Written<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    for (path, entry) in written.fields {
        let Some(steps) = steps(compiler, at, path) else { continue };
        let rule = value(compiler, &steps, path, entry);
        if let Some(rule) = rule {
            insert(compiler, &mut members, &steps, (path, MemberKind::Value(rule)));
        }
    }
    for entry in written.lists {
        let Some(steps) = steps(compiler, at, &entry.path) else { continue };
        if let Some(list) = list(compiler, &steps, entry) {
            insert(compiler, &mut members, &steps, (&entry.path, list));
        }
    }
    finish(compiler, &mut members, at, (written, &mut Vec::new()));
    members
}

/// One name of a path, and what is declared there.
struct Place {
    name: String,
    at: Declared,
}

/// The names of a path below the object at `at`; `None` where it is wrong.
fn steps(compiler: &mut Compiler<'_>, at: Declared, path: &Spanned<String>) -> Option<Vec<Place>> {
    let parsed = match Path::parse(&path.value) {
        Ok(parsed) => parsed,
        Err(error) => {
            compiler.problems.add(path.mark, error.to_string());
            return None;
        }
    };
    let target: &Schema = compiler.inputs.target;
    let (mut at, mut found) = (at, Vec::new());
    for step in parsed.steps() {
        let Step::Name(name) = step else {
            let message = format!("`{}` is an item of a list", path.value);
            compiler.problems.advise(path.mark, message, "write the list under `lists`");
            return None;
        };
        if let Some(wrong) = not_an_object(target, at, &found) {
            compiler.problems.add(path.mark, wrong);
            return None;
        }
        let below = at.and_then(|at| target.child(at, name));
        match at.map(|at| target.element(at)) {
            Some(element) if below.is_none() && !element.open => {
                let names = element.children().iter().map(|id| target.element(*id).name.as_str());
                compiler.problems.unknown(path.mark, "field", &path.value, names);
                return None;
            }
            _ => at = below,
        }
        found.push(Place { name: name.clone(), at });
    }
    Some(found)
}

/// Why nothing can be below what is declared at `at`.
fn not_an_object(target: &Schema, at: Declared, path: &[Place]) -> Option<String> {
    let element = target.element(at?);
    let name = path.last().map_or("", |place| place.name.as_str());
    match element.kind {
        Kind::Group => None,
        _ if element.open => None,
        Kind::List => Some(format!("`{name}` is a list; write it under `lists`")),
        _ => Some(format!("`{name}` is a single value, not an object")),
    }
}

/// The rule of a field.
fn value(
    compiler: &mut Compiler<'_>,
    steps: &[Place],
    name: &Spanned<String>,
    entry: &FieldEntry,
) -> Option<FieldRule> {
    let last = steps.last()?;
    let field = target_field(compiler, last, name, entry)?;
    compiler.field(name, entry, field)
}

fn target_field(
    compiler: &mut Compiler<'_>,
    place: &Place,
    name: &Spanned<String>,
    entry: &FieldEntry,
) -> Option<TargetField> {
    let typed = match entry {
        FieldEntry::Rule(rule) => rule.typed.as_ref(),
        FieldEntry::Constant(_) => None,
    };
    let wanted = typed.map(|typed| match typed.value {
        Typed::Number => DataType::Decimal,
        Typed::Bool => DataType::Bool,
    });
    let target: &Schema = compiler.inputs.target;
    match place.at.map(|at| target.element(at)).filter(|element| !element.open) {
        None => {
            let mut element = Element::new(Kind::Text, place.name.as_str());
            element.data = wanted.unwrap_or_default();
            Some(TargetField::of(&element))
        }
        Some(element) if matches!(element.kind, Kind::Group | Kind::List) => {
            let what = if element.kind == Kind::List { "a list" } else { "an object" };
            let message = format!("`{}` is {what}, not a single value", name.value);
            compiler.problems.add(name.mark, message);
            None
        }
        Some(element) => {
            if let Some(typed) = typed.filter(|_| wanted != Some(element.data)) {
                let message = format!("`{}` is of another type in the schema", name.value);
                compiler.problems.add(typed.mark, message);
                return None;
            }
            Some(TargetField::of(element))
        }
    }
}

fn list(compiler: &mut Compiler<'_>, steps: &[Place], entry: &ListEntry) -> Option<MemberKind> {
    let target: &Schema = compiler.inputs.target;
    let place = steps.last()?;
    let declared = place.at.map(|at| target.element(at));
    let wrong = declared.filter(|element| element.kind != Kind::List && !element.open);
    if wrong.is_some() {
        let message = format!("`{}` is not a list", entry.path.value);
        compiler.problems.add(entry.path.mark, message);
        return None;
    }
    let at = declared.and_then(|element| element.children().first().copied());
    let (min, max) = match at.map(|at| target.element(at)) {
        Some(item) => (item.min, item.max),
        None => (0, u64::MAX),
    };
    let (repeat, entered) = match &entry.for_each {
        Some(written) => compiler.for_each(written),
        None => (None, false),
    };
    let when = entry.when.as_ref().map(|written| compiler.condition(written));
    let item = item(compiler, at, entry);
    if entered {
        compiler.names.leave();
    }
    let rule = ListRule { repeat, when: when.flatten(), item: item? };
    Some(MemberKind::List { min, max, entries: vec![rule] })
}

fn item(compiler: &mut Compiler<'_>, at: Declared, entry: &ListEntry) -> Option<ItemRule> {
    let target: &Schema = compiler.inputs.target;
    let item =
        at.map(|at| target.element(at)).filter(|item| !item.open || item.kind == Kind::Group);
    let is_object = item.is_none_or(|item| item.kind == Kind::Group);
    let is_value = item.is_none_or(|item| item.kind != Kind::Group);
    let (wrong, remedy) = match &entry.item {
        ItemEntry::Value(..) if !is_value => ("objects", "write `fields` for `value`"),
        ItemEntry::Object { .. } if !is_object => ("single values", "write `value` for `fields`"),
        ItemEntry::Value(name, entry) => {
            // Items have no names of their own.
            let place = Place { name: String::new(), at };
            return value(compiler, &[place], name, entry).map(ItemRule::Value);
        }
        ItemEntry::Object { fields, lists } => {
            let written = Written { fields, lists, mark: entry.path.mark };
            return Some(ItemRule::Object(object(compiler, at, &written)));
        }
    };
    let message = format!("the items of `{}` are {wrong}", entry.path.value);
    compiler.problems.advise(entry.path.mark, message, remedy);
    None
}

/// Puts a member at its place, and the objects around it where they are not there yet.
fn insert(
    compiler: &mut Compiler<'_>,
    members: &mut Vec<Member>,
    steps: &[Place],
    leaf: (&Spanned<String>, MemberKind),
) {
    let Some((first, below)) = steps.split_first() else { return };
    let target: &Schema = compiler.inputs.target;
    let (path, kind) = leaf;
    let at = members.iter().position(|member| *member.name == *first.name);
    let Some(at) = at else {
        let element = first.at.map(|at| target.element(at));
        let kind = if below.is_empty() {
            kind
        } else {
            let mut inner = Vec::new();
            insert(compiler, &mut inner, below, (path, kind));
            MemberKind::Object(inner)
        };
        members.push(Member {
            name: first.name.as_str().into(),
            spot: spot(path.mark),
            required: element.is_some_and(|element| element.min > 0),
            what: kind,
        });
        return;
    };
    match (&mut members[at].what, kind) {
        (MemberKind::Object(inner), kind) if !below.is_empty() => {
            insert(compiler, inner, below, (path, kind));
        }
        // Several entries of one list follow each other.
        (MemberKind::List { entries, .. }, MemberKind::List { entries: more, .. })
            if below.is_empty() =>
        {
            entries.extend(more);
        }
        _ => {
            let message = format!("`{}` stands here twice", path.value);
            compiler.problems.add(path.mark, message);
        }
    }
}

/// Brings members into the order of the schema, and reports what it requires and nobody wrote.
/// `around` is the whole object as it is written, and where in it `members` are.
fn finish<'m>(
    compiler: &mut Compiler<'_>,
    members: &'m mut [Member],
    at: Declared,
    around: (&Written<'_>, &mut Vec<&'m str>),
) {
    let target: &Schema = compiler.inputs.target;
    let (written, prefix) = around;
    let declared = |name: &str| at.and_then(|at| target.child(at, name));
    members.sort_by_key(|member| declared(&member.name).map_or(usize::MAX, ElementId::index));
    for id in at.map_or(&[][..], |at| target.element(at).children()) {
        let element = target.element(*id);
        // The item of a list is no member.
        if element.min > 0 && !element.name.is_empty() && !written.names(prefix, &element.name) {
            let message = format!("`{}` is required by the schema and not mapped", element.name);
            compiler.problems.add(written.mark, message);
        }
    }
    for member in members {
        if let MemberKind::Object(inner) = &mut member.what {
            prefix.push(&member.name);
            finish(compiler, inner, declared(&member.name), (written, prefix));
            prefix.pop();
        }
    }
}

impl Written<'_> {
    /// Whether something is written for `name` below `prefix`, right or wrong: what is wrong was
    /// reported as such.
    fn names(&self, prefix: &[&str], name: &str) -> bool {
        let wanted = prefix.iter().chain(Some(&name));
        let fields = self.fields.iter().map(|(path, _)| path);
        let mut paths = fields.chain(self.lists.iter().map(|list| &list.path));
        paths.any(|path| {
            let Ok(path) = Path::parse(&path.value) else { return false };
            let mut steps = path.steps().iter();
            wanted
                .clone()
                .all(|name| matches!(steps.next(), Some(Step::Name(step)) if step == name))
        })
    }
}
