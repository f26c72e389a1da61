//! Dropped files, from the folder to the journal: a test behind each row of the table in
//! `docs/operations/folders.md`.
//!
//! The source runs in this process, with an intake that a test may start late: so a file stands
//! still in the middle of its work, and nothing has to be timed. Where the process itself matters
//! (kill -9, another user) the program runs. `WAYBILL_BIG=1` makes the file of the crash test
//! 1 GiB and shows memory and rates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends where its site is not as it expects; rates are for people"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use waybill::agent;
use waybill::config::SourceKind;
use waybill::dispatch::feed::Feeds;
use waybill::event::Verdict;
use waybill::intake::{InDecision, Inbox, Intake, Pace, Waiting};
use waybill::journal::{EventFilter, FileOutcome, FileRow, Journal};
use waybill::metrics::Metrics;
use waybill::plan::Plan;
use waybill::source::Taken;
use waybill::source::folder::{self, Gate};
use waybill_parsers::idoc::EDI_DC40;

/// How long a condition may take to come true on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

// --- IDocs ------------------------------------------------------------------------------------

/// An IDoc with two data records; `message` is its message type, and without one it is broken.
fn idoc(number: u64, message: &str) -> String {
    let mut control = vec![b' '; 524];
    let fields = [
        ("TABNAM", "EDI_DC40".to_owned()),
        ("MANDT", "100".to_owned()),
        ("DOCNUM", format!("{number:016}")),
        ("IDOCTYP", "ZCUST01".to_owned()),
        ("MESTYP", message.to_owned()),
        ("SNDPOR", "SAPQ01".to_owned()),
        ("SNDPRN", "Q01CLNT100".to_owned()),
    ];
    for (name, value) in fields {
        let column = EDI_DC40.iter().find(|column| column.name == name).unwrap();
        control[column.offset..column.offset + value.len()].copy_from_slice(value.as_bytes());
    }
    let mut text = String::from_utf8(control).unwrap();
    for segment in ["ZCUST1", "ZCUST2"] {
        let header = format!("{segment:<30}100{number:016}{:06}{:06}02", 1, 0);
        text += &format!("\n{header}{:<1000}", format!("SECRET {number}"));
    }
    text + "\n"
}

fn idocs(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| idoc(number, "ZCUST")).collect()
}

// --- the site ---------------------------------------------------------------------------------

struct Site {
    home: tempfile::TempDir,
}

impl Site {
    fn new(keys: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("in")).unwrap();
        let text = format!(
            "version: 1\n\
             agent: {{ name: test, instance: \"007\", data_dir: data, drain: 5s }}\n\
             journal: {{ min_free: 1MiB }}\n\
             sources:\n  drop: {{ type: folder, path: in, format: idoc, poll: 50ms, {keys} }}\n\
             targets: {{}}\nroutes: []\n"
        );
        fs::write(home.path().join("waybill.yaml"), text).unwrap();
        Self { home }
    }

    /// Files are whole when they have stood still for a moment.
    fn still() -> Self {
        Self::new("complete: { stable_for: 100ms }")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("in").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// As a sender should: under another name, then renamed.
    fn rename_in(&self, name: &str, text: &str) {
        let part = self.home.path().join("part");
        fs::write(&part, text).unwrap();
        fs::rename(part, self.path(name)).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in the folder or in one inside of it, without what is hidden.
    fn names(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(inside)).unwrap().map(|entry| entry.unwrap());
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.retain(|name| !["lock", "done", "rejected"].contains(&name.as_str()));
        names.sort();
        names
    }

    fn journal(&self) -> PathBuf {
        self.home.path().join("data/journal.db")
    }

    fn start(&self) -> Running {
        let (written, mistakes) =
            waybill::config::load::load(&self.home.path().join("waybill.yaml"));
        assert!(mistakes.is_empty(), "{mistakes:#?}");
        let written = written.unwrap();
        let texts = |path: &Path| {
            waybill::config::load::file(path).map_err(|mistake| mistake.message.clone())
        };
        let plan = Plan::compile(&written, &texts, 1).unwrap();
        let journal = Journal::open(&agent::journal_options(&written), Timestamp::now()).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let (stop, stopped) = watch::channel(false);
        let (room, open) = watch::channel(true);
        let SourceKind::Folder(source) = &written.config.sources[0].kind else {
            panic!("no folder")
        };
        let (queue, taken) = mpsc::channel(source.most_documents());
        let gate = Gate::new(source.in_flight);
        let task = tokio::spawn(folder::run(folder::Context {
            gate: gate.clone(),
            before: None,
            name: "drop".into(),
            source: source.clone(),
            path: written.home.join(&source.path),
            queue,
            journal: journal.clone(),
            open,
            stop: stopped,
            metrics: metrics.clone(),
            clock: Timestamp::now,
        }));
        let plan = Arc::new(plan);
        let (taken, before) = (Some(taken), Vec::new());
        Running { stop, room, journal, metrics, task, taken, before, gate, plan, intake: None }
    }

    /// The source and the intake.
    fn run(&self) -> Running {
        let mut running = self.start();
        running.take();
        running
    }
}

