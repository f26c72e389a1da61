//! The rules of the house, as tests: floors, purity, sizes, module docs, nothing forbidden.
//!
//! Plain text scanning of the sources, so that a rule is read in a minute and needs no tool. Each
//! rule is a function from files to offences (`file:line: what`), one test that runs it over the
//! tree, and one below that shows it failing. The code is formatted by rustfmt; the scanners rest
//! on that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where the tree is not readable")]

use std::fs;
use std::path::Path;

/// Modules from the ground up: each may use those before it, never those behind it. The order is
/// that of the tour in `src/lib.rs`. `waybill_parsers` lies below all of them.
const FLOORS: &str = "\
    metrics fault diagnostic directory visible trace cloudevent delivery event facts request yaml table \
    lifecycle partner config mapping route plan pipeline journal tls http amqp target dispatch \
    source intake agent doctor cli";

/// Where a floor may be used only in part: user, floor, the part, and why.
const ONLY: &[(&str, &str, &str, &str)] = &[
    ("source", "dispatch", "retry", "a source backs off as a target does; it delivers nothing"),
    ("intake", "dispatch", "feed", "the intake announces deliveries; it sends nothing"),
];

/// What decides and translates: no disk, no network, no clock, no runtime. `config::load` and
/// `config::secret` are not among them: they are where configuration meets disk and environment.
const PURE: &str = "\
    parsers/src/ src/diagnostic.rs src/diagnostic/ src/visible.rs src/delivery.rs src/event.rs src/facts.rs src/cloudevent.rs \
    src/cloudevent/ src/trace.rs src/request.rs src/yaml.rs src/table.rs src/lifecycle.rs \
    src/partner.rs src/config/mod.rs src/config/read.rs \
    src/config/unit.rs src/config/format.rs src/config/folder.rs src/config/routing_key.rs \
    src/config/exchange.rs src/config/http.rs src/config/listen.rs src/config/tls.rs src/config/path_template.rs \
    src/source/folder/judge.rs src/source/amqp/frames.rs src/event/ src/mapping/ src/route.rs src/plan.rs src/plan/ \
    src/pipeline.rs src/pipeline/ \
    src/dispatch/lanes.rs src/dispatch/retry.rs";

/// What a pure module does not name. `std::net::SocketAddr` and its like are values; no socket.
const IMPURE: &str = "\
    tokio std::fs std::env std::process std::thread std::io::std TcpStream TcpListener \
    UdpSocket UnixStream ToSocketAddrs SystemTime Instant Timestamp::now Zoned::now \
    TimeZone::system getrandom";

/// Ways to read a clock. `tokio::time::Instant::now` measures spans and stands still in tests.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;
const MOST_PARAMETERS: usize = 5;

