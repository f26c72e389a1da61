//! `waybill import`: what is compiled from directories and exports, beside what is really in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]
#![allow(clippy::print_stdout, reason = "a test that skips says so, and figures are read")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use waybill_parsers::definition::read_definition;

fn corpus(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(below)
}

fn waybill(folder: &Path, arguments: &[&str]) -> Output {
    fs::create_dir_all(folder.join("definitions")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(folder).env_remove("WAYBILL_CONFIG");
    command.env("WAYBILL_DEFINITIONS", folder.join("definitions"));
    command.output().unwrap()
}

/// The sorted values of each list, by element.
type Lists = BTreeMap<String, Vec<String>>;

/// The lists of a directory as `tests/peers/code_lists.py` finds them; `None` without a Python.
fn counted(zip: &Path) -> Option<Lists> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/code_lists.py");
    let output = Command::new("python3").arg("-B").arg(script).arg(zip).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lists = Lists::new();
    for row in String::from_utf8(output.stdout).unwrap().lines() {
        let [_, element, value, _] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        lists.entry(element.to_owned()).or_default().push(value.to_owned());
    }
    lists.values_mut().for_each(|values| values.sort());
    Some(lists)
}

#[test]
fn every_code_list_of_a_directory_has_the_values_that_an_independent_script_counts() {
    for name in ["d96a", "d01b", "d21b"] {
        let zip = corpus("defs").join(format!("{name}.zip"));
        if !zip.is_file() {
            println!("skipped: no {}", zip.display());
            continue;
        }
        let Some(counted) = counted(&zip) else {
            println!("skipped: no python3 on the path");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let output = waybill(folder.path(), &["import", "edifact", zip.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0));
        let file = fs::read_dir(folder.path().join("definitions")).unwrap().next().unwrap();
        let definition = read_definition(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        let lists = definition.elements.iter().filter(|(_, element)| !element.codes.is_empty());
        let imported: Lists = lists
            .map(|(id, element)| {
                let mut values: Vec<_> = element.codes.iter().map(|(v, _)| v.clone()).collect();
                values.sort();
                (id.clone(), values)
            })
            .collect();
        let codes: usize = counted.values().map(Vec::len).sum();
        println!("{}: {} lists with {codes} codes", definition.release, counted.len());
        assert!(counted.len() > 200, "the script has found next to nothing");
        for id in counted.keys().chain(imported.keys()) {
            assert_eq!(imported.get(id), counted.get(id), "{}, list {id}", definition.release);
        }
    }
}

const PARSER_EXPORT: &str = "BEGIN_SEGMENT_SECTION
  BEGIN_IDOC ZNOTE01
    BEGIN_SEGMENT Z2NOTE000
      SEGMENTTYPE Z1NOTE
      LEVEL 01
      STATUS MANDATORY
      LOOPMIN 0000000001
      LOOPMAX 0000000009
      BEGIN_FIELDS
        NAME TEXT
        TEXT What it says
        TYPE CHARACTER
        LENGTH 000040
        FIELD_POS 0001
        CHARACTER_FIRST 000064
        CHARACTER_LAST 000103
      END_FIELDS
    END_SEGMENT
  END_IDOC
END_SEGMENT_SECTION
";

#[test]
fn a_parser_export_becomes_a_definition_that_the_configuration_reads_with() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("ZNOTE01.txt"), PARSER_EXPORT).unwrap();
    let said = waybill(site.path(), &["import", "idoc", "--to", "schemas/idoc", "ZNOTE01.txt"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0), "{text}");
    assert!(
        text.starts_with("ZNOTE01: 1 segments, 1 fields, 0 values\nschemas/idoc/ZNOTE01.idoc: ")
    );
    let idoc = format!("{:39}{:485}\n{:63}{:40}\n", "EDI_DC40", "ZNOTE01", "Z2NOTE000", "ready");
    fs::write(site.path().join("note.idoc"), idoc).unwrap();
    let configuration = "version: 1\nagent: { name: test, instance: \"007\", data_dir: data }\n\
                         sources: {}\ntargets: {}\nroutes: []\nschemas: [ schemas/idoc ]\n";
    fs::write(site.path().join("waybill.yaml"), configuration).unwrap();
    let said = waybill(site.path(), &["show", "note.idoc"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.stderr, b"");
    assert!(text.contains("TEXT") && text.contains("What it says"), "{text}");
    assert_eq!(said.status.code(), Some(0), "{text}");
}

#[test]
fn what_is_no_export_names_its_line_and_the_other_files_are_imported() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("good.txt"), PARSER_EXPORT).unwrap();
    let broken = PARSER_EXPORT.replace("    BEGIN_SEGMENT Z2NOTE000\n", "    Z2NOTE000\n");
    fs::write(site.path().join("broken.txt"), broken).unwrap();
    fs::write(site.path().join("broken.xsd"), "<xsd:schema>\n<xsd:element>\n").unwrap();
    let files = ["broken.txt", "broken.xsd", "good.txt"];
    let said = waybill(site.path(), &[&["import", "idoc", "--to", "s"][..], &files].concat());
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(1), "{text}");
    assert!(text.contains("broken.txt:3:5: error: "), "{text}");
    assert!(text.contains("broken.xsd:"), "{text}");
    assert!(site.path().join("s/ZNOTE01.idoc").is_file());
    let said = waybill(site.path(), &["import", "idoc", "--to", "s", "--json", "broken.txt"]);
    let done: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(
        (&done["file"], &done["problems"][0]["line"]),
        (&serde_json::Value::Null, &3.into())
    );
    let said = waybill(site.path(), &["import", "idoc", "--to", "s", "nowhere.txt"]);
    assert_eq!(said.status.code(), Some(3));
}

