//! What a definition holds.

use std::collections::BTreeMap;

/// "Any number" of occurrences.
pub const ANY_NUMBER: u32 = u32::MAX;

/// Which standard a definition is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standard {
    /// UN/EDIFACT.
    Edifact,
    /// ANSI X12.
    X12,
}

impl Standard {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edifact => "edifact",
            Self::X12 => "x12",
        }
    }
}

/// One release of a standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The standard.
    pub standard: Standard,
    /// `D.21B`, or the version of X12 (`004010`).
    pub release: String,
    /// Whether these are rules of a user and not of the standard.
    pub is_profile: bool,
    /// Messages (transaction sets) by their type.
    pub messages: BTreeMap<String, Message>,
    /// Segments by their tag.
    pub segments: BTreeMap<String, Segment>,
    /// Composite elements by their number.
    pub composites: BTreeMap<String, Composite>,
    /// Elements by their number.
    pub elements: BTreeMap<String, ElementForm>,
}

impl Definition {
    /// A release with nothing in it.
    pub fn new(standard: Standard, release: impl Into<String>) -> Self {
        Self {
            standard,
            release: release.into(),
            is_profile: false,
            messages: BTreeMap::new(),
            segments: BTreeMap::new(),
            composites: BTreeMap::new(),
            elements: BTreeMap::new(),
        }
    }

    /// The name of a segment; empty where it is not known.
    pub fn segment_text(&self, tag: &str) -> &str {
        self.segments.get(tag).map_or("", |segment| &segment.text)
    }

    /// The name of what a position of a segment or composite holds.
    pub fn use_text<'d>(&'d self, place: &'d Use) -> &'d str {
        if !place.text.is_empty() {
            return &place.text;
        }
        match (self.composites.get(&place.id), self.elements.get(&place.id)) {
            (Some(composite), _) => &composite.text,
            (None, Some(element)) => &element.text,
            (None, None) => "",
        }
    }

    /// The place of element `at` (from 0) in a segment. An element that may be repeated stands for
    /// one position where `has_repetition` says that the syntax has a separator for repetitions, and
    /// for as many as it may occur where not (ISO 9735 before version 4).
    pub fn place_of(&self, tag: &str, at: usize, has_repetition: bool) -> Option<&Use> {
        let uses = &self.segments.get(tag)?.uses;
        if has_repetition || self.standard == Standard::X12 {
            return uses.get(at);
        }
        let mut left = at;
        for place in uses {
            let count = place.max as usize;
            if left < count {
                return Some(place);
            }
            left -= count;
        }
        None
    }

    /// The meaning of a value of an element; `None` where its list does not have it.
    pub fn code_text(&self, element: &str, value: &str) -> Option<&str> {
        self.elements.get(element)?.code(value)
    }
}

/// A message type: its segments and groups as the standard's own table has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The name of the message.
    pub text: String,
    /// The table, a group before what is in it.
    pub items: Vec<Item>,
}

/// One row of a message's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The tag of a segment, or the name of a group (`1`, `N1Loop1`).
    pub name: String,
    /// How often it must occur in the group around it.
    pub min: u32,
    /// How often it may occur.
    pub max: u32,
    /// The group around it; `None` at the top.
    pub parent: Option<usize>,
    /// For a group, the row behind all that is in it; 0 for a segment.
    pub end: usize,
}

impl Item {
    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        self.end > 0
    }
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its name.
    pub text: String,
    /// Its elements by position.
    pub uses: Vec<Use>,
}

/// What is in a composite element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composite {
    /// Its name.
    pub text: String,
    /// Its components by position.
    pub uses: Vec<Use>,
}

/// A position in a segment or composite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// The element or composite.
    pub id: String,
    /// Whether it must be there.
    pub mandatory: bool,
    /// How often it may be there.
    pub max: u32,
    /// Its name here, where that is not the name of the element.
    pub text: String,
}

/// Which characters an element may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Any (`an`, `AN`, `ID`).
    #[default]
    Any,
    /// No digits (`a`).
    Letters,
    /// A number with the decimal mark of the interchange (`n`, `R`).
    Number,
    /// Digits, with a sign and so many implied decimals (`N0` to `N9`).
    Digits(u8),
    /// A date, YYMMDD or YYYYMMDD (`DT`).
    Date,
    /// A time, HHMM to HHMMSSDD (`TM`).
    Time,
    /// Any bytes (`B`).
    Bytes,
}

/// The form of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElementForm {
    /// Its name.
    pub text: String,
    /// Its characters.
    pub class: Class,
    /// The least length.
    pub min: u32,
    /// The greatest length.
    pub max: u32,
    /// The values allowed, sorted, with their meanings; empty for any.
    pub codes: Vec<(String, String)>,
}

impl ElementForm {
    /// The meaning of a value.
    pub fn code(&self, value: &str) -> Option<&str> {
        let at = self.codes.binary_search_by(|(code, _)| code.as_str().cmp(value)).ok()?;
        self.codes.get(at).map(|(_, text)| text.as_str())
    }

    /// Puts the values in their order; of two meanings of one value the first is kept.
    pub fn sort_codes(&mut self) {
        self.codes.sort_by(|a, b| a.0.cmp(&b.0));
        self.codes.dedup_by(|later, first| later.0 == first.0);
    }
}
