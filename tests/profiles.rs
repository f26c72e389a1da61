//! The profiles that ship, against directories and schemas that do not, and against files of others:
//! where those are not at hand, the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]
#![allow(clippy::print_stdout, reason = "a test that skips says so, and figures are read")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use waybill_parsers::definition::{
    ANY_NUMBER, Definition, Item, Level, Message, Standard, Use, best_profile, check,
    profile_names, profiles, read_definition, release_of,
};
use waybill_parsers::segment::Part;
use waybill_parsers::{Document, FrameError, edifact, x12};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the corpus; `None`, with a message, where it is not there.
fn corpus(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared/corpus").join(path);
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(path)
}

// --- rows of two tables ------------------------------------------------------------------------

/// A row of a message with the rows in it.
#[derive(Clone, Debug)]
struct Row {
    tag: String,
    min: u32,
    max: u32,
    below: Vec<Self>,
}

/// The rows of a message as a tree. A group is named by what it begins with.
fn tree(items: &[Item], rows: std::ops::Range<usize>) -> Vec<Row> {
    let (mut out, mut at) = (Vec::new(), rows.start);
    while at < rows.end {
        let item = &items[at];
        let (min, max) = (item.min, item.max);
        if item.is_group() {
            let below = tree(items, at + 1..item.end);
            let mut first = &below[0];
            while !first.below.is_empty() {
                first = &first.below[0];
            }
            out.push(Row { tag: first.tag.clone(), min, max, below });
            at = item.end;
        } else {
            out.push(Row { tag: item.name.clone(), min, max, below: Vec::new() });
            at += 1;
        }
    }
    out
}

fn rows(message: &Message) -> Vec<Row> {
    tree(&message.items, 0..message.items.len())
}

/// What of a profile's rows a directory does not allow: rows that it does not have in this order,
/// rows that it has less often, and mandatory ones that are left out.
fn beyond(profile: &[Row], directory: &[Row], path: &str) -> Vec<String> {
    let (mut out, mut at) = (Vec::new(), 0);
    for row in profile {
        let place = format!("{path}/{}", row.tag);
        let is_same =
            |other: &&Row| other.tag == row.tag && other.below.is_empty() == row.below.is_empty();
        let Some(found) = directory[at..].iter().position(|other| is_same(&other)) else {
            out.push(format!("{place}: not there, or not in this order"));
            continue;
        };
        let left_out = directory[at..at + found].iter().filter(|other| other.min > 0);
        out.extend(left_out.map(|other| format!("{path}/{}: mandatory, left out", other.tag)));
        let other = &directory[at + found];
        if row.min < other.min || row.max > other.max {
            let (min, max) = (row.min, row.max);
            out.push(format!("{place}: {min}..{max}, but {}..{}", other.min, other.max));
        }
        out.extend(beyond(&row.below, &other.below, &place));
        at += found + 1;
    }
    let left_out = directory[at..].iter().filter(|other| other.min > 0);
    out.extend(left_out.map(|other| format!("{path}/{}: mandatory, left out", other.tag)));
    out
}

fn shipped(standard: Standard) -> Vec<(String, Definition)> {
    let names = profile_names(standard).into_iter();
    let all = names.flat_map(|name| {
        profiles(standard, &name).into_iter().map(move |profile| (name.clone(), profile))
    });
    all.filter(|(_, profile)| profile.is_profile).collect()
}

// --- directories -------------------------------------------------------------------------------

/// The directories of the corpus, imported by the program into a folder that goes away.
fn directories() -> BTreeMap<String, Definition> {
    let mut out = BTreeMap::new();
    let folder = tempfile::tempdir().unwrap();
    for release in ["96A", "01B", "21B"] {
        let name = format!("D.{release}");
        let zip = format!("defs/d{}.zip", release.to_lowercase());
        let Some(zip) = corpus(&zip) else { continue };
        let mut import = Command::new(env!("CARGO_BIN_EXE_waybill"));
        import.args(["import", "edifact"]).arg(zip).arg("--to").arg(folder.path());
        assert!(import.output().unwrap().status.success());
        let text = fs::read(folder.path().join(format!("edifact-{name}.edidef"))).unwrap();
        out.insert(name, read_definition(&text).unwrap());
    }
    out
}

/// Whether the positions of a profile are those of a directory. A position that is mandatory there
/// is mandatory here.
fn positions(name: &str, ours: &[Use], theirs: &[Use], out: &mut Vec<String>) {
    for (at, place) in ours.iter().enumerate() {
        match theirs.get(at) {
            Some(other) if other.id == place.id && place.mandatory >= other.mandatory => {}
            other => out.push(format!("{name}/{}: {} is {other:?}", at + 1, place.id)),
        }
    }
    if ours.len() < theirs.len() {
        out.push(format!("{name}: {} positions of {}", ours.len(), theirs.len()));
    }
}

