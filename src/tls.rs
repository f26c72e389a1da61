//! TLS: which certificates a connection shows and which it believes. One provider of cryptography
//! in the whole tree, named here and nowhere else.
//!
//! Files are read as they are now; whoever keeps a connection compares [`Material::stamp`] with
//! that of the files he connected with, and connects anew when a certificate was rotated.

mod clients;
pub mod expiry;
pub mod look;
pub mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};

use crate::config::tls::{Identity, Tls};
use crate::event::Digest;

/// Why no TLS connection can be made. Nothing of a key is quoted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file holds no certificate or no key.
    #[error("{path}: no {what} in PEM form is in it")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is expected.
        what: &'static str,
    },
    /// A revocation list cannot be used.
    #[error("{path}: revocation list: {error}")]
    Revocation {
        /// The file.
        path: PathBuf,
        /// Why.
        error: webpki::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("{path}: {error}")]
    Identity {
        /// The certificate.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The system has no certificates of authorities, and none were named.
    #[error("this system has no certificates of authorities; name some with `tls.ca`")]
    NoAuthorities,
    /// Versions and algorithms do not go together: a fault of ours.
    #[error(transparent)]
    Provider(rustls::Error),
}

/// The files of a connection as they were read.
#[derive(Clone)]
pub struct Material {
    ca: Option<(PathBuf, Vec<u8>)>,
    identity: Option<(PathBuf, Vec<u8>, PathBuf, Vec<u8>)>,
}

impl Material {
    /// Reads the files; `base` is the folder of the configuration file.
    pub fn read(tls: &Tls, base: &Path) -> Result<Self, TlsError> {
        let ca = tls.ca.as_ref().map(|path| file(base, path)).transpose()?;
        let identity = tls.identity.as_ref().map(|Identity { cert, key }| {
            let (cert, certificates) = file(base, cert)?;
            let (key, secret) = file(base, key)?;
            Ok((cert, certificates, key, secret))
        });
        Ok(Self { ca, identity: identity.transpose()? })
    }

    /// What tells these files from others.
    pub fn stamp(&self) -> Digest {
        let mut sum = Sha256::new();
        let (ca, identity) = (self.ca.iter(), self.identity.iter());
        let texts = ca.map(|(_, text)| text);
        for text in texts.chain(identity.flat_map(|(_, cert, _, key)| [cert, key])) {
            sum.update(text.len().to_le_bytes());
            sum.update(text);
        }
        Digest(sum.finalize().into())
    }

    /// How to connect with them.
    pub fn client(&self) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?
            .with_root_certificates(self.authorities()?);
        let Some((cert, certificates, key, secret)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates_of(cert, certificates)?;
        let key = key_of(key, secret)?;
        let path = cert.clone();
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| TlsError::Identity { path, error })
    }

    fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        match &self.ca {
            Some((path, text)) => {
                store.add_parsable_certificates(certificates_of(path, text)?);
            }
            None => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        // Without any, every connection would fail with a text that says less.
        if store.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(store) }
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// The one provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn file(base: &Path, path: &str) -> Result<(PathBuf, Vec<u8>), TlsError> {
    let path = base.join(path);
    match fs::read(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(TlsError::File { path, error }),
    }
}

fn key_of(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let none = |_| TlsError::Pem { path: path.to_owned(), what: "key" };
    PrivateKeyDer::from_pem_slice(text).map_err(none)
}

fn certificates_of(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let none = || TlsError::Pem { path: path.to_owned(), what: "certificate" };
    read.ok().filter(|list| !list.is_empty()).ok_or_else(none)
}