/// A file of the tree.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// A file that is compiled for tests only, whoever declares it.
    fn is_test(&self) -> bool {
        let inside = self.path.strip_prefix("tests/oracle/").unwrap_or(&self.path);
        inside.starts_with("tests/")
            || inside.contains("/tests/")
            || inside.ends_with("tests.rs")
            || inside.starts_with("benches/")
            || inside.starts_with("parsers/benches/")
            || inside.starts_with("parsers/fuzz/")
    }

    /// The lines before the inline tests, comments blanked, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut tests = self.text.match_indices("\n#[cfg(test)]\nmod ").map(|(at, _)| at);
        let inline = tests.find(|at| self.text[at + 19..].lines().next().unwrap().ends_with('{'));
        let lines = self.text[..inline.unwrap_or(self.text.len())].lines();
        let plain = lines.map(|line| match line.trim_start().starts_with("//") {
            true => "",
            false => line.split(" // ").next().unwrap_or(line),
        });
        plain.enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The first part of a module path: `config` for `src/config/read.rs`.
    fn module(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        let name = name.strip_suffix(".rs").unwrap_or(name);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The files below the given folders whose names end with `suffix`.
fn tree(folders: &[&str], suffix: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let inside = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            open.extend(inside.filter(|path| !is_left_out(path, root)));
        } else if name.ends_with(suffix) {
            // What is no text says nothing.
            files.extend(fs::read_to_string(&path).ok().map(|text| Source::new(&name, &text)));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// What `.gitignore` names, and git itself.
fn is_left_out(path: &Path, root: &Path) -> bool {
    ["target", "var", ".git"].iter().any(|name| path == root.join(name))
}

fn rust() -> Vec<Source> {
    tree(&["src", "parsers", "tests", "benches"], ".rs")
}

#[track_caller]
fn none(offences: Vec<String>, remedy: &str) {
    let count = offences.len();
    assert!(offences.is_empty(), "{count} offences:\n{}\n{remedy}", offences.join("\n"));
}

// --- floors -----------------------------------------------------------------------------------

fn upward_imports(files: &[Source]) -> Vec<String> {
    let floor = |module: &str| FLOORS.split(' ').position(|name| name == module);
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let Some(module) = file.module() else { continue };
        let Some(own) = floor(module) else {
            offences.push(file.at(1, format!("module `{module}` has no floor")));
            continue;
        };
        for (line, code) in file.code() {
            for used in code.split("crate::").skip(1) {
                let end = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let (used, rest) = used.split_at(end.unwrap_or(used.len()));
                match floor(used) {
                    _ if used == module => {}
                    None => offences.push(file.at(line, format!("`crate::{used}` has no floor"))),
                    Some(other) if other > own => {
                        offences.push(file.at(line, format!("`{module}` lies below `{used}`")));
                    }
                    Some(_) => {
                        offences.extend(beyond(module, used, rest).map(|what| file.at(line, what)));
                    }
                }
            }
        }
    }
    offences
}

/// Whether a module uses more of a floor than it may.
fn beyond(module: &str, used: &str, rest: &str) -> Option<String> {
    let (.., part, why) = ONLY.iter().find(|only| (only.0, only.1) == (module, used))?;
    let allowed = rest.trim_start_matches([':', '{', ' ']).starts_with(part);
    (!allowed).then(|| format!("`{module}` may use only `{used}::{part}`: {why}"))
}

#[test]
fn a_module_imports_only_from_lower_floors() {
    none(upward_imports(&rust()), "move what both need down, or the user up (FLOORS, ONLY)");
}

#[test]
fn every_floor_is_a_module() {
    let lib = Source::new("src/lib.rs", &tree(&["src/lib.rs"], "").remove(0).text);
    let declared: Vec<_> = lib
        .code()
        .filter_map(|(_, code)| code.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let ghosts = FLOORS.split(' ').filter(|name| !declared.contains(name));
    none(ghosts.map(ToString::to_string).collect(), "take it out of FLOORS");
    let new = declared.iter().filter(|name| !FLOORS.split(' ').any(|floor| floor == **name));
    none(new.map(ToString::to_string).collect(), "give it a floor in FLOORS");
}

// --- purity -----------------------------------------------------------------------------------

fn impurities(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        if !PURE.split(' ').any(|pure| file.path.starts_with(pure)) {
            continue;
        }
        for (line, code) in file.code() {
            let found = IMPURE.split(' ').filter(|word| code.contains(word));
            offences.extend(found.map(|word| file.at(line, format!("`{word}` in a pure module"))));
        }
    }
    offences
}

fn clock_readers(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !file.is_test() && file.path != "src/main.rs") {
        if !file.path.starts_with("src/") && !file.path.starts_with("parsers/src/") {
            continue;
        }
        for (line, code) in file.code() {
            let code = code.replace("tokio::time::Instant::now", "");
            let read = CLOCKS.iter().filter(|clock| code.contains(*clock));
            offences.extend(read.map(|clock| file.at(line, format!("`{clock}` reads the clock"))));
        }
    }
    offences
}

#[test]
fn what_decides_touches_no_disk_no_network_no_clock() {
    none(impurities(&rust()), "take the value in as an argument; the caller has it");
}

#[test]
fn every_pure_path_is_there() {
    let files = rust();
    let gone = PURE.split(' ').filter(|pure| !files.iter().any(|file| file.path.starts_with(pure)));
    none(gone.map(ToString::to_string).collect(), "mend PURE: a rule about nothing holds nothing");
}

