//! Whether a URL is there and knows who we are, without sending it a document: one `OPTIONS`, which
//! changes nothing at the receiver (RFC 9110, 9.2.1).

use std::path::Path;

use hyper::Method;
use reqwest::tls::TlsInfo;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::config::http::HttpTarget;
use crate::event::Digest;
use crate::target::http::exchange::last_words;
use crate::target::http::identity::Said;
use crate::target::http::session::{Materials, Session};

/// A question that is ready to be asked.
#[derive(Debug)]
pub struct Probe {
    session: Session,
    /// What tells this login from another.
    pub login: Digest,
    /// Where it goes: the server, without path.
    pub server: String,
}

/// What came back.
#[derive(Debug)]
pub struct Probed {
    /// The status.
    pub status: u16,
    /// The time of the server's clock, as it writes it.
    pub date: Option<String>,
    /// The server's certificate, in DER.
    pub certificate: Option<Vec<u8>>,
}

impl Probed {
    /// Whether the receiver does not accept who we are.
    pub fn refuses_login(&self) -> bool {
        matches!(self.status, 401 | 403 | 407)
    }
}

/// Who answers.
#[derive(Debug)]
pub enum Identified {
    /// The system that is expected: what it says.
    Known(String),
    /// Another one, or one that does not say.
    Unknown(String),
    /// It does not accept who we are.
    Refused(String),
}

impl Probe {
    /// Reads secrets and certificates. The error quotes none of them.
    pub fn read(config: &HttpTarget, base: &Path) -> Result<Self, String> {
        let materials = Materials::read(config, base).map_err(|error| error.to_string())?;
        let session = Session::open(config, materials).map_err(|error| error.to_string())?;
        let url = session.address("")?;
        let server = url.origin().ascii_serialization();
        let mut sum = Sha256::new();
        sum.update(&server);
        sum.update(session.credential_stamp().0);
        Ok(Self { session, login: Digest(sum.finalize().into()), server })
    }

    /// Asks who answers, where somebody is expected.
    pub async fn identify(&self) -> Option<Identified> {
        Some(match self.session.identify(self.session.rules.expected()?).await {
            Said::Known(said) => Identified::Known(said),
            Said::Unknown(why) => Identified::Unknown(why),
            Said::Refused(reason) => Identified::Refused(reason.text),
        })
    }

    /// Asks once.
    pub async fn ask(&self) -> Result<Probed, String> {
        let address = self.session.address("")?;
        let request = self.session.client.request(Method::OPTIONS, address);
        let within = self.session.rules.timeouts.first_byte;
        let sent = timeout(within, self.session.dress(request).send()).await;
        let sent = sent.map_err(|_| format!("no answer within {within:?}"))?;
        let response = sent.map_err(|error| last_words(&error))?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let tls = response.extensions().get::<TlsInfo>();
        let certificate = tls.and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
        let date = date.map(str::to_owned);
        Ok(Probed { status: response.status().as_u16(), date, certificate })
    }
}
