//! Documents as people read them: a segment or field a line, with what it means.

use std::io;

use waybill_parsers::definition::{Definition, Use};
use waybill_parsers::{Element, ElementId, Kind, Node, Problem, Schema, Severity};

use crate::cli::formats::seen::Seen;
use crate::cli::output::{Output, Style, padded};

/// A problem, with its line and a caret below it where the line is still known.
pub(in crate::cli) fn show_problem(
    problem: &Problem,
    seen: &Seen,
    out: &mut Output<'_>,
) -> io::Result<()> {
    let style = match problem.severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
    };
    let excerpt = seen.excerpt(problem.place.offset);
    let mut problem = problem.clone();
    if let Some(excerpt) = excerpt.as_ref().filter(|_| problem.place.line == 0) {
        (problem.place.line, problem.place.column) = (excerpt.line, excerpt.column);
    }
    out.styled(&[(style, &format!("! {problem}"))])?;
    let Some(excerpt) = excerpt.filter(|excerpt| !excerpt.text.is_empty()) else {
        return Ok(());
    };
    let blanks = " ".repeat(excerpt.caret);
    writeln!(out, "  | {}", excerpt.text)?;
    out.styled(&[(Style::Plain, "  | "), (Style::Plain, &blanks), (style, "^")])
}

/// What the names in a document mean.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Meanings<'a> {
    /// By position, of EDIFACT and X12; without a definition where there is none.
    Positions { definition: Option<&'a Definition>, has_repetition: bool },
    /// By name, of IDocs and fixed-length records.
    Names(Option<&'a Schema>),
    /// Of values without segments.
    None,
}

/// A tree on its way out.
pub(in crate::cli) struct Tree<'a> {
    pub(in crate::cli) meanings: Meanings<'a>,
}

