//! What requests are made with: the address, who we are, the pool of connections. Replaced as a
//! whole when a secret or a certificate was rotated.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Url};
use sha2::{Digest as _, Sha256};

use crate::config::expect::Expect;
use crate::config::http::{Auth, Extract, HttpTarget, Meaning, Timeouts, in_the_clear};
use crate::config::secret::{Secret, SecretError};
use crate::event::Digest;
use crate::target::http::answer;
use crate::target::http::identity::Identity;
use crate::tls::{Material, TlsError};

/// For so long an accepted credential counts as good; then one request tries it alone again.
const PROVEN: Duration = Duration::from_secs(60);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is none. It is not quoted: somebody may have put a password into it.
    #[error("the url is none: `https://HOST/PATH` without user and password is expected")]
    Url,
    /// It would carry in the clear what is nobody's business.
    #[error("url: {0}")]
    Clear(&'static str),
    /// A header cannot hold that.
    #[error("`{0}` holds characters that no header may have")]
    Header(String),
    /// The client library's fault or ours.
    #[error("no client: {0}")]
    Client(reqwest::Error),
}

/// The files and variables behind a session, as they are now.
#[derive(Clone)]
pub(super) struct Materials {
    /// What tells them from others.
    pub(super) stamp: Digest,
    url: Url,
    headers: HeaderMap,
    basic: Option<(String, String)>,
    tls: Material,
}

/// Without the secrets.
impl fmt::Debug for Materials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materials").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// Reads secrets and notes what they are.
struct Reader<'a> {
    base: &'a Path,
    sum: Sha256,
}

impl Reader<'_> {
    fn read(&mut self, secret: &Secret) -> Result<String, SecretError> {
        secret.resolve_into(self.base, &mut self.sum)
    }

    fn header(&mut self, what: &str, secret: &Secret) -> Result<HeaderValue, SessionError> {
        let value = self.read(secret)?;
        sensitive(what, &value)
    }
}