struct Running {
    stop: watch::Sender<bool>,
    room: watch::Sender<bool>,
    journal: Journal,
    metrics: Arc<Metrics>,
    task: JoinHandle<()>,
    taken: Option<mpsc::Receiver<Taken>>,
    /// What sources have left that were replaced.
    before: Vec<Waiting>,
    gate: Gate,
    plan: Arc<Plan>,
    intake: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts the intake.
    fn take(&mut self) {
        let last = Waiting { queue: self.taken.take().unwrap(), pace: Pace::Bulk };
        let all = std::mem::take(&mut self.before).into_iter().chain([last]);
        let intake = Intake {
            in_decision: InDecision::default(),
            journal: self.journal.clone(),
            plan: self.plan.clone(),
            inbox: Inbox::new(all.collect()),
            commands: mpsc::channel(1).1,
            feeds: Feeds::of(std::iter::empty()),
            room: self.room.clone(),
            metrics: self.metrics.clone(),
            clock: Timestamp::now,
        };
        self.intake = Some(tokio::spawn(intake.run()));
    }

    /// Starts the intake, which gets only the next `count` documents.
    fn take_some(&mut self, count: usize) {
        let mut all = self.taken.take().unwrap();
        let (some, taken) = mpsc::channel(1);
        self.taken = Some(taken);
        self.take();
        tokio::spawn(async move {
            for _ in 0..count {
                some.send(all.recv().await.unwrap()).await.unwrap();
            }
            // The rest is held until its sender has ended.
            let mut rest = Vec::new();
            while let Some(taken) = all.recv().await {
                rest.push(taken);
            }
        });
    }

    /// Stops the source and starts it anew, as a reload does that the intake has not taken: what it
    /// has handed over is with the intake.
    async fn replace(&mut self, site: &Site) {
        let (written, _) = waybill::config::load::load(&site.home.path().join("waybill.yaml"));
        let written = written.unwrap();
        let SourceKind::Folder(source) = &written.config.sources[0].kind else { panic!() };
        self.stop.send_replace(true);
        (&mut self.task).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let (queue, taken) = mpsc::channel(source.most_documents());
        let left = self.taken.replace(taken).unwrap();
        self.before.push(Waiting { queue: left, pace: Pace::Bulk });
        let gate = Gate::new(source.in_flight);
        let before = Some(std::mem::replace(&mut self.gate, gate.clone()));
        self.stop = stop;
        self.task = tokio::spawn(folder::run(folder::Context {
            gate,
            before,
            name: "drop".into(),
            source: source.clone(),
            path: written.home.join(&source.path),
            queue,
            journal: self.journal.clone(),
            open: self.room.subscribe(),
            stop: stopped,
            metrics: self.metrics.clone(),
            clock: Timestamp::now,
        }));
    }

    /// Stops in order and closes the journal.
    async fn stop(mut self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        drop(self.taken.take());
        if let Some(intake) = self.intake {
            intake.await.unwrap();
        }
        let journal = self.journal;
        tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
    }

    fn waiting(&self, reason: &str) -> i64 {
        self.metrics.files_waiting.with_label_values(&["drop", reason]).get()
    }

    fn files(&self, outcome: &str) -> u64 {
        self.metrics.files.with_label_values(&["drop", outcome]).get()
    }

    fn events(&self, verdict: Option<Verdict>) -> usize {
        let filter = EventFilter { verdict, ..EventFilter::default() };
        self.journal.events(&filter, 100_000).unwrap().len()
    }

    fn redeliveries(&self) -> u64 {
        self.metrics.redeliveries.with_label_values(&["drop"]).get()
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        until(what, holds).await;
    }

    async fn done(&self, files: u64) {
        until("files are done", || self.files("done") == files).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

type Test = tokio::runtime::Runtime;

fn runtime() -> Test {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

// --- completeness -----------------------------------------------------------------------------

#[test]
fn a_half_written_file_that_grows_slowly_is_taken_whole() {
    runtime().block_on(async {
        let site = Site::new("complete: { stable_for: 2s }");
        let running = site.run();
        let mut file = File::create(site.path("slow.idoc")).unwrap();
        for number in 1..=10 {
            let text = idoc(number, "ZCUST");
            for half in [&text[..700], &text[700..]] {
                file.write_all(half.as_bytes()).unwrap();
                // The pace of the writer, and no wait for anything.
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert_eq!(running.files("taken"), 0);
            }
        }
        running.done(1).await;
        assert_eq!(running.events(Some(Verdict::Ignored)), 10);
        assert_eq!((running.files("put-back"), running.files("rejected")), (0, 0));
        assert_eq!((site.names("done"), site.names("")), (vec!["slow.idoc".to_owned()], vec![]));
        running.stop().await;
    });
}

#[test]
fn a_writer_that_pauses_for_too_long_is_told_and_nothing_is_lost() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        let mut file = File::create(site.path("pause.idoc")).unwrap();
        file.write_all(idocs(1..4).as_bytes()).unwrap();
        // It pauses until its file is taken, which needs the checked file to be begun.
        let begun = || !running.journal.open_files("drop").unwrap().is_empty();
        until("the file is begun", begun).await;
        file.write_all(idocs(4..6).as_bytes()).unwrap();
        running.take();
        until("the file is rejected", || running.files("rejected") == 1).await;
        assert_eq!(running.events(None), 3);
        let problems = site.text("rejected/pause.idoc.problems.txt");
        assert!(problems.contains("its writer went on after it was taken"), "{problems}");
        // All of it again: what was taken is known.
        fs::rename(site.path("rejected/pause.idoc"), site.path("pause.idoc")).unwrap();
        running.done(1).await;
        assert_eq!((running.events(None), running.redeliveries()), (5, 3));
        running.stop().await;
    });
}

