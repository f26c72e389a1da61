//! The directories of segments, composite elements and elements.

use crate::definition::file::form_of;
use crate::definition::import::Faults;
use crate::definition::import::edifact::text::{
    head, is_composite, is_element, is_rule, is_sign, labelled, name,
};
use crate::definition::model::{Composite, Definition, ElementForm, Segment, Use};

/// The definitions of a file: the line of the head (from 0), and the lines below it.
pub(super) fn blocks(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut blocks: Vec<(usize, Vec<&str>)> = vec![(0, Vec::new())];
    for (at, line) in text.lines().enumerate() {
        if is_rule(line) {
            blocks.push((at + 1, Vec::new()));
        } else if let Some((start, lines)) = blocks.last_mut() {
            if lines.is_empty() && line.trim().is_empty() {
                *start = at + 1;
            } else {
                lines.push(line.trim_end());
            }
        }
    }
    blocks.retain(|(_, lines)| !lines.is_empty());
    blocks
}

/// The name of a definition: the rest of its first line, and the lines up to a blank one.
pub(super) fn title<'l>(first: &'l str, lines: &[&'l str]) -> String {
    let rest = lines.iter().skip(1).take_while(|line| !line.trim().is_empty());
    let mut title = strip_usage(first).to_owned();
    for line in rest {
        title.push(' ');
        title.push_str(strip_usage(line));
    }
    name(&title)
}

fn strip_usage(line: &str) -> &str {
    let line = line.trim();
    let mark = ["[B]", "[I]", "[C]"].iter().find_map(|mark| line.strip_suffix(mark));
    mark.map_or(line, str::trim_end)
}

/// Reads the segment directory.
pub(super) fn segments(text: &str, definition: &mut Definition, faults: &mut Faults<'_>) {
    for (start, lines) in blocks(text) {
        let Some((tag, first)) = lines.first().and_then(|line| head(line)) else { continue };
        let is_tag =
            tag.len() == 3 && tag.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !is_tag || !has_line(&lines, "Function:") {
            continue;
        }
        let segment = Segment { text: title(first, &lines), uses: uses(start, &lines, faults) };
        definition.segments.entry(tag.to_owned()).or_insert(segment);
    }
}

/// Reads the directory of composite elements.
pub(super) fn composites(text: &str, definition: &mut Definition, faults: &mut Faults<'_>) {
    for (start, lines) in blocks(text) {
        let Some((id, first)) = lines.first().and_then(|line| head(line)) else { continue };
        if !is_composite(id) {
            continue;
        }
        let composite = Composite { text: title(first, &lines), uses: uses(start, &lines, faults) };
        definition.composites.entry(id.to_owned()).or_insert(composite);
    }
}

/// Reads the directory of elements.
pub(super) fn elements(text: &str, definition: &mut Definition, faults: &mut Faults<'_>) {
    for (start, lines) in blocks(text) {
        let Some((id, first)) = lines.first().and_then(|line| head(line)) else { continue };
        if !is_element(id) {
            continue;
        }
        let Some(form) = form(&lines) else {
            faults.push("no-form", start + 1, format!("element {id} has no form (`Repr:`)"));
            continue;
        };
        let element = ElementForm { text: title(first, &lines), ..form };
        definition.elements.entry(id.to_owned()).or_insert(element);
    }
}

fn has_line(lines: &[&str], word: &str) -> bool {
    lines.iter().any(|line| labelled(line, word).is_some())
}

/// The form of an element, by the line `Repr: an..35`.
pub(super) fn form(lines: &[&str]) -> Option<ElementForm> {
    let line = lines.iter().find_map(|line| labelled(line, "Repr:"))?;
    let form: String = line.split_whitespace().collect();
    let (class, min, max) = form_of(&form)?;
    Some(ElementForm { class, min, max, ..ElementForm::default() })
}

/// The positions of a segment or composite: the rows with a position number.
fn uses(start: usize, lines: &[&str], faults: &mut Faults<'_>) -> Vec<Use> {
    let mut uses = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut words = line.split_whitespace();
        let is_position =
            |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        if !line.starts_with(|c: char| c.is_ascii_digit()) || !words.next().is_some_and(is_position)
        {
            continue;
        }
        let Some(id) = words.find(|word| !is_sign(word)) else { continue };
        if !is_element(id) && !is_composite(id) {
            continue;
        }
        // The status may stand in one of the next lines, behind the rest of the name.
        let rows = lines.iter().skip(at).take(3);
        match rows.take_while(|row| !row.trim().is_empty()).find_map(|row| status(row)) {
            Some((mandatory, max)) => {
                let text = String::new();
                uses.push(Use { id: id.to_owned(), mandatory, max, text });
            }
            None => faults.push("no-status", start + at + 1, format!("{id} has no status")),
        }
    }
    uses
}

/// Status and occurrences at the end of a row: `M    1 an..35`, `C      an..3`, `C`.
fn status(row: &str) -> Option<(bool, u32)> {
    let mut words = row.split_whitespace().rev().peekable();
    if words.peek().is_some_and(|word| word.starts_with(['a', 'n']) && form_of(word).is_some()) {
        words.next();
    }
    let max = words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let max = max.map_or(Some(1), |max| max.parse().ok()).filter(|max| *max > 0)?;
    match words.next()? {
        "M" => Some((true, max)),
        "C" => Some((false, max)),
        _ => None,
    }
}
