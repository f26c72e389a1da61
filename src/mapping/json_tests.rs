//! Mappings of IDocs to JSON, from their text to documents and faults.

use std::sync::Arc;

use waybill_parsers::{Builder, Document, Kind, Schema, idoc, json};

use super::*;
use crate::diagnostic::{Problems, SourceFile};
use crate::table::Table;

const SOURCE: &str = "waybill-idoc 1
type ZCUST01
segment Z1CUST Z2CUST000 1..1
  field KUNNR 10
  field NAME1 35
  field LOEVM 1
  field SINCE 8
  field AT 6
  field LIMIT 16
  field COUNT 5 decimal
  field ACTIVE 1 bool
  segment Z1CONT Z2CONT000 0..99
    field NAME1 35
    field TEL 16
    segment Z1NOTE Z2NOTE000 0..9
      field LINE 40
";

const TARGET: &str = r#"{
  "type": "object", "additionalProperties": false, "required": ["number", "names"], "properties": {
    "number": {"type": "string", "maxLength": 6},
    "deleted": {"type": "boolean"},
    "since": {"type": "string", "format": "date"},
    "at": {"type": "string", "format": "time"},
    "credit": {"type": "object", "additionalProperties": false, "required": ["limit"],
      "properties": {"limit": {"type": "number"}, "kind": {"enum": ["open", "closed"]}}},
    "names": {"type": "array", "items": {"type": "string"}},
    "contacts": {"type": "array", "minItems": 1, "maxItems": 2, "items": {
      "type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string"}, "notes": {"type": "array", "items": {"type": "string"}}}}},
    "extra": {}}}"#;

const HEAD: &str = "version: 1\nmapping: cust\n\
                    from: { format: idoc, type: ZCUST01, message: ZCUST }\n\
                    to: { format: json, schema: cust.json }\ntables: { kind: kind.csv }\n";

/// How many lines stand before what a test writes.
const HEAD_LINES: usize = 5;

fn compiled(text: &str, target: &Schema) -> Result<Mapping, Vec<String>> {
    let mut problems = Problems::new(SourceFile::new("m.yaml", text));
    let source = idoc_source(&idoc::read_schema(SOURCE.as_bytes()).unwrap());
    let csv = SourceFile::new("kind.csv", "from,to\nA,open\nB,closed\n");
    let table = Table::read("kind", &mut Problems::new(csv)).unwrap();
    let tables = [("kind".to_owned(), Arc::new(table))];
    let inputs = Inputs { source: &source, target, tables: &tables };
    let file = read(&mut problems);
    let mapping = file.and_then(|file| compile(&file, &inputs, &mut problems));
    let list: Vec<_> = problems.into_list().iter().map(ToString::to_string).collect();
    mapping.filter(|_| list.is_empty()).ok_or(list)
}

fn target() -> Schema {
    json::read_schema(TARGET.as_bytes()).unwrap()
}

/// The mistakes in what stands behind the head, with lines counted from its first one.
fn mistakes(rules: &str) -> Vec<String> {
    let list = compiled(&format!("{HEAD}{rules}"), &target()).err().unwrap_or_default();
    let shifted = list.iter().map(|problem| {
        let parts: Vec<&str> = problem.splitn(3, ':').collect();
        let line: i64 = parts[1].parse().unwrap();
        format!("{}:{}", line - HEAD_LINES as i64, parts[2])
    });
    shifted.collect()
}

/// A customer with these fields, and contacts with the lines of their notes.
fn customer(fields: &[(&str, &str)], contacts: &[(&str, &[&str])]) -> Document {
    let mut builder = Builder::new();
    builder.open(Kind::Group, "ZCUST01", 0);
    builder.open(Kind::Segment, "EDI_DC40", 0);
    builder.put(Kind::Field, "DOCNUM", "0000000000000017", 0);
    builder.close();
    builder.open(Kind::Segment, "Z1CUST", 0);
    for (name, text) in fields {
        builder.put(Kind::Field, name, text, 0);
    }
    for (name, notes) in contacts {
        builder.open(Kind::Segment, "Z1CONT", 0);
        if !name.is_empty() {
            builder.put(Kind::Field, "NAME1", name, 0);
        }
        for note in *notes {
            builder.open(Kind::Segment, "Z1NOTE", 0);
            builder.put(Kind::Field, "LINE", note, 0);
            builder.close();
        }
        builder.close();
    }
    builder.finish()
}

fn outcome(mapping: &Mapping, source: &Document) -> String {
    match mapping.apply(source.root(), &[], Budget::UNLIMITED) {
        Ok(document) => {
            let mut bytes = Vec::new();
            json::write(document.root(), &mut bytes);
            String::from_utf8(bytes).unwrap()
        }
        Err(faults) => {
            let faults = faults.iter().map(|fault| {
                let (line, column) = (fault.line - HEAD_LINES, fault.column);
                format!("{line}:{column} {}: {}", fault.target, fault.reason)
            });
            format!("! {}", faults.collect::<Vec<_>>().join(" | "))
        }
    }
}

