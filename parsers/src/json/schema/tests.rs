//! JSON Schema: what is imported and what is checked.

use super::*;
use crate::path::Path;
use crate::schema::Resolved;

const EVENT: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "vehicle",
  "type": "object",
  "required": ["data", "id"],
  "additionalProperties": false,
  "properties": {
    "data": {"$ref": "#/$defs/vehicle", "description": "the vehicle"}
  },
  "$defs": {
    "vehicle": {
      "type": "object",
      "properties": {
        "vin": {"type": "string", "maxLength": 17},
        "price": {"type": ["number", "null"], "minimum": 0},
        "status": {"enum": ["ordered", "delivered"]},
        "handover": {"type": "string", "format": "date"},
        "options": {"type": "array", "maxItems": 99, "items": {
          "properties": {"code": {"type": "string"}}, "additionalProperties": false}},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/vehicle"}},
        "extra": {}
      }
    }
  }
}"##;

#[test]
fn a_schema_declares_the_tree_of_its_documents() {
    let schema = read_schema(EVENT.as_bytes()).unwrap();
    let find = |path: &str| match schema.resolve(schema.root(), &Path::parse(path).unwrap()) {
        Resolved::Declared(id) => schema.element(id),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(schema.name(), "vehicle");
    assert_eq!((find("data").min, find("data").text.as_str()), (1, "the vehicle"));
    assert_eq!((find("data.vin").length, find("data.vin").min), (Some(17), 0));
    assert_eq!(find("data.price").data, DataType::Decimal);
    assert_eq!(find("data.status").codes.len(), 2);
    assert_eq!(find("data.handover").data, DataType::Date);
    assert_eq!(find("data.options[0].code").kind, Kind::Text);
    assert!(find("data.extra").open && find("data").open && find("id").open);
}

#[test]
fn only_a_closed_object_knows_its_misspellings() {
    let schema = read_schema(EVENT.as_bytes()).unwrap();
    let resolve = |path: &str| schema.resolve(schema.root(), &Path::parse(path).unwrap());
    assert!(matches!(resolve("dta"), Resolved::Unknown { near: Some(near), .. } if near == "data"));
    assert!(matches!(resolve("data.options.cod"), Resolved::Unknown { .. }));
    assert_eq!(resolve("data.vim"), Resolved::Open);
    assert_eq!(resolve("data.extra.any.thing"), Resolved::Open);
    assert_eq!(resolve("data.parts.parts.anything"), Resolved::Open);
}

#[test]
fn every_unsupported_keyword_is_named_with_its_line() {
    let text = "{\"properties\": {\n\"a\": {\"oneOf\": []},\n\"b\": {\"type\": \"text\"},\n\
                \"c\": {\"$ref\": \"#/$defs/no\"},\n\"d\": {\"type\": [\"string\", \"number\"]}}}";
    let problems = read_schema(text.as_bytes()).unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.place.line, problem.code, problem.place.path.as_str()))
        .collect();
    let expected = [
        (2, "unsupported-keyword", "a"),
        (3, "unknown-type", "b"),
        (4, "unknown-ref", "c"),
        (5, "unsupported-keyword", "d"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn references_that_fan_out_are_bounded() {
    let mut text = "{\"$ref\": \"#/$defs/a0\", \"$defs\": {".to_owned();
    for at in 0..20 {
        let next = format!("{{\"$ref\": \"#/$defs/a{}\"}}", at + 1);
        text += &format!("\"a{at}\": {{\"properties\": {{\"l\": {next}, \"r\": {next}}}}},");
    }
    text += "\"a20\": {}}}";
    let problems = read_schema(text.as_bytes()).unwrap_err();
    assert_eq!(problems[0].code, "too-large");
    let mut chain = "{\"$ref\": \"#/$defs/a0\", \"$defs\": {".to_owned();
    for at in 0..1000 {
        let next = format!("{{\"$ref\": \"#/$defs/a{}\"}}", at + 1);
        chain += &format!("\"a{at}\": {{\"properties\": {{\"x\": {next}}}}},");
    }
    chain += "\"a1000\": {}}}";
    assert_eq!(read_schema(chain.as_bytes()).unwrap_err()[0].code, "too-deep");
    let loops = r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}"##;
    assert_eq!(read_schema(loops.as_bytes()).unwrap_err()[0].code, "unknown-ref");
}
