//! Which certificates a connection shows and which it believes: the keys of `tls:`.

use std::net::IpAddr;

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{self, Fields, Node};

/// The files of a connection that we open. All of them are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that may have signed the other side's certificate, instead of those of the
    /// system.
    pub ca: Option<String>,
    /// Our own certificate and its key.
    pub identity: Option<Identity>,
    /// `tls: none`: whoever wrote it accepts that a login is seen on the way.
    pub none: bool,
}

/// What is wrong with a connection that is not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clear {
    /// Its certificates would be of no use.
    Certificates,
    /// It would show a login.
    Login,
}

impl Tls {
    /// Why a connection to that host must not be made without encryption, if so. The host stands
    /// without brackets. What stays on this machine passes nobody.
    pub fn in_the_clear(&self, host: &str, login: bool) -> Option<Clear> {
        let here = host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback());
        if self.ca.is_some() || self.identity.is_some() {
            Some(Clear::Certificates)
        } else if login && !here && !self.none {
            Some(Clear::Login)
        } else {
            None
        }
    }
}

/// What a url as written says of a connection that is not encrypted: its user and password as one,
/// and its host without brackets; `None` where it is another scheme.
pub(super) fn plain<'t>(url: &'t str, scheme: &str) -> Option<(Option<&'t str>, &'t str)> {
    let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    Some((login, host?))
}

/// A certificate with its key, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub cert: String,
    /// The key.
    pub key: String,
}

/// The files of a port that we listen on. All of them are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// Our certificate, and those between it and its authority.
    pub cert: Spanned<String>,
    /// Its key.
    pub key: Spanned<String>,
    /// The authorities whose clients may see everything. Without them nobody is asked who he is.
    pub client_ca: Option<Spanned<String>>,
    /// Names, one of which a client's certificate has to bear; without any, every one does.
    pub client_names: Vec<String>,
    /// Revocation lists of the authorities.
    pub client_crl: Option<Spanned<String>>,
}

/// Reads `tls:` of a port that we listen on.
pub(super) fn server(node: &Node, problems: &mut Problems) -> Option<ServerTls> {
    let mut fields = Fields::of(node, "tls", problems)?;
    let cert = fields.required_text("cert", problems);
    let key = fields.required_text("key", problems);
    let client_ca = fields.text("client_ca", problems);
    let names = fields.optional("client_names");
    let client_crl = fields.text("client_crl", problems);
    if client_ca.is_none() && (names.is_some() || client_crl.is_some()) {
        let text = "tls: `client_names` and `client_crl` are for clients of `client_ca`";
        problems.add(fields.mark(), text);
    }
    fields.finish(problems);
    let client_names = names.map_or_else(Vec::new, |node| client_names(node, problems));
    Some(ServerTls { cert: cert?, key: key?, client_ca, client_names, client_crl })
}

/// Names as they stand in certificates.
fn client_names(node: &Node, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for item in yaml::items(node) {
        let Some(name) = yaml::text(item, "client_names", problems) else { continue };
        let dns = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let uri = name.value.contains("://") && name.value.chars().all(|c| c.is_ascii_graphic());
        if uri || !name.value.is_empty() && name.value.chars().all(dns) {
            names.push(name.value);
        } else {
            let remedy = "write a DNS name without `*`, international ones as `xn--...`, or a URI \
                          such as `spiffe://example.org/prometheus`";
            problems.advise(name.mark, "client_names: no name of a client", remedy);
        }
    }
    if names.is_empty() && problems.is_empty() {
        problems.add(node.mark, "client_names: nobody would be let in");
    }
    names
}

/// Reads `tls:` of a connection that we open.
pub(super) fn client(node: Option<&Node>, problems: &mut Problems) -> Tls {
    if node.and_then(Node::text) == Some("none") {
        return Tls { none: true, ..Tls::default() };
    }
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "tls", problems)) else {
        return Tls::default();
    };
    let ca = fields.text("ca", problems).map(|path| path.value);
    let identity = identity(&mut fields, problems);
    fields.finish(problems);
    Tls { ca, identity, none: false }
}

fn identity(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Identity> {
    let cert = fields.text("cert", problems);
    let key = fields.text("key", problems);
    match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity { cert: cert.value, key: key.value }),
        (None, None) => None,
        _ => {
            problems.add(fields.mark(), "tls: `cert` and `key` belong together");
            None
        }
    }
}
