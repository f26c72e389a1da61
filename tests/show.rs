//! `waybill show`: IDoc files as people and programs read them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `waybill show` with the definitions that ship, far from any configuration.
fn show(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(["show", "--schemas"]).arg(root().join("mappings/schemas/idoc")).args(arguments);
    command.current_dir(folder.path()).env_remove("WAYBILL_CONFIG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn case(mapping: &str, case: &str) -> Vec<u8> {
    let path = root().join("mappings").join(mapping).join("cases").join(case).join("event.idoc");
    std::fs::read(path).unwrap()
}

#[test]
fn an_idoc_is_a_tree_with_meanings() {
    let (code, out, err) = show(&["-"], &case("customer-changed", "dealer-with-everything"));
    assert_eq!((code, err.as_str()), (0, ""));
    for line in [
        "IDoc 1 DEBMAS07 DEBMAS 0000000000700001 from Q01CLNT100 to VMSQAS (byte 0)",
        "EDI_DC40  Control record",
        "  SNDPRN     Q01CLNT100                Sender",
        "E1KNA1M  General data",
        "  KUNNR      0000104711                Customer number",
        "  E1KNVVM  Sales area",
        "    VKORG      1000                      Sales organization",
        "1 IDocs, 0 errors, 0 warnings",
    ] {
        assert!(out.lines().any(|found| found == line), "{line}\nis not in\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "colours without a terminal");
}

#[test]
fn every_idoc_of_a_file_is_shown_and_an_error_is_a_no() {
    let good = case("document-status", "dispatched");
    let orphan: Vec<u8> = {
        let lines = String::from_utf8(case("document-audit", "posted-with-its-objects")).unwrap();
        let kept = lines.lines().filter(|line| !line.starts_with("E2ADHDR"));
        kept.map(|line| format!("{line}\n")).collect::<String>().into()
    };
    let (code, out, _) = show(&["-"], &[good.clone(), orphan, good].concat());
    assert_eq!(code, 1);
    assert!(out.contains("\nIDoc 3 SYSTAT01 "), "{out}");
    assert!(out.contains("its parent E1ADHDR is not there"), "{out}");
    assert!(out.contains("\n! "), "{out}");
}

#[test]
fn json_has_an_object_for_each_idoc() {
    let one = case("document-status", "dispatched");
    let (code, out, _) = show(&["--json", "-"], &[one.clone(), one.clone()].concat());
    assert_eq!(code, 0);
    let objects: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[1]["start"], one.len());
    assert_eq!(objects[1]["type"], "SYSTAT01");
    assert_eq!(objects[1]["segments"][0]["segment"], "E1STATS");
    assert_eq!(objects[1]["segments"][0]["fields"]["STATUS"], "12");
    assert_eq!(objects[1]["envelope"][0]["fields"]["MESTYP"], "STATUS");
    assert_eq!(objects[0]["problems"], serde_json::json!([]));
}

#[test]
fn a_file_cannot_command_the_terminal() {
    let text = String::from_utf8(case("document-status", "dispatched")).unwrap();
    let (code, out, _) = show(&["-"], text.replace("WAYBILL ", "\u{1b}[2J ").as_bytes());
    assert!(!out.contains('\u{1b}'), "{out}");
    assert_eq!(code, 1, "a control character is an error: {out}");
}

#[test]
fn tradacoms_is_recognised_and_said_not_to_be_supported() {
    let (code, out, err) =
        show(&["-"], b"STX=ANA:1+5000000000000+5010000000000+261122:120000+1'\r\n");
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("TRADACOMS, which is recognised and not supported"), "{err}");
    // Named as something else, it is read as that, and refused for what it is not.
    let (code, _, err) = show(&["-", "--format", "edifact"], b"STX=ANA:1+5'END=1'");
    assert_ne!((code, err.as_str()), (0, ""));
}

#[test]
fn a_file_of_no_known_format_could_not_be_done() {
    let (code, out, err) = show(&["-"], b"some text");
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("of no format that is known; it begins with "), "{err}");
    for format in waybill_parsers::Format::ALL {
        assert!(err.contains(&format!(" {format}")), "{format}: {err}");
    }
    assert_eq!(show(&["nowhere.idoc"], b"").0, 3);
    assert!(show(&["-"], b"").2.contains("it is empty"));
    assert_eq!(show(&["-", "--format", "yaml"], b"").0, 2);
}
