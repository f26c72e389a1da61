//! What lies on the disk, and who may read it: the program runs with a umask that lets everybody do
//! everything, in a folder that everybody may enter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test ends where its site is not as it expects; what is skipped is said"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a condition may take to come true on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another user of the machine: `nobody`.
const STRANGER: u32 = 65_534;

struct Site {
    home: tempfile::TempDir,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Site {
    fn new() -> Self {
        let site = Self { home: tempfile::tempdir().unwrap() };
        set(site.home.path(), 0o755);
        for folder in ["in", "out"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        let text = "version: 1\n\
             agent: { name: test, instance: \"007\", data_dir: data }\n\
             journal: { min_free: 1MiB }\n\
             sources:\n  drop: { type: folder, path: in, format: idoc, poll: 50ms }\n\
             targets:\n  sap: { type: file, path: out, name: \"{docnum}.idoc\" }\nroutes: []\n";
        fs::write(site.path("waybill.yaml"), text).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs the agent under `umask 0` until it is up.
    fn run(&self) -> Running {
        let mut command = Command::new("sh");
        let log = fs::File::create(self.path("log")).unwrap();
        command.args(["-c", "umask 000; exec \"$0\" run", env!("CARGO_BIN_EXE_waybill")]);
        command.current_dir(self.home.path()).env_remove("WAYBILL_CONFIG").stderr(log);
        let running = Running(command.spawn().unwrap());
        until("it is up", || self.log().contains("source is up"));
        running
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path(name)).unwrap().mode() & 0o7777
    }
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether this may act as another user; says so where it may not.
fn may_be_another() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root may run a process as another user");
    }
    root
}

const FILES: [&str; 6] = [
    "data/journal.db",
    "data/journal.db-wal",
    "data/journal.db-shm",
    "data/numbers.high",
    "data/lock",
    "data/control.sock",
];

#[test]
fn everything_that_the_agent_makes_is_closed_to_other_users() {
    let site = Site::new();
    let _running = site.run();
    for folder in ["data", "in/.work", "in/done", "in/rejected"] {
        assert_eq!(site.mode(folder), 0o700, "{folder}");
    }
    for file in FILES.into_iter().chain(["in/.work/lock"]) {
        assert_eq!(site.mode(file), 0o600, "{file}");
    }
}

#[test]
fn what_an_earlier_agent_left_open_is_closed_and_the_log_says_so() {
    let site = Site::new();
    let mut running = site.run();
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    set(&site.path("data"), 0o755);
    for file in FILES {
        set(&site.path(file), 0o644);
    }
    let _running = site.run();
    assert_eq!(site.mode("data"), 0o700);
    for file in FILES {
        assert_eq!(site.mode(file), 0o600, "{file}");
    }
    let log = site.log();
    let said = log.lines().filter(|line| line.contains("was open to other users: closed"));
    assert!(said.clone().any(|line| line.contains("journal.db") && line.contains("0644")), "{log}");
    assert!(said.clone().any(|line| line.contains("0755")), "{log}");
}

#[test]
fn another_user_neither_reads_nor_locks_the_journal() {
    if !may_be_another() {
        return;
    }
    let site = Site::new();
    let _running = site.run();
    for file in FILES {
        let mut open = Command::new("sh");
        open.args(["-c", "exec 3<\"$0\"; flock -n -s 3"]).arg(site.path(file));
        let status = open.uid(STRANGER).gid(STRANGER).stderr(Stdio::null()).status().unwrap();
        assert!(!status.success(), "{file}");
    }
}
