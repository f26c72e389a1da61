//! An exchange that takes messages: the keys of a target of `type: amqp`.

use crate::config::routing_key::RoutingKey;
use crate::config::secret::Secret;
use crate::config::tls::{self, Tls};
use crate::config::{OnDoubt, expect, read};
use crate::diagnostic::Problems;
use crate::yaml::Fields;

/// An exchange of an AMQP 0-9-1 broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpTarget {
    /// `amqp://user:password@host:port/vhost`.
    pub url: Secret,
    /// Certificates.
    pub tls: Tls,
    /// What the broker has to call its cluster; it is given no login else.
    pub expect: Option<String>,
    /// The exchange's name; empty for the default exchange, which sends to the queue that the
    /// routing key names.
    pub exchange: String,
    /// Whether and how to declare the exchange. Default passive: it belongs to its consumers.
    pub declare: DeclareExchange,
    /// The routing key.
    pub routing_key: RoutingKey,
    /// Whether a message that reaches no queue is an error. Default true: without it the broker
    /// confirms what it throws away.
    pub mandatory: bool,
    /// How the CloudEvent travels. Default structured.
    pub mode: Mode,
    /// What is done where nobody knows whether a message arrived. Default resend: consumers know
    /// a message that comes twice by its id.
    pub on_doubt: OnDoubt,
}

/// How an exchange comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclareExchange {
    /// It must be there already.
    Passive,
    /// Declared durable: by patterns over the words of the routing key.
    Topic,
    /// Declared durable: by the exact routing key.
    Direct,
    /// Declared durable: to every queue that is bound.
    Fanout,
}

/// The content modes of the AMQP binding of CloudEvents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The whole event is the body.
    Structured,
    /// The data is the body, the attributes are headers.
    Binary,
}

/// Reads the keys of such a target.
pub(super) fn target(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<AmqpTarget> {
    let url = fields.required("url", problems).and_then(|node| read::secret(node, "url", problems));
    let tls = tls::client(fields.optional("tls"), problems);
    let expect = expect::broker(fields, problems);
    let exchange = fields.required_text("exchange", problems);
    let words = [
        ("passive", DeclareExchange::Passive),
        ("topic", DeclareExchange::Topic),
        ("direct", DeclareExchange::Direct),
        ("fanout", DeclareExchange::Fanout),
    ];
    let declare = fields.choice("declare", problems, &words);
    fields.required("routing_key", problems);
    let routing_key = fields.parsed("routing_key", problems, RoutingKey::parse);
    let mandatory = fields.flag("mandatory", problems);
    let words = [("structured", Mode::Structured), ("binary", Mode::Binary)];
    let mode = fields.choice("mode", problems, &words);
    let words = [("resend", OnDoubt::Resend), ("hold", OnDoubt::Hold)];
    let on_doubt = fields.choice("on_doubt", problems, &words);
    Some(AmqpTarget {
        url: url?,
        tls,
        expect,
        exchange: exchange?.value,
        declare: declare.unwrap_or(DeclareExchange::Passive),
        routing_key: routing_key?,
        mandatory: mandatory.unwrap_or(true),
        mode: mode.unwrap_or(Mode::Structured),
        on_doubt: on_doubt.unwrap_or(OnDoubt::Resend),
    })
}