impl Tree<'_> {
    /// What is below the root of a document.
    pub(in crate::cli) fn document(&self, root: Node<'_>, out: &mut Output<'_>) -> io::Result<()> {
        let at = match self.meanings {
            Meanings::Names(schema) => schema.map(Schema::root),
            Meanings::Positions { .. } | Meanings::None => None,
        };
        root.children().try_for_each(|child| self.node(child, at, 0, out))
    }

    fn node(
        &self,
        node: Node<'_>,
        parent: Option<ElementId>,
        depth: usize,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let at = self.declared(parent, node.name());
        let is_positional = matches!(self.meanings, Meanings::Positions { .. });
        match node.kind() {
            Kind::Group | Kind::Segment | Kind::List => {
                self.heading(node, at, depth, out)?;
                if is_positional && node.kind() == Kind::Segment {
                    return self.elements(node, depth + 1, out);
                }
                node.children().try_for_each(|child| self.node(child, at, depth + 1, out))
            }
            _ if node.children().next().is_some() => {
                self.line((node.name(), node.text(), ""), depth, out)?;
                node.children().try_for_each(|child| self.node(child, at, depth + 1, out))
            }
            _ => self.field(node, at, depth, out),
        }
    }

    fn heading(
        &self,
        node: Node<'_>,
        at: Option<ElementId>,
        depth: usize,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let meaning = match (self.meanings, node.name()) {
            (Meanings::Positions { definition, .. }, tag) => {
                definition.map_or("", |definition| definition.segment_text(tag))
            }
            (Meanings::Names(_), "EDI_DC40") => "Control record",
            (Meanings::Names(_), "EDI_DS40") => "Status record",
            (Meanings::None, _) => "",
            (Meanings::Names(_), _) => self.element(at).map_or("", |element| &element.text),
        };
        let title = if node.name().is_empty() { "-" } else { node.name() };
        let blanks = " ".repeat(2 * depth);
        out.styled(&[
            (Style::Plain, &blanks),
            (Style::Name, title),
            (Style::Plain, "  "),
            (Style::Meaning, meaning),
        ])
    }

    fn field(
        &self,
        node: Node<'_>,
        at: Option<ElementId>,
        depth: usize,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let meaning = match self.element(at) {
            None if matches!(self.meanings, Meanings::Names(_)) => {
                control_text(node.name()).to_owned()
            }
            None => String::new(),
            Some(element) => {
                let mut codes = element.codes.iter();
                let code = codes.find(|(code, text)| code == node.text() && !text.is_empty());
                match code {
                    Some((_, code)) => format!("{}: {code}", element.text),
                    None => element.text.clone(),
                }
            }
        };
        self.line((node.name(), node.text(), &meaning), depth, out)
    }

    fn line(
        &self,
        (name, value, meaning): (&str, &str, &str),
        depth: usize,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let blanks = 2 * depth;
        let (name, value) = (padded(name, 10), padded(value, 24));
        let line = format!("{:blanks$}{name} {value}  ", "");
        out.styled(&[(Style::Plain, &line), (Style::Meaning, meaning)])
    }

    /// The elements of a segment by their positions: `2`, `2.1`, and `2[3].1` where it repeats.
    fn elements(&self, segment: Node<'_>, depth: usize, out: &mut Output<'_>) -> io::Result<()> {
        for (at, element) in segment.children().enumerate() {
            if element.kind() == Kind::Attribute {
                self.line((element.name(), element.text(), ""), depth, out)?;
                continue;
            }
            let place = self.place(segment.name(), at);
            let label = (at + 1).to_string();
            if element.kind() != Kind::List {
                self.value(element, (&label, place), depth, out)?;
                continue;
            }
            for (repetition, element) in element.children().enumerate() {
                let label = format!("{label}[{}]", repetition + 1);
                self.value(element, (&label, place), depth, out)?;
            }
        }
        Ok(())
    }

    fn value(
        &self,
        element: Node<'_>,
        (label, place): (&str, Option<&Use>),
        depth: usize,
        out: &mut Output<'_>,
    ) -> io::Result<()> {
        let Meanings::Positions { definition, .. } = self.meanings else { return Ok(()) };
        let composite = definition
            .zip(place)
            .and_then(|(definition, place)| definition.composites.get(&place.id));
        let mut components: Vec<_> = element.children().collect();
        let is_simple = components.is_empty() && composite.is_none();
        if components.is_empty() {
            components.push(element);
        }
        for (at, component) in components.into_iter().enumerate() {
            if component.text().is_empty() {
                continue;
            }
            let label = if is_simple { label.to_owned() } else { format!("{label}.{}", at + 1) };
            let place = match composite {
                Some(composite) => composite.uses.get(at),
                None => place.filter(|_| at == 0),
            };
            let meaning = definition.zip(place).map(|(definition, place)| {
                let text = definition.use_text(place);
                match definition.code_text(&place.id, component.text()) {
                    Some(code) if !code.is_empty() => format!("{text}: {code}"),
                    _ => text.to_owned(),
                }
            });
            self.line((&label, component.text(), &meaning.unwrap_or_default()), depth, out)?;
        }
        Ok(())
    }

    fn place(&self, tag: &str, at: usize) -> Option<&Use> {
        match self.meanings {
            Meanings::Positions { definition, has_repetition } => {
                definition?.place_of(tag, at, has_repetition)
            }
            Meanings::Names(_) | Meanings::None => None,
        }
    }

    fn declared(&self, parent: Option<ElementId>, name: &str) -> Option<ElementId> {
        match self.meanings {
            Meanings::Names(schema) => schema?.child(parent?, name),
            Meanings::Positions { .. } | Meanings::None => None,
        }
    }

    fn element(&self, at: Option<ElementId>) -> Option<&Element> {
        match self.meanings {
            Meanings::Names(schema) => Some(schema?.element(at?)),
            Meanings::Positions { .. } | Meanings::None => None,
        }
    }
}
/// What the fields of the control record mean, as far as people ask.
fn control_text(name: &str) -> &'static str {
    match name {
        "MANDT" => "Client",
        "DOCNUM" => "IDoc number",
        "DOCREL" => "SAP release",
        "STATUS" => "Status",
        "DIRECT" => "Direction: 1 from SAP, 2 to SAP",
        "TEST" => "Test flag",
        "IDOCTYP" => "IDoc type",
        "CIMTYP" => "Extension",
        "MESTYP" => "Message type",
        "MESCOD" => "Message variant",
        "MESFCT" => "Message function",
        "SNDPOR" => "Sender's port",
        "SNDPRT" => "Sender's partner type",
        "SNDPRN" => "Sender",
        "RCVPOR" => "Receiver's port",
        "RCVPRT" => "Receiver's partner type",
        "RCVPRN" => "Receiver",
        "CREDAT" => "Made on",
        "CRETIM" => "Made at",
        "REFINT" => "Reference of the interchange",
        "REFGRP" => "Reference of the message group",
        "REFMES" => "Reference of the message",
        "ARCKEY" => "Key of the archive",
        "SERIAL" => "Serialization",
        _ => "",
    }
}
