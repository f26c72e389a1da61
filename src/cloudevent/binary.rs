//! A CloudEvent that arrives in binary mode: its attributes came in headers, its data as the body.
//!
//! It is put together into the structured form, and that is what the journal keeps: one text that
//! holds all of the event, so that it can be decided again without the headers. The same headers
//! and the same body always make the same text, which its digest rests on.
//!
//! What is wrong with the headers is written into that text too, under a name that no attribute
//! can have ([`PROBLEMS`]); the pipeline reads it there, now and whenever the event is decided
//! again.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::value::RawValue;

use super::{JSON, STRUCTURED};

/// The member that says why the headers cannot be used. A colon is in no attribute's name.
pub const PROBLEMS: &str = "waybill:problems";

/// Attributes of one event.
const MOST: usize = 64;
/// Bytes of all their names and values.
const LARGEST: usize = 32 << 10;
/// Problems that are told.
pub const MOST_PROBLEMS: usize = 8;
/// Those that every event has, in this order in front.
const FIRST: [&str; 6] = ["specversion", "id", "source", "type", "subject", "time"];

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, or what has no type of its own in JSON.
    Text(String),
    /// A boolean.
    Flag(bool),
    /// A whole number.
    Number(i64),
}

/// What came in headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    attributes: BTreeMap<String, Value>,
    bytes: usize,
    media: Option<String>,
    problems: Vec<String>,
}

impl Head {
    /// The head of data of that media type.
    pub fn of(media: Option<&str>) -> Self {
        Self { media: media.map(str::to_owned), ..Self::default() }
    }

    /// The head of a message that is of a form which is not read.
    pub fn refused(media: &str, why: &str) -> Self {
        let mut head = Self::of(Some(media));
        head.problem(why);
        head
    }

    /// Takes a header. `name` is without its prefix; the error says why the value is none.
    pub fn add(&mut self, name: &str, value: Result<Value, &str>) {
        let place = format!("header `cloudEvents:{}`", printable(name));
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return self.problem(&format!("{place}: a name is lower case letters and digits"));
        }
        if matches!(name, "data" | "datacontenttype") {
            return self.problem(&format!("{place}: is no header: data is the body"));
        }
        let value = match value {
            Ok(value) => value,
            Err(why) => return self.problem(&format!("{place}: {why}")),
        };
        if self.attributes.get(name).is_some_and(|other| *other != value) {
            return self.problem(&format!("{place}: is there twice and says two things"));
        }
        let length = |value: &Value| if let Value::Text(text) = value { text.len() } else { 8 };
        self.bytes += name.len() + length(&value);
        if self.attributes.len() == MOST || self.bytes > LARGEST {
            return self.problem(&format!(
                "{place}: more than {MOST} attributes, or more than {LARGEST} bytes of them"
            ));
        }
        self.attributes.insert(name.to_owned(), value);
    }

    /// The event's id.
    pub fn id(&self) -> Option<&str> {
        match self.attributes.get("id")? {
            Value::Text(id) if !id.is_empty() => Some(id),
            _ => None,
        }
    }

    /// The structured form around `data`.
    pub fn structured(mut self, data: &[u8]) -> Vec<u8> {
        match self.attributes.get("specversion") {
            Some(Value::Text(version)) if version.starts_with("1.") => {}
            // What is of another form has said so.
            _ if !self.problems.is_empty() => {}
            Some(_) => self.problem("header `cloudEvents:specversion`: 1.0 is expected"),
            None => self.problem("header `cloudEvents:specversion` is missing"),
        }
        let data = self.data(data);
        let length = data.as_ref().map_or(0, |(_, data)| data.get().len());
        let mut text = Vec::with_capacity(256 + self.bytes + length);
        text.push(b'{');
        if !self.problems.is_empty() {
            member(&mut text, PROBLEMS, &self.problems);
        }
        for name in FIRST {
            if let Some(value) = self.attributes.remove(name) {
                attribute(&mut text, name, &value);
            }
        }
        for (name, value) in &self.attributes {
            attribute(&mut text, name, value);
        }
        if let Some(media) = &self.media {
            member(&mut text, "datacontenttype", media);
        }
        if let Some((name, data)) = data {
            member(&mut text, name, &data);
        }
        text.push(b'}');
        text
    }

    /// The name and value of the member that holds the data: what is JSON as it is, what is text
    /// as a string, anything else in base64.
    fn data(&mut self, data: &[u8]) -> Option<(&'static str, Box<RawValue>)> {
        if data.is_empty() {
            return None;
        }
        let is_json = self.media.as_deref().is_none_or(is_json);
        if is_json {
            match serde_json::from_slice::<Box<RawValue>>(data) {
                Ok(data) => return Some(("data", data)),
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    self.problem(&format!("the body is not JSON (line {line}, column {column})"));
                }
            }
        }
        let (name, value) = match std::str::from_utf8(data) {
            Ok(text) => ("data", serde_json::value::to_raw_value(text)),
            Err(_) => ("data_base64", serde_json::value::to_raw_value(&base64(data))),
        };
        // A string can always be written.
        value.ok().map(|value| (name, value))
    }

    /// Takes note of what is wrong; the event fails for it.
    pub fn problem(&mut self, why: &str) {
        if self.problems.len() < MOST_PROBLEMS && self.problems.iter().all(|other| other != why) {
            self.problems.push(why.to_owned());
        }
    }
}

