//! The code lists.

use crate::definition::import::Faults;
use crate::definition::import::edifact::tables::{blocks, form, title};
use crate::definition::import::edifact::text::{head, is_element, is_sign, labelled};
use crate::definition::model::{Definition, ElementForm};

/// Values begin in this column or before it; what is further right explains them.
const LAST_VALUE_COLUMN: usize = 8;

/// The rest of a value's name is indented by less than this; its explanation by more.
const FIRST_TEXT_COLUMN: usize = 13;

/// Signs of change stand in these columns, and no value does: up to D.98A values begin in the fourth,
/// later in the sixth. A letter there is a value, also an X.
const MARGIN: usize = 3;

/// Reads a code list. An element that the directory does not have gets the form of the list.
pub(super) fn read(text: &str, definition: &mut Definition, faults: &mut Faults<'_>) {
    for (start, lines) in blocks(text) {
        let Some((id, first)) = lines.first().and_then(|line| head(line)) else { continue };
        if !is_element(id) {
            continue;
        }
        let Some(form) = form(&lines) else {
            faults.push("no-form", start + 1, format!("element {id} has no form (`Repr:`)"));
            continue;
        };
        let named = || ElementForm { text: title(first, &lines), ..form };
        let element = definition.elements.entry(id.to_owned()).or_insert_with(named);
        element.codes.extend(values(&lines));
        element.sort_codes();
    }
}

/// The values behind the form of the element.
fn values(lines: &[&str]) -> Vec<(String, String)> {
    let form = lines.iter().position(|line| labelled(line, "Repr:").is_some());
    let mut values: Vec<(String, String)> = Vec::new();
    let (mut in_note, mut in_name) = (false, false);
    for line in lines.iter().skip(form.map_or(lines.len(), |at| at + 1)) {
        let text = line.trim();
        if text.is_empty() {
            (in_note, in_name) = (false, false);
            continue;
        }
        let (column, text) = unsigned(line);
        in_note |= column <= LAST_VALUE_COLUMN && text.starts_with("Note");
        if in_note {
            continue;
        }
        if column <= LAST_VALUE_COLUMN {
            let (value, name) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            values.push((value.to_owned(), name.trim().to_owned()));
            in_name = true;
        } else if column < FIRST_TEXT_COLUMN && in_name {
            if let Some((_, name)) = values.last_mut() {
                name.push(' ');
                name.push_str(text);
            }
        } else {
            in_name = false;
        }
    }
    values
}

/// Where the text of a line begins, and the text, without signs of change in the margin: a value can
/// look like a sign.
fn unsigned(line: &str) -> (usize, &str) {
    let margin: usize = line.chars().take(MARGIN).map(char::len_utf8).sum();
    let (margin, rest) = line.split_at(margin);
    let is_signs = margin.split_whitespace().all(is_sign);
    let (before, text) = if is_signs { (MARGIN, rest) } else { (0, line) };
    let blanks = text.chars().take_while(|c| c.is_whitespace()).count();
    (before + blanks, text.trim())
}
