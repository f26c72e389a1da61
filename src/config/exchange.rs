//! An exchange that takes messages: the keys of a target of `type: amqp`.

use crate::config::routing_key::RoutingKey;
use crate::config::secret::Secret;
use crate::config::tls::{self, Clear, Tls};
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

/// Why a broker must not be reached over `amqp://`, if so. The host stands without brackets.
pub fn in_the_clear(host: &str, password: bool, tls: &Tls) -> Option<&'static str> {
    tls.in_the_clear(host, password).map(|clear| match clear {
        Clear::Certificates => "`tls` is for an `amqps://` url, and this one is `amqp://`",
        Clear::Login => "`amqp://` would show the password to everybody on the way",
    })
}

/// Reads how a broker is reached. A url that is written in the file is looked at here, any other
/// when it is used.
pub(super) fn access(fields: &mut Fields<'_>, problems: &mut Problems) -> (Option<Secret>, Tls) {
    let place = fields.required("url", problems);
    let url = place.and_then(|node| read::secret(node, "url", problems));
    let tls = tls::client(fields.optional("tls"), problems);
    if let (Some(node), Some(Secret::Plain(text))) = (place, &url)
        && let Some((login, host)) = tls::plain(text, "amqp")
        && let Some(why) = in_the_clear(host, login.is_some_and(|it| it.contains(':')), &tls)
    {
        problems.advise(node.mark, format!("url: {why}"), CLEAR_REMEDY);
    }
    (url, tls)
}

/// What is done about a login that would be seen.
const CLEAR_REMEDY: &str = "use `amqps://`, or write `tls: none` where all on the way are trusted";

/// Reads the keys of such a target.
pub(super) fn target(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<AmqpTarget> {
    let (url, tls) = access(fields, problems);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    #[test]
    fn no_password_goes_to_a_broker_in_the_clear() {
        for (url, tls, refused) in [
            ("amqps://vms:geheim@broker.example/%2f", "", false),
            ("amqp://broker.example/%2f", "", false),
            ("amqp://vms@broker.example/%2f", "", false),
            ("amqp://vms:geheim@broker.example/%2f", "", true),
            ("amqp://vms:geheim@10.0.0.1", "", true),
            ("amqp://vms:geheim@[2001:db8::7]:5672", "", true),
            ("amqp://vms:geheim@localhost.example/", "", true),
            ("amqp://localhost:geheim@broker.example/", "", true),
            ("amqp://vms:geheim@localhost:5672/%2f", "", false),
            ("amqp://vms:geheim@127.0.0.1/%2f", "", false),
            ("amqp://vms:geheim@[::1]/%2f", "", false),
            ("amqp://vms:geheim@broker.example/%2f", ", tls: none", false),
            ("amqp://vms@127.0.0.1/%2f", ", tls: { ca: ca.pem }", true),
        ] {
            let text = format!(
                "version: 1
agent: {{ name: test, instance: \"001\", data_dir: data }}
sources: {{ vms: {{ type: amqp, url: \"{url}\", queue: q{tls} }} }}
targets: {{ bus: {{ type: amqp, url: \"{url}\", exchange: x, routing_key: k{tls} }} }}
routes: []
"
            );
            let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
            read::config(&mut problems);
            let list = problems.into_list();
            assert_eq!(list.len(), 2 * usize::from(refused), "{url}{tls}: {list:#?}");
            assert!(list.iter().all(|one| !one.excerpt.contains("geheim")), "{list:#?}");
        }
    }
}
