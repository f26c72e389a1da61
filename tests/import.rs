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
