//! Who answers: asked with a GET before anything is sent, where the configuration expects somebody.
//! An answer counts for [`HOLDS`], and no longer than until a connection could not be made or was
//! lost: behind the same address there may be another system then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap};
use reqwest::Url;
use tokio::time::{timeout, timeout_at};

use crate::config::expect::{Expect, Expected};
use crate::config::http::Meaning;
use crate::target::http::answer;
use crate::target::http::exchange::{last_words, read};
use crate::target::http::session::Session;
use crate::target::{Answer, Reason};

/// For so long an answer counts.
const HOLDS: Duration = Duration::from_secs(5 * 60);
/// Whoever was on the way when it was refused does not ask once more; below the least pause of a
/// dispatcher.
const LATELY: Duration = Duration::from_millis(500);
/// The most characters that are shown of what somebody calls himself.
const SHOWN: usize = 64;

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is the system that is expected: what it says.
    Known(String),
    /// It is another one, or did not say.
    Unknown(String),
    /// It does not accept who we are.
    Refused(Reason),
}

/// What is known of who answers.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<tokio::time::Instant>,
    /// How often it was asked.
    asked: u64,
    /// What followed, the last time and when, where nothing may be sent.
    refused: Option<(tokio::time::Instant, Answer)>,
}

impl Identity {
    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn holds(&self, now: tokio::time::Instant) -> bool {
        self.state(|state| state.known.is_some_and(|known| now.duration_since(known) < HOLDS))
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u64 {
        self.state(|state| state.asked)
    }

    /// What followed where it was asked since, or just before: whoever has waited meanwhile, or comes
    /// late, need not ask once more.
    pub(super) fn refused_since(&self, asked: u64, now: tokio::time::Instant) -> Option<Answer> {
        self.state(|state| {
            let (at, answer) = state.refused.as_ref()?;
            let counts = state.asked > asked || now.duration_since(*at) < LATELY;
            counts.then(|| answer.clone())
        })
    }

    /// What follows from an answer that came now.
    pub(super) fn settle(&self, now: tokio::time::Instant, refused: Option<Answer>) {
        self.state(|state| {
            state.asked += 1;
            state.known = refused.is_none().then_some(now);
            state.refused = refused.map(|answer| (now, answer));
        });
    }

    /// It is to be asked again.
    pub(super) fn forget(&self) {
        self.state(|state| state.known = None);
    }
}

impl Session {
    /// Whether the system is the one that is expected, and that was seen not long ago.
    pub(super) fn is_identified(&self) -> bool {
        self.rules.expected().is_none() || self.identity.holds(tokio::time::Instant::now())
    }

