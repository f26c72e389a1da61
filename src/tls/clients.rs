//! Which clients a port believes: those of its authorities that are not revoked and bear one of the
//! names that are let in.
//!
//! Names are those of the subject alternative name, compared letter by letter: DNS names without
//! regard to case, URIs as they are. The common name counts for nothing, and a wildcard of a
//! certificate stands for no name: it says what a server may be called, not who a client is.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use webpki::EndEntityCert;

use crate::tls::{TlsError, provider};

/// Who is believed.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) authorities: RootCertStore,
    /// Revocation lists; without any, nobody is asked for.
    pub(super) revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Names, one of which is needed; without any, every name is let in.
    pub(super) names: Vec<String>,
}

impl Clients {
    /// Who shows no certificate is let in, for probes have none; who shows one that is not believed
    /// is not. With revocation lists each certificate below the authority has to be on one that is
    /// not yet due for renewal: a list that nobody renews must not bring back whom it names.
    pub(super) fn verifier(self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let store = self.authorities.into();
        let verifier = WebPkiClientVerifier::builder_with_provider(store, provider());
        let verifier = verifier.allow_unauthenticated().with_crls(self.revoked);
        let verifier = verifier.enforce_revocation_expiration().build();
        let verifier =
            verifier.map_err(|error| TlsError::Provider(Error::General(error.to_string())))?;
        Ok(match self.names.is_empty() {
            true => verifier,
            false => Arc::new(Named { verifier, names: self.names }),
        })
    }
}

/// Lets in by name whom another verifier believes.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        match is_named(end_entity, &self.names) {
            true => Ok(verified),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether a certificate bears one of the names. A name with a NUL or beyond ASCII is none.
fn is_named(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    let dns = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let uri = |name: &str| names.iter().any(|known| known == name);
    certificate.valid_dns_names().any(dns) || certificate.valid_uri_names().any(uri)
}