#[test]
fn only_main_reads_the_clock() {
    none(
        clock_readers(&rust()),
        "take `clock: fn() -> Timestamp`; tests then have a time of theirs",
    );
}

// --- size -------------------------------------------------------------------------------------

struct Function<'a> {
    name: &'a str,
    line: usize,
    length: usize,
    parameters: usize,
    /// It carries an `allow` for its parameters; that an `allow` has a reason is another rule.
    excused: bool,
}

fn functions<'a>(file: &'a Source) -> Vec<Function<'a>> {
    let lines: Vec<&str> = file.code().map(|(_, code)| code).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let head = lines[at..].iter().position(|l| l.trim_end().ends_with(['{', ';', '}']));
        let Some(head) = head.map(|head| at + head) else { continue };
        let close = format!("{indent}}}");
        let end = match lines[head].trim_end().ends_with('{') {
            true => lines[head..].iter().position(|line| *line == close).map(|end| head + end),
            false => Some(head),
        };
        let attributes = lines[..at].iter().rev().take_while(|line| !line.trim().is_empty());
        found.push(Function {
            name,
            line: at + 1,
            length: end.unwrap_or(head) - at + 1,
            parameters: parameters(&lines[at..=head].join(" ")),
            excused: attributes.take(6).any(|line| line.contains("too_many_arguments")),
        });
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    let before = ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "default "];
    while let Some(rest) = before.iter().find_map(|word| words.strip_prefix(word)) {
        words = rest;
    }
    let name = words.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

/// Counts the parameters of a signature as clippy does, `self` included.
fn parameters(signature: &str) -> usize {
    let mut depth = 0_i32;
    let (mut count, mut filled, mut inside) = (0, false, false);
    let signature = signature.replace("->", "  ");
    let signature = signature.split_once("fn ").map_or("", |(_, behind)| behind);
    for c in signature.chars() {
        match c {
            '(' if depth == 0 => (inside, depth) = (true, 1),
            ')' if inside && depth == 1 => break,
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            ',' if inside && depth == 1 => (count, filled) = (count + usize::from(filled), false),
            c if inside && !c.is_whitespace() => filled = true,
            _ => {}
        }
    }
    count + usize::from(filled)
}

fn too_big(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let lines = file.code().count();
        if lines > LONGEST_FILE && !file.is_test() {
            offences.push(file.at(1, format!("{lines} lines without tests (most {LONGEST_FILE})")));
        }
        for function in functions(file) {
            let Function { name, line, length, parameters, excused } = function;
            if length > LONGEST_FUNCTION {
                let what = format!("`{name}` has {length} lines (most {LONGEST_FUNCTION})");
                offences.push(file.at(line, what));
            }
            if parameters > MOST_PARAMETERS && !excused {
                let what = format!("`{name}` takes {parameters} (most {MOST_PARAMETERS})");
                offences.push(file.at(line, what));
            }
        }
    }
    offences
}

#[test]
fn files_functions_and_signatures_stay_small() {
    none(too_big(&rust()), "split by what it does; parameters that travel together are a struct");
}

// --- what every file has, and what none has ---------------------------------------------------

fn undocumented(files: &[Source]) -> Vec<String> {
    let bare = files.iter().filter(|file| !file.text.starts_with("//!"));
    bare.map(|file| file.at(1, "does not begin with `//!`")).collect()
}

fn unreasoned(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let mut before = 0;
        for part in file.text.split_inclusive('\n') {
            let here = part.trim_start();
            let opens = ["#[allow(", "#[expect(", "#![allow(", "#![expect("];
            if opens.iter().any(|open| here.starts_with(open)) {
                let attribute = file.text[before..].split(")]").next().unwrap_or_default();
                if !attribute.contains("reason =") {
                    let line = file.text[..before].lines().count() + 1;
                    offences.push(file.at(line, "a lint is allowed without a reason"));
                }
            }
            before += part.len();
        }
    }
    offences
}