fn sensitive(what: &str, value: &str) -> Result<HeaderValue, SessionError> {
    let header = HeaderValue::from_str(value);
    let mut header = header.map_err(|_| SessionError::Header(what.to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn name(text: &str) -> Result<HeaderName, SessionError> {
    text.parse().map_err(|_| SessionError::Header(text.to_owned()))
}

impl Materials {
    pub(super) fn read(config: &HttpTarget, base: &Path) -> Result<Self, SessionError> {
        let mut reader = Reader { base, sum: Sha256::new() };
        let url = reader.read(&config.url)?;
        let url: Url = url.trim_end_matches('/').parse().map_err(|_| SessionError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
            return Err(SessionError::Url);
        }
        if url.scheme() == "http" {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            if let Some(why) = in_the_clear(host, config.auth.is_some(), &config.tls) {
                return Err(SessionError::Clear(why));
            }
        }
        let mut headers = HeaderMap::new();
        for (key, value) in &config.headers {
            headers.insert(name(key)?, reader.header(key, value)?);
        }
        let mut basic = None;
        match &config.auth {
            None => {}
            Some(Auth::Basic { user, password }) => {
                basic = Some((reader.read(user)?, reader.read(password)?));
            }
            Some(Auth::Bearer(token)) => {
                let value = format!("Bearer {}", reader.read(token)?);
                headers.insert(AUTHORIZATION, sensitive("bearer", &value)?);
            }
            Some(Auth::Header { name: key, value }) => {
                headers.insert(name(key)?, reader.header(key, value)?);
            }
        }
        let tls = Material::read(&config.tls, base)?;
        reader.sum.update(tls.stamp().0);
        Ok(Self { stamp: Digest(reader.sum.finalize().into()), url, headers, basic, tls })
    }
}

/// What requests are made with.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) rules: Rules,
    materials: Materials,
    certificate: bool,
    credential: bool,
    proof: Proof,
    /// Who answers.
    pub(super) identity: Identity,
    heard: AtomicBool,
}

/// Whether the receiver is known to accept who we are.
#[derive(Debug)]
struct Proof {
    needed: bool,
    last: Mutex<Option<tokio::time::Instant>>,
}

impl Proof {
    fn new(needed: bool) -> Self {
        Self { needed, last: Mutex::default() }
    }

    /// It does not hold for ever: a password that ended in a quiet hour must not be tried by many
    /// at once.
    fn holds(&self, now: tokio::time::Instant) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        !self.needed || last.is_some_and(|last| now.duration_since(last) < PROVEN)
    }

    fn give(&self, now: tokio::time::Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

/// What the configuration says of answers.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) timeouts: Timeouts,
    pub(super) reference: Option<Extract>,
    pub(super) error: Option<Extract>,
    config: HttpTarget,
}

impl Rules {
    pub(super) fn meaning(&self, status: u16) -> Meaning {
        answer::meaning(&self.config, status)
    }

    /// What the receiver has to say of itself before anything is sent.
    pub(super) fn expected(&self) -> Option<&Expect> {
        self.config.expect.as_ref()
    }

    /// The header that carries the id.
    pub(super) fn id_header(&self) -> &str {
        &self.config.id_header
    }
}

impl Session {
    /// Nothing is connected yet: connections are made when they are needed.
    pub(super) fn open(config: &HttpTarget, materials: Materials) -> Result<Self, SessionError> {
        let client = Client::builder()
            .tls_backend_preconfigured(materials.tls.client()?)
            .http1_only()
            // Where documents go is said in the configuration, and nowhere else.
            .no_proxy()
            .referer(false)
            .redirect(redirects(config.redirects))
            .retry(reqwest::retry::never())
            // When the certificate of the other side ends is for the doctor to say.
            .tls_info(true)
            .connect_timeout(config.timeouts.connect)
            .pool_idle_timeout(config.keep_alive)
            .user_agent(concat!("waybill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SessionError::Client)?;
        let certificate = config.tls.identity.is_some();
        let credential = config.auth.is_some() || certificate;
        let rules = Rules {
            timeouts: config.timeouts,
            reference: config.reference.clone(),
            error: config.error.clone(),
            config: config.clone(),
        };
        let (proof, identity) = (Proof::new(credential), Identity::default());
        let heard = AtomicBool::default();
        Ok(Self { client, rules, materials, certificate, credential, proof, identity, heard })
    }

    /// The same once more, with connections of its own.
    pub(super) fn anew(&self) -> Result<Self, SessionError> {
        Self::open(&self.rules.config, self.materials.clone())
    }

    /// Whether any answer has come over one of its connections.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Acquire)
    }

    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Release);
    }

    /// Whether it shows a certificate of ours.
    pub(super) fn has_certificate(&self) -> bool {
        self.certificate
    }

    /// Whether the receiver has accepted who we are, and not long ago.
    pub(super) fn is_proven(&self) -> bool {
        self.proof.holds(tokio::time::Instant::now())
    }

    pub(super) fn prove(&self) {
        self.proof.give(tokio::time::Instant::now());
    }

    /// Whether it says at all who we are.
    pub(super) fn has_credential(&self) -> bool {
        self.credential
    }

    /// What tells who we say we are from somebody else.
    pub(super) fn credential_stamp(&self) -> Digest {
        let mut sum = Sha256::new();
        let basic = self.materials.basic.iter().flat_map(|(user, password)| [user, password]);
        let headers =
            self.materials.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let all = basic.map(|text| ("", text.as_bytes())).chain(headers);
        for part in all.flat_map(|(name, value)| [name.as_bytes(), value]) {
            sum.update((part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        Digest(sum.finalize().into())
    }

    pub(super) fn stamp(&self) -> Digest {
        self.materials.stamp
    }

    /// The address of a document.
    pub(super) fn address(&self, path: &str) -> Result<Url, String> {
        let base = self.materials.url.as_str().trim_end_matches('/');
        format!("{base}{path}").parse().map_err(|_| "its path makes no URL".to_owned())
    }

    /// What every request of this session says, beside what its document says.
    pub(super) fn dress(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.headers(self.materials.headers.clone());
        match &self.materials.basic {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }
}

/// Follows only where method and body stay the same, and only within one server: a credential is
/// for nobody else.
fn redirects(most: usize) -> Policy {
    if most == 0 {
        return Policy::none();
    }
    Policy::custom(move |attempt: Attempt<'_>| {
        let same =
            attempt.previous().last().is_some_and(|one| one.origin() == attempt.url().origin());
        let keeps = matches!(attempt.status().as_u16(), 307 | 308);
        if keeps && same && attempt.previous().len() <= most {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::config::{TargetKind, read};
    use crate::diagnostic::{Problems, SourceFile};

    #[test]
    fn a_credential_counts_as_good_for_a_minute_after_it_was_accepted() {
        let (proof, start) = (Proof::new(true), Instant::now());
        assert!(!proof.holds(start));
        proof.give(start);
        assert!(proof.holds(start) && proof.holds(start + PROVEN - Duration::from_millis(1)));
        assert!(!proof.holds(start + PROVEN));
        proof.give(start + PROVEN);
        assert!(proof.holds(start + PROVEN));
        assert!(Proof::new(false).holds(start), "who says nothing of himself is not refused");
    }

    #[test]
    fn an_address_from_a_file_shows_no_credential_to_the_network_either() {
        let folder = tempfile::tempdir().unwrap();
        for (url, keys, usable) in [
            ("http://erp.example/", "auth: { bearer: geheim }", false),
            ("HTTP://[::2]/", "auth: { bearer: geheim }", false),
            ("http://127.0.0.1/", "tls: { ca: ca.pem }", false),
            ("http://127.0.0.1/", "auth: { bearer: geheim }", true),
            ("http://[::1]/", "auth: { bearer: geheim }", true),
            ("http://erp.example/", "dedupes: id", true),
        ] {
            std::fs::write(folder.path().join("url"), url).unwrap();
            let read = Materials::read(&config(keys), folder.path());
            assert_eq!(read.is_ok(), usable, "{url} {keys}: {read:?}");
            assert!(!format!("{read:?}").contains("geheim"));
        }
    }

    fn config(keys: &str) -> HttpTarget {
        let text = format!(
            "version: 1
agent: {{ name: test, instance: \"001\", data_dir: data }}
sources: {{ vms: {{ type: amqp, url: x, queue: q }} }}
targets: {{ erp: {{ type: http, url: {{ file: url }}, {keys} }} }}
routes: []
"
        );
        let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
        match read::config(&mut problems).unwrap().targets.remove(0).kind {
            TargetKind::Http(http) => *http,
            other => panic!("{other:?}"),
        }
    }
}