/// Whether a media type says that the body is the whole event.
pub fn is_structured(media: &str) -> bool {
    essence(media).starts_with("application/cloudevents")
}

/// Whether a structured form is the one that is read.
pub fn is_read(media: &str) -> bool {
    essence(media) == essence(STRUCTURED)
}

/// Whether data of that media type is JSON.
pub fn is_json(media: &str) -> bool {
    let essence = essence(media);
    essence == JSON || essence == "text/json" || essence.ends_with("+json")
}

/// Without its parameters, in lower case.
fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Short and printable: it comes from outside and stands in a cause.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn attribute(text: &mut Vec<u8>, name: &str, value: &Value) {
    match value {
        Value::Text(value) => member(text, name, value),
        Value::Flag(value) => member(text, name, value),
        Value::Number(value) => member(text, name, value),
    }
}

fn member(text: &mut Vec<u8>, name: &str, value: &impl serde::Serialize) {
    if text.len() > 1 {
        text.push(b',');
    }
    // Writing text, numbers and raw JSON into a vector cannot fail.
    let _ = write!(text, "\"{name}\":");
    let _ = serde_json::to_writer(text, value);
}

/// RFC 4648, with padding.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for three in data.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > three.len() { '=' } else { char::from(DIGITS[six as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Result<Value, &'static str> {
        Ok(Value::Text(value.to_owned()))
    }

    fn head(media: Option<&str>) -> Head {
        let mut head = Head::of(media);
        head.add("specversion", text("1.0"));
        head.add("id", text("e-1"));
        head
    }

    fn written(head: Head, data: &[u8]) -> String {
        String::from_utf8(head.structured(data)).unwrap()
    }

    #[test]
    fn headers_and_data_become_one_text_whatever_their_order() {
        let mut first = head(Some("application/json"));
        first.add("zone", text("\"north\""));
        first.add("type", text("a.b"));
        first.add("count", Ok(Value::Number(-7)));
        first.add("final", Ok(Value::Flag(true)));
        let mut second = Head::of(Some("application/json"));
        second.add("final", Ok(Value::Flag(true)));
        second.add("type", text("a.b"));
        second.add("id", text("e-1"));
        second.add("count", Ok(Value::Number(-7)));
        second.add("zone", text("\"north\""));
        second.add("specversion", text("1.0"));
        assert_eq!(first.id(), Some("e-1"));
        let data = br#" {"n":1.50} "#;
        let one = written(first, data);
        assert_eq!(
            one,
            r#"{"specversion":"1.0","id":"e-1","type":"a.b","count":-7,"final":true,"zone":"\"north\"","datacontenttype":"application/json","data":{"n":1.50}}"#
        );
        assert_eq!(one, written(second, data));
    }

    #[test]
    fn the_media_type_says_what_is_json_and_what_is_not() {
        for (media, body, data) in [
            (None, &b"{}"[..], r#""data":{}"#),
            (Some("application/vnd.vms+json; charset=utf-8"), b"[1]", r#""data":[1]"#),
            (Some("Text/JSON"), b"1", r#""data":1"#),
            (Some("application/xml"), b"<a/>", r#""data":"<a/>""#),
            (Some("text/plain"), b"{}", r#""data":"{}""#),
            (Some("image/png"), b"\xff\x00\x01\x02", r#""data_base64":"/wABAg==""#),
        ] {
            let written = written(head(media), body);
            assert!(written.ends_with(&format!("{data}}}")), "{written}");
            assert!(!written.contains(PROBLEMS), "{written}");
        }
        assert!(!written(head(None), b"").contains("data"));
        assert!(is_structured("Application/CloudEvents-batch+json") && !is_structured("a/b"));
        assert!(is_read("application/cloudevents+json; charset=UTF-8"));
        assert!(!is_read("application/cloudevents-batch+json"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_nothing_is_lost() {
        let mut bad = Head::of(Some("application/json"));
        bad.add("Type", text("secret"));
        bad.add("", text("secret"));
        bad.add("data", text("secret"));
        bad.add("time", Err("is a table"));
        bad.add("id", text("1"));
        bad.add("id", text("2"));
        let written = written(bad, b"{\"a\":\xc3");
        assert_eq!(
            written,
            r#"{"waybill:problems":["header `cloudEvents:Type`: a name is lower case letters and digits","header `cloudEvents:`: a name is lower case letters and digits","header `cloudEvents:data`: is no header: data is the body","header `cloudEvents:time`: is a table","header `cloudEvents:id`: is there twice and says two things","the body is not JSON (line 1, column 6)"],"id":"1","datacontenttype":"application/json","data_base64":"eyJhIjrD"}"#
        );
    }

    #[test]
    fn a_body_cannot_write_attributes_of_the_event() {
        for body in [&br#"1,"id":"other""#[..], br#"{}}{"id":"other"}"#, b"{\"a\":1"] {
            let value: serde_json::Value =
                serde_json::from_str(&written(head(None), body)).unwrap();
            assert_eq!(value["id"], "e-1");
            assert!(value["data"].is_string() && value[PROBLEMS].is_array());
        }
    }

    #[test]
    fn a_version_that_is_missing_or_another_one_is_told() {
        let mut other = Head::of(None);
        other.add("id", text("1"));
        let missing = written(other.clone(), b"");
        assert!(missing.contains("header `cloudEvents:specversion` is missing"), "{missing}");
        other.add("specversion", text("0.3"));
        assert!(written(other, b"").contains("specversion`: 1.0 is expected"));
        let refused = written(Head::refused("a/b", "no"), b"x");
        assert_eq!(refused, r#"{"waybill:problems":["no"],"datacontenttype":"a/b","data":"x"}"#);
    }

    #[test]
    fn attributes_and_problems_have_bounds() {
        let mut many = head(None);
        for n in 0..1000 {
            many.add(&format!("a{n}"), text("v"));
            many.add("Wrong", text("v"));
        }
        many.add("long", text(&"x".repeat(LARGEST)));
        let text = written(many, b"");
        assert!(text.len() < 4_000, "{}", text.len());
        assert!(text.contains("more than 64 attributes"), "{text}");
    }

    #[test]
    fn base64_is_padded() {
        for (data, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(data.as_bytes()), text);
        }
    }
}