#[test]
fn a_marker_makes_a_file_whole_when_it_comes_last() {
    runtime().block_on(async {
        let site = Site::new("complete: { marker: \"*.done\" }");
        let running = site.run();
        site.write("a.idoc", &idocs(1..3));
        until("it waits for its marker", || running.waiting("unmarked") == 1).await;
        assert_eq!(running.events(None), 0);
        site.write("a.done", "");
        running.done(1).await;
        assert_eq!(running.events(None), 2);
        assert_eq!(site.names(""), [] as [&str; 0], "the marker goes with its file");
        running.stop().await;
    });
}

#[test]
fn a_marker_that_comes_first_proves_nothing() {
    runtime().block_on(async {
        let site = Site::new("complete: { marker: \"*.done\" }");
        let running = site.run();
        site.write("a.idoc.done", "");
        let marker = File::options().write(true).open(site.path("a.idoc.done")).unwrap();
        marker.set_modified(std::time::SystemTime::now() - Duration::from_secs(5)).unwrap();
        site.write("a.idoc", &idocs(1..3));
        until("it must stand still", || running.waiting("changing") == 1).await;
        assert_eq!(running.files("taken"), 0);
        running.done(1).await;
        assert_eq!(running.events(None), 2);
        running.stop().await;
    });
}

#[test]
fn what_is_renamed_over_a_waiting_file_is_taken_in_its_place() {
    runtime().block_on(async {
        let site = Site::new("complete: { marker: \"*.done\" }");
        let running = site.run();
        site.write("a.idoc", &idocs(1..3));
        until("it waits", || running.waiting("unmarked") == 1).await;
        site.rename_in("a.idoc", &idocs(7..12));
        running.done(1).await;
        assert_eq!(running.events(None), 5);
        running.stop().await;
    });
}

#[test]
fn what_waits_is_shown_while_a_file_is_worked_on() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..4));
        let begun = || running.journal.open_files("drop").unwrap().len() == 1;
        until("the first is in work, and nobody takes its documents", begun).await;
        site.rename_in("a.idoc", &idocs(4..9));
        site.rename_in("b.idoc", &idocs(9..12));
        until("the second of its name waits", || running.waiting("same-name") == 1).await;
        until("the other is whole and waits", || running.waiting("behind") == 1).await;
        running.take();
        running.done(3).await;
        let none = || running.waiting("behind") + running.waiting("same-name") == 0;
        until("nothing waits", none).await;
        running.stop().await;
    });
}

// --- names and contents -----------------------------------------------------------------------

#[test]
fn the_second_file_of_a_name_waits_for_the_first() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..4));
        let begun = || running.journal.open_files("drop").unwrap().len() == 1;
        until("the first is in work", begun).await;
        site.rename_in("a.idoc", &idocs(4..9));
        let said = explain(&site);
        assert!(said.contains("same-name") && said.contains("0 of 3 IDocs"), "{said}");
        running.take();
        running.done(2).await;
        assert_eq!((running.events(None), running.redeliveries()), (8, 0));
        assert_eq!(site.names("done"), ["a.idoc", "a.idoc.1"]);
        running.stop().await;
    });
}

#[test]
fn names_of_255_bytes_end_as_others_do() {
    runtime().block_on(async {
        let site = Site::still();
        let running = site.run();
        let long = |last: &str| "ü".repeat(124) + last + ".idoc";
        let broken = [idoc(1, ""), idoc(2, "ZCUST")].concat();
        site.rename_in(&long("ab"), &broken);
        running.done(1).await;
        site.rename_in(&long("ab"), &broken);
        site.rename_in(&long("cd"), "KUNNR;NAME1\n");
        site.rename_in("later.idoc", &idocs(3..4));
        running.done(3).await;
        until("one is rejected", || running.files("rejected") == 1).await;
        let names = [site.names("done"), site.names("rejected")].concat();
        assert!(names.iter().all(|name| name.len() <= 255), "{names:#?}");
        assert!(site.names("done").contains(&long("ab")));
        let ends = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
        let expected = [(".idoc.1.problems.txt", 1), (".idoc.problems.txt", 1)];
        for (end, count) in expected {
            assert_eq!(ends(end), count, "{end}: {names:#?}");
        }
        assert_eq!(site.names(".work"), [] as [&str; 0]);
        running.stop().await;
    });
}

