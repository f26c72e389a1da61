//! The JSON reader accepts what serde_json accepts, and reads the same values.
//!
//! Known differences, by decision: a byte order mark is skipped, the nesting limit is our own, and
//! numbers beyond a double are kept (serde_json refuses `1e999`).

#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

use proptest::prelude::*;
use serde_json::Value;
use waybill_parsers::{Kind, Limits, Node, json};

/// serde_json's limit is 128 and counts otherwise; the inputs here stay below both.
const LIMITS: Limits =
    Limits { document: 1 << 20, record: 1 << 20, depth: 100, nodes: 1 << 20, problems: 100 };

fn same(node: Node<'_>, value: &Value) -> bool {
    match (node.kind(), value) {
        (Kind::Null, Value::Null) => true,
        (Kind::Bool, Value::Bool(flag)) => node.text() == flag.to_string(),
        (Kind::Text, Value::String(text)) => node.text() == text,
        (Kind::Number, Value::Number(number)) => {
            // Without its feature float_roundtrip, serde_json is off by the last bits.
            let (ours, theirs) = (node.text().parse::<f64>().unwrap(), number.as_f64().unwrap());
            (ours - theirs).abs() <= ours.abs() * 1e-15 + f64::MIN_POSITIVE
        }
        (Kind::List, Value::Array(items)) => {
            node.children().count() == items.len()
                && node.children().zip(items).all(|(child, item)| same(child, item))
        }
        (Kind::Group, Value::Object(members)) => {
            node.children().count() == members.len()
                && node.children().all(|child| {
                    members.get(child.name()).is_some_and(|member| same(child, member))
                })
        }
        _ => false,
    }
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<Value>(bytes);
    let ours = json::read(bytes, &LIMITS);
    match (ours, theirs) {
        (Ok(reading), Ok(value)) => {
            // Of a key that repeats we keep the first value, serde_json the last.
            if reading.problems.is_empty() {
                prop_assert!(same(reading.document.root(), &value));
            }
            let mut written = Vec::new();
            json::write(reading.document.root(), &mut written);
            let again = json::read(&written, &LIMITS).unwrap();
            prop_assert_eq!(&again.document, &reading.document);
            let mut twice = Vec::new();
            json::write(again.document.root(), &mut twice);
            prop_assert_eq!(twice, written);
        }
        (Err(_), Err(_)) => {}
        (Ok(reading), Err(error)) => {
            let known = error.to_string().contains("number out of range")
                || reading.problems.iter().any(|problem| problem.code == "byte-order-mark");
            prop_assert!(known, "only serde_json refuses: {}", error);
        }
        (Err(error), Ok(_)) => prop_assert!(false, "only we refuse: {}", error),
    }
    Ok(())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\u{0}-\u{20}é🚗]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-c]{0,2}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Pieces that nearly are JSON.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d83d", "\\ude97", "\\u00e9", "\"a\"",
        "\"\\n\"", "true", "false", "null", "nul", "0", "00", "-", "1.5", "1.", ".5", "1e5", "1e",
        "E+", "-0", "1e400", " ", "\n", "\t", "\r", "\u{b}", "\u{feff}", "é", "/", "\"k\":",
        "\u{1}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_values_are_read_alike(value in value(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        check(&text.unwrap())?;
    }

    #[test]
    fn damaged_values_are_judged_alike(
        value in value(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        kind in 0..3,
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        match kind {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => text.truncate(at),
        }
        check(&text)?;
    }

    #[test]
    fn pieces_of_json_are_judged_alike(text in pieces()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn nearly_valid_text_is_judged_alike(text in "[\\[\\]{},:\"\\\\0-9eE.+\\-truefalsn \n]{0,24}") {
        check(text.as_bytes())?;
    }
}
