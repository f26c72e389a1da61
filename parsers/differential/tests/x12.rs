//! The same segments as the crate x12-types, wherever it reads a file at all.
//!
//! It reads into one type for each set and writes back from it, so a file goes through it and then
//! through ours; the outcome is compared with what ours makes of the file itself.

#![allow(clippy::print_stdout, reason = "figures are shown")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use waybill_parsers::segment::Part;
use waybill_parsers::x12::{ReadOptions, Reader};
use waybill_parsers::{Kind, Node};
use x12_types::util::Parser;
use x12_types::{v004010, v005010};

/// Reads and writes by the other parser; `None` where it does not read to the end.
macro_rules! through {
    ($text:expr, $version:expr, $set:expr, $($module:ident $name:literal: $($kind:ident)*);*) => {
        match ($version, $set) {
            $($((name, set) if name == $name && set == &stringify!($kind)[1..] => {
                let read = $module::Transmission::<$module::$kind>::parse($text);
                read.ok().filter(|(rest, _)| rest.trim().is_empty()).map(|(_, it)| it.to_string())
            })*)*
            _ => None,
        }
    };
}

fn theirs(text: &str, version: &str, set: &str) -> Option<String> {
    through!(text, version, set,
        v004010 "00401": _204 _214 _301 _309 _310 _315 _322 _404 _810 _856 _940 _945 _997 _998;
        v005010 "00501": _204 _210 _211 _214 _270 _271 _276 _277 _278 _810 _820 _824 _830 _834
            _835 _837 _850 _855 _856 _860 _861 _862 _866 _997 _999)
}

/// The segments of sets: tag and elements, trailing empty ones left out.
fn ours(text: &str) -> Option<(String, String, Vec<String>)> {
    let (mut version, mut set, mut segments) = (String::new(), String::new(), Vec::new());
    for part in Reader::new(text.as_bytes(), ReadOptions::default()) {
        let Part::Message(reading) = part.ok()? else { continue };
        let root = reading.document.root();
        let gs = root.child("envelope")?.child("GS")?;
        version = gs.nth(7)?.text().chars().take(5).collect();
        root.name().clone_into(&mut set);
        let own = root.children().filter(|child| child.kind() == Kind::Segment);
        segments.extend(own.map(shape));
    }
    Some((version, set, segments))
}

fn shape(segment: Node<'_>) -> String {
    let value = |element: Node<'_>| {
        let parts: Vec<_> = element.children().map(Node::text).collect();
        let whole = parts.join(">");
        let whole = if parts.is_empty() { element.text() } else { &whole };
        whole.trim_end_matches('>').trim_end().to_owned()
    };
    let elements: Vec<_> = segment.children().map(value).collect();
    let line = format!("{}*{}", segment.name(), elements.join("*"));
    line.trim_end_matches('*').to_owned()
}

/// Where the other parser differs, and why.
const CAUSES: [(&str, &str); 2] = [
    ("pyx12--834_eol_in_element.ack.x12", "its AK1 has two elements and drops the third"),
    ("x12net--ResponseTransmission.txt", "it writes HL loops in the order of their levels"),
];

/// Whether a file has a cause, and still the same segments but for that.
fn is_explained(path: &Path, ours: &[String], theirs: &[String]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let sorted = |segments: &[String]| {
        let mut tags: Vec<_> =
            segments.iter().map(|s| s.split('*').next().map(str::to_owned)).collect();
        tags.sort();
        tags
    };
    CAUSES.iter().any(|(known, _)| Some(*known) == name) && sorted(ours) == sorted(theirs)
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = root.join("../shared/corpus/x12");
    if !corpus.is_dir() {
        println!("no corpus at {}: only the cases of the repository", corpus.display());
    }
    let mut files: Vec<_> =
        fs::read_dir(corpus).into_iter().flatten().flatten().map(|file| file.path()).collect();
    let cases = fs::read_dir(root.join("testdata/x12")).into_iter().flatten().flatten();
    files.extend(cases.map(|case| case.path().join("input.edi")));
    files.sort();
    files
}

#[test]
fn segments_are_those_of_another_parser() {
    let (mut read, mut same, mut explained, mut differ) = (0, 0, 0, Vec::new());
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Some((version, set, segments)) = ours(&text) else { continue };
        // It can panic on values that it does not know.
        let Ok(Some(written)) = catch_unwind(|| theirs(&text, &version, &set)) else { continue };
        read += 1;
        let again = ours(&written).map(|(_, _, segments)| segments);
        if again.as_ref() == Some(&segments) {
            same += 1;
        } else {
            let again = again.unwrap_or_default();
            if is_explained(&path, &segments, &again) {
                explained += 1;
                continue;
            }
            let first = segments.iter().zip(&again).find(|(ours, theirs)| ours != theirs);
            let counts = (segments.len(), again.len());
            differ.push(format!("{}: {counts:?} {first:?}", path.display()));
        }
    }
    println!("{same} of {read} files have the same segments, {explained} differ by a known cause");
    differ.iter().for_each(|line| println!("{line}"));
    assert_eq!(differ, Vec::<String>::new());
}
