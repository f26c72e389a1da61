//! What a message says beside its body: its id, the attributes of a CloudEvent in binary mode, the
//! trace context. Pure.
//!
//! The AMQP protocol binding of CloudEvents 1.0 decides by the content type and the headers:
//!
//! | content type | headers | the body is |
//! |---|---|---|
//! | `application/cloudevents+json` | | the whole event (structured mode) |
//! | other `application/cloudevents…` | | refused: of a form that is not read |
//! | anything else, or none | any `cloudEvents:…` or `cloudEvents_…` | the data of an event (binary mode) |
//! | anything else, or none | none of these | the whole event, with paths of its own |

use std::sync::Arc;

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::cloudevent::binary::{self, Head, Value};
use crate::event::Beside;
use crate::trace::{self, Trace};

/// What the names of attributes begin with. The second is for brokers and clients that do not take
/// a colon.
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];
/// Content encodings that change nothing: the second is a mistake that some clients make.
const PLAIN: [&str; 3] = ["", "utf-8", "identity"];

/// The message's id and what is beside its body.
pub(super) fn read(properties: &BasicProperties) -> (Option<String>, Beside) {
    let id = properties.message_id().as_ref().map(ToString::to_string);
    let media = properties.content_type().as_ref().map(ToString::to_string);
    let headers = properties.headers().as_ref();
    let mut head = head(media.as_deref(), headers);
    if let Some(head) = &mut head
        && let Some(encoding) = properties.content_encoding().as_ref()
        && !PLAIN.contains(&&*encoding.as_str().to_ascii_lowercase())
    {
        head.problem("content-encoding: a body that is packed is not read");
    }
    let beside = Beside { trace: headers.and_then(trace), head: head.map(Arc::new) };
    let own = beside.head.as_ref().and_then(|head| head.id());
    (own.map(str::to_owned).or(id), beside)
}

fn head(media: Option<&str>, headers: Option<&FieldTable>) -> Option<Head> {
    if let Some(media) = media.filter(|media| binary::is_structured(media)) {
        let why = "content-type: of the forms that hold whole events only \
                   `application/cloudevents+json` is read";
        return (!binary::is_read(media)).then(|| Head::refused(media, why));
    }
    let attributes = headers?.inner().iter().filter_map(|(name, value)| {
        let prefix = PREFIXES.iter().find_map(|prefix| name.as_str().strip_prefix(prefix));
        Some((prefix?, value))
    });
    let mut head = None;
    for (name, value) in attributes {
        // A value that is nothing is an attribute that is not set.
        if !matches!(value, AMQPValue::Void) {
            head.get_or_insert_with(|| Head::of(media)).add(name, read_value(value));
        }
    }
    head
}

/// The types of CloudEvents, each in the types of AMQP that can hold it.
fn read_value(value: &AMQPValue) -> Result<Value, &'static str> {
    let number = match value {
        AMQPValue::Boolean(flag) => return Ok(Value::Flag(*flag)),
        AMQPValue::LongString(_) | AMQPValue::ShortString(_) | AMQPValue::ByteArray(_) => {
            let text = text(value).ok_or("is not UTF-8")?;
            return Ok(Value::Text(text.to_owned()));
        }
        AMQPValue::Timestamp(seconds) => {
            let seconds = i64::try_from(*seconds).ok();
            let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
            return time.map(|time| Value::Text(time.to_string())).ok_or("is no time");
        }
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortShortUInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::ShortUInt(number) => i64::from(*number),
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongUInt(number) => i64::from(*number),
        AMQPValue::LongLongInt(number) => *number,
        AMQPValue::FieldTable(_) => return Err("is a table; an attribute is a plain value"),
        AMQPValue::FieldArray(_) => return Err("is an array; an attribute is a plain value"),
        _ => return Err("has a type that no attribute has"),
    };
    Ok(Value::Number(number))
}

fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok(),
        _ => None,
    }
}