#[test]
fn a_file_that_cannot_be_worked_on_holds_up_no_other() {
    runtime().block_on(async {
        let site = Site::still();
        drop(folder::place::Place::open(&site.path("")).unwrap());
        site.write(".work/a.idoc", &idocs(1..4));
        fs::hard_link(site.path(".work/a.idoc"), site.path(".work/.twin")).unwrap();
        let running = site.run();
        until("it is failing", || running.waiting("failing") == 1).await;
        let failed = site.path(".work/.failing");
        until("the reason is told", || failed.is_file()).await;
        let said = explain(&site);
        assert!(said.contains("failing") && said.contains("second name"), "{said}");
        site.rename_in("b.idoc", &idocs(4..6));
        running.done(1).await;
        let up = running.metrics.source_up.with_label_values(&["drop"]);
        assert_eq!((up.get(), running.waiting("failing"), running.events(None)), (1, 1, 2));
        fs::remove_file(site.path(".work/.twin")).unwrap();
        running.done(2).await;
        until("nothing is failing", || running.waiting("failing") == 0).await;
        until("nor said to be", || !failed.exists()).await;
        running.stop().await;
    });
}

#[test]
fn what_is_no_plain_file_of_one_name_is_not_opened() {
    runtime().block_on(async {
        let site = Site::still();
        let secret = site.home.path().join("secret");
        fs::write(&secret, idocs(1..2)).unwrap();
        std::os::unix::fs::symlink(&secret, site.path("link.idoc")).unwrap();
        fs::hard_link(&secret, site.path("twin.idoc")).unwrap();
        let pipe = Command::new("mkfifo").arg(site.path("pipe.idoc")).status().unwrap();
        assert!(pipe.success());
        let _socket = std::os::unix::net::UnixListener::bind(site.path("socket.idoc")).unwrap();
        let running = site.run();
        until("the second name is seen", || running.waiting("linked") == 1).await;
        site.rename_in("a.idoc", &idocs(4..6));
        running.done(1).await;
        assert_eq!(running.events(None), 2);
        let said = explain(&site);
        for reason in ["\"link\"", "\"linked\"", "\"special\""] {
            assert!(said.contains(reason), "{reason}: {said}");
        }
        fs::remove_file(&secret).unwrap();
        running.done(2).await;
        assert_eq!(site.names(""), ["link.idoc", "pipe.idoc", "socket.idoc"]);
        running.stop().await;
    });
}

// --- others who may write to the folder -------------------------------------------------------

/// Does something as another user: `nobody`.
fn as_another(script: &str, site: &Site) {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(site.home.path()).uid(65_534).gid(65_534);
    assert!(command.status().unwrap().success(), "{script}");
}

/// A site whose folder everybody may write to, and a folder that is the agent's alone.
fn shared() -> Option<(Site, PathBuf)> {
    if !rustix_is_root() {
        eprintln!("skipped: only root may run a process as another user");
        return None;
    }
    let site = Site::still();
    for path in [site.home.path(), &site.path("")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let private = site.home.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::write(private.join("lock"), "private").unwrap();
    fs::write(private.join("a.idoc"), idocs(1..2)).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    Some((site, private))
}

fn untouched(private: &Path) {
    let mut names: Vec<_> =
        fs::read_dir(private).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.idoc", "lock"]);
    assert_eq!(fs::read(private.join("lock")).unwrap(), b"private");
}

#[test]
fn a_work_folder_of_another_user_is_refused() {
    let Some((site, private)) = shared() else { return };
    runtime().block_on(async {
        for (made, said) in [
            ("ln -s ../private in/.work", "symbolic link"),
            ("mkdir in/.work; ln -s ../../private/lock in/.work/lock", "belongs to user 65534"),
            ("ln -s ../private in/rejected", "symbolic link"),
            ("mkdir -m 777 in/done", "belongs to user 65534"),
        ] {
            as_another(made, &site);
            let error = folder::place::Place::open(&site.path("")).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("remove it"), "{made}: {error}");
            let running = site.run();
            let up = running.metrics.source_up.with_label_values(&["drop"]);
            assert_eq!(up.get(), 0);
            untouched(&private);
            as_another("rm -rf in/.work in/done in/rejected || true", &site);
            until("it is up when that is gone", || up.get() == 1).await;
            running.stop().await;
            for name in [".work", "done", "rejected"] {
                fs::remove_dir_all(site.path(name)).unwrap();
            }
        }
        untouched(&private);
    });
}

#[test]
fn a_work_folder_that_is_replaced_while_files_are_in_work_is_noticed() {
    let Some((site, private)) = shared() else { return };
    runtime().block_on(async {
        let mut running = site.start();
        site.rename_in("b.idoc", &[idoc(1, ""), idoc(2, "ZCUST")].concat());
        let begun = || running.journal.open_files("drop").unwrap().len() == 1;
        until("it is in work", begun).await;
        as_another("ln -s ../private in/.away; ln -s ../private in/.gone", &site);
        let exchange = |one: &str, other: &str| {
            let (one, other, flags) = (site.path(one), site.path(other), RenameFlags::EXCHANGE);
            rustix::fs::renameat_with(CWD, one, CWD, other, flags).unwrap();
        };
        exchange(".work", ".away");
        exchange("rejected", ".gone");
        running.take();
        let up = running.metrics.source_up.with_label_values(&["drop"]);
        until("the source is down", || up.get() == 0).await;
        site.rename_in("c.idoc", &idocs(7..9));
        untouched(&private);
        exchange(".work", ".away");
        exchange("rejected", ".gone");
        until("all of it is done", || site.names("done").len() == 2).await;
        untouched(&private);
        assert_eq!(site.names("rejected"), ["b.idoc.1", "b.idoc.1.problems.txt"]);
        running.stop().await;
    });
}

