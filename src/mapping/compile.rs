//! The file as written to a [`Mapping`]: every path against the source schema, every segment and
//! field against the target schema, every constant and code against its field.

use std::sync::Arc;

use waybill_parsers::{DataType, Element, ElementId, Kind, Schema, idoc};

use super::Mapping;
use super::apply::{Makes, SegmentGroup, SegmentRule};
use super::expr::{Expr, Spot, read_path};
use super::file::{FormatEntry, MappingFile, SegmentEntry};
use super::lookup::{Names, Repeat};
use super::object;
use super::rule;
use super::written::Written;
use crate::diagnostic::{Mark, Problems, Spanned};
use crate::table::Table;

/// Segments that the program writes itself: the control record in both its versions.
const CONTROL_RECORDS: [&str; 2] = ["EDI_DC40", "EDI_DC"];

/// What a mapping is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What events look like: their JSON Schema, [`Schema::open`] where nobody declared it, or
    /// [`idoc_source`] of their IDoc type.
    pub source: &'a Schema,
    /// What the documents look like: the IDoc type, the JSON Schema, or [`Schema::open`].
    pub target: &'a Schema,
    /// The tables, by the names that the mapping gives them.
    pub tables: &'a [(String, Arc<Table>)],
}

/// Checks `file` and makes it ready to be applied; `None` where `problems` got mistakes.
pub fn compile(
    file: &MappingFile,
    inputs: &Inputs<'_>,
    problems: &mut Problems,
) -> Option<Mapping> {
    let before = problems.len();
    let mut compiler = Compiler { inputs, names: Names::of(inputs.source), problems, file };
    compiler.tables();
    let makes = match &file.to {
        FormatEntry::Idoc { idoc_type, message } => {
            let root = inputs.target.root();
            let groups = compiler.segments(&file.segments, root, file.name.mark);
            if file.segments.is_empty() && problems.len() == before {
                problems.add(file.name.mark, "the mapping has no segments");
            }
            let text = |written: &Spanned<String>| written.value.as_str().into();
            Makes::Idoc { idoc_type: text(idoc_type), message: text(message), groups }
        }
        FormatEntry::Json(_) => {
            let members = object::root(&mut compiler, file);
            if members.is_empty() && problems.len() == before {
                problems.add(file.name.mark, "the mapping has no fields");
            }
            Makes::Json(members)
        }
    };
    let reads = match &file.from {
        FormatEntry::Idoc { message, .. } => Some(message.value.as_str().into()),
        FormatEntry::Json(_) => None,
    };
    (problems.len() == before).then(|| Mapping {
        name: file.name.value.as_str().into(),
        file: problems.file().name.clone(),
        reads,
        makes,
    })
}

/// The schema of IDocs as mappings read them: `schema` with the control record, which every IDoc
/// has and no definition declares.
pub fn idoc_source(schema: &Schema) -> Schema {
    let mut source = schema.clone();
    if source.child(source.root(), CONTROL_RECORDS[0]).is_some() {
        return source;
    }
    let control = Element::new(Kind::Segment, CONTROL_RECORDS[0]);
    let control = source.add(source.root(), control);
    for column in idoc::EDI_DC40 {
        let mut field = Element::new(Kind::Field, column.name);
        field.length = u32::try_from(column.length).ok();
        field.data = match column.name {
            "CREDAT" => DataType::Date,
            "CRETIM" => DataType::Time,
            _ => DataType::Text,
        };
        source.add(control, field);
    }
    source
}

/// What a check of one part of the file works with.
pub(super) struct Compiler<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) names: Names<'a>,
    pub(super) problems: &'a mut Problems,
    pub(super) file: &'a MappingFile,
}

impl<'a> Compiler<'a> {
    /// The declared names of tables are those that were read.
    fn tables(&mut self) {
        for (name, _) in &self.file.tables {
            let read = self.inputs.tables.iter().any(|(other, _)| *other == name.value);
            if !read {
                self.problems.add(name.mark, format!("table `{}` could not be read", name.value));
            }
        }
    }

    /// The segments below `parent`, in the order of the schema; `mark` is where the parent stands.
    fn segments(
        &mut self,
        entries: &[SegmentEntry],
        parent: ElementId,
        mark: Mark,
    ) -> Vec<SegmentGroup> {
        let target: &'a Schema = self.inputs.target;
        let mut found: Vec<(ElementId, &SegmentEntry, SegmentRule)> = Vec::new();
        for entry in entries {
            if let Some(id) = self.segment_type(&entry.name, parent) {
                found.push((id, entry, self.segment(entry, id)));
            }
        }
        let mut groups = Vec::new();
        for id in target.element(parent).children().iter().copied() {
            let element = target.element(id);
            if element.kind != Kind::Segment || CONTROL_RECORDS.contains(&element.name.as_str()) {
                continue;
            }
            let (of_type, others) = found.into_iter().partition(|(other, ..)| *other == id);
            found = others;
            groups.extend(self.group(element, of_type, mark));
        }
        groups
    }