    /// Asks who answers.
    pub(super) async fn identify(&self, expect: &Expect) -> Said {
        let address = match self.address("").and_then(|url| place(url, expect.path.as_deref())) {
            Ok(address) => address,
            Err(why) => return Said::Unknown(why),
        };
        let request = self.client.request(Method::GET, address).header(ACCEPT, "application/json");
        let (started, timeouts) = (tokio::time::Instant::now(), &self.rules.timeouts);
        let response = match timeout(timeouts.first_byte, self.dress(request).send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Said::Unknown(last_words(&error)),
            Err(_) => return Said::Unknown(format!("no answer within {:?}", timeouts.first_byte)),
        };
        self.hear();
        let (status, headers) = (response.status(), response.headers().clone());
        let answered = format!("asked who it is, its answer is {status}");
        if self.rules.meaning(status.as_u16()) == Meaning::Login {
            return Said::Refused(answered.into());
        }
        if !status.is_success() {
            return Said::Unknown(answered);
        }
        let mut body = Vec::new();
        if timeout_at(started + timeouts.total, read(response, &mut body)).await.is_err() {
            return Said::Unknown("asked who it is, its answer did not end in time".to_owned());
        }
        compare(&expect.values, &headers, &body)
    }
}

/// Where it is asked: at the same server, whatever the path says.
fn place(url: Url, path: Option<&str>) -> Result<Url, String> {
    let Some(path) = path else { return Ok(url) };
    let text = format!("{}{path}", url.origin().ascii_serialization());
    text.parse().map_err(|_| "its `expect_at` makes no URL".to_owned())
}

/// Whether an answer says all that is expected.
fn compare(expected: &[Expected], headers: &HeaderMap, body: &[u8]) -> Said {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (mut known, mut others) = (Vec::new(), Vec::new());
    for Expected { name, place, value } in expected {
        match answer::text(place, header, body) {
            Some(said) if said == *value => known.push(format!("{name} {said}")),
            Some(said) => {
                let said: String = said.chars().take(SHOWN).collect();
                others.push(format!("it answers as {name} {said}, expected {value}"));
            }
            None => others.push(format!("it does not say its {name}, expected {value}")),
        }
    }
    if others.is_empty() { Said::Known(known.join(", ")) } else { Said::Unknown(others.join("; ")) }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use waybill_parsers::Path;

    use super::*;
    use crate::config::http::Extract;

    fn expected(name: &str, value: &str) -> Expected {
        let place = Extract::Json(Path::parse(name).unwrap());
        Expected { name: name.to_owned(), place, value: value.to_owned() }
    }

    #[test]
    fn every_value_has_to_be_there_and_the_same() {
        let expected = [expected("system", "Q01"), expected("sap.client", "100")];
        let said = |body: &str| compare(&expected, &HeaderMap::new(), body.as_bytes());
        let good = r#"{"system":"Q01","sap":{"client":100},"host":"x"}"#;
        assert_eq!(said(good), Said::Known("system Q01, sap.client 100".to_owned()));
        for (body, unknown) in [
            (
                r#"{"system":"P01","sap":{"client":"100"}}"#,
                "it answers as system P01, expected Q01",
            ),
            (
                r#"{"system":"P01","sap":{}}"#,
                "it answers as system P01, expected Q01; it does not say its sap.client, expected 100",
            ),
            (
                "<html>",
                "it does not say its system, expected Q01; it does not say its sap.client, expected 100",
            ),
        ] {
            assert_eq!(said(body), Said::Unknown(unknown.to_owned()));
        }
        let long = format!(r#"{{"system":"{}","sap":{{"client":"100"}}}}"#, "x\\n".repeat(900));
        let Said::Unknown(shown) = said(&long) else { panic!() };
        assert!(shown.len() < 120 && !shown.contains('\n'), "{shown}");
    }

    #[test]
    fn it_is_asked_at_the_same_server_whatever_the_path_says() {
        let url = |path| place("https://erp.example:8443/api/v1".parse().unwrap(), path).unwrap();
        assert_eq!(url(None).as_str(), "https://erp.example:8443/api/v1");
        assert_eq!(url(Some("/whoami?x=1")).as_str(), "https://erp.example:8443/whoami?x=1");
        for path in ["//other.example/", "/@other.example/", "/\\other.example"] {
            assert_eq!(url(Some(path)).host_str(), Some("erp.example"), "{path}");
        }
    }

    #[test]
    fn an_answer_counts_for_a_while_and_not_beyond_a_lost_connection() {
        let (identity, start) = (Identity::default(), Instant::now());
        assert!(!identity.holds(start));
        identity.settle(start, None);
        assert!(identity.holds(start + HOLDS - Duration::from_millis(1)));
        assert!(!identity.holds(start + HOLDS));
        identity.forget();
        assert!(!identity.holds(start));
        let refused = Answer::Unavailable("it answers as another".into());
        identity.settle(start, Some(refused.clone()));
        assert!(!identity.holds(start));
        let since = |asked, pause| identity.refused_since(asked, start + pause);
        assert_eq!((since(1, HOLDS), since(2, HOLDS)), (Some(refused.clone()), None));
        assert_eq!((since(2, Duration::ZERO), since(2, LATELY)), (Some(refused), None));
    }
}