/// The trace context of the transport; what is not well-formed is none.
fn trace(headers: &FieldTable) -> Option<Trace> {
    let header = |name| headers.inner().get(name).and_then(text);
    Trace::read(header(trace::PARENT)?, header(trace::STATE).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn properties(media: Option<&str>, headers: &[(&str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let properties = BasicProperties::default().with_headers(table);
        match media {
            Some(media) => properties.with_content_type(media.into()),
            None => properties,
        }
    }

    fn written(properties: &BasicProperties, body: &[u8]) -> String {
        let head = read(properties).1.head.unwrap();
        String::from_utf8(Arc::unwrap_or_clone(head).structured(body)).unwrap()
    }

    #[test]
    fn content_type_and_headers_tell_the_modes_apart() {
        let attribute = ("cloudEvents:specversion", long("1.0"));
        for (media, headers, binary) in [
            (Some("application/cloudevents+json; charset=utf-8"), vec![attribute.clone()], false),
            (Some("application/json"), vec![], false),
            (None, vec![("x-death", AMQPValue::Boolean(true))], false),
            (Some("application/json"), vec![attribute.clone()], true),
            (None, vec![("cloudEvents_specversion", long("1.0"))], true),
            (Some("application/cloudevents-batch+json"), vec![], true),
        ] {
            let (_, beside) = read(&properties(media, &headers));
            assert_eq!(beside.head.is_some(), binary, "{media:?} {headers:?}");
        }
        let batch = properties(Some("application/cloudevents-batch+json"), &[attribute]);
        assert!(written(&batch, b"[]").contains(r#"["content-type: of the forms"#));
    }

    #[test]
    fn the_types_of_amqp_become_those_of_cloud_events() {
        let headers = [
            ("cloudEvents:specversion", AMQPValue::ShortString("1.0".into())),
            ("cloudEvents_id", AMQPValue::ByteArray(b"e-1".as_slice().into())),
            ("cloudEvents:time", AMQPValue::Timestamp(1_772_360_430)),
            ("cloudEvents:final", AMQPValue::Boolean(false)),
            ("cloudEvents:count", AMQPValue::LongLongInt(-3)),
            ("cloudEvents:nothing", AMQPValue::Void),
            ("x-delivery-count", AMQPValue::LongInt(3)),
        ];
        let it = properties(None, &headers);
        assert_eq!(read(&it).0.as_deref(), Some("e-1"));
        assert_eq!(
            written(&it, b"{}"),
            r#"{"specversion":"1.0","id":"e-1","time":"2026-03-01T10:20:30Z","count":-3,"final":false,"data":{}}"#
        );
    }

    #[test]
    fn headers_that_are_no_attributes_are_told_with_their_name() {
        let table = AMQPValue::FieldTable(FieldTable::default());
        let headers = [
            ("cloudEvents:specversion", long("1.0")),
            ("cloudEvents:subject", table),
            ("cloudEvents:zone", AMQPValue::LongString(b"\xff".to_vec().into())),
            ("cloudEvents:weight", AMQPValue::Double(1.5)),
        ];
        let packed = properties(Some("application/json"), &headers);
        let packed = packed.with_content_encoding("gzip".into());
        let written = written(&packed, b"{}");
        for problem in [
            "header `cloudEvents:subject`: is a table; an attribute is a plain value",
            "header `cloudEvents:weight`: has a type that no attribute has",
            "header `cloudEvents:zone`: is not UTF-8",
            "content-encoding: a body that is packed is not read",
        ] {
            assert!(written.contains(problem), "{written}");
        }
    }

    #[test]
    fn a_trace_context_is_read_in_either_mode_and_is_no_part_of_the_event() {
        let headers = [("traceparent", long(PARENT)), ("tracestate", long("a=b"))];
        let (_, beside) = read(&properties(None, &headers));
        let trace = beside.trace.unwrap();
        assert_eq!((trace.parent(), trace.state()), (PARENT, "a=b"));
        assert!(beside.head.is_none());
        for wrong in [long("00-0"), AMQPValue::LongInt(1)] {
            assert!(read(&properties(None, &[("traceparent", wrong)])).1.trace.is_none());
        }
    }
}