#[test]
fn the_same_content_under_another_name_is_a_visible_duplicate() {
    runtime().block_on(async {
        let site = Site::still();
        let running = site.run();
        site.rename_in("a.idoc", &idocs(1..4));
        running.done(1).await;
        site.rename_in("b.idoc", &idocs(1..4));
        running.done(2).await;
        assert_eq!((running.events(None), running.redeliveries()), (3, 3));
        assert_eq!(site.names("done"), ["a.idoc", "b.idoc", "b.idoc.duplicate.txt"]);
        let text = site.text("done/b.idoc.duplicate.txt");
        assert!(text.contains("all 3 IDocs") && text.contains("a.idoc (file 1)"), "{text}");
        running.stop().await;
    });
}

#[test]
fn one_broken_idoc_is_set_aside_and_only_it_is_new_when_mended() {
    runtime().block_on(async {
        let site = Site::still();
        let running = site.run();
        let broken = idoc(2, "");
        site.rename_in("a.idoc", &[idoc(1, "ZCUST"), broken.clone(), idoc(3, "ZCUST")].concat());
        running.done(1).await;
        assert_eq!(running.events(Some(Verdict::Ignored)), 2);
        assert_eq!(running.events(Some(Verdict::Failed)), 1);
        assert_eq!(site.names("rejected"), ["a.idoc.2", "a.idoc.2.problems.txt"]);
        assert_eq!(site.text("rejected/a.idoc.2"), broken);
        let problems = site.text("rejected/a.idoc.2.problems.txt");
        assert!(problems.contains("IDoc 2 of 3") && problems.contains("MESTYP"), "{problems}");
        assert!(!problems.contains("SECRET"), "{problems}");
        // Mended, and dropped again with the rest of its file.
        site.rename_in("a.idoc", &idocs(1..4));
        running.done(2).await;
        assert_eq!(running.events(Some(Verdict::Ignored)), 3);
        assert_eq!(running.redeliveries(), 2);
        assert_eq!(site.names("rejected").len(), 2, "nothing new is rejected");
        // And once more: now all of it is known.
        site.rename_in("c.idoc", &idocs(1..4));
        running.done(3).await;
        assert_eq!((running.events(None), running.redeliveries()), (4, 5));
        running.stop().await;
    });
}

#[test]
fn a_file_without_idocs_is_rejected_as_a_whole() {
    runtime().block_on(async {
        let site = Site::still();
        let running = site.run();
        site.rename_in("a.csv", "KUNNR;NAME1\n");
        until("it is rejected", || running.files("rejected") == 1).await;
        assert_eq!(site.names("rejected"), ["a.csv", "a.csv.problems.txt"]);
        assert!(site.text("rejected/a.csv.problems.txt").contains("EDI_DC40"));
        assert_eq!(running.events(None), 0);
        running.stop().await;
    });
}

/// 8 GiB of which nothing lies on the disk, and the ninth record is none.
fn sparse(site: &Site, name: &str) {
    let file = File::create(site.path(".part")).unwrap();
    (&file).write_all((idocs(1..4) + "no record").as_bytes()).unwrap();
    file.set_len(8 << 30).unwrap();
    fs::rename(site.path(".part"), site.path(name)).unwrap();
}

#[test]
fn a_huge_file_is_rejected_without_being_read_to_its_end() {
    runtime().block_on(async {
        for (keys, why) in
            [("max_file: 16GiB", "10:1: a record longer than"), ("in_flight: 4MiB", "max_file")]
        {
            let site = Site::new(&format!("complete: {{ stable_for: 100ms }}, {keys}"));
            let running = site.run();
            sparse(&site, "a.idoc");
            site.rename_in("b.idoc", &idocs(4..6));
            running.done(1).await;
            until("it is rejected", || running.files("rejected") == 1).await;
            assert_eq!(running.events(None), 2);
            let problems = site.text("rejected/a.idoc.problems.txt");
            assert!(problems.contains(why), "{problems}");
            // The longest record is one of 16 MiB.
            let status = fs::read_to_string("/proc/self/io").unwrap();
            let read = status.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
            assert!(read.parse::<u64>().unwrap() < 1 << 30, "{read}");
            running.stop().await;
        }
    });
}

/// More than is worked on together with others.
fn large(site: &Site, name: &str, first: u64) -> u64 {
    let count = 4_500;
    let text = idocs(first..first + count);
    assert!(text.len() > 8 << 20);
    site.rename_in(name, &text);
    count
}

#[test]
fn files_wait_for_a_large_one_that_came_first() {
    runtime().block_on(async {
        let site = Site::still();
        let count = large(&site, "large.idoc", 1);
        site.rename_in("small.idoc", &idocs(900_000..900_003));
        let running = site.run();
        running.done(2).await;
        let rows = running.journal.files_named("drop", "small.idoc", 1).unwrap();
        assert_eq!((rows[0].file, rows[0].documents), (2, 3), "begun when the first was done");
        assert_eq!(running.events(None) as u64, count + 3);
        running.stop().await;
    });
}

