//! The program as people use it, without a broker: what it prints and which code it ends with.
//!
//! `testdata/check/<case>/` holds files with mistakes and what `waybill check` says of them,
//! `expected.txt`; `UPDATE=1` writes it anew. The rest works on a journal of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its site is not as it expects"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use support::{OTHER_VIN, Site, VIN, event};
use waybill::event::{Arrival, Beside};
use waybill::journal::{Action, Batch, Journal, Operator, What};
use waybill::pipeline::{self, Outcome};

/// What a command did.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn waybill(folder: &Path, arguments: &[&str]) -> Said {
    fed(folder, arguments, b"")
}

/// The same, with something on its standard input.
fn fed(folder: &Path, arguments: &[&str], input: &[u8]) -> Said {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that ends before it reads its input closes the pipe; that is for its code to say.
    match child.stdin.take().unwrap().write_all(input) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
        _ => {}
    }
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(folder).env("USER", "tester");
    command.env_remove("WAYBILL_CONFIG").env_remove("WAYBILL_LOG").env_remove("WAYBILL_LOG_FORMAT");
    command
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// --- check ------------------------------------------------------------------------------------

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/check");
    let mut cases: Vec<_> = fs::read_dir(root).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn check_says_all_that_is_wrong_and_where() {
    for case in cases() {
        let said = waybill(&case, &["check"]);
        assert_eq!(said.code, Some(1), "{}", case.display());
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &said.out).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said.out, expected, "{}", case.display());
    }
}

#[test]
fn no_command_shows_a_secret_of_a_file_with_mistakes() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/check/secrets");
    for arguments in [&["check"][..], &["check", "--json"], &["run"], &["doctor"], &["try", "-"]] {
        let said = waybill(&case, arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}: {}", said.err);
        let said = format!("{}{}", said.out, said.err);
        // A file that is named `geheim` is no secret.
        let said = said.replace("file: geheim", "");
        assert!(said.contains("pasword") && !said.contains("geheim"), "{arguments:?}: {said}");
    }
}

#[test]
fn ten_mistakes_in_three_files_are_ten_lines_of_json() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/check/ten-mistakes");
    let said = waybill(&case, &["check", "--json", "waybill.yaml"]);
    assert_eq!(said.code, Some(1));
    let mistakes = json_lines(&said.out);
    assert_eq!(mistakes.len(), 10, "{}", said.out);
    for name in ["waybill.yaml", "lifecycle.yaml", "mapping.yaml"] {
        assert!(mistakes.iter().any(|mistake| mistake["file"] == name), "{name}: {}", said.out);
    }
    let placed = |mistake: &Value| mistake["line"].as_u64() > Some(1) && mistake["column"].is_u64();
    assert!(mistakes.iter().all(placed), "{}", said.out);
    let advised = mistakes.iter().filter(|mistake| mistake["remedy"].is_string()).count();
    assert_eq!(advised, 9, "a duration says in its message what is expected: {}", said.out);
}

#[test]
fn a_configuration_without_mistakes_says_what_is_in_it() {
    let site = Site::new("q", "");
    let said = waybill(site.folder.path(), &["check"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("waybill.yaml: no mistakes (1 sources, 1 targets, 1 routes,"));
    let said = waybill(site.folder.path(), &["check", "--json"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
}

#[test]
fn other_commands_show_the_mistakes_beside_their_output() {
    let site = Site::new("q", ", prefetch: many");
    let said = fed(site.folder.path(), &["try", "-"], &event("e1", VIN, "sold"));
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("prefetch: a whole number from 1 to 65535 is expected"));
    assert!(said.err.ends_with("waybill: the configuration has 1 mistake\n"), "{}", said.err);
}

#[test]
fn a_configuration_that_is_not_there_is_named_with_the_ways_to_name_another() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["check"][..], &["run"], &["trail", "X"], &["events", "list"], &["status"]] {
        let said = waybill(folder.path(), arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(3), ""), "{arguments:?}");
        let expected = "waybill: waybill.yaml: No such file or directory (os error 2); name the \
                        configuration with --config FILE or WAYBILL_CONFIG\n";
        assert_eq!(said.err, expected, "{arguments:?}");
    }
}

