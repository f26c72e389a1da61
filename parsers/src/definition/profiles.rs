//! Profiles of messages, which ship with this crate.
//!
//! They are written by hand, in words of our own: segments, groups, positions and their names, as far
//! as partners of a manufacturer use them. They say nothing of lengths, characters and code lists,
//! which differ by release. A message that changed its structure has a profile for each structure.

use crate::definition::file::read_definition;
use crate::definition::model::{Definition, Standard};
use crate::definition::nest::misfits;
use crate::definition::service::service;
use crate::definition::set::Definitions;
use crate::document::Document;

/// Texts of the messages of a standard; one with two structures has two.
type Texts = &'static [(&'static str, &'static str)];

macro_rules! texts {
    ($folder:literal: $($message:literal $file:literal),+) => {
        &[$(($message, include_str!(concat!("../../profiles/", $folder, "/", $file, ".edidef")))),+]
    };
}

const EDIFACT: Texts = texts!["edifact":
    "APERAK" "aperak",
    "DELFOR" "delfor-d96a", "DELFOR" "delfor", "DELFOR" "delfor-d21b",
    "DELJIT" "deljit-d96a", "DELJIT" "deljit",
    "DESADV" "desadv",
    "IFTMIN" "iftmin",
    "IFTSTA" "iftsta", "IFTSTA" "iftsta-d21b",
    "INVOIC" "invoic", "INVOIC" "invoic-d21b",
    "ORDERS" "orders", "ORDERS" "orders-d21b",
    "ORDRSP" "ordrsp", "ORDRSP" "ordrsp-d21b",
    "RECADV" "recadv"
];

const X12: Texts = texts!["x12":
    "120" "120", "121" "121", "126" "126", "140" "140", "141" "141", "142" "142", "143" "143",
    "214" "214", "810" "810", "820" "820", "824" "824", "856" "856"
];

const EDIFACT_SEGMENTS: &str = include_str!("../../profiles/edifact/segments.edidef");
const X12_SEGMENTS: &str = include_str!("../../profiles/x12/segments.edidef");

fn texts(standard: Standard) -> (Texts, &'static str) {
    match standard {
        Standard::Edifact => (EDIFACT, EDIFACT_SEGMENTS),
        Standard::X12 => (X12, X12_SEGMENTS),
    }
}

/// The messages that have a profile, each once. The acknowledgements of a standard are among them.
pub fn profile_names(standard: Standard) -> Vec<String> {
    let mut names: Vec<String> =
        texts(standard).0.iter().map(|(message, _)| (*message).to_owned()).collect();
    names.extend(service(standard).messages.into_keys());
    names.sort_unstable();
    names.dedup();
    names
}

/// The profiles of a message, one for each structure that it had, the oldest first. None where no
/// profile ships.
pub fn profiles(standard: Standard, message: &str) -> Vec<Definition> {
    let (texts, segments) = texts(standard);
    let texts = texts.iter().filter(|(name, _)| *name == message);
    // They are tested; one that could not be read would only be missing.
    let read = texts.filter_map(|(_, text)| read_definition(text.as_bytes()).ok());
    let mut profiles: Vec<Definition> = read.collect();
    if profiles.is_empty() {
        let service = service(standard);
        profiles.extend(service.messages.contains_key(message).then_some(service));
        return profiles;
    }
    let Ok(segments) = read_definition(segments.as_bytes()) else { return profiles };
    for profile in &mut profiles {
        let used = profile.messages.values().flat_map(|message| &message.items);
        let used = used.filter(|item| !item.is_group());
        let used = used.filter_map(|item| segments.segments.get_key_value(&item.name));
        profile.segments = used.map(|(tag, segment)| (tag.clone(), segment.clone())).collect();
        profile.composites.clone_from(&segments.composites);
        profile.add_service();
    }
    profiles
}

