//! Which events make which deliveries, and how: a flat list, tried in its order.
//!
//! A route turns the content of one event into one document ([`Produced`]) and addresses it to one
//! or more targets. Everything it needs was looked up when the [`plan`](crate::plan) was compiled.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use waybill_parsers::idoc::{self, WriteOptions};
use waybill_parsers::{Document, Schema, json};

use crate::cloudevent::{self, Attributes};
use crate::config::path_template::PathTemplate;
use crate::config::{
    Limits, NameTemplate, NameValues, OnFailed, RoutingKey, RoutingValues, routing_key,
};
use crate::delivery::NewDelivery;
use crate::event::Header;
use crate::mapping::{Budget, Condition, FaultKind, Mapping};
use crate::partner::Partner;
use crate::request::Request;
use crate::trace::Trace;

/// A compiled route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The kinds of events it takes.
    pub on: Vec<String>,
    /// A condition on the event.
    pub when: Option<Arc<Condition>>,
    /// What translates.
    pub mapping: Arc<Mapping>,
    /// What it translates to.
    pub makes: Makes,
    /// What the document is called where it is an event of its own: `customer.changed`, or
    /// `idoc.` and the message type.
    pub kind: Arc<str>,
    /// Who it is from and to; an IDoc always has one.
    pub partner: Option<Arc<Partner>>,
    /// Where the document goes.
    pub to: Vec<Destination>,
    /// Whether a failure holds back the later events of its key.
    pub on_failed: OnFailed,
    /// How much one document may cost.
    pub limits: Limits,
}

/// The format of a route's documents.
#[derive(Clone, Debug)]
pub enum Makes {
    /// An IDoc as a flat file.
    Idoc {
        /// Its type.
        schema: Arc<Schema>,
        /// The message type (`MESTYP`).
        message: Arc<str>,
    },
    /// A JSON object.
    Json,
}

/// A target as a route sees it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The target's name.
    pub target: Arc<str>,
    /// How its documents are addressed.
    pub address: Address,
}

/// How a kind of target addresses its documents.
#[derive(Clone, Debug)]
pub enum Address {
    /// By a file name.
    File(NameTemplate),
    /// By the envelope of a CloudEvent.
    Message(MessageAddress),
    /// By the head of an HTTP request.
    Request(RequestAddress),
}

/// What an HTTP request says, apart from what its document says.
#[derive(Clone, Debug)]
pub struct RequestAddress {
    /// The agent's name: the ids of its documents begin with it.
    pub agent: Arc<str>,
    /// The method.
    pub method: &'static str,
    /// What follows the target's address.
    pub path: PathTemplate,
    /// The header that carries the id.
    pub id_header: Arc<str>,
    /// The media type, where it is not that of the document.
    pub content_type: Option<Arc<str>>,
}

/// What a CloudEvent says, apart from what its document says.
#[derive(Clone, Debug)]
pub struct MessageAddress {
    /// The agent's name: who says it.
    pub agent: Arc<str>,
    /// Where the exchange sends it.
    pub routing_key: RoutingKey,
}

/// What a document takes from outside of its event. Stored with the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The time that it shows.
    pub now: Timestamp,
    /// Its number (`DOCNUM`), at most 16 digits.
    pub number: u64,
}

/// A finished document, before it is addressed.
#[derive(Clone, Debug)]
pub struct Produced {
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// What they are.
    pub media: Media,
    /// What the document is called where it is an event of its own.
    pub kind: Arc<str>,
    /// Its number, 16 digits; no other document of this agent has it.
    pub number: String,
    /// The mapping that made it.
    pub mapping: Arc<str>,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// An IDoc as a flat file.
    Idoc,
    /// JSON.
    Json,
}

impl Media {
    /// The media type: for IDocs the one that SAP uses over HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Idoc => "application/x-sap.idoc",
            Self::Json => "application/json",
        }
    }
}

/// Why the documents of an event could not be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// All reasons, without payload text.
    pub causes: Vec<String>,
    /// Whether the document cost more than it may.
    pub over_budget: bool,
}

impl From<String> for Failure {
    fn from(cause: String) -> Self {
        Self { causes: vec![cause], over_budget: false }
    }
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

    /// The deliveries of an event, one for each target.
    pub fn deliver(
        &self,
        header: &Header,
        content: &Document,
        inputs: Inputs,
    ) -> Result<Vec<NewDelivery>, Failure> {
        let produced = self.produce(content, inputs)?;
        let deliveries = self.to.iter().map(|to| self.address(to, header, &produced, inputs));
        Ok(deliveries.collect::<Result<_, _>>()?)
    }

