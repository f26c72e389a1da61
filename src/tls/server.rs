//! What a port shows and whom it knows: our certificate, and the authorities of its clients.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};

use crate::config::tls::ServerTls;
use crate::diagnostic::{Mark, Spanned};
use crate::event::Digest;
use crate::tls::clients::Clients;
use crate::tls::{TlsError, certificates_of, expiry, file, key_of, provider};

/// The one protocol that we speak.
const HTTP: &[u8] = b"http/1.1";

/// What is wrong with a file, and where its name is written.
#[derive(Debug)]
pub struct Trouble {
    /// In the configuration.
    pub mark: Mark,
    /// What.
    pub error: TlsError,
}

/// The files of a port as they were read: they belong together and can be used.
#[derive(Debug)]
pub struct Served {
    /// How to accept with them.
    pub config: Arc<ServerConfig>,
    /// What tells these files from others.
    pub stamp: Digest,
    /// When the first of our certificates ends.
    pub ends: Option<Timestamp>,
    /// When the first of the revocation lists is due for renewal; from then on no client of its
    /// authority is let in.
    pub list_ends: Option<Timestamp>,
    /// Whether clients are asked who they are.
    pub asks: bool,
}

impl Served {
    /// Reads the files; `base` is the folder of the configuration file. All that is wrong with them.
    pub fn read(tls: &ServerTls, base: &Path) -> Result<Self, Vec<Trouble>> {
        let mut reader = Reader { base, sum: Sha256::new(), troubles: Vec::new() };
        let chain = reader.read(&tls.cert, certificates_of);
        let key = reader.read(&tls.key, key_of);
        let clients = tls.client_ca.as_ref().map(|ca| reader.read(ca, authorities));
        let revoked = tls.client_crl.as_ref().map(|list| reader.read(list, revocations));
        let Reader { sum, mut troubles, .. } = reader;
        let (Some(chain), Some(key)) = (chain, key) else { return Err(troubles) };
        let ends = chain.iter().filter_map(|certificate| expiry::not_after(certificate)).min();
        let asks = clients.is_some();
        let revoked = revoked.flatten().unwrap_or_default();
        let list_ends = revoked.iter().filter_map(|list| expiry::next_update(list)).min();
        let names = tls.client_names.clone();
        let clients = clients.flatten().map(|authorities| Clients { authorities, revoked, names });
        // Also where the authorities cannot be used: certificate and key may not match either.
        let config = config((chain, key), clients, &base.join(&tls.cert.value));
        match config {
            Ok(config) if troubles.is_empty() => {
                let stamp = Digest(sum.finalize().into());
                Ok(Self { config: Arc::new(config), stamp, ends, list_ends, asks })
            }
            Ok(_) => Err(troubles),
            Err(error) => {
                troubles.insert(0, Trouble { mark: tls.cert.mark, error });
                Err(troubles)
            }
        }
    }
}

/// Reads files and notes what they are.
struct Reader<'a> {
    base: &'a Path,
    sum: Sha256,
    troubles: Vec<Trouble>,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        name: &Spanned<String>,
        parse: fn(&Path, &[u8]) -> Result<T, TlsError>,
    ) -> Option<T> {
        let read = file(self.base, &name.value).and_then(|(path, text)| {
            self.sum.update(text.len().to_le_bytes());
            self.sum.update(&text);
            parse(&path, &text)
        });
        read.map_err(|error| self.troubles.push(Trouble { mark: name.mark, error })).ok()
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn config(
    (chain, key): Identity,
    clients: Option<Clients>,
    path: &Path,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients.verifier()?),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::Identity { path: path.to_owned(), error })?;
    config.alpn_protocols = vec![HTTP.to_vec()];
    // A session that is taken up again shows no certificate again; scrapes are too few to need it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn revocations(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let none = || TlsError::Pem { path: path.to_owned(), what: "revocation list" };
    let lists = read.ok().filter(|lists: &Vec<_>| !lists.is_empty()).ok_or_else(none)?;
    for list in &lists {
        webpki::BorrowedCertRevocationList::from_der(list)
            .map_err(|error| TlsError::Revocation { path: path.to_owned(), error })?;
    }
    Ok(lists)
}

fn authorities(path: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates_of(path, text)?);
    if store.is_empty() {
        return Err(TlsError::Pem { path: path.to_owned(), what: "certificate of an authority" });
    }
    Ok(store)
}