#[test]
fn a_word_that_is_no_level_of_the_log_is_refused() {
    let site = Site::new("q", "");
    let said = waybill(site.folder.path(), &["run", "--log", "nonsense"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("`nonsense` is no level; write one of off, error,"), "{}", said.err);
}

// --- try --------------------------------------------------------------------------------------

#[test]
fn try_shows_the_document_and_leaves_nothing() {
    let site = Site::new("q", "");
    let said = fed(site.folder.path(), &["try", "-"], &event("e1", VIN, "sold"));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("verdict  accepted\n"), "{}", said.out);
    assert!(said.out.contains("  | EDI_DC40"), "{}", said.out);
    assert_eq!(site.files(), [] as [&str; 0]);
    assert!(!site.path("data").exists());
}

#[test]
fn try_says_no_to_what_cannot_be_mapped() {
    let site = Site::new("q", "");
    let raw = br#"{"id":"e1","type":"vehicle.status.changed","data":{"vin":"x","status":"?"}}"#;
    let said = fed(site.folder.path(), &["try", "-", "--json"], raw);
    assert_eq!(said.code, Some(1));
    let trial = &json_lines(&said.out)[0];
    assert_eq!(trial["verdict"], "refused");
    assert!(trial["causes"][0].as_str().unwrap().contains("not declared"), "{trial}");
    assert_eq!(trial["deliveries"].as_array().unwrap().len(), 0);
}

