//! Mappings from their text to documents and faults.

use std::sync::Arc;

use waybill_parsers::{DataType, Document, Element, ElementId, Kind, Limits, Node, Schema, json};

use super::*;
use crate::diagnostic::{Problems, SourceFile};
use crate::table::Table;

mod budget;

const SOURCE: &str = r#"{
  "type": "object", "additionalProperties": false, "required": ["claim"], "properties": {
    "claim": {"type": "object", "additionalProperties": false, "properties": {
      "id": {"type": "string"},
      "currency": {"type": "string"},
      "open": {"type": "boolean"},
      "at": {"type": "string"},
      "amount": {"type": "number"},
      "extra": {},
      "items": {"type": "array", "items": {"type": "object", "additionalProperties": false,
        "properties": {
          "line": {"type": "integer"}, "quantity": {"type": "number"}, "text": {"type": "string"},
          "parts": {"type": "array", "items": {"type": "object", "additionalProperties": false,
            "properties": {"code": {"type": "string"}}}},
          "tags": {"type": "array", "items": {"type": "string"}}}}}}}}}"#;

fn element(schema: &mut Schema, parent: ElementId, name: &str, min: u32, max: u64) -> ElementId {
    let mut element = Element::new(Kind::Segment, name);
    (element.min, element.max) = (min, max);
    schema.add(parent, element)
}

fn field(schema: &mut Schema, parent: ElementId, name: &str, length: u32, data: DataType) {
    let mut element = Element::new(Kind::Field, name);
    (element.length, element.data) = (Some(length), data);
    schema.add(parent, element);
}

/// Z1HEAD 1..1 (with Z1ITEM 0..3 and Z1PART below it), Z1TEXT 0..2, Z1FOOT 0..1 with Z1MUST 1..1.
fn target() -> Schema {
    let mut schema = Schema::new("ZCLAIM01", Element::new(Kind::Group, "ZCLAIM01"));
    let root = schema.root();
    let control = element(&mut schema, root, "EDI_DC40", 1, 1);
    field(&mut schema, control, "DOCNUM", 16, DataType::Digits);
    let head = element(&mut schema, root, "Z1HEAD", 1, 1);
    field(&mut schema, head, "BELNR", 10, DataType::Text);
    field(&mut schema, head, "CURCY", 3, DataType::Text);
    field(&mut schema, head, "BETRAG", 15, DataType::Decimal);
    field(&mut schema, head, "DATUM", 8, DataType::Date);
    field(&mut schema, head, "ZEIT", 6, DataType::Time);
    field(&mut schema, head, "OFFEN", 1, DataType::Bool);
    field(&mut schema, head, "POSNR", 6, DataType::Digits);
    let mut action = Element::new(Kind::Field, "ACTION");
    action.length = Some(3);
    action.codes = [("000", "new"), ("001", "old")].map(|(a, b)| (a.into(), b.into())).to_vec();
    schema.add(head, action);
    let item = element(&mut schema, head, "Z1ITEM", 0, 3);
    field(&mut schema, item, "POSEX", 6, DataType::Text);
    field(&mut schema, item, "MENGE", 15, DataType::Decimal);
    field(&mut schema, item, "KTEXT", 5, DataType::Text);
    let part = element(&mut schema, item, "Z1PART", 0, 9);
    field(&mut schema, part, "CODE", 4, DataType::Text);
    field(&mut schema, part, "OF", 6, DataType::Text);
    let text = element(&mut schema, root, "Z1TEXT", 0, 2);
    field(&mut schema, text, "TDLINE", 20, DataType::Text);
    let foot = element(&mut schema, root, "Z1FOOT", 0, 1);
    field(&mut schema, foot, "SUM", 10, DataType::Decimal);
    let must = element(&mut schema, foot, "Z1MUST", 1, 1);
    field(&mut schema, must, "A", 10, DataType::Text);
    let late = element(&mut schema, foot, "Z1LATE", 0, 1);
    field(&mut schema, late, "B", 10, DataType::Text);
    schema
}

