//! One request and its answer.

use std::error::Error;

use hyper::header::RETRY_AFTER;
use jiff::Timestamp;
use reqwest::Response;
use rustls::AlertDescription;
use tokio::time::{timeout, timeout_at};

use crate::config::http::Meaning;
use crate::delivery::Consignment;
use crate::request::Request;
use crate::target::http::session::Session;
use crate::target::http::{answer, busy};
use crate::target::{Answer, Reason};

/// The most bytes that are read of an answer.
const MOST_BODY: usize = 64 << 10;

/// What came of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The receiver has said something; `proof`: to somebody whom it knows.
    Answered { answer: Answer, proof: bool },
    /// It has said nothing.
    Unheard(Answer),
    /// It does not accept who we are.
    Refused(Reason),
    /// The same of our certificate, where it was accepted before: whether the connection was new
    /// and nothing was read, nobody can know.
    Disowned(Reason),
}

impl Session {
    /// Sends one document.
    pub(super) async fn exchange(&self, consignment: &Consignment, now: Timestamp) -> Outcome {
        let request = match self.request(consignment) {
            Ok(request) => request,
            Err(why) => return Outcome::Unheard(Answer::Reject(why.into())),
        };
        let (started, timeouts) = (tokio::time::Instant::now(), &self.rules.timeouts);
        let sent = timeout(timeouts.first_byte, self.client.execute(request)).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return self.unheard(&error),
            Err(_) => {
                let why = format!("no answer within {:?}", timeouts.first_byte);
                return Outcome::Unheard(Answer::InDoubt(why.into()));
            }
        };
        self.hear();
        crate::fault::point("after-publish");
        let head = Head::of(&response);
        let mut body = Vec::new();
        // What the status says is known; without the end of the body only its words are lost.
        if timeout_at(started + timeouts.total, read(response, &mut body)).await.is_err() {
            tracing::debug!("the answer did not end in time");
        }
        self.outcome(&head, &body, now)
    }

    /// What follows where no answer began.
    ///
    /// With TLS 1.3 a server looks at our certificate when we hold the connection for ready, and
    /// the request is on its way already: it is not read by a server that does not know who we
    /// are. Where nobody has answered yet, each connection is such a new one.
    fn unheard(&self, error: &reqwest::Error) -> Outcome {
        let reason = Reason::from(last_words(error));
        if error.is_connect() || error.is_builder() {
            return Outcome::Unheard(Answer::Unavailable(reason));
        }
        let refused = alert(error).is_some_and(|alert| refuses_us(alert, self.has_certificate()));
        match (refused, self.is_heard()) {
            (true, false) => Outcome::Unheard(Answer::Unavailable(reason)),
            (true, true) => Outcome::Disowned(reason),
            (false, _) => Outcome::Unheard(Answer::InDoubt(reason)),
        }
    }

    fn request(&self, consignment: &Consignment) -> Result<reqwest::Request, String> {
        let request = Request::read(&consignment.document)?;
        let method = request.method.parse().map_err(|_| "the journal holds no HTTP method")?;
        let built = self.dress(self.client.request(method, self.address(&request.path)?));
        let anonymous = crate::fault::is_on("no-idempotency-key");
        let headers = request.headers.iter();
        let headers = headers.filter(|(name, _)| !(anonymous && name == self.rules.id_header()));
        let built = headers.fold(built, |built, (name, value)| built.header(&**name, &**value));
        let built = built.body(request.body.into_owned()).build();
        // The error of the library would quote the address.
        built.map_err(|_| "its headers make no request".to_owned())
    }

    fn outcome(&self, head: &Head, body: &[u8], now: Timestamp) -> Outcome {
        let header = |name: &str| head.headers.get(name)?.to_str().ok();
        let reason = || {
            let said = self.rules.error.as_ref();
            let said = said.and_then(|place| answer::text(place, header, body));
            Reason { text: format!("the answer is {}", head.status), said }
        };
        let status = head.status.as_u16();
        let meaning = self.rules.meaning(status);
        let answer = match meaning {
            Meaning::Delivered => {
                let place = self.rules.reference.as_ref();
                let reference = place.and_then(|place| answer::text(place, header, body));
                Answer::Delivered { reference: reference.unwrap_or_default() }
            }
            Meaning::Login => return Outcome::Refused(reason()),
            Meaning::Unavailable => Answer::Unavailable(reason()),
            Meaning::Retry => {
                let after = header(RETRY_AFTER.as_str());
                busy(reason(), after.and_then(|value| answer::retry_after(value, now)))
            }
            Meaning::Reject => Answer::Reject(reason()),
            Meaning::InDoubt => Answer::InDoubt(reason()),
        };
        Outcome::Answered { answer, proof: answer::proves(status, meaning) }
    }
}

/// The head of an answer.
struct Head {
    status: hyper::StatusCode,
    headers: hyper::HeaderMap,
}

impl Head {
    fn of(response: &Response) -> Self {
        Self { status: response.status(), headers: response.headers().clone() }
    }
}

/// Reads up to the bound. A body that is longer costs its connection.
pub(super) async fn read(mut response: Response, body: &mut Vec<u8>) {
    while let Ok(Some(part)) = response.chunk().await {
        let room = MOST_BODY - body.len();
        body.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() >= room {
            return;
        }
    }
}

/// The alert by which the other side has ended the connection, if it has.
fn alert(error: &reqwest::Error) -> Option<AlertDescription> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return Some(*alert);
        }
        next = error.source();
    }
    None
}

/// Whether an alert says that our certificate is not accepted, or that one is missing. Any other
/// may come at any time, also after a request was read and obeyed.
fn refuses_us(alert: AlertDescription, certificate: bool) -> bool {
    use AlertDescription::*;
    match alert {
        CertificateRequired => true,
        BadCertificate
        | UnsupportedCertificate
        | CertificateRevoked
        | CertificateExpired
        | CertificateUnknown
        | UnknownCA
        | AccessDenied
        | DecryptError
        | HandshakeFailure => certificate,
        _ => false,
    }
}

/// What the innermost error says: the outer ones say that something could not be sent, and where
/// to; the address holds keys.
pub(super) fn last_words(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if last.downcast_ref::<reqwest::Error>().is_some() {
        return "the request could not be sent".to_owned();
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alerts_about_a_certificate_say_that_nothing_was_read() {
        use AlertDescription::*;
        for alert in [
            BadCertificate,
            UnsupportedCertificate,
            CertificateRevoked,
            CertificateExpired,
            CertificateUnknown,
            UnknownCA,
            AccessDenied,
            DecryptError,
            HandshakeFailure,
        ] {
            assert_eq!((refuses_us(alert, true), refuses_us(alert, false)), (true, false));
        }
        assert!(refuses_us(CertificateRequired, true) && refuses_us(CertificateRequired, false));
        for alert in [InternalError, BadRecordMac, UnexpectedMessage, DecodeError, UserCanceled] {
            assert!(!refuses_us(alert, true), "{alert:?}");
        }
    }
}