#[test]
fn where_order_is_of_no_account_a_large_file_holds_up_no_small_one() {
    runtime().block_on(async {
        let site = Site::new("complete: { stable_for: 100ms }, order: none, in_flight: 64KiB");
        let count = large(&site, "large.idoc", 1);
        let running = site.run();
        let begun = || running.journal.open_files("drop").unwrap().len() == 1;
        until("the large one is begun", begun).await;
        site.rename_in("small.idoc", &idocs(900_000..900_003));
        let ended = |name: &str| {
            let rows = running.journal.files_named("drop", name, 1).unwrap();
            rows.first().is_some_and(|row| row.outcome == Some(FileOutcome::Done))
        };
        until("the small one is done", || ended("small.idoc")).await;
        assert!(!ended("large.idoc"), "and the large one is not");
        running.done(2).await;
        assert_eq!((running.events(None) as u64, running.redeliveries()), (count + 3, 0));
        running.stop().await;
    });
}

// --- disks and rights -------------------------------------------------------------------------

#[test]
fn nothing_is_taken_while_the_journal_has_no_room() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..4));
        let received = running.metrics.events_received.with_label_values(&["drop"]);
        until("the first was read", || received.get() == 3).await;
        running.room.send_replace(false);
        site.rename_in("b.idoc", &idocs(4..6));
        running.take();
        running.done(1).await;
        assert_eq!((running.files("taken"), site.names("")), (1, vec!["b.idoc".to_owned()]));
        running.room.send_replace(true);
        running.done(2).await;
        assert_eq!(running.events(None), 5);
        running.stop().await;
    });
}

#[test]
fn a_journal_that_is_locked_is_said_until_it_takes_events_again() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..4));
        let begun = || running.journal.open_files("drop").unwrap().len() == 1;
        until("it is in work", begun).await;
        let other = rusqlite::Connection::open(site.journal()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        running.take();
        let reason = || {
            let reason = running.metrics.reasons.of(waybill::intake::JOURNAL);
            reason.map_or("", |reason| reason.brief)
        };
        until("the intake says why", || reason().contains("locked by another process")).await;
        other.execute_batch("ROLLBACK").unwrap();
        running.done(1).await;
        assert_eq!(reason(), "");
        running.stop().await;
    });
}

#[test]
fn a_folder_on_a_full_disk_goes_on_when_there_is_room() {
    if !rustix_is_root() {
        return;
    }
    runtime().block_on(async {
        let site = Site::still();
        let disk = Disk::mount(&site.path(""));
        let running = site.run();
        until("the source is up", || site.path("rejected").is_dir()).await;
        site.write(".filler", &"x".repeat(1 << 20));
        let room = fill(&site.path(".filler"));
        // There is room for the file (a rename), and none for what is to be written beside it.
        File::options()
            .write(true)
            .open(site.path(".filler"))
            .unwrap()
            .set_len(room - 16384)
            .unwrap();
        let broken = [idoc(1, ""), idoc(2, "ZCUST"), idoc(3, "ZCUST")].concat();
        fs::write(site.path(".part"), &broken).unwrap();
        fill(&site.path(".filler"));
        fs::rename(site.path(".part"), site.path("a.idoc")).unwrap();
        let up = || running.metrics.source_up.with_label_values(&["drop"]).get();
        until("it is down", || up() == 0).await;
        assert_eq!(running.files("done"), 0);
        fs::remove_file(site.path(".filler")).unwrap();
        running.done(1).await;
        assert!(site.names("rejected").contains(&"a.idoc.1".to_owned()));
        running.stop().await;
        drop(disk);
    });
}

#[test]
fn a_folder_that_vanishes_in_the_middle_of_a_file_goes_on_when_it_is_back() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..40));
        let begun = || !running.journal.open_files("drop").unwrap().is_empty();
        until("it is in work", begun).await;
        let (here, away) = (site.path(""), site.home.path().join("away"));
        fs::rename(&here, &away).unwrap();
        running.take();
        let up = running.metrics.source_up.with_label_values(&["drop"]);
        until("the source is down", || up.get() == 0).await;
        fs::rename(&away, &here).unwrap();
        running.until("it is done", || site.names("done") == ["a.idoc"]).await;
        site.rename_in("b.idoc", &idocs(40..50));
        until("the next one too", || site.names("done") == ["a.idoc", "b.idoc"]).await;
        assert_eq!((running.events(None), running.redeliveries()), (49, 0));
        running.stop().await;
    });
}

#[test]
fn folders_on_another_file_system_are_refused_with_the_remedy() {
    if !rustix_is_root() {
        eprintln!("skipped: only root may mount");
        return;
    }
    let site = Site::still();
    fs::create_dir(site.path(".work")).unwrap();
    let disk = Disk::mount(&site.path(".work"));
    let error = folder::place::Place::open(&site.path("")).unwrap_err().to_string();
    assert!(error.contains("another file system") && error.contains("make it a plain folder"));
    drop(disk);
}

