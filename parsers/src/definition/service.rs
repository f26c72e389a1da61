//! What every release has: envelopes and acknowledgements.

use crate::definition::file::read_definition;
use crate::definition::model::{Definition, Standard};
use crate::edifact::syntax_error_text;

const EDIFACT: &str = include_str!("service.edidef");
const X12: &str = include_str!("service_x12.edidef");

/// The service segments of a standard with the names of their elements, and its acknowledgements:
/// CONTRL; 997 and 999. They are written by hand and ship with this crate.
pub fn service(standard: Standard) -> Definition {
    let text = match standard {
        Standard::Edifact => EDIFACT,
        Standard::X12 => X12,
    };
    // They are tested; one that could not be read would only be missing.
    let read = read_definition(text.as_bytes());
    let mut definition = read.unwrap_or_else(|_| Definition::new(standard, "service"));
    if let Some(error) = definition.elements.get_mut("0085") {
        let texts = (1..=99).filter_map(|code| Some((code, syntax_error_text(code)?)));
        error.codes = texts.map(|(code, text)| (code.to_string(), text.to_owned())).collect();
        error.sort_codes();
    }
    definition
}

impl Definition {
    /// Adds what every release has and this one does not.
    pub fn add_service(&mut self) {
        let service = service(self.standard);
        for (name, message) in service.messages {
            self.messages.entry(name).or_insert(message);
        }
        for (tag, segment) in service.segments {
            self.segments.entry(tag).or_insert(segment);
        }
        for (id, composite) in service.composites {
            self.composites.entry(id).or_insert(composite);
        }
        for (id, element) in service.elements {
            let known = self.elements.entry(id).or_insert_with(|| element.clone());
            if known.codes.is_empty() {
                known.codes = element.codes;
            }
        }
    }
}

/// Whether a segment is one of the envelope, which the readers check.
pub(super) fn is_envelope(standard: Standard, tag: &str) -> bool {
    match standard {
        Standard::Edifact => matches!(tag, "UNA" | "UNB" | "UNG" | "UNH" | "UNT" | "UNE" | "UNZ"),
        Standard::X12 => matches!(tag, "ISA" | "GS" | "ST" | "SE" | "GE" | "IEA" | "TA1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_can_be_read_and_is_complete() {
        for (standard, text) in [(Standard::Edifact, EDIFACT), (Standard::X12, X12)] {
            assert_eq!(read_definition(text.as_bytes()).unwrap().standard, standard);
            let definition = service(standard);
            let segments = definition.segments.values().flat_map(|segment| &segment.uses);
            let composites = definition.composites.values().flat_map(|composite| &composite.uses);
            for place in segments.chain(composites) {
                let text = definition.use_text(place);
                assert!(!text.is_empty(), "{} is not defined", place.id);
            }
            for item in definition.messages.values().flat_map(|message| &message.items) {
                assert!(item.is_group() || definition.segments.contains_key(&item.name));
            }
        }
        assert_eq!(
            service(Standard::Edifact).code_text("0085", "29"),
            Some("count does not match")
        );
    }

    #[test]
    fn a_release_keeps_its_own() {
        let mut definition = Definition::new(Standard::X12, "004010");
        definition.segments.insert("ST".to_owned(), Default::default());
        definition.add_service();
        assert_eq!(definition.segments["ST"].uses, []);
        assert_eq!(definition.segment_text("AK9"), "Answer to the group");
    }
}