#[test]
fn an_export_may_be_in_utf_16_or_begin_with_a_mark() {
    let site = tempfile::tempdir().unwrap();
    let wide = "\u{feff}".chars().chain(PARSER_EXPORT.chars());
    let wide: Vec<u8> = wide.flat_map(|c| (c as u16).to_le_bytes()).collect();
    fs::write(site.path().join("wide.txt"), wide).unwrap();
    fs::write(site.path().join("mark.txt"), format!("\u{feff}{PARSER_EXPORT}")).unwrap();
    for file in ["wide.txt", "mark.txt"] {
        let said = waybill(site.path(), &["import", "idoc", "--to", "s", file]);
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stdout));
    }
}

#[test]
fn records_that_differ_from_those_built_in_are_named() {
    let record = |length| {
        format!(
            "BEGIN_RECORD_SECTION\n BEGIN_CONTROL_RECORD\n  BEGIN_FIELDS\n   NAME TABNAM\n   LENGTH \
             {length:06}\n   CHARACTER_FIRST 000001\n   CHARACTER_LAST {length:06}\n  END_FIELDS\n \
             END_CONTROL_RECORD\nEND_RECORD_SECTION\n"
        )
    };
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("records.txt"), record(11)).unwrap();
    let said = waybill(site.path(), &["import", "idoc", "--to", "s", "records.txt"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(text.contains("field 1 of EDI_DC40 is TABNAM with 11 characters"), "{text}");
}

#[test]
fn every_export_of_the_corpus_is_imported_but_the_broken_one() {
    for folder in ["idoc/parser", "idoc/xsd"] {
        let Ok(entries) = fs::read_dir(corpus(folder)) else {
            println!("skipped: no {}", corpus(folder).display());
            continue;
        };
        for file in entries.map(|entry| entry.unwrap().path()) {
            let site = tempfile::tempdir().unwrap();
            let arguments = ["import", "idoc", "--to", "s", file.to_str().unwrap()];
            let said = waybill(site.path(), &arguments);
            let text = String::from_utf8(said.stdout).unwrap();
            let is_broken = file.ends_with("sapidoc_ORDERS05.txt");
            assert_eq!(said.status.code(), Some(i32::from(is_broken)), "{text}");
            assert_eq!(is_broken, text.contains("sapidoc_ORDERS05.txt:5767:"), "{text}");
        }
    }
}
