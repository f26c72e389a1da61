//! What is in the tree: a crate with a known vulnerability stops the build, and the list of crates in
//! the image is whole.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests; one says that it skips"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `.ci/advisories.py` says of our lock file with one advisory about `memchr`, whose version is
/// 2; `None` where Python is too old.
fn checked(versions: &str, more: &str) -> Option<(i32, String)> {
    let is_new = Command::new("python3").args(["-c", "import tomllib"]).output();
    if !is_new.is_ok_and(|output| output.status.success()) {
        println!("skipped: no Python 3.11");
        return None;
    }
    let database = tempfile::tempdir().unwrap();
    let folder = database.path().join("crates/memchr");
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"memchr\"\n{more}\n\
         [versions]\n{versions}\n```\n\n# Seeded\n"
    );
    fs::write(folder.join("RUSTSEC-2099-0001.md"), text).unwrap();
    let mut command = Command::new("python3");
    command.arg(root().join(".ci/advisories.py")).arg(root().join("Cargo.lock"));
    let output = command.arg(database.path()).output().unwrap();
    Some((output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()))
}

#[test]
fn an_advisory_about_a_crate_of_the_lock_file_fails_the_check() {
    let Some((code, said)) = checked("patched = [\">= 99.0.0\"]", "") else { return };
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("RUSTSEC-2099-0001: memchr 2."), "{said}");
    assert!(said.ends_with("mended in: >= 99.0.0\n"), "{said}");
    for (versions, more, expected) in [
        ("patched = []", "", 1),
        ("patched = [\">= 0.1.0, < 2.0.0\", \"^3\"]", "", 1),
        ("patched = [\">= 99.0.0\"]\nunaffected = [\"< 1.0.0\"]", "", 1),
        ("patched = [\">= 2.0.0\"]", "", 0),
        ("patched = [\"~2\"]", "", 0),
        ("patched = [\">= 99.0.0\"]\nunaffected = [\"^2.0\"]", "", 0),
        ("patched = []", "withdrawn = \"2099-01-02\"", 0),
        ("patched = []", "informational = \"unmaintained\"", 0),
        ("patched = []", "informational = \"unsound\"", 1),
        ("patched = [\"nonsense\"]", "", 2),
    ] {
        let (code, said) = checked(versions, more).unwrap();
        assert_eq!(code, expected, "{versions} {more}: {said}");
    }
}

#[test]
fn the_list_of_the_image_names_every_linked_crate_with_its_check_sum() {
    let mut command = Command::new(root().join("docker/sbom.sh"));
    let output = command.env("CARGO", env!("CARGO")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(list["metadata"]["component"]["purl"], "pkg:cargo/waybill@0.1.0");
    let components = list["components"].as_array().unwrap();
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in components.iter().filter(|one| one["name"] != "waybill-parsers") {
        let (name, version) = (&component["name"], &component["version"]);
        let sum = component["hashes"][0]["content"].as_str().unwrap();
        let entry = format!("name = {name}\nversion = {version}\n");
        let entry = lock.split_once(&entry).unwrap().1.split("\n\n").next().unwrap();
        assert!(entry.contains(sum), "{name} {version}");
        assert!(component["licenses"][0]["expression"].is_string(), "{name} {version}");
    }
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    for name in ["rusqlite", "libsqlite3-sys", "rustls", "ring", "lapin", "waybill-parsers"] {
        assert!(has(name), "{name} is linked");
    }
    for name in ["proptest", "tempfile", "windows-sys"] {
        assert!(!has(name), "{name} is not linked");
    }
}
