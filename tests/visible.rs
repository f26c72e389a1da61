//! Text from outside at every command that prints it: no value commands the terminal, hides, or
//! forges a line. What hides is listed here once more, so that the list of the program is judged by
//! another one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its site is not as it expects"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use support::{Site, VIN, event};
use waybill::delivery::{Outcome as Came, Settlement};
use waybill::event::{Arrival, Beside};
use waybill::journal::{Batch, Journal};
use waybill::pipeline::{self, Outcome};

/// One of each way: new lines, a title, the clipboard, colours in C0 and C1, the order of writing,
/// what nobody sees, separators of lines.
const HOSTILE: &str = "K\nforged row\r\u{1b}]0;title\u{7}\u{1b}]52;c;cm0=\u{7}\u{1b}[31m\u{9b}2J\
                       \u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{85}\u{2028}\u{e0041}";

/// The first character of an output that is not to be in it.
fn acting(text: &str) -> Option<char> {
    let hidden = |c: char| {
        let c = u32::from(c);
        (0x202a..=0x202e).contains(&c)
            || (0x2066..=0x2069).contains(&c)
            || (0x200b..=0x200f).contains(&c)
            || [0x61c, 0x2028, 0x2029, 0xfeff].contains(&c)
            || (0xe0000..=0xe007f).contains(&c)
    };
    text.chars().find(|c| *c != '\n' && (c.is_control() || hidden(*c)))
}

/// Runs a command; what it prints is to be tame. Returns it.
#[track_caller]
fn tame(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(folder).env("USER", "tester");
    command.env_remove("WAYBILL_CONFIG").env("WAYBILL_DEFINITIONS", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that ends before it reads its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let said = said.concat();
    assert_eq!(acting(&said), None, "{arguments:?}: {said:?}");
    let forged = said.lines().find(|line| line.trim_start().starts_with("forged"));
    assert_eq!(forged, None, "{arguments:?}: {said}");
    said
}

/// A JSON string of it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A site whose journal holds what was written by somebody hostile: id, kind, key, the answer of a
/// receiver.
fn site() -> Site {
    let site = Site::new("q", "");
    let (written, plan) = site.plan();
    let at = Timestamp::from_second(1_772_360_430).unwrap();
    let (word, long) = (quoted(HOSTILE), quoted(&format!("{HOSTILE}{}", "x".repeat(5000))));
    let raws = [
        event("e1", VIN, "sold"),
        format!(r#"{{"id":{word},"type":{word},"data":{{"vin":{word},"status":{word}}}}}"#).into(),
        format!(r#"{{"id":{long},"type":"vehicle.status.changed","data":{{"vin":{long},"status":{long}}}}}"#)
            .into(),
    ];
    let reads = raws.into_iter().map(|raw: Vec<u8>| {
        let arrival = Arrival {
            source: "vms".into(),
            raw: raw.into(),
            message_id: None,
            received: at,
            position: None,
            beside: Beside::default(),
        };
        pipeline::read(&plan, arrival)
    });
    let reads: Vec<_> = reads.collect();
    let journal = Journal::open(&waybill::agent::journal_options(&written), at).unwrap();
    let mut facts = journal.facts(&pipeline::needs(&plan, &reads)).unwrap();
    let mut numbers = 70_000_000_000_001..70_000_000_000_099;
    let decisions = reads.into_iter().map(|read| {
        match pipeline::process(&plan, read, &mut facts, &mut numbers, at) {
            Outcome::Decided(decision) => *decision,
            Outcome::Redelivery => panic!("a redelivery"),
        }
    });
    let decisions = decisions.collect();
    let (plan, files) = (plan.digest(), Vec::new());
    let batch = Batch { plan, generation: 1, at, operator: None, decisions, files };
    journal.commit_blocking(Arc::new(batch)).unwrap();
    let outcome = Came::Retry { due: at, reason: format!("503: {HOSTILE}") };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let id = 1;
    runtime.block_on(journal.settle(vec![Settlement { id, at, outcome }])).unwrap();
    journal.close();
    site
}

#[test]
fn the_journal_is_shown_without_commands_to_the_terminal() {
    let site = site();
    let folder = site.folder.path();
    let at = |arguments: &[&str]| tame(folder, arguments, b"");
    assert!(at(&["trail", VIN]).contains("503: K\\nforged row\\r\\u{1b}]0;title\\u{7}"));
    assert!(at(&["trail", HOSTILE]).contains("\\u{202e}\\u{2066}\\u{200b}"));
    at(&["trail", "nobody\nforged"]);
    let listed = at(&["events", "list"]);
    assert_eq!(listed.lines().count(), 4, "a heading and three events: {listed}");
    let widest = listed.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest < 600, "{widest} columns");
    assert!(listed.contains("xxx…") || listed.contains("…  "), "{listed}");
    let wide = at(&["events", "list", "--wide"]);
    assert!(wide.lines().any(|line| line.len() > 5000), "{wide}");
    let json = at(&["events", "list", "--json"]);
    let rows: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["key"] == HOSTILE), "JSON keeps what was written");
    at(&["deliveries", "list"]);
    at(&["audit", "verify"]);
    at(&["deliveries", "discard", "1", "--who", HOSTILE, "--why", HOSTILE]);
    assert!(at(&["trail", VIN]).contains("discard by K\\nforged row"));
    at(&["events", "reprocess", "2", "--who", HOSTILE, "--why", HOSTILE]);
    at(&["events", "unpark", HOSTILE, "--why", HOSTILE]);
    at(&["reload", "--why", HOSTILE]);
}