fn forbidden(files: &[Source]) -> Vec<String> {
    const PANICS: &str =
        "unsafe todo!( unimplemented!( dbg!( .unwrap() .expect( panic!( unreachable!(";
    const UNBOUNDED: &str = "unbounded_channel thread::sleep process::exit";
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        for (line, code) in file.code() {
            let ours = !file.path.starts_with("tests/");
            let words = PANICS.split(' ').chain(UNBOUNDED.split(' ').filter(|_| ours));
            let code = code.replace("unsafe_code", "");
            let found = words.filter(|word| code.contains(word));
            offences.extend(found.map(|word| file.at(line, format!("`{word}`"))));
        }
    }
    offences
}

#[test]
fn every_module_says_what_it_is_for() {
    none(
        undocumented(&rust()),
        "begin with `//!`: what it is for, its contract, what it must not do",
    );
}

#[test]
fn every_allowed_lint_has_a_reason() {
    none(unreasoned(&rust()), "write `reason = \"...\"`, or better do without the exception");
}

#[test]
fn nothing_panics_sleeps_or_grows_without_bound_outside_tests() {
    none(forbidden(&rust()), "return an error that names the place; wait and queue with bounds");
}

// --- what is printed --------------------------------------------------------------------------

/// Ways around `Output`, which makes text from outside visible, and who may take them.
const PRINTING: &[(&str, &[&str])] = &[
    ("io::stdout(", &["src/cli/output.rs"]),
    ("io::stderr(", &["src/cli/output.rs", "src/cli/logs.rs"]),
    ("dyn Write", &["src/cli/output.rs"]),
    ("println!", &[]),
    ("print!(", &[]),
    // Bytes for programs, and what has colours and lines of its own.
    (
        ".write_document(",
        &["src/cli/output.rs", "src/cli/ack.rs", "src/cli/convert/", "src/cli/mod.rs"],
    ),
    (".rendered(", &["src/cli/output.rs", "src/cli/check.rs"]),
    ("fmt::layer()", &[]),
    ("lines::layer()", &["src/cli/logs.rs"]),
];

fn printed_raw(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("src/") && !file.is_test()) {
        let is_command = file.path.starts_with("src/cli/");
        for (line, code) in file.code() {
            for (way, users) in PRINTING {
                let everywhere =
                    way.contains("io::") || way.contains("print") || way.contains("layer");
                let may = users.iter().any(|user| file.path.starts_with(user));
                if code.contains(way) && !may && (is_command || everywhere) {
                    offences.push(file.at(line, format!("`{way}` prints as it stands")));
                }
            }
        }
    }
    offences
}

#[test]
fn what_is_printed_is_made_visible() {
    none(printed_raw(&rust()), "print through `cli::output::Output`, log through `cli::logs`");
}

// --- the oracle -------------------------------------------------------------------------------

/// The oracle's own library is called `waybill_oracle`.
fn shared_with_the_oracle(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("tests/oracle/")) {
        let manifest = file.path.ends_with(".toml");
        for (line, code) in file.code() {
            let code = code.replace("waybill_oracle::", "");
            let uses = ["waybill::", "waybill_parsers", "include!(\"../../.."];
            let depends = manifest && (code.starts_with("waybill") || code.contains("path ="));
            if depends || !manifest && uses.iter().any(|name| code.contains(name)) {
                offences.push(file.at(line, "uses a crate of ours"));
            }
        }
    }
    offences
}

#[test]
fn the_oracle_shares_no_code_with_the_accused() {
    let mut files = tree(&["tests/oracle"], ".rs");
    files.extend(tree(&["tests/oracle"], ".toml"));
    assert!(files.len() > 1, "the oracle is not there");
    none(shared_with_the_oracle(&files), "an oracle that shares code shares its mistakes");
}

// --- the tree as a whole ----------------------------------------------------------------------

/// Spelt in two parts, or this file would be the first offender.
fn local(line: &str) -> Option<&'static str> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    if let Some(place) = places.into_iter().find(|place| line.contains(place)) {
        return Some(place);
    }
    let public = concat!("registry", "+https://github.com/rust-lang/crates.io-index");
    let line = line.replace(public, "");
    let registries =
        [concat!("registry", "+"), concat!("sparse", "+"), concat!("replace", "-with")];
    registries.into_iter().find(|place| line.contains(place))
}