#[test]
fn try_names_the_file_or_source_that_is_not_there() {
    let site = Site::new("q", "");
    let said = waybill(site.folder.path(), &["try", "nothing.json"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.starts_with("waybill: nothing.json: "), "{}", said.err);
    let said = waybill(site.folder.path(), &["try", "waybill.yaml", "--source", "sap"]);
    assert_eq!(said.code, Some(2));
    assert_eq!(said.err, "waybill: --source must be one of: vms\n");
}

// --- looking ----------------------------------------------------------------------------------

/// A site whose journal holds a delivery that is due, a refused event, a failed one and one that
/// waits behind it.
fn site_with_a_journal() -> Site {
    let site = Site::new("q", "");
    let (written, plan) = site.plan();
    let unmapped = String::from_utf8(event("e3", OTHER_VIN, "sold")).unwrap();
    let unmapped = unmapped.replace(r#""plant":"0815""#, r#""plant":"too long""#);
    let raws = [
        event("e1", VIN, "sold"),
        event("e2", VIN, "built"),
        unmapped.into_bytes(),
        event("e4", OTHER_VIN, "delivered"),
    ];
    let now = Timestamp::from_second(1_772_360_430).unwrap();
    let journal = Journal::open(&waybill::agent::journal_options(&written), now).unwrap();
    let arrival = |raw: Vec<u8>| Arrival {
        source: "vms".into(),
        raw: raw.into(),
        message_id: None,
        received: now,
        position: None,
        beside: Beside::default(),
    };
    let reads: Vec<_> = raws.into_iter().map(|raw| pipeline::read(&plan, arrival(raw))).collect();
    let mut facts = journal.facts(&pipeline::needs(&plan, &reads)).unwrap();
    let mut numbers = 70_000_000_000_001..70_000_000_000_099;
    let decisions = reads.into_iter().map(|read| {
        match pipeline::process(&plan, read, &mut facts, &mut numbers, now) {
            Outcome::Decided(decision) => *decision,
            Outcome::Redelivery => panic!("a redelivery"),
        }
    });
    let decisions = decisions.collect();
    let batch = Batch {
        plan: plan.digest(),
        generation: 1,
        at: now,
        operator: None,
        decisions,
        files: Vec::new(),
    };
    journal.commit_blocking(Arc::new(batch)).unwrap();
    journal.close();
    site
}

#[test]
fn trail_tells_what_became_of_a_vehicle() {
    let site = site_with_a_journal();
    let said = waybill(site.folder.path(), &["trail", VIN]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let expected = format!(
        "2026-03-01T10:20:30.000Z  event 1: vehicle.status.changed e1 from vms ({VIN})\n    \
         vehicle {VIN}: (unknown) -> sold\n    accepted (commit 2)\n    \
         delivery 1 to sap-file: due as ZVEHREG_0070000000000001.idoc\n\
         2026-03-01T10:20:30.000Z  event 2: vehicle.status.changed e2 from vms ({VIN})\n    \
         vehicle {VIN}: sold -> built, not applied\n    refused (commit 2)\n      \
         vehicle: sold -> built is illegal; sold may be followed by delivered or returned\n"
    );
    assert_eq!(said.out, expected);
}

#[test]
fn trail_finds_an_event_a_number_and_a_file_name() {
    let site = site_with_a_journal();
    for word in ["e1", "0070000000000001", "ZVEHREG_0070000000000001.idoc"] {
        let said = waybill(site.folder.path(), &["trail", word, "--json"]);
        assert_eq!(said.code, Some(0), "{word}: {}", said.err);
        let stories = json_lines(&said.out);
        assert_eq!(stories.len(), 1, "{word}");
        assert!(said.out.contains(VIN), "{word}");
    }
    let said = waybill(site.folder.path(), &["trail", "nobody"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.out, "nothing is known about nobody\n");
}

#[test]
fn events_and_deliveries_are_listed_by_filter() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let failed = json_lines(&at(&["events", "list", "--verdict", "failed", "--json"]).out);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["id"], "e3");
    let waiting = json_lines(&at(&["events", "list", "--verdict", "waiting", "--json"]).out);
    assert_eq!(waiting[0]["id"], "e4");
    let due = at(&["deliveries", "list", "--state", "due"]);
    assert_eq!(due.code, Some(0));
    assert!(due.out.starts_with("DELIVERY  TARGET    STATE"), "{}", due.out);
    assert_eq!(due.out.lines().count(), 2);
    let dead = at(&["deliveries", "list", "--state", "dead"]);
    assert_eq!((dead.code, dead.out.lines().count()), (Some(1), 1), "only the headings");
    let unknown = at(&["deliveries", "list", "--state", "lost"]);
    assert_ne!(unknown.code, Some(0));
    assert!(unknown.err.contains("known: due, prepared, delivered"), "{}", unknown.err);
}

#[test]
fn lists_begin_with_the_newest_and_say_where_they_are_cut() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let numbers = |said: &Said| {
        let rows = json_lines(&said.out);
        rows.iter().map(|row| row["event"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let newest = at(&["events", "list", "--json"]);
    let mut backwards = numbers(&newest);
    assert!(backwards.len() > 2 && backwards.is_sorted_by(|a, b| a > b), "{backwards:?}");
    let oldest = numbers(&at(&["events", "list", "--oldest", "--json"]));
    backwards.reverse();
    assert_eq!(oldest, backwards);
    let cut = at(&["events", "list", "--limit", "2"]);
    assert_eq!((cut.code, cut.out.lines().count()), (Some(0), 3));
    assert_eq!(cut.err, "waybill: the newest 2; there are more (--limit)\n");
    assert_eq!(at(&["events", "list", "--limit", "50"]).err, "");
    let since = at(&["events", "list", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!((since.code, since.out.lines().count()), (Some(1), 1));
    let until = at(&["events", "list", "--until", "2100-01-01T00:00:00Z", "--json"]);
    assert_eq!(numbers(&until), numbers(&newest));
}

#[test]
fn a_journal_that_is_not_there_is_named() {
    let site = Site::new("q", "");
    for arguments in [&["trail", VIN][..], &["events", "list"], &["deliveries", "list"]] {
        let said = waybill(site.folder.path(), arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(3), ""), "{arguments:?}");
        let expected = "waybill: there is no journal at data/journal.db yet: has the agent run?\n";
        assert_eq!(said.err, expected);
    }
}

// --- acting without an agent ------------------------------------------------------------------

#[test]
fn a_delivery_is_discarded_with_a_reason_that_the_trail_shows() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    assert_eq!(at(&["deliveries", "discard", "1"]).code, Some(2), "without --why");
    let said = at(&["deliveries", "discard", "1", "--why", "posted by hand"]);
    assert_eq!(said.out, "delivery 1: due -> discarded\n", "{}", said.err);
    assert_eq!(said.code, Some(0));
    let said = at(&["deliveries", "discard", "1", "2", "--why", "again"]);
    assert_eq!(said.code, Some(1));
    let expected = "delivery 1: not done: delivery 1 is discarded\n\
                    delivery 2: not done: there is no delivery 2\n";
    assert_eq!(said.out, expected);
    let trail = at(&["trail", VIN]).out;
    assert!(trail.contains("discard by tester (uid "), "{trail}");
    assert!(trail.contains("): posted by hand\n"), "{trail}");
}

#[test]
fn a_failed_event_is_decided_again_and_those_behind_it_follow() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let again = ["events", "reprocess", "--verdict", "failed", "--json", "--why", "mended"];
    let said = at(&again);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(json_lines(&said.out)[0][0]["verdict"], "failed", "nothing was mended yet");
    // The route no longer wants events of this vehicle's model; the first one is ignored then.
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace("9999", "too long")).unwrap();
    let decided = &json_lines(&at(&again).out)[0];
    let verdicts: Vec<_> = decided.as_array().unwrap().iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, ["ignored", "accepted"], "{decided}");
    assert_eq!(at(&again).out, "no event is chosen\n");
    let said = at(&["events", "reprocess", "--why", "all of them"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("name events by number"), "{}", said.err);
}

#[test]
fn a_parked_key_goes_on_without_the_event_that_failed() {
    for parked in [OTHER_VIN, "3"] {
        let site = site_with_a_journal();
        let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
        assert_eq!(at(&["events", "unpark", parked]).code, Some(2), "without --why");
        let said = at(&["events", "unpark", VIN, "--why", "x"]);
        assert_eq!(said.code, Some(1));
        assert!(said.out.contains("no key of that name is parked"), "{}", said.out);
        let said = at(&["events", "unpark", parked, "--why", "posted by hand", "--json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let decided = &json_lines(&said.out)[0];
        assert_eq!((&decided[0]["event"], &decided[0]["verdict"]), (&4.into(), &"accepted".into()));
        let trail = at(&["trail", "e3"]).out;
        let uid = rustix::process::getuid().as_raw();
        let by = format!("unpark by tester (uid {uid}): posted by hand\n");
        assert!(trail.contains(&by), "{trail}");
        let actions = json_lines(&at(&["audit", "actions", "--json"]).out);
        assert_eq!((&actions[1]["verb"], &actions[1]["uid"]), (&"unpark".into(), &uid.into()));
        assert!(at(&["audit", "actions"]).out.contains(&format!("tester (uid {uid})")));
        let failed = json_lines(&at(&["events", "list", "--verdict", "failed", "--json"]).out);
        assert_eq!(failed[0]["id"], "e3", "it stays failed");
        assert_eq!(at(&["events", "unpark", parked, "--why", "again"]).code, Some(1));
        assert_eq!(at(&["audit", "verify"]).code, Some(0));
    }
}

#[test]
fn parked_keys_are_chosen_by_what_parked_them_and_never_all_by_accident() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let said = at(&["events", "unpark", "--why", "x"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("name a key, or choose"), "{}", said.err);
    assert_eq!(at(&["events", "unpark", OTHER_VIN, "--all", "--why", "x"]).code, Some(2));
    for none in
        [["--cause", "no such cause"], ["--kind", "other"], ["--since", "2027-01-01T00:00Z"]]
    {
        let said = at(&["events", "unpark", none[0], none[1], "--why", "x"]);
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(1), "no parked key is meant\n"),
            "{none:?}"
        );
    }
    let chosen = ["--cause", "mapping.yaml", "--source", "vms", "--until", "2027-01-01T00:00Z"];
    let with = |more: &[&'static str]| [&["events", "unpark"], &chosen[..], more].concat();
    let said = at(&with(&["--dry-run"]));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.contains(OTHER_VIN) && said.out.ends_with("1 keys would go on\n"),
        "{}",
        said.out
    );
    let said = at(&with(&["--why", "posted by hand"]));
    let expected = "1 keys go on; what waited behind them: 1 accepted\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), expected), "{}", said.err);
    assert_eq!(at(&with(&["--dry-run"])).out, "0 keys would go on\n");
    assert_eq!(at(&["audit", "verify"]).code, Some(0));
}

#[test]
fn what_a_killed_command_left_behind_a_free_key_is_decided_at_the_next_start() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    // As a kill leaves it between the two steps of `events unpark`.
    let (written, _) = site.plan();
    let now = Timestamp::from_second(1_772_360_440).unwrap();
    let journal = Journal::open(&waybill::agent::journal_options(&written), now).unwrap();
    let what = What::Unpark(OTHER_VIN.to_owned());
    let operator = Operator { who: "tester".into(), why: "posted by hand".into(), uid: None };
    let action = Action { operator, at: now, what };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.act(action)).unwrap();
    journal.close();
    assert_eq!(json_lines(&at(&["events", "list", "--verdict", "waiting", "--json"]).out).len(), 1);
    let agent = Agent::start(&site);
    // Each look takes a process; a decision is a matter of milliseconds.
    let decided = || at(&["events", "list", "--verdict", "waiting"]).code == Some(1);
    assert!((0..1000).any(|_| decided()), "it waits for ever");
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    let trail = at(&["trail", "e4"]).out;
    assert!(trail.contains("accepted") && trail.contains("reprocess by waybill: "), "{trail}");
    assert_eq!(at(&["audit", "verify"]).code, Some(0));
}

