//! Where the agent answers for health and metrics: the keys of `http:`.

use std::net::SocketAddr;

use crate::config::tls::{self, ServerTls};
use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{Fields, Node};

/// The port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: Spanned<SocketAddr>,
    /// The certificates; `None` for plain HTTP.
    pub tls: Option<ServerTls>,
}

/// Reads `http:`. With a mistake in `tls:` there is no port: it would be an open one.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Listen> {
    let mut fields = Fields::of(node, "http", problems)?;
    let listen = fields.required_text("listen", problems);
    let tls = fields.optional("tls").map(|node| tls::server(node, problems));
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
    Some(Listen { address: Spanned { value, mark: listen.mark }, tls })
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
        let (listen, problems) = listen(&text.replace("key: b", "ky: b").replace("9464", "http"));
        assert!(listen.is_none());
        for part in ["`key` is missing", "did you mean `key`?", "not an address"] {
            assert!(problems.iter().any(|line| line.contains(part)), "{part}: {problems:#?}");
        }
    }

    #[test]
    fn a_mistake_in_the_certificates_opens_no_plain_port() {
        assert!(listen("listen: \"127.0.0.1:9464\"\ntls: { cert: a }\n").0.is_none());
    }
}