/// Root may read everything, so that the program runs as somebody else.
#[test]
fn an_unreadable_file_waits_until_it_may_be_read() {
    runtime().block_on(async {
        let site = Site::still();
        let program = site.home.path().join("waybill");
        fs::copy(env!("CARGO_BIN_EXE_waybill"), &program).unwrap();
        for path in [site.home.path(), &site.path("")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::write(site.path("a.idoc"), idocs(1..4)).unwrap();
        fs::set_permissions(site.path("a.idoc"), fs::Permissions::from_mode(0o000)).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(arguments).current_dir(site.home.path()).env_remove("WAYBILL_CONFIG");
            if rustix_is_root() {
                command.uid(65534).gid(65534);
            }
            command.stderr(Stdio::null());
            command
        };
        let mut agent = Kill(command(&["run"]).spawn().unwrap());
        let said = || command(&["files", "explain", "in", "--json"]).output().unwrap().stdout;
        until("the agent is up", || site.path(".work/lock").is_file()).await;
        let said = String::from_utf8(said()).unwrap();
        assert!(said.contains("unreadable") && said.contains("chmod"), "{said}");
        assert_eq!(site.names(""), ["a.idoc"]);
        fs::set_permissions(site.path("a.idoc"), fs::Permissions::from_mode(0o644)).unwrap();
        until("it is done", || site.path("done/a.idoc").is_file()).await;
        agent.0.kill().unwrap();
    });
}

/// What takes rights from all files of a folder is no error of one of them.
#[test]
fn a_folder_that_may_not_be_written_to_takes_the_source_down_until_it_may() {
    if !rustix_is_root() {
        eprintln!("skipped: the folder must belong to another user than the agent");
        return;
    }
    runtime().block_on(async {
        let site = Site::still();
        let program = site.home.path().join("waybill");
        fs::copy(env!("CARGO_BIN_EXE_waybill"), &program).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(site.home.path(), 0o777);
        set(&site.path(""), 0o777);
        let log = File::create(site.home.path().join("log")).unwrap();
        let mut command = Command::new(&program);
        command.arg("run").current_dir(site.home.path()).env_remove("WAYBILL_CONFIG");
        let _agent = Kill(command.uid(65_534).gid(65_534).stderr(log).spawn().unwrap());
        until("the agent is up", || site.path("rejected").is_dir()).await;
        set(&site.path(""), 0o755);
        site.rename_in("a.idoc", &idocs(1..4));
        let said = || fs::read_to_string(site.home.path().join("log")).unwrap();
        until("the source is down", || said().contains("source is down")).await;
        assert!(said().contains("right to read, write and rename there"), "{}", said());
        assert!(!said().contains("file cannot be worked on"), "{}", said());
        set(&site.path(""), 0o777);
        until("it is done", || site.path("done/a.idoc").is_file()).await;
    });
}

#[test]
fn what_became_of_a_file_is_told_when_it_is_gone() {
    runtime().block_on(async {
        let site = Site::still();
        let ask = |name: &str| {
            let asked = command(&site, &["files", "explain", name]).output().unwrap();
            (asked.status.code(), String::from_utf8(asked.stdout).unwrap())
        };
        site.write("a.idoc", &[idoc(1, "ZCUST"), idoc(2, "ZOTHER")].concat());
        let mut agent = run(&site);
        until("it is done", || row(&site).is_some_and(|row| row.outcome.is_some())).await;
        agent.0.kill().unwrap();
        let (code, said) = ask("in/a.idoc");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("ended") && said.contains("2 IDocs, 0 known before"), "{said}");
        let trail = command(&site, &["trail", "a.idoc"]).output().unwrap();
        assert!(String::from_utf8_lossy(&trail.stdout).contains("files explain FOLDER/a.idoc"));
        let (code, said) = ask("in/b.idoc");
        assert_eq!(code, Some(1));
        assert!(said.contains("b.idoc is not there, and no file of this name"), "{said}");
    });
}

// --- many and large ---------------------------------------------------------------------------

#[test]
fn ten_thousand_small_files_at_once_are_taken_in_groups() {
    const FILES: u64 = 10_000;
    runtime().block_on(async {
        let site = Site::still();
        for number in 1..=FILES {
            site.write(&format!("{number:05}.idoc"), &idoc(number, "ZCUST"));
        }
        let started = Instant::now();
        let running = site.run();
        running.done(FILES).await;
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("10,000 files in {seconds:.1} s, {:.0} files/s", FILES as f64 / seconds);
        assert_eq!(running.events(None), FILES as usize);
        assert_eq!((site.names("").len(), site.names("done").len()), (0, FILES as usize));
        assert_eq!(site.names(".work"), [] as [&str; 0]);
        running.stop().await;
    });
}

#[test]
fn a_stop_in_the_middle_of_a_file_goes_on_behind_the_last_commit() {
    runtime().block_on(async {
        let site = Site::new("complete: { stable_for: 100ms }, in_flight: 64KiB");
        let mut running = site.start();
        running.take_some(100);
        site.rename_in("a.idoc", &idocs(1..2_001));
        let row = || running.journal.open_files("drop").unwrap().pop();
        until("some of it is taken", || row().is_some_and(|row| row.next_index == 100)).await;
        running.stop().await;
        let first = reader(&site).open_files("drop").unwrap().pop().unwrap();
        assert_eq!((first.next_index, first.duplicates), (100, 0));
        let running = site.run();
        running.done(1).await;
        let row = running.journal.file(first.file).unwrap().unwrap();
        assert_eq!((row.outcome, row.duplicates), (Some(FileOutcome::Done), 0));
        assert_eq!((running.events(None), running.redeliveries()), (2_000, 0));
        running.stop().await;
    });
}

