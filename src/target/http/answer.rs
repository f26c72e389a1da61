//! What an answer means: pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use waybill_parsers::{Limits, json};

use crate::config::http::{Dedupes, Extract, HttpTarget, Meaning};

/// The most characters of a reference or an error text.
const MOST_TEXT: usize = 200;
/// The longest time that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What a status means at this target: what its configuration says, the exact status first, else
/// what it usually does.
pub fn meaning(config: &HttpTarget, status: u16) -> Meaning {
    let mut said: Vec<_> = config.answers.iter().collect();
    said.sort_by_key(|one| one.last - one.first);
    let said = said.into_iter().find(|one| (one.first..=one.last).contains(&status));
    said.map_or_else(|| usual(config.dedupes, status), |one| one.meaning)
}

fn usual(dedupes: Dedupes, status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Delivered,
        // A login page, or the page behind a form that was taken: nobody can know.
        302 | 303 => Meaning::InDoubt,
        // It lives elsewhere: the configuration is to be mended, no document.
        301 | 307 | 308 => Meaning::Unavailable,
        401 | 403 | 407 => Meaning::Login,
        408 | 425 | 429 | 503 => Meaning::Retry,
        // The first request of that id is not answered yet.
        409 if dedupes == Dedupes::Id => Meaning::Retry,
        501 | 505 => Meaning::Reject,
        // A gateway, or something behind it, broke off: before or after the deed.
        500..=599 => Meaning::InDoubt,
        _ => Meaning::Reject,
    }
}

/// Whether an answer shows that the receiver knows who we are. A balancer in front of it may say
/// that it is busy, broken or elsewhere to anybody, and a login page is a redirect.
pub fn proves(status: u16, meaning: Meaning) -> bool {
    match meaning {
        Meaning::Delivered => true,
        Meaning::Reject | Meaning::Retry => matches!(status, 400 | 404 | 409 | 422),
        Meaning::Unavailable | Meaning::Login | Meaning::InDoubt => false,
    }
}

/// How long `Retry-After` wants us to wait: seconds or a date, an hour at most.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The text that an answer holds in that place: one line, printable, cut.
pub fn text<'a>(
    place: &Extract,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> Option<String> {
    let found = match place {
        Extract::Header(name) => header(name)?.to_owned(),
        Extract::Text => String::from_utf8_lossy(body).into_owned(),
        Extract::Json(path) => {
            let reading = json::read(body, &Limits::default()).ok()?;
            path.text(reading.document.root())?.to_owned()
        }
    };
    let plain = found.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = plain.take(4 * MOST_TEXT).collect();
    let words: Vec<_> = line.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(MOST_TEXT).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_what_it_says_about_the_deed() {
        use Meaning::*;
        for (status, meaning) in [
            (200, Delivered),
            (202, Delivered),
            (301, Unavailable),
            (302, InDoubt),
            (304, Reject),
            (307, Unavailable),
            (400, Reject),
            (401, Login),
            (403, Login),
            (404, Reject),
            (407, Login),
            (408, Retry),
            (409, Reject),
            (422, Reject),
            (425, Retry),
            (429, Retry),
            (500, InDoubt),
            (501, Reject),
            (502, InDoubt),
            (503, Retry),
            (504, InDoubt),
            (505, Reject),
        ] {
            assert_eq!(usual(Dedupes::Nothing, status), meaning, "{status}");
        }
        assert_eq!(usual(Dedupes::Id, 409), Retry);
    }

    #[test]
    fn only_who_has_looked_at_a_document_has_accepted_who_sent_it() {
        let proving: Vec<u16> = (200..600)
            .filter(|status| proves(*status, usual(Dedupes::Nothing, *status)))
            .filter(|status| *status >= 300)
            .collect();
        assert_eq!(proving, [400, 404, 409, 422]);
        assert!((200..300).all(|status| proves(status, usual(Dedupes::Nothing, status))));
        // What the configuration says of a status goes before.
        assert!(!proves(404, Meaning::Unavailable) && !proves(500, Meaning::Reject));
        assert!(proves(409, usual(Dedupes::Id, 409)));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date_and_is_capped() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("7", Some(7)),
            ("Mon, 23 Nov 2026 12:00:30 GMT", Some(30)),
            ("Mon, 23 Nov 2026 11:00:00 GMT", Some(0)),
            ("Tue, 24 Nov 2026 12:00:00 GMT", Some(3600)),
            ("999999999", Some(3600)),
            ("99999999999999999999999", None),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_text_is_one_printable_line_and_cut() {
        let none = |_: &str| None;
        let body = format!(
            "{{\"error\":{{\"message\":\"no such\\n plant\",\"x\":\"{}\"}}}}",
            "y".repeat(900)
        );
        let json = |path: &str| Extract::Json(waybill_parsers::Path::parse(path).unwrap());
        let found = |place: &Extract| text(place, none, body.as_bytes());
        assert_eq!(found(&json("error.message")).unwrap(), "no such plant");
        assert_eq!(found(&json("error.x")).unwrap().len(), MOST_TEXT);
        assert_eq!(found(&json("error.none")), None);
        assert_eq!(text(&Extract::Text, none, b"  \n\x00 "), None);
        let header = |name: &str| (name == "Location").then_some("/documents/7");
        let place = Extract::Header("Location".to_owned());
        assert_eq!(text(&place, header, b"").unwrap(), "/documents/7");
        assert_eq!(text(&json("a"), none, b"not json"), None);
    }
}
