//! The envelope of a message: CloudEvents 1.0, JSON format. Pure. What arrives in binary mode is
//! for [`binary`] to put together; the rest is about what leaves.
//!
//! The journal keeps the structured form, which is the whole message: every attribute, the data,
//! and where it is routed. What travels is that text as it is (structured mode) or taken apart
//! (binary mode: the data as body, the attributes as headers). So a retry is the same, whatever
//! the configuration says by then.

pub mod binary;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::trace::{self, Trace};

/// The media type of the structured form.
pub const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
/// The media type of JSON data.
pub const JSON: &str = "application/json";

/// What the envelope says of its data.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// `id`: one for each delivery, the same in every attempt.
    pub id: &'a str,
    /// `source`: who says it, a URI reference.
    pub source: &'a str,
    /// `type`: what happened.
    pub kind: &'a str,
    /// `subject`: the business object.
    pub subject: &'a str,
    /// `time`: when it was decided.
    pub time: Timestamp,
    /// `datacontenttype`: [`JSON`], or that of a text, which is a string in the structured form.
    pub media: &'a str,
    /// `routingkey`, an extension: where the exchange sends it.
    pub routing_key: &'a str,
    /// `traceparent` and `tracestate`, an extension: what made it.
    pub trace: Option<&'a Trace>,
}

/// An envelope that was read again.
#[derive(Debug, Deserialize, Serialize)]
pub struct Envelope<'a> {
    specversion: Cow<'a, str>,
    /// `id`.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `source`.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// `type`.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// `subject`.
    #[serde(borrow)]
    pub subject: Cow<'a, str>,
    /// `time`.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// `datacontenttype`.
    #[serde(rename = "datacontenttype", borrow)]
    pub media: Cow<'a, str>,
    /// `routingkey`.
    #[serde(rename = "routingkey", borrow)]
    pub routing_key: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Writes the structured form. The error says what is wrong with the data, without quoting it.
pub fn write(attributes: Attributes<'_>, data: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(data).map_err(|_| "the document is not UTF-8".to_owned())?;
    let written;
    let data: &RawValue = if attributes.media == JSON {
        serde_json::from_str(text).map_err(|_| "the document is not JSON".to_owned())?
    } else {
        written = serde_json::value::to_raw_value(text).map_err(|error| error.to_string())?;
        &written
    };
    let envelope = Envelope {
        specversion: "1.0".into(),
        id: attributes.id.into(),
        source: attributes.source.into(),
        kind: attributes.kind.into(),
        subject: attributes.subject.into(),
        time: attributes.time.to_string().into(),
        media: attributes.media.into(),
        routing_key: attributes.routing_key.into(),
        traceparent: attributes.trace.map(|trace| trace.parent().into()),
        tracestate: attributes.trace.map(Trace::state).filter(|it| !it.is_empty()).map(Cow::from),
        data,
    };
    serde_json::to_vec(&envelope).map_err(|error| error.to_string())
}

impl<'a> Envelope<'a> {
    /// Reads the structured form. The error quotes nothing of it.
    pub fn read(document: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(document).map_err(|error| {
            format!("not a CloudEvent (line {}, column {})", error.line(), error.column())
        })
    }

    /// The attributes by their names, for the headers of the binary mode. The id, the media type
    /// and the routing key have their own places in an AMQP message; the id is repeated, as the
    /// AMQP binding wants it.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let own: [(_, &str); 6] = [
            ("specversion", &self.specversion),
            ("id", &self.id),
            ("source", &self.source),
            ("type", &self.kind),
            ("subject", &self.subject),
            ("time", &self.time),
        ];
        own.into_iter().chain(self.trace())
    }

    /// The trace context that it carries: as headers of its own, in either mode, it is what tracing
    /// systems look for.
    pub fn trace(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parent = self.traceparent.as_deref().map(|value| (trace::PARENT, value));
        parent.into_iter().chain(self.tracestate.as_deref().map(|value| (trace::STATE, value)))
    }

    /// The data as it was before it was put into the envelope.
    pub fn data(&self) -> Cow<'a, [u8]> {
        if self.media == JSON {
            return Cow::Borrowed(self.data.get().as_bytes());
        }
        match serde_json::from_str::<String>(self.data.get()) {
            Ok(text) => Cow::Owned(text.into_bytes()),
            // We wrote it as a string; another writer's data goes as it is.
            Err(_) => Cow::Borrowed(self.data.get().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(media: &'static str) -> Attributes<'static> {
        Attributes {
            id: "vms-1-0010100000000001",
            source: "/waybill/vms-1",
            kind: "customer.changed",
            subject: "4711",
            time: "2026-03-01T10:20:30Z".parse().unwrap(),
            media,
            routing_key: "sap.customer.4711",
            trace: None,
        }
    }

    #[test]
    fn the_structured_form_is_a_cloud_event_and_keeps_the_data_as_it_is() {
        let data = br#"{"number":1.50, "name":"M\u00fcller"}"#;
        let written = write(attributes(JSON), data).unwrap();
        assert_eq!(
            String::from_utf8(written.clone()).unwrap(),
            r#"{"specversion":"1.0","id":"vms-1-0010100000000001","source":"/waybill/vms-1","type":"customer.changed","subject":"4711","time":"2026-03-01T10:20:30Z","datacontenttype":"application/json","routingkey":"sap.customer.4711","data":{"number":1.50, "name":"M\u00fcller"}}"#
        );
        let envelope = Envelope::read(&written).unwrap();
        assert_eq!(&*envelope.data(), data);
        assert_eq!(envelope.headers().nth(3), Some(("type", "customer.changed")));
        assert_eq!(envelope.trace().count(), 0);
        assert_eq!(envelope.routing_key, "sap.customer.4711");
    }

    #[test]
    fn a_trace_context_is_an_extension_and_comes_out_as_headers() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (state, expected) in [("a=b", 2), ("", 1)] {
            let trace = Trace::read(parent, state).unwrap();
            let written = write(Attributes { trace: Some(&trace), ..attributes(JSON) }, b"1");
            let written = written.unwrap();
            let envelope = Envelope::read(&written).unwrap();
            assert!(envelope.trace().eq(trace.headers()));
            assert_eq!(envelope.headers().count(), 6 + expected);
        }
    }

    #[test]
    fn text_travels_as_a_string_and_comes_out_the_same() {
        let data = "EDI_DC40  \"x\"\nE1KNA1M\r\n".as_bytes();
        let written = write(attributes("text/plain"), data).unwrap();
        assert_eq!(&*Envelope::read(&written).unwrap().data(), data);
    }

    #[test]
    fn data_that_is_not_what_it_is_said_to_be_is_refused_without_being_quoted() {
        for data in [&b"{\"secret\":"[..], b"secret", b"\xff"] {
            let error = write(attributes(JSON), data).unwrap_err();
            assert!(error.starts_with("the document is not") && !error.contains("secret"));
        }
        let error = Envelope::read(b"{\"secret\": 1}").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