#[test]
fn what_a_source_has_handed_over_is_not_handed_over_again_by_the_one_after_it() {
    runtime().block_on(async {
        let site = Site::still();
        let mut running = site.start();
        site.rename_in("a.idoc", &idocs(1..51));
        let labels = ["drop"];
        let handed = || running.metrics.events_received.with_label_values(&labels).get();
        until("all of it is handed over", || handed() == 50).await;
        running.replace(&site).await;
        let up = running.metrics.source_up.with_label_values(&labels);
        until("the next one has the folder", || up.get() == 1).await;
        running.take();
        running.done(1).await;
        let row = running.journal.file(1).unwrap().unwrap();
        assert_eq!((row.next_index, row.duplicates), (50, 0));
        let handed = running.metrics.events_received.with_label_values(&labels).get();
        assert_eq!((handed, running.redeliveries(), running.events(None)), (50, 0, 50));
        running.stop().await;
    });
}

/// kill -9 at 30 % and at 70 %: resumed, no IDoc twice, none lost.
#[test]
fn a_kill_in_the_middle_of_a_file_loses_nothing_and_repeats_nothing() {
    let count: u64 = if std::env::var_os("WAYBILL_BIG").is_some() { 404_000 } else { 4_000 };
    runtime().block_on(async {
        let site = Site::still();
        let part = site.home.path().join("part");
        let mut file = BufWriter::new(File::create(&part).unwrap());
        (1..=count).for_each(|number| file.write_all(idoc(number, "ZCUST").as_bytes()).unwrap());
        file.into_inner().unwrap().sync_all().unwrap();
        let size = fs::metadata(&part).unwrap().len();
        let mut agent = run(&site);
        until("the agent is up", || site.path(".work/lock").is_file()).await;
        let started = Instant::now();
        fs::rename(part, site.path("big.idoc")).unwrap();
        for percent in [30, 70] {
            at_percent(&site, percent).await;
            eprintln!("{percent} %: {} KiB RSS at most", peak(&agent));
            agent.0.kill().unwrap();
            agent.0.wait().unwrap();
            agent = run(&site);
        }
        until_done(&site).await;
        let seconds = started.elapsed().as_secs_f64();
        eprintln!(
            "{size} bytes, {count} IDocs in {seconds:.1} s with two kills: {:.1} MB/s, {:.0} IDocs/s, \
             {} KiB RSS at most",
            size as f64 / seconds / 1e6,
            count as f64 / seconds,
            peak(&agent)
        );
        assert!(peak(&agent) < 64 << 10, "memory is bounded");
        agent.0.kill().unwrap();
        let row = reader(&site).file(1).unwrap().unwrap();
        assert_eq!((row.next_index, row.next_offset, row.duplicates), (count, size, 0));
        let events = rusqlite::Connection::open(site.journal()).unwrap();
        let both = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let sql = "SELECT count(*), count(DISTINCT external) FROM events";
        let count = i64::try_from(count).unwrap();
        assert_eq!(events.query_row(sql, [], both).unwrap(), (count, count));
    });
}

// --- the program ------------------------------------------------------------------------------

struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    command.args(arguments).current_dir(site.home.path()).env_remove("WAYBILL_CONFIG");
    command
}

fn run(site: &Site) -> Kill {
    let log = OpenOptions::new().create(true).append(true).open(site.home.path().join("log"));
    Kill(command(site, &["run"]).stderr(log.unwrap()).spawn().unwrap())
}

fn explain(site: &Site) -> String {
    let output = command(site, &["files", "explain", "in", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn reader(site: &Site) -> waybill::journal::Reader {
    Journal::open_read_only(&site.journal()).unwrap()
}

fn row(site: &Site) -> Option<FileRow> {
    Journal::open_read_only(&site.journal()).ok()?.file(1).ok()?
}

async fn at_percent(site: &Site, percent: u64) {
    let come = || row(site).is_some_and(|row| row.next_offset * 100 >= row.size * percent);
    let deadline = Instant::now() + 10 * PATIENCE;
    while !come() {
        assert!(Instant::now() < deadline, "not at {percent} %");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn until_done(site: &Site) {
    let deadline = Instant::now() + 10 * PATIENCE;
    while row(site).is_none_or(|row| row.outcome.is_none()) {
        assert!(Instant::now() < deadline, "not done: {:?}", row(site));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The most memory that a process had, in KiB.
fn peak(agent: &Kill) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn rustix_is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    line.split_whitespace().nth(2) == Some("0")
}

/// A file system of 2 MiB.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path) -> Self {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(path).status();
        assert!(mounted.unwrap().success(), "a small disk could not be mounted");
        Self(path.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left goes with the machine.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Appends until the disk is full; the length that the file then has.
fn fill(path: &Path) -> u64 {
    let mut file = File::options().append(true).open(path).unwrap();
    let piece = [b'x'; 512];
    while file.write_all(&piece).is_ok() {}
    file.metadata().unwrap().len()
}