const HEAD: &str = "version: 1\nmapping: claim\nfrom: { format: json, schema: c.json }\n\
                    to: { format: idoc, type: ZCLAIM01, message: ZCLAIM }\n\
                    tables: { currency: currency.csv }\nsegments:\n";

/// How many lines stand before what a test writes.
const HEAD_LINES: usize = 6;

fn compiled(text: &str) -> Result<Mapping, Vec<String>> {
    let mut problems = Problems::new(SourceFile::new("m.yaml", text));
    let file = read(&mut problems);
    let source = json::read_schema(SOURCE.as_bytes()).unwrap();
    let target = target();
    let csv = SourceFile::new("currency.csv", "from,to\nEuro,EUR\nFranc,CHF\ntrue,YES\n");
    let table = Table::read("currency", &mut Problems::new(csv)).unwrap();
    let tables = [("currency".to_owned(), Arc::new(table))];
    let inputs = Inputs { source: &source, target: &target, tables: &tables };
    let mapping = file.and_then(|file| compile(&file, &inputs, &mut problems));
    let list: Vec<_> = problems.into_list().iter().map(ToString::to_string).collect();
    match mapping {
        Some(mapping) if list.is_empty() => Ok(mapping),
        _ => Err(list),
    }
}

/// The mistakes in `segments:`, with lines counted from its first one.
fn mistakes(segments: &str) -> Vec<String> {
    let list = compiled(&format!("{HEAD}{segments}")).err().unwrap_or_default();
    list.iter()
        .map(|problem| {
            let mut parts = problem.splitn(3, ':').skip(1);
            let line: usize = parts.next().unwrap().parse().unwrap();
            format!("{}:{}", line as i64 - HEAD_LINES as i64, parts.next().unwrap())
        })
        .collect()
}

fn apply(mapping: &Mapping, event: &str) -> Result<Document, Vec<Fault>> {
    let reading = json::read(event.as_bytes(), &Limits::default()).unwrap();
    mapping.apply(reading.document.root(), &[("DOCNUM", "1")], Budget::UNLIMITED)
}

/// The segments after the control record, `NAME(FIELD=text SEGMENT(...))`, or the faults.
fn run(segments: &str, event: &str) -> String {
    fn write(node: Node<'_>, out: &mut String) {
        let parts: Vec<String> = node
            .children()
            .map(|child| match child.kind() {
                Kind::Field => format!("{}={}", child.name(), child.text()),
                _ => {
                    let mut inner = String::new();
                    write(child, &mut inner);
                    format!("{}({inner})", child.name())
                }
            })
            .collect();
        out.push_str(&parts.join(" "));
    }
    let mapping = match compiled(&format!("{HEAD}{segments}")) {
        Ok(mapping) => mapping,
        Err(mistakes) => panic!("{mistakes:#?}"),
    };
    match apply(&mapping, event) {
        Ok(document) => {
            let mut out = String::new();
            write(document.root(), &mut out);
            assert_eq!(document.root().name(), "ZCLAIM01");
            out.strip_prefix("EDI_DC40(DOCNUM=1) ").unwrap_or(&out).to_owned()
        }
        Err(faults) => {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| {
                    let source = fault.source.as_deref().unwrap_or("-");
                    let line = fault.line - HEAD_LINES;
                    format!("{line}:{} {} {source}: {}", fault.column, fault.target, fault.reason)
                })
                .collect();
            format!("! {}", faults.join(" | "))
        }
    }
}

/// One field of Z1HEAD with a rule, for one claim.
fn one(rule: &str, claim: &str) -> String {
    run(
        &format!("  - segment: Z1HEAD\n    fields: {{ {rule} }}\n"),
        &format!("{{\"claim\": {{{claim}}}}}"),
    )
}

