//! Where the agent answers for health and metrics: the keys of `http:`.

use std::net::SocketAddr;

use crate::config::tls::{self, ServerTls};
use crate::config::unit;
use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{Fields, Node};

/// The port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: Spanned<SocketAddr>,
    /// The certificates; `None` for plain HTTP.
    pub tls: Option<ServerTls>,
    /// Connections at once. Default 256: far more than probes and scrapers have, and few enough
    /// that each may hold what it can.
    pub connections: usize,
    /// Connections at once from one address. Default 128: the half, so that no address alone
    /// takes the places of all others.
    pub per_address: usize,
}

impl Listen {
    /// Plain HTTP at an address, with defaults.
    pub fn at(address: Spanned<SocketAddr>) -> Self {
        Self { address, tls: None, connections: 256, per_address: 128 }
    }
}

/// Reads `http:`. With a mistake in `tls:` there is no port: it would be an open one.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Listen> {
    let mut fields = Fields::of(node, "http", problems)?;
    let listen = fields.required_text("listen", problems);
    let tls = fields.optional("tls").map(|node| tls::server(node, problems));
    let connections = fields.parsed("connections", problems, count);
    let per_address = fields.parsed("connections_per_address", problems, count);
    let mark = fields.mark();
    fields.finish(problems);
    let listen = listen?;
    let Ok(value) = listen.value.parse() else {
        let remedy = "write an address and a port, such as `127.0.0.1:9464`";
        problems.advise(listen.mark, "listen: not an address", remedy);
        return None;
    };
    let tls = match tls {
        None => None,
        Some(tls) => Some(tls?),
    };
    let mut listen = Listen { tls, ..Listen::at(Spanned { value, mark: listen.mark }) };
    listen.connections = connections.unwrap_or(listen.connections);
    listen.per_address = per_address.unwrap_or(listen.per_address.min(listen.connections));
    if listen.per_address > listen.connections {
        problems.add(mark, "http: `connections_per_address` is at most `connections`");
    }
    Some(listen)
}

/// Two at least: one for who watches, one for who looks why.
fn count(text: &str) -> Result<usize, String> {
    let count = unit::count(text, 2, 10_000)?;
    usize::try_from(count).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;
    use crate::yaml;

    fn listen(text: &str) -> (Option<Listen>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
        let node = yaml::read(&mut problems).unwrap();
        let listen = read(&node, &mut problems);
        (listen, problems.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn certificates_are_read_with_their_places_and_their_mistakes_are_named() {
        let (plain, problems) = listen("listen: \"127.0.0.1:9464\"");
        assert!(plain.unwrap().tls.is_none() && problems.is_empty());
        let text = "listen: \"127.0.0.1:9464\"\ntls: { cert: a, key: b, client_ca: c }\n";
        let tls = listen(text).0.unwrap().tls.unwrap();
        assert_eq!((tls.cert.mark.line, tls.cert.mark.column, tls.cert.value), (2, 14, "a".into()));
        assert_eq!(tls.client_ca.unwrap().value, "c");
        let names = "client_names: [prometheus.example, \"spiffe://example.org/prometheus\"]";
        let text = text.replace("client_ca: c", &format!("client_ca: c, {names}, client_crl: d"));
        let tls = listen(&text).0.unwrap().tls.unwrap();
        assert_eq!((tls.client_names.len(), tls.client_crl.unwrap().value), (2, "d".into()));
        for wrong in ["*.example", "b\u{fc}cher.example", "a b", ""] {
            let text = text.replace("prometheus.example", &format!("\"{wrong}\""));
            assert_eq!(listen(&text).1.len(), 1, "{wrong}: {:?}", listen(&text).1);
        }
        assert_eq!(listen(&text.replace("client_ca: c, ", "")).1.len(), 1);
        let (listen, problems) = listen(&text.replace("key: b", "ky: b").replace("9464", "http"));
        assert!(listen.is_none());
        for part in ["`key` is missing", "did you mean `key`?", "not an address"] {
            assert!(problems.iter().any(|line| line.contains(part)), "{part}: {problems:#?}");
        }
    }

    #[test]
    fn connections_are_bounded_and_one_address_has_no_more_than_all() {
        let of = |text: &str| {
            let (listen, problems) = listen(&format!("listen: \"127.0.0.1:9464\"\n{text}\n"));
            (listen.map(|it| (it.connections, it.per_address)), problems)
        };
        assert_eq!(of(""), (Some((256, 128)), Vec::new()));
        assert_eq!(of("connections: 16"), (Some((16, 16)), Vec::new()));
        assert_eq!(of("connections: 400\nconnections_per_address: 300").0, Some((400, 300)));
        for wrong in ["connections: 1", "connections: many", "connections_per_address: 257"] {
            assert_eq!(of(wrong).1.len(), 1, "{wrong}: {:?}", of(wrong).1);
        }
    }

    #[test]
    fn a_mistake_in_the_certificates_opens_no_plain_port() {
        assert!(listen("listen: \"127.0.0.1:9464\"\ntls: { cert: a }\n").0.is_none());
    }
}