/// The profile that a message fits best; of those it fits as well, the one for its release.
pub fn best_profile<'p, P: AsRef<Definition>>(
    profiles: &'p [P],
    document: &Document,
    message: &str,
    release: &str,
) -> Option<&'p P> {
    let mut known = Definitions::new();
    for profile in profiles {
        known.add(profile.as_ref().standard, profile.as_ref().release.clone());
    }
    profiles.iter().min_by_key(|profile| {
        let profile: &Definition = (*profile).as_ref();
        let misfits =
            profile.messages.get(message).map_or(usize::MAX, |table| misfits(document, table));
        let is_near = known.nearest(profile.standard, release) == Some(&*profile.release);
        (misfits, !is_near)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARDS: [Standard; 2] = [Standard::Edifact, Standard::X12];

    /// The profiles of all messages of a standard.
    fn all(standard: Standard) -> Vec<Definition> {
        profile_names(standard).iter().flat_map(|name| profiles(standard, name)).collect()
    }

    #[test]
    fn every_profile_is_of_its_message_and_names_its_segments() {
        for standard in STANDARDS {
            for (message, text) in texts(standard).0 {
                let profile = read_definition(text.as_bytes()).unwrap();
                assert!(profile.is_profile && profile.standard == standard, "{message}");
                assert_eq!(profile.messages.keys().collect::<Vec<_>>(), [message]);
                assert!(profile.segments.is_empty() && profile.elements.is_empty(), "{message}");
            }
            for profile in all(standard) {
                let items = profile.messages.values().flat_map(|message| &message.items);
                for item in items.filter(|item| !item.is_group()) {
                    assert!(!profile.segment_text(&item.name).is_empty(), "{}", item.name);
                }
            }
        }
    }

    #[test]
    fn every_segment_is_used_and_every_position_has_a_name() {
        for standard in STANDARDS {
            let all = all(standard);
            let known = read_definition(texts(standard).1.as_bytes()).unwrap();
            for tag in known.segments.keys() {
                assert!(all.iter().any(|profile| profile.segments.contains_key(tag)), "{tag}");
            }
            let of_segments = || known.segments.values().flat_map(|segment| &segment.uses);
            for place in of_segments() {
                let is_composite = standard == Standard::Edifact && place.id.starts_with('C');
                assert_eq!(known.composites.contains_key(&place.id), is_composite, "{}", place.id);
            }
            for id in known.composites.keys() {
                assert!(of_segments().any(|place| place.id == *id), "no segment has {id}");
            }
            let of_composites = known.composites.values().flat_map(|composite| &composite.uses);
            let mut places = of_segments().chain(of_composites);
            assert!(places.all(|place| !place.text.is_empty()));
        }
    }

    #[test]
    fn groups_are_called_as_the_segment_that_they_begin_with() {
        for (_, text) in EDIFACT.iter().chain(X12) {
            let profile = read_definition(text.as_bytes()).unwrap();
            for message in profile.messages.values() {
                for (at, item) in message.items.iter().enumerate().filter(|(_, i)| i.is_group()) {
                    let begun = &message.items[at + 1];
                    let twins = message.items[..at].iter().enumerate().filter(|(before, twin)| {
                        let is_same = twin.is_group() && twin.parent == item.parent;
                        is_same && message.items[before + 1].name == begun.name
                    });
                    let number = twins.count() + 1;
                    let plain = begun.name.clone();
                    let name = if number > 1 { format!("{plain}{number}") } else { plain };
                    assert_eq!(item.name, name);
                    assert_eq!((begun.min, begun.max), (1, 1), "{name}");
                }
            }
        }
    }

    #[test]
    fn the_acknowledgements_are_profiles_too() {
        assert_eq!(profiles(Standard::Edifact, "CONTRL").len(), 1);
        assert_eq!(profiles(Standard::X12, "999").len(), 1);
        assert_eq!(profiles(Standard::X12, "850"), []);
        assert!(profile_names(Standard::X12).contains(&"121".to_owned()));
    }
}