    /// The document of an event.
    fn produce(&self, content: &Document, inputs: Inputs) -> Result<Produced, Failure> {
        let number = format!("{:016}", inputs.number);
        let control = self.control(&number, inputs.now);
        let fields: Vec<(&str, &str)> =
            control.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let Limits { nodes, steps, document: most, .. } = self.limits;
        let document = self
            .mapping
            .apply(content.root(), &fields, Budget { nodes, steps })
            .map_err(|faults| Failure {
                causes: faults.iter().map(ToString::to_string).collect(),
                over_budget: faults.iter().any(|fault| fault.kind == FaultKind::Budget),
            })?;
        let mut bytes = Vec::with_capacity(4 << 10);
        let mapping = self.mapping.name();
        let media = match &self.makes {
            Makes::Idoc { schema, .. } => {
                let options = WriteOptions { limit: Some(most), ..WriteOptions::default() };
                let problems = idoc::write(&document, schema, options, &mut bytes);
                if !problems.is_empty() {
                    let over_budget = problems.iter().any(|one| one.code == "too-large");
                    let causes = problems.iter().map(|one| match one.code {
                        "too-large" => format!("{mapping}: {one} (`limits.document`)"),
                        _ => format!("{mapping}: {one}"),
                    });
                    return Err(Failure { causes: causes.collect(), over_budget });
                }
                Media::Idoc
            }
            Makes::Json => {
                json::write(document.root(), &mut bytes);
                if bytes.len() > most {
                    let cause = format!(
                        "{mapping}: {} bytes; `limits.document` allows {most}",
                        bytes.len()
                    );
                    return Err(Failure { causes: vec![cause], over_budget: true });
                }
                Media::Json
            }
        };
        let (kind, mapping) = (self.kind.clone(), mapping.into());
        Ok(Produced { bytes: bytes.into(), media, kind, number, mapping })
    }

    /// The delivery of a document to one target.
    fn address(
        &self,
        to: &Destination,
        header: &Header,
        produced: &Produced,
        inputs: Inputs,
    ) -> Result<NewDelivery, String> {
        let (name, document) = match &to.address {
            Address::File(template) => {
                (template.fill(self.values(produced)), produced.bytes.clone())
            }
            Address::Message(address) => self.wrap(address, header, produced, inputs)?,
            Address::Request(address) => self.request(address, header, produced)?,
        };
        Ok(NewDelivery {
            target: to.target.clone(),
            key: header.key.clone(),
            name,
            reference: produced.number.clone(),
            mapping: produced.mapping.clone(),
            document,
        })
    }

    /// The message id and the CloudEvent around a document. The number makes the id one of its
    /// own: the numbers of an agent never repeat, and begin with what tells agents apart.
    fn wrap(
        &self,
        address: &MessageAddress,
        header: &Header,
        produced: &Produced,
        inputs: Inputs,
    ) -> Result<(String, Arc<[u8]>), String> {
        let agent = routing_key::plain(&address.agent);
        let id = format!("{agent}-{}", produced.number);
        let routing_key = address.routing_key.fill(RoutingValues {
            kind: &header.kind,
            key: &header.key,
            message_type: self.values(produced).message_type,
            event_type: &produced.kind,
        });
        let attributes = Attributes {
            id: &id,
            source: &format!("/waybill/{agent}"),
            kind: &produced.kind,
            subject: &header.key,
            time: inputs.now,
            media: produced.media.content_type(),
            routing_key: &routing_key,
            trace: header.trace.as_ref(),
        };
        let document = cloudevent::write(attributes, &produced.bytes)?;
        Ok((id, document.into()))
    }

    /// The id and the request around a document.
    fn request(
        &self,
        address: &RequestAddress,
        header: &Header,
        produced: &Produced,
    ) -> Result<(String, Arc<[u8]>), String> {
        let id = format!("{}-{}", routing_key::plain(&address.agent), produced.number);
        let NameValues { message_type, docnum, partner, .. } = self.values(produced);
        let values = [&*header.kind, &*header.key, message_type, &*produced.kind, docnum, partner];
        let media = address.content_type.as_deref();
        let mut headers = vec![
            ("content-type".into(), media.unwrap_or(produced.media.content_type()).into()),
            ((&*address.id_header).into(), id.as_str().into()),
        ];
        let trace = header.trace.iter().flat_map(Trace::headers);
        headers.extend(trace.map(|(name, value)| (name.into(), value.into())));
        let request = Request {
            method: address.method.into(),
            path: address.path.fill(values)?.into(),
            headers,
            body: (&*produced.bytes).into(),
        };
        let written = request.write()?;
        Ok((id, written.into()))
    }

    /// What the name of a document may show. Outside of IDocs the kind stands for the message
    /// type, and the mapping for the IDoc type.
    fn values<'a>(&'a self, produced: &'a Produced) -> NameValues<'a> {
        let (message_type, idoc_type) = match &self.makes {
            Makes::Idoc { schema, message } => (&**message, schema.name()),
            Makes::Json => (&*produced.kind, &*produced.mapping),
        };
        let partner = self.partner.as_ref().map_or("", |partner| &partner.name);
        NameValues { message_type, idoc_type, docnum: &produced.number, partner }
    }

    /// The control record of an IDoc: the partner's fields, and those of this document. `DIRECT` 2
    /// is inbound as SAP sees it; times are UTC.
    fn control(&self, docnum: &str, now: Timestamp) -> Vec<(&'static str, String)> {
        let Makes::Idoc { message, .. } = &self.makes else { return Vec::new() };
        let now = now.to_zoned(TimeZone::UTC);
        let date = format!("{:04}{:02}{:02}", now.year(), now.month(), now.day());
        let time = format!("{:02}{:02}{:02}", now.hour(), now.minute(), now.second());
        let mut fields = vec![
            ("DOCNUM", docnum.to_owned()),
            ("DIRECT", "2".to_owned()),
            ("MESTYP", message.to_string()),
            ("SERIAL", format!("{date}{time}")),
            ("CREDAT", date),
            ("CRETIM", time),
        ];
        fields.extend(self.partner.iter().flat_map(|partner| partner.idoc.iter().cloned()));
        fields
    }
}
