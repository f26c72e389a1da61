//! Which events make which deliveries, and how: a flat list, tried in its order.
//!
//! A route turns the content of one event into one document and addresses it to one or more
//! targets. Everything it needs was looked up when the [`plan`](crate::plan) was compiled.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use waybill_parsers::idoc::{self, WriteOptions};
use waybill_parsers::{Document, Schema};

use crate::config::{NameTemplate, NameValues, OnFailed};
use crate::delivery::NewDelivery;
use crate::mapping::{Condition, Mapping};
use crate::partner::Partner;

/// A compiled route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The kinds of events it takes.
    pub on: Vec<String>,
    /// A condition on the event.
    pub when: Option<Arc<Condition>>,
    /// What translates.
    pub mapping: Arc<Mapping>,
    /// The type that it translates to.
    pub schema: Arc<Schema>,
    /// The message type (`MESTYP`).
    pub message: Arc<str>,
    /// Who it is from and to.
    pub partner: Arc<Partner>,
    /// Where the document goes.
    pub to: Vec<Destination>,
    /// Whether a failure holds back the later events of its key.
    pub on_failed: OnFailed,
}

/// A target as a route sees it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The target's name.
    pub target: Arc<str>,
    /// What its documents are called.
    pub name: NameTemplate,
}

/// What a document takes from outside of its event. Stored with the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The time that it shows.
    pub now: Timestamp,
    /// Its number (`DOCNUM`), at most 16 digits.
    pub number: u64,
}

impl Route {
    /// Whether the route takes an event of that kind and content. The error is the reason why its
    /// condition could not be decided.
    pub fn takes(&self, kind: &str, content: &Document) -> Result<bool, String> {
        if !self.on.iter().any(|on| on == kind) {
            return Ok(false);
        }
        match &self.when {
            Some(when) => when.holds(content.root()),
            None => Ok(true),
        }
    }

    /// The deliveries of an event, one for each target, all with the same bytes. The errors are
    /// all the reasons why the document could not be made, without payload text.
    pub fn deliver(
        &self,
        content: &Document,
        key: &str,
        inputs: Inputs,
    ) -> Result<Vec<NewDelivery>, Vec<String>> {
        let docnum = format!("{:016}", inputs.number);
        let control = self.control(&docnum, inputs.now);
        let fields: Vec<(&str, &str)> =
            control.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let document = self
            .mapping
            .apply(content.root(), &fields)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let mut bytes = Vec::with_capacity(4 << 10);
        let options = WriteOptions::default();
        let problems = idoc::write(&document, &self.schema, options, &mut bytes);
        if !problems.is_empty() {
            let mapping = self.mapping.name();
            return Err(problems.iter().map(|problem| format!("{mapping}: {problem}")).collect());
        }
        let bytes: Arc<[u8]> = bytes.into();
        let values = NameValues {
            message_type: &self.message,
            idoc_type: self.schema.name(),
            docnum: &docnum,
            partner: &self.partner.name,
        };
        let delivery = |destination: &Destination| NewDelivery {
            target: destination.target.clone(),
            key: key.to_owned(),
            name: destination.name.fill(values),
            reference: docnum.clone(),
            mapping: self.mapping.name().into(),
            document: bytes.clone(),
        };
        Ok(self.to.iter().map(delivery).collect())
    }

    /// The control record: the partner's fields, and those of this document. `DIRECT` 2 is inbound
    /// as SAP sees it; times are UTC.
    fn control(&self, docnum: &str, now: Timestamp) -> Vec<(&'static str, String)> {
        let now = now.to_zoned(TimeZone::UTC);
        let date = format!("{:04}{:02}{:02}", now.year(), now.month(), now.day());
        let time = format!("{:02}{:02}{:02}", now.hour(), now.minute(), now.second());
        let mut fields = vec![
            ("DOCNUM", docnum.to_owned()),
            ("DIRECT", "2".to_owned()),
            ("MESTYP", self.message.to_string()),
            ("SERIAL", format!("{date}{time}")),
            ("CREDAT", date),
            ("CRETIM", time),
        ];
        fields.extend(self.partner.idoc.iter().cloned());
        fields
    }
}