#[test]
fn an_event_that_is_tried_is_shown_without_commands_to_the_terminal() {
    let site = Site::new("q", "");
    let folder = site.folder.path();
    let word = quoted(HOSTILE);
    let event = format!(r#"{{"id":{word},"type":{word},"data":{{"vin":{word},"status":"sold"}}}}"#);
    assert!(tame(folder, &["try", "-"], event.as_bytes()).contains("event    K\\nforged row"));
    tame(folder, &["try", "-", "--json"], event.as_bytes());
    let document = String::from_utf8(support::event("e", VIN, "sold")).unwrap();
    let document = document.replace("\"KORA-2.0-D\"", "\"K\u{9b}\u{202e}\"");
    tame(folder, &["try", "-"], document.as_bytes());
    tame(folder, &["try", "-"], format!("{{{word}: tru}}").as_bytes());
    tame(folder, &["try", HOSTILE], b"");
    tame(folder, &["try", "-", "--source", HOSTILE], b"");
}

#[test]
fn a_document_is_shown_without_commands_to_the_terminal() {
    let site = Site::new("q", "");
    let folder = site.folder.path();
    let word = quoted(HOSTILE);
    // What ends a line is not part of a value in these formats.
    let flat = HOSTILE.replace(['\n', '\r'], "");
    let edifact = format!(
        "UNB+UNOY:4+S{flat}:14+R{flat}:14+261123:1200+7{flat}'UNH+1{flat}+ORDERS:D:96A:UN'\
         {flat}+{flat}:{flat}'UNT+3+1'UNZ+1+7'"
    );
    let x12 = format!(
        "ISA*00*          *00*          *ZZ*S              *ZZ*R              *261123*1200*U*00401*\
         000000001*0*P*>~GS*PO*S{flat}*R*20261123*1200*1*X*004010~ST*850*1~{flat}*{flat}~SE*3*1~\
         GE*1*1~IEA*1*000000001~"
    );
    let inputs: [(&str, String); 7] = [
        ("json", format!(r#"{{{word}:{{{word}:[{word},1]}},{word}:2}}"#)),
        ("jsonl", format!("{{{word}:{word}}}\n{{{word}:tru}}\n")),
        ("csv", format!("a,\"{HOSTILE}\"\n\"{HOSTILE}\",2,3\n")),
        ("xml", format!("<a{} b='{flat}'>{flat}&x;</a>", "\u{202e}")),
        ("edifact", edifact),
        ("x12", x12),
        ("idoc", format!("EDI_DC40  100{flat}\nE1{flat}\n")),
    ];
    for (format, input) in inputs {
        let input = input.as_bytes();
        tame(folder, &["show", "--format", format, "-"], input);
        tame(folder, &["show", "--format", format, "--json", "-"], input);
        tame(folder, &["convert", "--format", format, "--to", "json", "--anyway", "-"], input);
    }
    tame(folder, &["show", HOSTILE], b"");
    tame(folder, &["convert", "--to", "csv", HOSTILE], b"");
    tame(folder, &["ack", HOSTILE], b"");
    let member = "a\u{202e}b";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    fs::write(folder.join("d.zip"), zip.finish().unwrap().into_inner()).unwrap();
    tame(folder, &["import", "edifact", "d.zip"], b"");
    tame(folder, &["import", "x12", HOSTILE], b"");
}

/// A site with a folder in which a file has a hostile name and is no IDoc.
fn dropped() -> Site {
    let site = Site::written(
        "version: 1\nagent: { name: test, instance: \"007\", data_dir: data }\n\
         journal: { min_free: 1MiB }\nsources:\n  in: { type: folder, path: in, format: idoc, \
         poll: 50ms, complete: { stable_for: 100ms } }\ntargets: {}\nroutes: []\n",
    );
    fs::create_dir(site.path("in")).unwrap();
    fs::write(site.path("in").join(HOSTILE), format!("EDI_DC40 {HOSTILE}\n")).unwrap();
    site
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_file_that_is_rejected_is_named_without_commands_to_the_terminal() {
    for format in ["text", "json"] {
        let site = dropped();
        let log = fs::File::create(site.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(["run", "--log-format", format]).current_dir(site.folder.path());
        command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG");
        let _agent = Agent(command.stderr(log).spawn().unwrap());
        let problems = || {
            let entries = fs::read_dir(site.path("in/rejected")).ok()?.flatten();
            let mut paths = entries.map(|entry| entry.path());
            let path = paths.find(|path| path.to_string_lossy().ends_with(".problems.txt"))?;
            fs::read_to_string(path).ok().filter(|text| !text.is_empty())
        };
        let log = || fs::read_to_string(site.path("log")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while problems().is_none() || !log().contains("file ended") {
            assert!(Instant::now() < deadline, "the file is never rejected: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = log();
        for text in [problems().unwrap(), log.clone()] {
            assert_eq!(acting(&text), None, "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
        }
        assert!(log.contains("K\\nforged row"), "{log}");
        if format == "text" {
            let line = "WARN waybill::intake: event not accepted source=in event=1 kind=";
            assert!(log.contains(line), "a failed event has its number and a level: {log}");
        }
    }
}

#[test]
fn a_configuration_and_its_folders_are_shown_without_commands_to_the_terminal() {
    let word = "K\\nforged\\e]0;t\\a\\u202e\\u200b\\x9b";
    let site = Site::written(&format!(
        "version: 1\nagent: {{ name: test, instance: \"007\", data_dir: data }}\nsources:\n  \
         in: {{ type: folder, path: in, format: idoc }}\n  \"{word}\": {{ type: \"{word}\" }}\n\
         # \u{9b}31m \u{202e}\n\u{200b}x: 1\nroutes: [ \"{word}\" ]\n"
    ));
    let folder = site.folder.path();
    tame(folder, &["check"], b"");
    tame(folder, &["check", "--json"], b"");
    tame(folder, &["doctor"], b"");
    tame(folder, &["run"], b"");
    let site = dropped();
    let folder = site.folder.path();
    assert!(tame(folder, &["files", "explain", "in"], b"").contains("K\\nforged row"));
    tame(folder, &["files", "explain", "in", "--json"], b"");
    tame(folder, &["files", "explain", &format!("in/no{HOSTILE}")], b"");
    tame(folder, &["doctor"], b"");
}