fn places_of_one_machine(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            offences.extend(local(line).map(|place| file.at(at + 1, format!("`{place}`"))));
        }
    }
    offences
}

#[test]
fn no_file_names_a_path_of_one_machine_or_a_registry() {
    none(places_of_one_machine(&tree(&["."], "")), "write it relative to the repository");
}

// --- metrics ----------------------------------------------------------------------------------

/// The names that `src/metrics.rs` registers: the first text behind `counters(` and its like.
fn metric_names(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let kinds = ["counters(", "counter(", "gauges(", "gauge(", "histograms(", "histogram("];
    let mut names = Vec::new();
    for part in kinds.iter().flat_map(|kind| code.split(kind).skip(1)) {
        let Some(quoted) = part.trim_start().strip_prefix('"') else { continue };
        names.extend(quoted.split('"').next().map(|name| format!("waybill_{name}")));
    }
    names.sort();
    names
}

fn undescribed(names: &[String], manual: &str) -> Vec<String> {
    let described = |name: &&String| !manual.contains(&format!("`{name}`"));
    names.iter().filter(described).cloned().collect()
}

/// Names that the manual describes and nobody registers.
fn invented(names: &[String], manual: &str) -> Vec<String> {
    let quoted = manual.split('`').skip(1).step_by(2);
    let ours = quoted.filter(|word| word.starts_with("waybill_") && !word.contains(['{', ' ']));
    ours.filter(|word| !names.iter().any(|name| name == word)).map(str::to_owned).collect()
}

#[test]
fn every_metric_is_described_and_every_described_one_exists() {
    let names = metric_names(&tree(&["src/metrics.rs"], "").remove(0).text);
    let manual = tree(&["docs/operations/metrics.md"], "").remove(0).text;
    assert!(names.len() > 15, "the scanner finds too few: {names:?}");
    none(undescribed(&names, &manual), "describe it in docs/operations/metrics.md");
    none(invented(&names, &manual), "take it out of docs/operations/metrics.md");
}

// --- each rule can fail -----------------------------------------------------------------------

#[cfg(test)]
mod seeded {
    use super::*;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn an_import_from_a_higher_floor_is_found() {
        let found = upward_imports(&one("src/route.rs", "//! x\n\nuse crate::journal::Journal;\n"));
        assert_eq!(found, ["src/route.rs:3: `route` lies below `journal`"]);
        let found = upward_imports(&one("src/mapping/apply.rs", "fn f(p: &crate::plan::Plan) {}"));
        assert_eq!(found, ["src/mapping/apply.rs:1: `mapping` lies below `plan`"]);
        assert_eq!(upward_imports(&one("src/helper.rs", "")).len(), 1, "a module without a floor");
        let test = "//! x\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}";
        assert_eq!(upward_imports(&one("src/route.rs", test)), [] as [&str; 0]);
    }

    #[test]
    fn more_of_a_floor_than_allowed_is_found() {
        let text = "use crate::dispatch::retry;\nuse crate::dispatch::{self, lanes};\n";
        let found = upward_imports(&one("src/source/amqp/mod.rs", text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/source/amqp/mod.rs:2: `source` may use only"));
    }

    #[test]
    fn disk_and_clock_in_a_pure_module_are_found() {
        let text =
            "use std::net::SocketAddr;\nlet x = std::fs::read(path);\n// tokio is far away\n";
        let found = impurities(&one("src/pipeline.rs", text));
        assert_eq!(found, ["src/pipeline.rs:2: `std::fs` in a pure module"]);
        assert!(impurities(&one("src/config/load.rs", text)).is_empty());
        let text = "let a = Timestamp::now();\nlet b = tokio::time::Instant::now();\n";
        assert_eq!(clock_readers(&one("src/intake.rs", text)).len(), 1);
        assert!(clock_readers(&one("src/main.rs", text)).is_empty());
    }

    #[test]
    fn what_is_too_big_is_found() {
        let long = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(59));
        assert_eq!(too_big(&one("src/a.rs", &long)), ["src/a.rs:1: `long` has 61 lines (most 60)"]);
        assert_eq!(too_big(&one("src/a.rs", &"\n".repeat(401))).len(), 1);
        let tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}", "\n".repeat(401));
        assert_eq!(too_big(&one("src/a.rs", &tests)), [] as [&str; 0]);
        let wide = "    pub(super) async fn wide<T: Into<A>>(\n        &self,\n        a: (u8, u8),\n        \
                    b: impl Fn(u8, u8) -> u8,\n        c: [u8; 2],\n        d: T,\n        e: &str,\n    \
                    ) -> u8 {\n    }\n";
        assert_eq!(too_big(&one("src/a.rs", wide)), ["src/a.rs:1: `wide` takes 6 (most 5)"]);
        let excused = format!("#[allow(clippy::too_many_arguments, reason = \"x\")]\n{wide}");
        assert_eq!(too_big(&one("src/a.rs", &excused)), [] as [&str; 0]);
    }