#[test]
fn a_field_is_a_constant_a_path_or_an_expression() {
    let claim = r#""id": "17", "amount": 1.10, "open": true"#;
    assert_eq!(one("ACTION: 000", claim), "Z1HEAD(ACTION=000)");
    assert_eq!(one("CURCY: NO", claim), "Z1HEAD(CURCY=NO)");
    assert_eq!(one("BELNR: { from: claim.id }", claim), "Z1HEAD(BELNR=17)");
    assert_eq!(one("BETRAG: { from: claim.amount }", claim), "Z1HEAD(BETRAG=1.10)");
    let expr = "BELNR: { expr: 'claim.id + \"/\" + string(claim.amount * 2)' }";
    assert_eq!(one(expr, claim), "Z1HEAD(BELNR=17/2.20)");
    assert_eq!(one("OFFEN: { from: claim.open }", claim), "Z1HEAD(OFFEN=X)");
    assert_eq!(one("OFFEN: { expr: '!claim.open' }", claim), "Z1HEAD()");
    assert_eq!(one("BELNR: { from: claim.open }", claim), "Z1HEAD(BELNR=true)");
    assert_eq!(one("CURCY: { from: claim.open, table: currency }", claim), "Z1HEAD(CURCY=YES)");
}

#[test]
fn a_value_that_is_not_there_takes_the_default_or_leaves_the_field_out() {
    for claim in ["", r#""currency": null"#, r#""currency": """#, r#""currency": "  ""#] {
        assert_eq!(one("CURCY: { from: claim.currency }", claim), "Z1HEAD()");
        assert_eq!(
            one("CURCY: { from: claim.currency, default: EUR }", claim),
            "Z1HEAD(CURCY=EUR)"
        );
        assert_eq!(
            one("CURCY: { from: claim.currency, required: true }", claim),
            "! 2:30 Z1HEAD/CURCY claim.currency: there is no value"
        );
        let table = "CURCY: { from: claim.currency, table: currency, default: USD }";
        assert_eq!(one(table, claim), "Z1HEAD(CURCY=USD)");
    }
    assert_eq!(
        one("CURCY: { from: claim.currency, required: true, when: claim.id != null }", ""),
        "Z1HEAD()"
    );
}

