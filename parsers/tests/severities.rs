//! `docs/formats/severities.md` says of each rule how bad it is in each mode; the readers agree.

#![allow(clippy::unwrap_used, reason = "a test ends where its page is not as it expects")]

use std::collections::BTreeMap;
use std::path::Path;

use waybill_parsers::segment::Rule;
use waybill_parsers::{Severity, edifact, x12};

/// The three severities of each code in the table below `heading`.
fn table(heading: &str) -> BTreeMap<String, [String; 3]> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats/severities.md");
    let page = std::fs::read_to_string(page).unwrap();
    let start = page.find(&format!("## {heading}\n")).unwrap();
    let part = page[start + 3..].split("\n## ").next().unwrap();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |row: &str| {
        let (code, rest) = row.split_once('`').unwrap();
        let mut cells = rest.split('|').map(|cell| cell.trim().to_owned()).skip(1);
        let mut next = || cells.next().unwrap();
        (code.to_owned(), [next(), next(), next()])
    };
    rows.map(row).collect()
}

fn word(severity: Option<Severity>) -> String {
    match severity {
        None => "-",
        Some(Severity::Warning) => "warning",
        Some(Severity::Error) => "error",
    }
    .to_owned()
}

fn of(rules: &[Rule]) -> BTreeMap<String, [String; 3]> {
    let severities = |rule: &Rule| [word(rule.lenient), word(rule.normal), word(Some(rule.strict))];
    rules.iter().map(|rule| (rule.code.to_owned(), severities(rule))).collect()
}

#[test]
fn the_manual_says_of_every_rule_how_bad_it_is() {
    assert_eq!(table("EDIFACT"), of(edifact::RULES));
    assert_eq!(table("X12"), of(x12::RULES));
}

#[test]
fn what_says_that_something_may_be_lost_is_an_error_unless_leniency_is_asked_for() {
    for rules in [edifact::RULES, x12::RULES] {
        for code in ["missing-trailer", "wrong-count", "wrong-reference"] {
            let rule = rules.iter().find(|rule| rule.code == code).unwrap();
            assert_eq!(rule.lenient, Some(Severity::Warning), "{code}");
            assert_eq!((rule.normal, rule.strict), (Some(Severity::Error), Severity::Error));
        }
    }
}