fn run(rules: &str, source: &Document) -> String {
    let mapping = compiled(&format!("{HEAD}{rules}"), &target());
    outcome(&mapping.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")), source)
}

/// One field beside the required one, for one customer.
fn one(rule: &str, fields: &[(&str, &str)]) -> String {
    let fields = [&[("KUNNR", "1")], fields].concat();
    let lists = "lists: [{ list: names, for_each: Z1CUST/Z1CONT as c, value: { from: c/NAME1 } }]";
    let rules = format!("fields:\n  number: {{ from: Z1CUST/KUNNR }}\n  {rule}\n{lists}\n");
    let found = run(&rules, &customer(&fields, &[]));
    let found = found.strip_prefix(r#"{"number":"1","#).unwrap_or(&found);
    found.strip_suffix(r#""names":[]}"#).unwrap_or(found).trim_end_matches(',').to_owned()
}

#[test]
fn values_are_typed_by_the_schema() {
    let limit = "credit.limit: { from: Z1CUST/LIMIT }";
    assert_eq!(one(limit, &[("LIMIT", "12.50-")]), r#""credit":{"limit":-12.50}"#);
    assert_eq!(one(limit, &[("LIMIT", "000120")]), r#""credit":{"limit":120}"#);
    assert_eq!(one(limit, &[("LIMIT", "much")]), "! 3:25 credit.limit: the value is not a number");
    let count = "credit.limit: { expr: Z1CUST.COUNT * 2 + 1 }";
    assert_eq!(one(count, &[("COUNT", "7-")]), r#""credit":{"limit":-13}"#);
    let deleted = "deleted: { from: Z1CUST/LOEVM, default: false }";
    assert_eq!(one(deleted, &[("LOEVM", "X")]), r#""deleted":true"#);
    assert_eq!(one(deleted, &[]), r#""deleted":false"#);
    assert_eq!(one("deleted: { from: Z1CUST/ACTIVE }", &[("ACTIVE", "X")]), r#""deleted":true"#);
    assert_eq!(one("deleted: { expr: Z1CUST.LOEVM == null }", &[]), r#""deleted":true"#);
    let since = "since: { from: Z1CUST/SINCE }";
    assert_eq!(one(since, &[("SINCE", "20260301")]), r#""since":"2026-03-01""#);
    assert_eq!(one(since, &[("SINCE", "00000000")]), "", "SAP's date for no date");
    assert_eq!(one("at: { from: Z1CUST/AT }", &[("AT", "000000")]), r#""at":"00:00:00""#);
    assert_eq!(one("credit.limit: 007", &[]), r#""credit":{"limit":7}"#);
}

#[test]
fn zeros_are_taken_away_only_when_told() {
    let number = "fields: { number: { from: Z1CUST/KUNNR, trim: { left: \"0\" }, default: none } }\n\
                  lists: [{ list: names, value: a }]\n";
    let found = |text| run(number, &customer(&[("KUNNR", text)], &[]));
    assert_eq!(found("0000004710"), r#"{"number":"4710","names":["a"]}"#);
    assert_eq!(found("0000000000"), r#"{"number":"none","names":["a"]}"#);
    assert_eq!(found("A000"), r#"{"number":"A000","names":["a"]}"#);
}

#[test]
fn without_a_schema_a_rule_says_its_type() {
    let text = format!(
        "{}fields:\n  number: {{ from: Z1CUST/LIMIT, number: true }}\n  \
         text: {{ from: Z1CUST/LIMIT }}\n  gone: {{ from: Z1CUST/LOEVM, bool: true }}\n",
        HEAD.replace(", schema: cust.json", "")
    );
    let mapping = compiled(&text, &Schema::open("any")).unwrap();
    let source = customer(&[("LIMIT", "0012.50-"), ("LOEVM", "X")], &[]);
    let expected = r#"{"number":-12.50,"text":"0012.50-","gone":true}"#;
    assert_eq!(outcome(&mapping, &source), expected);
}

const LISTS: &str = "\
fields:
  number: { from: Z1CUST/KUNNR }
lists:
  - list: contacts
    for_each: Z1CUST/Z1CONT as contact
    when: contact.NAME1 != 'Nobody'
    fields: { name: { from: contact/NAME1 } }
    lists:
      - { list: notes, for_each: contact/Z1NOTE as note, value: { from: note/LINE } }
  - list: names
    for_each: Z1CUST/Z1CONT as contact
    value: { from: contact/NAME1 }
  - { list: names, value: last }
";

#[test]
fn lists_nest_and_entries_of_one_list_follow_each_other() {
    let source = customer(&[("KUNNR", "1")], &[("Erika", &["a", "b"]), ("Nobody", &["c"])]);
    let expected = r#"{"number":"1","names":["Erika","Nobody","last"],"contacts":[{"name":"Erika","notes":["a","b"]}]}"#;
    assert_eq!(run(LISTS, &source), expected);
    let expected = r#"{"number":"1","names":["last"]}"#;
    assert_eq!(run(LISTS, &customer(&[("KUNNR", "1")], &[])), expected);
}

#[test]
fn what_the_schema_requires_must_come_where_its_object_does() {
    let source = customer(&[], &[("", &["a"]), ("A", &[]), ("B", &[]), ("C", &[])]);
    assert_eq!(
        run(LISTS, &source),
        "! 7:15 contacts[1].name: the schema requires it, and there is no value | \
         4:11 contacts: has more than 2 items, which is the maximum | \
         2:3 number: the schema requires it, and there is no value"
    );
    // An item without anything in it is no item, and nothing is required of it.
    let source = customer(&[("KUNNR", "1")], &[("", &[])]);
    assert_eq!(run(LISTS, &source), r#"{"number":"1","names":["last"]}"#);
}

#[test]
fn lengths_and_codes_of_the_schema_hold() {
    let number = "fields: { number: { from: Z1CUST/KUNNR } }\nlists: [{ list: names, value: a }]\n";
    assert_eq!(
        run(number, &customer(&[("KUNNR", "1234567")], &[])),
        "! 1:27 number: 7 characters, but number holds 6"
    );
    let kind = "credit.kind: { from: Z1CUST/LOEVM, table: kind }\n  credit.limit: 1";
    assert_eq!(one(kind, &[("LOEVM", "B")]), r#""credit":{"limit":1,"kind":"closed"}"#);
}

#[test]
fn every_mistake_is_found_in_both_schemas() {
    let rules = "\
fields:
  numbr: { from: Z1CUST/KUNNR }
  number: { from: Z1CUST/KUNR }
  deleted: maybe
  contacts: { from: Z1CUST/NAME1 }
  contacts.name: { from: Z1CUST/NAME1 }
  names[0]: { from: Z1CUST/NAME1 }
  number.more: x
  credit: x
  credit.kind: { from: Z1CUST/NAME1, number: true }
  at: { from: Z1CUST/Z1CONT/NAME1, pad: { left: x, width: 9 } }
  since: { from: EDI_DC40/CREDATE }
  extra.any.thing: { from: EDI_DC40/CREDAT }
lists:
  - { list: number, value: x }
  - { list: contacts, fields: { notes: x } }
  - { list: contacts, value: x }
  - { list: names, fields: { name: x } }
";
    let expected = [
        "2:3: unknown field `numbr`; did you mean `number`?",
        "3:19: unknown field `Z1CUST.KUNR`; did you mean `KUNNR`?",
        "4:12: the value is not true or false",
        "5:3: `contacts` is a list, not a single value",
        "6:3: `contacts` is a list; write it under `lists`",
        "7:3: `names[0]` is an item of a list; write the list under `lists`",
        "8:3: `number` is a single value, not an object",
        "9:3: `credit` is an object, not a single value",
        "10:46: `credit.kind` is of another type in the schema",
        "11:15: `Z1CUST.Z1CONT.NAME1` meets what repeats, so it means no single value; loop over it with `for_each`, or take one by its index: `[0]`",
        "11:59: pad: at is no text",
        "12:18: unknown field `EDI_DC40.CREDATE`; did you mean `CREDAT`?",
        "15:13: `number` is not a list",
        "16:13: `name` is required by the schema and not mapped",
        "16:33: `notes` is a list, not a single value",
        "17:13: the items of `contacts` are objects; write `fields` for `value`",
        "18:13: the items of `names` are single values; write `value` for `fields`",
    ];
    let found = mistakes(rules);
    assert_eq!(found, expected);
}

#[test]
fn what_is_required_and_not_mapped_is_a_mistake() {
    let found = mistakes("fields:\n  credit.kind: open\n  credit/kind: closed\n");
    let expected = [
        "-3:10: `number` is required by the schema and not mapped",
        "-3:10: `names` is required by the schema and not mapped",
        "-3:10: `limit` is required by the schema and not mapped",
        "3:3: `credit/kind` stands here twice",
    ];
    assert_eq!(found, expected);
    let found = mistakes("segments: []\n");
    let expected = "1:1: unknown key of mapping file `segments`; known: fields, lists";
    assert!(found.iter().any(|one| one == expected), "{found:?}");
}