#[test]
fn a_table_translates_or_its_miss_is_a_fault() {
    let rule = "CURCY: { from: claim.currency, table: currency }";
    assert_eq!(one(rule, r#""currency": "Euro ""#), "Z1HEAD(CURCY=EUR)");
    assert_eq!(
        one(rule, r#""currency": "Peso""#),
        "! 2:30 Z1HEAD/CURCY claim.currency: the value is not in table `currency`"
    );
    let rule = "CURCY: { from: claim.currency, table: currency, default: USD }";
    assert_eq!(one(rule, r#""currency": "Peso""#), "Z1HEAD(CURCY=USD)");
}

#[test]
fn numbers_are_rounded_and_padded_on_demand() {
    let number = |rule: &str, amount: &str| one(rule, &format!("\"amount\": {amount}"));
    let rule = "BETRAG: { from: claim.amount, decimals: 2 }";
    assert_eq!(number(rule, "1.005"), "Z1HEAD(BETRAG=1.01)");
    assert_eq!(number(rule, "-1.005"), "Z1HEAD(BETRAG=-1.01)");
    assert_eq!(number(rule, "7"), "Z1HEAD(BETRAG=7.00)");
    assert_eq!(number("BETRAG: { from: claim.amount }", "1.5e3"), "Z1HEAD(BETRAG=1500)");
    assert_eq!(number("BETRAG: { from: claim.amount }", "1.50"), "Z1HEAD(BETRAG=1.50)");
    let padded = "POSNR: { from: claim.amount, decimals: 0, pad: { left: 0, width: 6 } }";
    assert_eq!(number(padded, "41.5"), "Z1HEAD(POSNR=000042)");
    assert_eq!(
        number("POSNR: { from: claim.amount }", "41.5"),
        "! 2:30 Z1HEAD/POSNR claim.amount: POSNR holds digits only"
    );
    let text = |rule: &str| one(rule, r#""id": "ä1""#);
    assert_eq!(
        text("BELNR: { from: claim.id, pad: { left: '0', width: 4 } }"),
        "Z1HEAD(BELNR=00ä1)"
    );
    assert_eq!(
        text("BELNR: { from: claim.id, pad: { right: 'ß', width: 4 } }"),
        "Z1HEAD(BELNR=ä1ßß)"
    );
    assert_eq!(text("BELNR: { from: claim.id, pad: { right: x, width: 1 } }"), "Z1HEAD(BELNR=ä1)");
    assert_eq!(
        text("BETRAG: { from: claim.id }"),
        "! 2:31 Z1HEAD/BETRAG claim.id: the value is not a number"
    );
    assert_eq!(
        number("CURCY: { expr: 'string(claim.amount * 10)' }", "12.34"),
        "! 2:30 Z1HEAD/CURCY -: 6 characters, but CURCY holds 3"
    );
}

#[test]
fn dates_are_converted_by_the_type_of_the_field() {
    let both = "DATUM: { from: claim.at }, ZEIT: { from: claim.at }";
    assert_eq!(
        one(both, r#""at": "2026-03-01T10:20:30+02:00""#),
        "Z1HEAD(DATUM=20260301 ZEIT=102030)"
    );
    assert_eq!(
        one(both, r#""at": "1.3.2026""#),
        "! 2:30 Z1HEAD/DATUM claim.at: the value is not a date | \
         2:56 Z1HEAD/ZEIT claim.at: the value is not a time"
    );
}

#[test]
fn all_faults_of_a_document_are_reported_without_its_text() {
    let rules = "BELNR: { from: claim.id }, CURCY: { from: claim.currency }, \
                 BETRAG: { expr: claim.amount * claim.amount }, ACTION: { from: claim.at }";
    let claim = r#""id": "secret-number", "currency": "a\tb", "amount": 1e28, "at": "002""#;
    assert_eq!(
        one(rules, claim),
        "! 2:30 Z1HEAD/BELNR claim.id: 13 characters, but BELNR holds 10 | \
         2:57 Z1HEAD/CURCY claim.currency: a line end, tabulator or other control character is in it | \
         2:104 Z1HEAD/BETRAG -: the result has more digits than are computed exactly | \
         2:138 Z1HEAD/ACTION claim.at: the value is none of the codes of ACTION"
    );
}

const LOOPS: &str = "  - segment: Z1TEXT
    fields: { TDLINE: { from: claim.id } }
  - segment: Z1HEAD
    segments:
      - segment: Z1ITEM
        for_each: claim.items as item
        when: item.quantity > 0
        fields:
          MENGE: { from: item.quantity }
          POSEX: { expr: \"string(item.line * 10)\" }
          KTEXT: { from: item.text }
        segments:
          - segment: Z1PART
            for_each: item.parts as part
            fields: { CODE: { from: part.code }, OF: { expr: string(item.line) } }
          - segment: Z1PART
            for_each: item.tags as tag
            fields: { CODE: { from: tag } }
";

#[test]
fn loops_nest_and_segments_come_in_the_order_of_the_schema() {
    let event = r#"{"claim": {"id": "x", "items": [
        {"line": 1, "quantity": 2.50, "parts": [{"code": "A"}, {"code": "B"}], "tags": ["t"]},
        {"line": 2, "quantity": 0},
        null,
        {"line": 4, "quantity": 1, "parts": []}]}}"#;
    assert_eq!(
        run(LOOPS, event),
        "Z1HEAD(Z1ITEM(POSEX=10 MENGE=2.50 Z1PART(CODE=A OF=1) Z1PART(CODE=B OF=1) \
         Z1PART(CODE=t)) Z1ITEM(POSEX=40 MENGE=1)) Z1TEXT(TDLINE=x)"
    );
    assert_eq!(run(LOOPS, r#"{"claim": {"items": null}}"#), "Z1HEAD()");
    assert_eq!(run(LOOPS, "{}"), "Z1HEAD()");
}

#[test]
fn a_fault_in_a_loop_names_the_item() {
    let event = r#"{"claim": {"items": [{"line": 1, "quantity": 1}, {"line": 2, "quantity": 1,
        "text": "too long", "parts": [{"code": "A"}, {"code": "ABCDE"}]},
        {"line": "x", "quantity": "y"}]}}"#;
    assert_eq!(
        run(LOOPS, event),
        "! 11:26 Z1HEAD/Z1ITEM[2]/KTEXT claim.items[1].text: 8 characters, but KTEXT holds 5 | \
         15:37 Z1HEAD/Z1ITEM[2]/Z1PART[2]/CODE claim.items[1].parts[1].code: 5 characters, but \
         CODE holds 4 | \
         7:15 Z1HEAD/Z1ITEM[3] claim.items[2].quantity: `claim.items[2].quantity` is not a number"
    );
}

#[test]
fn occurrences_are_those_of_the_schema() {
    let items = r#"{"claim": {"items": [{"line": 1}, {"line": 2}, {"line": 3}, {"line": 4}]}}"#;
    let segments = "  - segment: Z1HEAD\n    segments:\n      - segment: Z1ITEM\n        \
                    for_each: claim.items as item\n        \
                    fields: { POSEX: { expr: string(item.line) } }\n";
    assert_eq!(
        run(segments, items),
        "! 3:18 Z1HEAD/Z1ITEM -: occurs more than 3 times, which is the maximum"
    );
    let segments = "  - segment: Z1HEAD\n    when: claim.open\n    fields: { ACTION: 000 }\n";
    assert_eq!(
        run(segments, r#"{"claim": {}}"#),
        "! 1:14 Z1HEAD -: occurs 0 times, but at least 1 are needed"
    );
}

#[test]
fn a_mandatory_segment_counts_only_below_one_that_is_there() {
    let segments = "  - segment: Z1HEAD
  - segment: Z1FOOT
    fields: { SUM: { from: claim.amount } }
    segments:
      - segment: Z1MUST
        fields: { A: { from: claim.id } }
      - segment: Z1LATE
        fields: { B: { from: claim.currency } }
";
    assert_eq!(run(segments, r#"{"claim": {}}"#), "Z1HEAD()");
    assert_eq!(run(segments, r#"{"claim": {"amount": 1}}"#), "Z1HEAD() Z1FOOT(SUM=1 Z1MUST())");
    assert_eq!(run(segments, r#"{"claim": {"id": "i"}}"#), "Z1HEAD() Z1FOOT(Z1MUST(A=i))");
    assert_eq!(
        run(segments, r#"{"claim": {"currency": "c"}}"#),
        "! 5:18 Z1FOOT/Z1MUST -: occurs 0 times, but at least 1 are needed"
    );
}

#[test]
fn every_mistake_of_a_file_is_reported_with_its_place() {
    let text = "version: 2
mapping: claim
from: { format: xml }
to: { format: idoc, typ: ZCLAIM01, message: Z }
segments:
  - segment: Z1HEAD
    feilds: {}
    fields:
      A:
      B: { from: x, expr: y }
      C: { default: x }
      D: { from: a, decimals: many, pad: { left: ab, width: 0 }, unit: { to: PCE } }
      E: [1]
      F: { from: a, required: maybe, pad: { width: 2 } }
  - Z1TEXT
";
    let expected = [
        "m.yaml:1:10: version `2` is not supported; this program reads version 1",
        "m.yaml:3:17: unknown format `xml`; known: json, idoc",
        "m.yaml:4:5: to: `type` is missing",
        "m.yaml:4:21: unknown key of to `typ`; did you mean `type`?",
        "m.yaml:7:5: unknown key of segment `feilds`; known: for_each, when, segments",
        "m.yaml:9:7: A: a constant or a rule is expected",
        "m.yaml:10:27: B: `from` and `expr` exclude each other",
        "m.yaml:11:10: C: `from` or `expr` is missing",
        "m.yaml:12:31: decimals: a whole number from 0 to 28 is expected",
        "m.yaml:12:50: pad: one character is expected",
        "m.yaml:12:61: width: a whole number from 1 is expected",
        "m.yaml:12:72: `unit` is not supported yet; convert the quantity before the mapping",
        "m.yaml:13:10: E: a mapping is expected, not a list",
        "m.yaml:14:31: required: `true` or `false` is expected, not `maybe`",
        "m.yaml:14:43: pad: one of `left` and `right` is expected",
        "m.yaml:15:5: segment: a mapping is expected, not text",
    ];
    assert_eq!(compiled(text).unwrap_err(), expected);
}

#[test]
fn every_name_is_checked_against_its_schema() {
    let segments = "  - segment: Z1HEAD
    fields:
      CURRCY: { from: claim.currancy }
      CURCY:  { from: claim.currancy }
      ACTION: 002
      BELNR:  { from: claim.id, pad: { left: 0, width: 12 }, table: curency }
      POSNR:  { expr: 'claim.id == \"x\" && claim.amuont > 1' }
      OFFEN:  { from: claim.amount }
      DATUM:  { from: claim.items }
      ZEIT:   99
  - segment: Z1ITEM
  - segment: Z1TXT
  - segment: EDI_DC40
";
    let expected = [
        "3:7: unknown field of Z1HEAD `CURRCY`; did you mean `CURCY`?",
        "4:23: unknown field `claim.currancy`; did you mean `currency`?",
        "5:15: unknown code of ACTION `002`; did you mean `000`?",
        "6:56: pad: width 12, but BELNR holds 10",
        "6:69: unknown table `curency`; did you mean `currency`?",
        "7:43: unknown field `claim.amuont`; did you mean `amount`?",
        "8:23: OFFEN cannot hold a number",
        "9:23: `claim.items` is a list, so it means no single value; loop over it with \
         `for_each`, or take one by its index: `[0]`",
        "10:15: the value is not a time",
        "11:14: segment Z1ITEM does not belong here; it stands under `segments:` of Z1HEAD",
        "12:14: unknown segment of ZCLAIM01 `Z1TXT`; did you mean `Z1TEXT`?",
        "13:14: the control record is not mapped; its fields come from the partner",
    ];
    let mut found = mistakes(segments);
    // A table that is unknown ends the check of its field, so pad is reported only without it.
    found.sort_by_key(|text| {
        text.split(':').map(|n| n.parse().unwrap_or(0)).take(2).collect::<Vec<usize>>()
    });
    assert_eq!(found, expected);
}

#[test]
fn places_inside_of_quoted_scalars_are_exact() {
    let head = "  - segment: Z1HEAD\n    fields:\n      BELNR: ";
    for scalar in [
        "{ expr: claim.id + nil }",
        "{ expr: 'claim.id + nil' }",
        "{ expr: \"claim.id + nil\" }",
        "{ expr: \"'ä' + \\\"x\\\" + nil\" }",
        "{ expr: '''ä'' + nil' }",
        "{ expr: '\"\\u00e4\" + nil' }",
        "{ expr: \"'\\u00e4\\x41' + nil\" }",
    ] {
        let written = format!("{head}{scalar}");
        let line = written.lines().last().unwrap();
        let column = line[..line.find("nil").unwrap()].chars().count() + 1;
        let expected = format!("3:{column}: unknown field `nil`; known: claim");
        assert_eq!(mistakes(&format!("{written}\n")), [expected], "{scalar}");
    }
    // Folded over lines: the place of the scalar.
    let found =
        mistakes(&format!("{head}\n        expr: >-\n          claim.id\n          + nil\n"));
    assert!(found[0].contains("unknown field `nil`"), "{found:?}");
}

#[test]
fn loops_and_conditions_are_checked() {
    let with = |line: &str| {
        mistakes(&format!("  - segment: Z1HEAD\n    fields: {{ ACTION: 000 }}\n    {line}\n"))
    };
    for (line, expected) in [
        ("when: claim.amount", "3:11: a condition is true or false, but this is a number"),
        (
            "for_each: claim.items",
            "3:15: for_each: `path as name` is expected; for example `data.items as item`",
        ),
        ("for_each: claim as c", "3:15: `claim` is not a list"),
        ("for_each: claim.itms as item", "3:15: unknown field `claim.itms`; did you mean `items`?"),
        (
            "for_each: claim.items as claim",
            "3:30: `claim` is already the name of something else here; choose another name",
        ),
        ("for_each: claim.items as it-em", "3:30: for_each: the name is letters, digits and `_`"),
        ("for_each: claim..items as item", "3:21: not a path: name expected"),
        (
            "for_each: claim.items.parts as part",
            "3:15: `claim.items.parts` goes through a list, so it means no single value; loop over it with `for_each`, or take one by its index: `[0]`",
        ),
        ("segments: []", ""),
    ] {
        assert_eq!(with(line).join(" | "), expected, "{line}");
    }
    let out_of_scope = "  - segment: Z1HEAD\n    segments:\n      - segment: Z1ITEM\n        \
                        for_each: claim.items as item\n  - segment: Z1TEXT\n    \
                        fields: { TDLINE: { from: item.text } }\n";
    assert_eq!(mistakes(out_of_scope), ["6:31: unknown field `item.text`; known: claim"]);
}

#[test]
fn what_the_target_needs_must_be_mapped() {
    assert_eq!(
        compiled(&format!("{HEAD}  - segment: Z1TEXT\n")).unwrap_err(),
        ["m.yaml:2:10: segment Z1HEAD is mandatory and not mapped"]
    );
    let twice = "  - segment: Z1HEAD\n  - segment: Z1HEAD\n  - segment: Z1FOOT\n";
    assert_eq!(
        mistakes(twice),
        [
            "2:14: Z1HEAD stands here 2 times, but occurs at most 1 times",
            "3:14: segment Z1MUST is mandatory and not mapped"
        ]
    );
    let table =
        "  - segment: Z1HEAD\n    fields: { ACTION: { from: claim.id, table: currency } }\n";
    assert_eq!(
        mistakes(table),
        ["2:48: table `currency` gives `EUR` for `Euro`: the value is none of the codes of ACTION"]
    );
    let both = "  - segment: Z1HEAD\n    fields: { CURCY: { from: claim.id, default: EUR, required: true } }\n";
    assert_eq!(mistakes(both), ["2:15: CURCY: `required` has no effect beside `default`"]);
}

#[test]
fn an_open_source_is_checked_when_it_comes() {
    let rule = "BELNR: { expr: claim.extra.a + claim.extra.b }";
    assert_eq!(one(rule, r#""extra": {"a": 1, "b": 2.5}"#), "Z1HEAD(BELNR=3.5)");
    assert_eq!(one(rule, r#""extra": {"a": "1", "b": "2"}"#), "Z1HEAD(BELNR=12)");
    assert_eq!(
        one(rule, r#""extra": {"a": {"c": 1}, "b": 2}"#),
        "! 2:30 Z1HEAD/BELNR claim.extra.a: `claim.extra.a` is not a single value"
    );
    let segments = "  - segment: Z1HEAD\n  - segment: Z1TEXT\n    for_each: claim.extra.lines as line\n    \
                    fields: { TDLINE: { from: line } }\n";
    assert_eq!(
        run(segments, r#"{"claim": {"extra": {"lines": ["a", "b"]}}}"#),
        "Z1HEAD() Z1TEXT(TDLINE=a) Z1TEXT(TDLINE=b)"
    );
}

#[test]
fn a_condition_stands_alone() {
    let yaml = "when: claim.amount > 10\n";
    let mut problems = Problems::new(SourceFile::new("r.yaml", yaml));
    let node = crate::yaml::read(&mut problems).unwrap();
    let when = crate::yaml::Fields::of(&node, "route", &mut problems)
        .and_then(|mut fields| fields.text("when", &mut problems))
        .unwrap();
    let schema = json::read_schema(SOURCE.as_bytes()).unwrap();
    let condition = Condition::compile(&when, &schema, &mut problems).unwrap();
    let holds = |event: &str| {
        let reading = json::read(event.as_bytes(), &Limits::default()).unwrap();
        condition.holds(reading.document.root())
    };
    assert_eq!(holds(r#"{"claim": {"amount": 11}}"#), Ok(true));
    assert_eq!(holds(r#"{"claim": {}}"#), Ok(false));
    let reason = "1:7: `claim.amount` is not a number".to_owned();
    assert_eq!(holds(r#"{"claim": {"amount": "many"}}"#), Err(reason));
}

#[test]
fn a_mapping_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Mapping>();
    shared::<Condition>();
}
