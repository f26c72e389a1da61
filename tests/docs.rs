//! The manual against the program: every key is described, every example holds, every link leads
//! somewhere. (Mappings: `tests/mappings.rs`. Metrics: `tests/architecture.rs`.)

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its files are not as it expects"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts between `open` and `close`.
fn between<'t>(text: &'t str, open: &'t str, close: &'t str) -> Vec<&'t str> {
    text.split(open).skip(1).filter_map(|part| Some(part.split_once(close)?.0)).collect()
}

// --- keys -------------------------------------------------------------------------------------

/// The keys that a reader of a file asks for: the first text behind a method of `yaml::Fields`, or
/// behind a helper of the reader that passes it on.
fn keys(code: &str) -> Vec<&str> {
    let code = code.split("#[cfg(test)]").next().unwrap();
    let asks = [
        "required(",
        "required_text(",
        "optional(",
        "text(",
        "parsed(",
        "choice(",
        "flag(",
        "patterns(",
        "path(&mut fields, ",
        "path(",
    ];
    let mut keys = Vec::new();
    for behind in asks.iter().flat_map(|ask| code.split(ask).skip(1)) {
        let quoted = behind.trim_start().strip_prefix('"');
        keys.extend(quoted.and_then(|quoted| quoted.split('"').next()));
    }
    // Fields of a record, listed with their lengths.
    for (at, _) in code.match_indices("(\"") {
        let (name, rest) = code[at + 2..].split_once('"').unwrap();
        let length = rest.strip_prefix(", ").and_then(|rest| rest.split_once(')'));
        if length.is_some_and(|(length, _)| length.parse::<u32>().is_ok()) {
            keys.push(name);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn undescribed<'k>(keys: &[&'k str], manual: &str) -> Vec<&'k str> {
    // In the first cell of a table; several of a kind may share a row.
    let cells: Vec<&str> = manual.lines().filter_map(|line| line.split('|').nth(1)).collect();
    let described = |key: &str| cells.iter().any(|cell| cell.contains(&format!("`{key}`")));
    keys.iter().copied().filter(|key| !described(key)).collect()
}

#[test]
fn every_key_of_the_files_is_described() {
    let manual = text("docs/configuration.md");
    for (reader, least) in [
        ("src/config/read.rs", 30),
        ("src/config/exchange.rs", 7),
        ("src/config/http.rs", 25),
        ("src/config/tls.rs", 3),
        ("src/config/listen.rs", 4),
        ("src/lifecycle.rs", 8),
        ("src/partner.rs", 20),
    ] {
        let code = text(reader);
        let keys = keys(&code);
        assert!(keys.len() >= least, "{reader}: the scanner finds too few: {keys:?}");
        let none: [&str; 0] = [];
        let missing = undescribed(&keys, &manual);
        assert_eq!(missing, none, "{reader} asks for keys that docs/configuration.md lacks");
    }
}

#[test]
fn a_key_without_a_description_is_found() {
    let code =
        "fields.text(\"queue\", problems); fields.parsed(\n \"drain\", problems);\n(\"MANDT\", 3)";
    assert_eq!(keys(code), ["MANDT", "drain", "queue"]);
    assert_eq!(undescribed(&keys(code), "| `drain` | x |\n| `MANDT`, `TEST` | x |"), ["queue"]);
}

// --- examples ---------------------------------------------------------------------------------

/// A folder in which the paths of the examples lead to the mappings that ship.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("mappings"), folder.path().join("mappings"))
            .unwrap();
        Self { folder }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What `waybill check` says of a file.
    fn check(&self, name: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        command.args(["check", name]).current_dir(self.folder.path()).env_remove("WAYBILL_CONFIG");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

#[test]
fn the_quick_start_of_the_readme_has_no_mistakes() {
    let readme = text("README.md");
    let written = between(&readme, "cat > var/waybill.yaml <<'YAML'\n", "YAML\n");
    assert_eq!(written.len(), 1);
    let site = Site::new();
    site.write("var/waybill.yaml", written[0]);
    let said = site.check("var/waybill.yaml");
    // All but the digest, which changes with every mapping.
    let said = said.split("plan").next().unwrap();
    assert!(readme.contains(said), "README.md does not show what check says: {said}");
}

#[test]
fn the_examples_of_the_configuration_manual_have_no_mistakes() {
    let manual = text("docs/configuration.md");
    let site = Site::new();
    let mut written = Vec::new();
    for example in between(&manual, "```yaml\n", "```") {
        let places = [
            ("\nagent:", "waybill.yaml"),
            ("\nlifecycle:", "lifecycles/vehicle.yaml"),
            ("\npartner:", "partners/sap-importer.yaml"),
        ];
        let place = places.iter().find(|(key, _)| example.contains(key));
        let (_, name) = place.unwrap_or_else(|| panic!("which file is this?\n{example}"));
        site.write(name, example);
        written.push(*name);
    }
    written.sort_unstable();
    assert_eq!(written, ["lifecycles/vehicle.yaml", "partners/sap-importer.yaml", "waybill.yaml"]);
    site.check("waybill.yaml");
}

#[test]
fn the_configuration_of_the_kubernetes_manifests_has_no_mistakes() {
    let manifest = text("docker/kubernetes/config.yaml");
    let (_, written) = manifest.split_once("  waybill.yaml: |\n").unwrap();
    let lines = written.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    let config = lines.collect::<Vec<_>>().join("\n");
    let site = Site::new();
    let mappings = site.folder.path().join("mappings");
    site.write(
        "waybill.yaml",
        &config.replace("/opt/waybill/mappings", &mappings.display().to_string()),
    );
    site.check("waybill.yaml");
}

// --- links ------------------------------------------------------------------------------------

fn pages() -> Vec<PathBuf> {
    let mut open = vec![root().join("docs")];
    let mut pages =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)).to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a link of a page leads to a file, and to a heading of it where it names one.
fn leads(page: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let there = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    let Ok(found) = fs::metadata(&there) else { return false };
    if heading.is_empty() || found.is_dir() {
        return heading.is_empty();
    }
    let target = fs::read_to_string(there).unwrap();
    target.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
}

#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        let content = fs::read_to_string(&page).unwrap();
        for link in between(&content, "](", ")") {
            if !link.contains("://") && !leads(&page, link) {
                dead.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn a_dead_link_is_found() {
    let page = root().join("README.md");
    assert!(leads(&page, "docs/configuration.md#agent"));
    assert!(!leads(&page, "docs/configuration.md#nobody"));
    assert!(!leads(&page, "docs/nothing.md"));
}

// --- security ---------------------------------------------------------------------------------

/// The last cell of each row of the tables in `docs/security.md`.
fn tests_of_attempts() -> Vec<String> {
    let page = text("docs/security.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attempt"));
    rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap().to_owned()).collect()
}

fn text_or_none(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

#[test]
fn every_attempt_of_the_security_page_names_a_test_that_exists() {
    let cells = tests_of_attempts();
    assert!(cells.len() > 80, "the scanner finds too few: {}", cells.len());
    for cell in cells {
        for name in cell.split(", ").filter(|name| !name.starts_with('`') && *name != "by hand") {
            let (path, test) = name.split_once("::").unwrap_or((name, ""));
            let (path, text) = (root().join(path), text_or_none(path));
            assert!(path.exists(), "docs/security.md names {}", path.display());
            let found = test.is_empty() || text.contains(&format!("fn {test}("));
            assert!(found, "docs/security.md names {test} in {}", path.display());
        }
    }
}