    /// All entries of one segment type, which are adjacent in the document.
    fn group(
        &mut self,
        element: &Element,
        entries: Vec<(ElementId, &SegmentEntry, SegmentRule)>,
        mark: Mark,
    ) -> Option<SegmentGroup> {
        let Some((_, first, _)) = entries.first() else {
            if element.min > 0 {
                let message = format!("segment {} is mandatory and not mapped", element.name);
                self.problems.add(mark, message);
            }
            return None;
        };
        let spot = spot(first.name.mark);
        let certain = |(_, entry, _): &&(_, &SegmentEntry, _)| {
            entry.for_each.is_none() && entry.when.is_none()
        };
        let certain: Vec<_> = entries.iter().filter(certain).collect();
        if certain.len() as u64 > element.max
            && let Some((_, last, _)) = certain.last()
        {
            let (name, max, count) = (&element.name, element.max, certain.len());
            let message =
                format!("{name} stands here {count} times, but occurs at most {max} times");
            self.problems.add(last.name.mark, message);
        }
        Some(SegmentGroup {
            name: element.name.as_str().into(),
            min: element.min,
            max: element.max,
            spot,
            entries: entries.into_iter().map(|(.., rule)| rule).collect(),
        })
    }

    /// The declared segment that `name` means below `parent`.
    fn segment_type(&mut self, name: &Spanned<String>, parent: ElementId) -> Option<ElementId> {
        let target = self.inputs.target;
        if CONTROL_RECORDS.contains(&name.value.as_str()) {
            let message = "the control record is not mapped";
            self.problems.advise(name.mark, message, "its fields come from the partner");
            return None;
        }
        let found = target.child(parent, &name.value);
        if let Some(id) = found.filter(|id| target.element(*id).kind == Kind::Segment) {
            return Some(id);
        }
        let above = target.elements().find(|(_, element)| {
            element.children().iter().any(|child| {
                let child = target.element(*child);
                child.kind == Kind::Segment && child.name == name.value
            })
        });
        if let Some((id, above)) = above {
            let place = match id == target.root() {
                true => "at the top, not below another segment".to_owned(),
                false => format!("under `segments:` of {}", above.name),
            };
            let message = format!("segment {} does not belong here", name.value);
            self.problems.advise(name.mark, message, format!("it stands {place}"));
            return None;
        }
        let segments = target.element(parent).children().iter().map(|id| target.element(*id));
        let names = segments.filter(|element| element.kind == Kind::Segment);
        let what = format!("segment of {}", target.name());
        self.problems.unknown(name.mark, &what, &name.value, names.map(|e| e.name.as_str()));
        None
    }

    fn segment(&mut self, entry: &SegmentEntry, id: ElementId) -> SegmentRule {
        let (repeat, entered) = match &entry.for_each {
            Some(written) => self.for_each(written),
            None => (None, false),
        };
        let when = entry.when.as_ref().and_then(|written| self.condition(written));
        let fields = rule::fields(self, entry, id);
        let children = self.segments(&entry.segments, id, entry.name.mark);
        if entered {
            self.names.leave();
        }
        SegmentRule { repeat, when, fields, children }
    }

    /// `path as name`, and whether the name was entered.
    pub(super) fn for_each(&mut self, written: &Spanned<String>) -> (Option<Repeat>, bool) {
        let text = Written::new(written, self.problems);
        let Some((path, name)) = text.text().rsplit_once(" as ") else {
            let message = "for_each: `path as name` is expected";
            self.problems.advise(written.mark, message, "for example `data.items as item`");
            return (None, false);
        };
        let name_at = text.text().len() - name.trim_start().len();
        let name = name.trim();
        let path_at = path.len() - path.trim_start().len();
        let path = text.part(path_at..path_at + path.trim().len());
        if !is_name(name) {
            let message = "for_each: the name is letters, digits and `_`";
            self.problems.add(text.mark(name_at), message);
            return (None, false);
        }
        let Some(steps) = read_path(&path, self.problems) else {
            return (None, false);
        };
        let repeat = match self.names.repeat(&steps) {
            Ok(repeat) => repeat,
            Err(bad) => {
                rule::report(self.problems, path.mark(0), bad);
                return (None, false);
            }
        };
        if let Err(bad) = self.names.enter(name, &repeat) {
            rule::report(self.problems, text.mark(name_at), bad);
        }
        (Some(repeat), true)
    }

    pub(super) fn condition(&mut self, written: &Spanned<String>) -> Option<Expr> {
        let text = Written::new(written, self.problems);
        Expr::condition(&text, &self.names, self.problems)
    }
}

fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(word) && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

pub(super) fn spot(mark: Mark) -> Spot {
    Spot { line: mark.line, column: mark.column }
}