#[test]
fn profiles_allow_nothing_that_the_directory_of_their_release_forbids() {
    let directories = directories();
    let mut wrong = Vec::new();
    for (name, profile) in shipped(Standard::Edifact) {
        let Some(directory) = directories.get(&profile.release) else { continue };
        let path = format!("{} {name}", profile.release);
        let (ours, theirs) = (rows(&profile.messages[&name]), rows(&directory.messages[&name]));
        wrong.extend(beyond(&ours, &theirs, &path));
        for (release, other) in &directories {
            let count = beyond(&ours, &rows(&other.messages[&name]), &path).len();
            println!("{path}: {count} rows differ from {release}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_service(tag: &str) -> bool {
    tag.starts_with('U') || tag == "TXT"
}

#[test]
fn positions_are_those_of_the_directory() {
    let directories = directories();
    let mut wrong = Vec::new();
    let (Some(older), Some(newer)) = (directories.get("D.01B"), directories.get("D.21B")) else {
        return;
    };
    // What was added is in the newer directory only; what went is in the older one only.
    for (_, profile) in shipped(Standard::Edifact) {
        for (tag, segment) in profile.segments.iter().filter(|(tag, _)| !is_service(tag)) {
            let release = [older, newer].into_iter().find(|it| it.segments.contains_key(tag));
            let known = &release.unwrap().segments[tag].uses;
            if !segment.uses.is_empty() {
                positions(tag, &segment.uses, known, &mut wrong);
            }
        }
        for (id, composite) in profile.composites.iter().filter(|(id, _)| id.starts_with('C')) {
            let release = [older, newer].into_iter().find(|it| it.composites.contains_key(id));
            positions(id, &composite.uses, &release.unwrap().composites[id].uses, &mut wrong);
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// --- X12 -----------------------------------------------------------------------------------------

/// The rows of `ST BVS N7? G62?*3 VCLoop1[1..9999](VC DTM?*3) SE`, up to the bracket that closes.
fn notation<'t>(words: &mut impl Iterator<Item = &'t str>) -> Vec<Row> {
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        if word == ")" {
            break;
        }
        let number = |text: &str| match text {
            "*" | "unbounded" => ANY_NUMBER,
            text => text.parse().unwrap(),
        };
        if let Some((_, range)) = word.strip_suffix('(').and_then(|word| word.split_once('[')) {
            let (min, max) = range.trim_end_matches(']').split_once("..").unwrap();
            let (min, max) = (number(min), number(max));
            let below = notation(words);
            out.push(Row { tag: below[0].tag.clone(), min, max, below });
            continue;
        }
        let (tag, max) = word.split_once('*').unwrap_or((word, "1"));
        let (min, tag) = (u32::from(!tag.ends_with('?')), tag.trim_end_matches('?'));
        out.push(Row { tag: tag.to_owned(), min, max: number(max), below: Vec::new() });
    }
    out
}

#[test]
fn profiles_of_x12_allow_nothing_that_the_schema_at_hand_forbids() {
    let Some(path) = corpus("defs/X12_004010_vehicle_and_warranty_sets.txt") else { return };
    let text = fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let profiles = shipped(Standard::X12);
    assert_eq!(profiles.len(), 12);
    for (name, profile) in profiles {
        let line = text.lines().find_map(|line| line.strip_prefix(&*format!("{name}: "))).unwrap();
        let spaced = line.replace('(', "( ").replace(')', " ) ");
        let theirs = notation(&mut spaced.split_whitespace());
        wrong.extend(beyond(&rows(&profile.messages[&name]), &theirs, &name));
        for (tag, segment) in &profile.segments {
            let known = listed(&text, tag);
            if !known.is_empty() && !segment.uses.is_empty() {
                positions(tag, &segment.uses, &known, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The positions of a segment in lines such as `  VC01 539 Vehicle Identification Number AN 1-25 M`.
fn listed(text: &str, tag: &str) -> Vec<Use> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(tag));
    let lines = lines.filter(|line| line.as_bytes()[..2].iter().all(u8::is_ascii_digit));
    let place = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        // The requirement stands behind the length, `1-25` or `None-None`.
        let is_length = |word: &&str| {
            let bounds = word.split_once('-');
            let is_bound = |it: &str| it == "None" || it.parse::<u32>().is_ok();
            bounds.is_some_and(|(least, most)| is_bound(least) && is_bound(most))
        };
        let length = words.iter().rposition(is_length).unwrap();
        let mandatory = words[length + 1] == "M";
        Use { id: words[1].to_owned(), mandatory, ..Use::default() }
    };
    lines.map(place).collect()
}

// --- files of others -----------------------------------------------------------------------------

fn parts(standard: Standard, bytes: &[u8]) -> Vec<Part> {
    fn until_error(parts: impl Iterator<Item = Result<Part, FrameError>>) -> Vec<Part> {
        parts.map_while(Result::ok).collect()
    }
    match standard {
        Standard::Edifact => until_error(edifact::Reader::new(bytes, Default::default())),
        Standard::X12 => until_error(x12::Reader::new(bytes, Default::default())),
    }
}

fn has_repetition(document: &Document, standard: Standard) -> bool {
    let envelope = document.root().child("envelope");
    let unb = envelope.and_then(|envelope| envelope.child("UNB"));
    let version = unb.and_then(|unb| unb.nth(0)?.nth(1));
    standard == Standard::X12 || version.is_some_and(|version| matches!(version.text(), "4" | "X"))
}

/// What is wrong with the messages of a file by the profile that each fits best.
fn judged(standard: Standard, bytes: &[u8]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut out: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for part in parts(standard, bytes) {
        let Part::Message(reading) = part else { continue };
        let Some(found) = release_of(&reading.document) else { continue };
        let profiles: Vec<_> =
            profiles(standard, &found.message).into_iter().map(Arc::new).collect();
        let best = best_profile(&profiles, &reading.document, &found.message, &found.release);
        let Some(profile) = best else { continue };
        let repeats = has_repetition(&reading.document, standard);
        let problems = out.entry(found.message.clone()).or_default();
        for problem in check(&reading, &found.message, profile, Level::Codes, repeats) {
            *problems.entry(format!("{} {}", problem.code, problem.place.path)).or_default() += 1;
        }
    }
    out
}

#[test]
fn files_of_others_fit_the_profiles_or_the_cause_is_known() {
    let table = fs::read_to_string(root().join("testdata/verdicts/profiles.tsv")).unwrap();
    let mut known: BTreeMap<(String, String), &str> = BTreeMap::new();
    for row in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        assert_eq!(columns.len(), 4, "{row}");
        assert!(!columns[3].is_empty(), "no cause: {row}");
        known.insert((columns[0].to_owned(), columns[1].to_owned()), columns[2]);
    }
    let (mut wrong, mut files, mut clean) = (Vec::new(), 0, 0);
    for (folder, standard) in [("edifact", Standard::Edifact), ("x12", Standard::X12)] {
        let Some(folder) = corpus(folder) else { return };
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            for (message, problems) in judged(standard, &fs::read(&path).unwrap()) {
                files += 1;
                let problems: Vec<_> = problems.into_keys().collect();
                let problems = problems.join(", ");
                let recorded = known.remove(&(name.clone(), message.clone())).unwrap_or_default();
                clean += usize::from(problems.is_empty());
                if problems != recorded {
                    wrong.push(format!("{name}\t{message}\t{problems}\t"));
                }
            }
        }
    }
    wrong.extend(known.into_keys().map(|row| format!("{row:?} is in the table and not found")));
    println!("{files} files and message types, {clean} of them fit");
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

// --- files of our own ------------------------------------------------------------------------------

fn waybill(arguments: &[&str], definitions: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).env("WAYBILL_DEFINITIONS", definitions).env("NO_COLOR", "1");
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// A file for each profile in `testdata/profiles`, with the tree that `show` prints where nothing was
/// imported. `UPDATE=1` writes the trees anew.
#[test]
fn every_profile_nests_its_file_as_recorded_and_finds_nothing_wrong() {
    let folder = root().join("testdata/profiles");
    let nothing = tempfile::tempdir().unwrap();
    let mut shown = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|it| it == "edi")) {
        let file = path.to_str().unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_uppercase();
        let name = stem.split('-').next().unwrap();
        let (code, tree) = waybill(&["show", file], nothing.path());
        assert_eq!(code, 0, "{file}:\n{tree}");
        let (code, strict) =
            waybill(&["show", "--level", "4", "--profile", name, file], nothing.path());
        assert_eq!((code, &strict), (0, &tree), "{file}");
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &tree).unwrap();
        }
        assert_eq!(fs::read_to_string(golden).unwrap_or_default(), tree, "{file}");
        shown.push(name.to_owned());
    }
    for name in [Standard::Edifact, Standard::X12].map(profile_names).concat() {
        let is_shown = shown.contains(&name) || ["997", "999"].contains(&name.as_str());
        assert!(is_shown, "no file for {name}");
    }
}

#[test]
fn what_a_profile_forbids_is_found_and_answered() {
    let nothing = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(root().join("testdata/profiles/121.edi")).unwrap();
    let bad = nothing.path().join("bad.edi");
    fs::write(&bad, good.replace("REF*BM*900001~", "N1*ST*DEALER 42~")).unwrap();
    let bad = bad.to_str().unwrap();
    let rules = ["--level", "4", "--profile", "121", bad];
    let (code, out) = waybill(&[&["show", "--json"], &rules[..]].concat(), nothing.path());
    assert_eq!(code, 1);
    assert!(out.contains("unknown-segment"), "{out}");
    let (code, out) = waybill(&[&["ack"], &rules[..]].concat(), nothing.path());
    assert_eq!(code, 1);
    assert!(out.contains("~AK3*N1*6**6~") && out.contains("~AK5*R*5~"), "{out}");
    // Without `--profile` a profile names and nests, and refuses nothing.
    assert_eq!(waybill(&["show", bad], nothing.path()).0, 0);
}