// --- audit ------------------------------------------------------------------------------------

#[test]
fn the_chain_is_verified_against_itself_and_against_a_head_from_outside() {
    let site = site_with_a_journal();
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let said = at(&["audit", "verify"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let (first, head) = said.out.split_once('\n').unwrap();
    assert_eq!(first, "the chain holds: 2 commits, 4 events, 1 deliveries");
    let head = head.trim().strip_prefix("head ").unwrap();
    assert_eq!(at(&["audit", "verify", "--anchor", head]).code, Some(0));
    let answer = &json_lines(&at(&["audit", "verify", "--json"]).out)[0];
    assert_eq!((&answer["holds"], &answer["commits"]), (&true.into(), &2.into()));
    let hash = answer["head"]["hash"].as_str().unwrap();
    assert_eq!(head, format!("2:{hash}"));
    let other = format!("2:{}", "0".repeat(64));
    let said = at(&["audit", "verify", "--anchor", &other]);
    assert_eq!(said.code, Some(1));
    let expected = "the chain is broken at commit 2: is not the commit that was anchored\n";
    assert!(said.out.starts_with(expected), "{}", said.out);
    for wrong in ["2", "2:abc", "x:00", &format!("2:{}", "g".repeat(64))] {
        assert_eq!(at(&["audit", "verify", "--anchor", wrong]).code, Some(2), "{wrong}");
    }
}

#[test]
fn a_row_that_was_changed_is_the_answer_no_with_its_place() {
    let site = site_with_a_journal();
    let journal = rusqlite::Connection::open(site.path("data/journal.db")).unwrap();
    journal.execute("UPDATE events SET key = 'other' WHERE id IN (1, 2)", []).unwrap();
    drop(journal);
    let said = waybill(site.folder.path(), &["audit", "verify"]);
    assert_eq!(said.code, Some(1));
    let first = said.out.lines().next().unwrap();
    let expected = "the chain is broken at commit 2: event 1: its id, kind, key, time, step, \
                    trace, origin or causes is not what was recorded";
    assert_eq!(first, expected);
    let answer = &json_lines(&waybill(site.folder.path(), &["audit", "verify", "--json"]).out)[0];
    assert_eq!((&answer["holds"], &answer["breaks"][1]["commit"]), (&false.into(), &2.into()));
}

// --- run, without a broker --------------------------------------------------------------------

/// An agent that is ready; its log ends with it.
struct Agent {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Agent {
    fn start(site: &Site) -> Self {
        // Nothing listens on port 1.
        fs::write(site.path("broker-url"), "amqp://nobody:nothing@127.0.0.1:1/%2f").unwrap();
        let mut run = command(site.folder.path(), &["run"]);
        let mut child = run.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("ready to work") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the agent ended: {line}");
        }
        Self { child, log }
    }

    /// Ends it with SIGTERM; its code, and what it logged since it was ready.
    fn end(mut self) -> (Option<i32>, String) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.log, &mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Where a test failed; an agent that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_agent_starts_without_a_broker_and_ends_in_order() {
    let site = Site::new("q", "");
    let agent = Agent::start(&site);
    let second = waybill(site.folder.path(), &["run"]);
    assert_eq!(second.code, Some(3));
    let said = "data: in use by process ";
    assert!(second.err.contains(&format!("{said}{}", agent.child.id())), "{}", second.err);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("SIGTERM: draining") && log.trim_end().ends_with("ended"), "{log}");
    assert!(!log.contains("nothing@"), "no password in the log: {log}");
}

#[test]
fn a_running_agent_delivers_what_is_due_and_does_what_operators_ask() {
    let site = site_with_a_journal();
    let agent = Agent::start(&site);
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    let said = at(&["events", "reprocess", "3", "--why", "asked of the agent"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("3      failed"), "{}", said.out);
    let said = at(&["deliveries", "release", "77", "--why", "no such thing"]);
    assert_eq!(said.out, "delivery 77: not done: there is no delivery 77\n");
    assert_eq!(said.code, Some(1));
    // Each look takes a process; a delivery is a matter of milliseconds.
    let delivered = || at(&["deliveries", "list", "--state", "delivered"]).code == Some(0);
    assert!((0..1000).any(|_| delivered()), "not delivered");
    let said = at(&["events", "unpark", "--all", "--why", "asked of the agent"]);
    let expected = "1 keys go on; what waited behind them: 1 accepted\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), expected), "{}", said.err);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(site.files()[0], "ZVEHREG_0070000000000001.idoc");
    let trail = at(&["trail", VIN]).out;
    assert!(trail.contains("delivery 1 to sap-file: delivered as"), "{trail}");
    let trail = at(&["trail", OTHER_VIN]).out;
    let uid = rustix::process::getuid().as_raw();
    let by = format!("reprocess by tester (uid {uid}): asked of the agent");
    assert!(trail.contains(&by), "of the process at the other end of the socket: {trail}");
}

// --- the rest ---------------------------------------------------------------------------------

#[test]
fn wrong_usage_ends_with_two_and_help_with_zero() {
    let site = Site::new("q", "");
    let at = |arguments: &[&str]| waybill(site.folder.path(), arguments);
    assert_eq!(at(&["publish"]).code, Some(2));
    assert_eq!(at(&[]).code, Some(2));
    let help = at(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3"));
}

#[test]
fn completions_know_every_command() {
    let site = Site::new("q", "");
    for shell in ["bash", "zsh", "fish"] {
        let said = waybill(site.folder.path(), &["completion", shell]);
        assert_eq!(said.code, Some(0));
        for command in ["run", "check", "try", "trail", "events", "deliveries"] {
            assert!(said.out.contains(command), "{shell}: {command}");
        }
    }
}