    #[test]
    fn missing_docs_and_reasons_are_found() {
        assert_eq!(undocumented(&one("src/a.rs", "use x;\n//! late")).len(), 1);
        let text = "//! x\n#[allow(\n    dead_code\n)]\nfn f() {}\n#[expect(y, reason = \"z\")]\n";
        let found = unreasoned(&one("src/a.rs", text));
        assert_eq!(found, ["src/a.rs:2: a lint is allowed without a reason"]);
    }

    #[test]
    fn what_panics_or_is_unsafe_is_found() {
        let text =
            "a.unwrap();\nunsafe { b }\n/// c.unwrap()\n#[cfg(test)]\nmod tests {\nd.unwrap();\n";
        assert_eq!(
            forbidden(&one("src/a.rs", text)),
            ["src/a.rs:1: `.unwrap()`", "src/a.rs:2: `unsafe`"]
        );
        assert_eq!(forbidden(&one("src/mapping/tests.rs", text)), [] as [&str; 0]);
        let text = "let (sender, queue) = mpsc::unbounded_channel();\n";
        assert_eq!(
            forbidden(&one("src/intake.rs", text)),
            ["src/intake.rs:1: `unbounded_channel`"]
        );
    }

    #[test]
    fn a_way_around_the_output_is_found() {
        let text = "fn f(out: &mut dyn Write) {\nwriteln!(io::stderr(), \"{key}\");\n";
        assert_eq!(
            printed_raw(&one("src/cli/files.rs", text)),
            [
                "src/cli/files.rs:1: `dyn Write` prints as it stands",
                "src/cli/files.rs:2: `io::stderr(` prints as it stands"
            ]
        );
        assert_eq!(printed_raw(&one("src/cli/output.rs", text)), [] as [&str; 0]);
        assert_eq!(printed_raw(&one("src/intake.rs", "println!(\"{key}\");")).len(), 1);
    }

    #[test]
    fn an_oracle_that_borrows_is_found() {
        let text = "use waybill_oracle::judge;\nuse waybill_parsers::idoc;\n";
        assert_eq!(shared_with_the_oracle(&one("tests/oracle/src/a.rs", text)).len(), 1);
        let text = "name = \"waybill-oracle\"\nwaybill = { path = \"../..\" }\n";
        assert_eq!(shared_with_the_oracle(&one("tests/oracle/Cargo.toml", text)).len(), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text =
            concat!("cd /wo", "rk/main\nsource = \"registry", "+https://mirror.example/\"\n");
        assert_eq!(places_of_one_machine(&one("docs/a.md", text)).len(), 2);
        let text =
            concat!("source = \"registry", "+https://github.com/rust-lang/crates.io-index\"");
        assert_eq!(places_of_one_machine(&one("Cargo.lock", text)), [] as [&str; 0]);
    }

    #[test]
    fn a_metric_without_a_description_is_found() {
        let names =
            metric_names("a: new.counters(\n  \"events_total\", \"Help.\")?,\nb: new.gauge(\"x\")");
        assert_eq!(names, ["waybill_events_total", "waybill_x"]);
        assert_eq!(undescribed(&names, "| `waybill_x` | x |"), ["waybill_events_total"]);
        assert_eq!(invented(&names, "`waybill_x`, `waybill_y`"), ["waybill_y"]);
    }
}
