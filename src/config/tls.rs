//! Which certificates a connection shows and which it believes: the keys of `tls:`.

use crate::diagnostic::{Problems, Spanned};
use crate::yaml::{Fields, Node};

/// The files of a connection that we open. All of them are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that may have signed the other side's certificate, instead of those of the
    /// system.
    pub ca: Option<String>,
    /// Our own certificate and its key.
    pub identity: Option<Identity>,
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
}

/// Reads `tls:` of a port that we listen on.
pub(super) fn server(node: &Node, problems: &mut Problems) -> Option<ServerTls> {
    let mut fields = Fields::of(node, "tls", problems)?;
    let cert = fields.required_text("cert", problems);
    let key = fields.required_text("key", problems);
    let client_ca = fields.text("client_ca", problems);
    fields.finish(problems);
    Some(ServerTls { cert: cert?, key: key?, client_ca })
}

/// Reads `tls:` of a connection that we open.
pub(super) fn client(node: Option<&Node>, problems: &mut Problems) -> Tls {
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "tls", problems)) else {
        return Tls::default();
    };
    let ca = fields.text("ca", problems).map(|path| path.value);
    let identity = identity(&mut fields, problems);
    fields.finish(problems);
    Tls { ca, identity }
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
