//! A URL that takes documents: the keys of a target of `type: http`.

use std::time::Duration;

use waybill_parsers::Path;

use crate::config::expect::{self, Expect};
use crate::config::path_template::PathTemplate;
use crate::config::secret::Secret;
use crate::config::tls::{self, Clear, Tls};
use crate::config::{OnDoubt, read, unit};
use crate::diagnostic::{Mark, Problems};
use crate::yaml::{self, Fields, Node};

/// A web service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// `https://host:port/path`, without user and password.
    pub url: Secret,
    /// The method. Default POST.
    pub method: &'static str,
    /// What follows the address. Default nothing.
    pub path: PathTemplate,
    /// The media type; without one, that of the document.
    pub content_type: Option<String>,
    /// Headers that every request has.
    pub headers: Vec<(String, Secret)>,
    /// How the agent says who it is.
    pub auth: Option<Auth>,
    /// Certificates.
    pub tls: Tls,
    /// What it has to say of itself before anything is sent.
    pub expect: Option<Expect>,
    /// Whether the receiver knows a document that comes twice. Default none.
    pub dedupes: Dedupes,
    /// The header that carries the delivery's id. Default `Idempotency-Key`.
    pub id_header: String,
    /// What is done where nobody knows whether a document arrived. Default hold.
    pub on_doubt: OnDoubt,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How long a connection that is not used is kept. Default 4s: below the 5s after which
    /// common servers close it, which may cross with a request.
    pub keep_alive: Duration,
    /// How many redirects are followed. Default 0.
    pub redirects: usize,
    /// What a status means, where it is not what it usually does.
    pub answers: Vec<Statuses>,
    /// Where the answer holds the receiver's own number.
    pub reference: Option<Extract>,
    /// Where an answer that refuses says why.
    pub error: Option<Extract>,
}

/// How the agent says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// User and password.
    Basic {
        /// The user.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
    /// A header of the receiver's own choice.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// By what a receiver knows a document that comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dedupes {
    /// By the delivery's id.
    Id,
    /// It does not.
    Nothing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included. Default 5s.
    pub connect: Duration,
    /// From the start of a request until its answer begins. Default 30s.
    pub first_byte: Duration,
    /// From the start of a request until its answer has ended. Default 60s.
    pub total: Duration,
}

/// Statuses with a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// What they mean.
    pub meaning: Meaning,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The receiver has it.
    Delivered,
    /// Not this time.
    Retry,
    /// Never.
    Reject,
    /// The receiver takes nothing from anybody now.
    Unavailable,
    /// The receiver does not accept who we are.
    Login,
    /// It may have it.
    InDoubt,
}

/// Where an answer holds a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extract {
    /// In a header.
    Header(String),
    /// In its JSON body.
    Json(Path),
    /// The body is the text.
    Text,
}

/// Reads the keys of such a target.
pub(super) fn target(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<HttpTarget> {
    let place = fields.required("url", problems);
    let url = place.and_then(|node| url(node, problems));
    let words = [("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")];
    let method = fields.choice("method", problems, &words);
    let path = fields.parsed("path", problems, PathTemplate::parse);
    let content_type = fields.parsed("content_type", problems, header_value);
    let headers = headers(fields.optional("headers"), problems);
    let auth = fields.optional("auth").and_then(|node| auth(node, problems));
    let tls = tls::client(fields.optional("tls"), problems);
    let expect = expect::service(fields, problems);
    let words = [("id", Dedupes::Id), ("none", Dedupes::Nothing)];
    let dedupes = fields.choice("dedupes", problems, &words);
    let id_header = fields.parsed("id_header", problems, header_name);
    let words = [("resend", OnDoubt::Resend), ("hold", OnDoubt::Hold)];
    let on_doubt = fields.choice("on_doubt", problems, &words);
    let timeouts = timeouts(fields.optional("timeouts"), problems);
    let keep_alive = fields.parsed("keep_alive", problems, unit::duration);
    let redirects = fields.parsed("redirects", problems, |text| unit::count(text, 0, 10));
    let answers = answers(fields.optional("answers"), problems);
    let reference = fields.optional("reference").and_then(|node| extract(node, problems));
    let error = fields.optional("error").and_then(|node| extract(node, problems));
    if let (Some(node), Some(Secret::Plain(text))) = (place, &url)
        && let Some((_, host)) = tls::plain(text, "http")
        && let Some(why) = in_the_clear(host, auth.is_some(), &tls)
    {
        problems.advise(node.mark, format!("url: {why}"), "use `https://`");
    }
    Some(HttpTarget {
        url: url?,
        method: method.unwrap_or("POST"),
        path: path.unwrap_or_default(),
        content_type,
        headers,
        auth,
        tls,
        expect,
        dedupes: dedupes.unwrap_or(Dedupes::Nothing),
        id_header: id_header.unwrap_or_else(|| "Idempotency-Key".to_owned()),
        on_doubt: on_doubt.unwrap_or(OnDoubt::Hold),
        timeouts,
        keep_alive: keep_alive.unwrap_or(Duration::from_secs(4)),
        redirects: redirects.and_then(|count| usize::try_from(count).ok()).unwrap_or(0),
        answers,
        reference,
        error,
    })
}

fn url(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let secret = read::secret(node, "url", problems)?;
    if let Secret::Plain(text) = &secret {
        let known = text.starts_with("https://") || text.starts_with("http://");
        let authority = text.splitn(3, '/').nth(2).and_then(|rest| rest.split('/').next());
        if !known || authority.is_none_or(str::is_empty) {
            problems.add(node.mark, "url: `https://HOST/PATH` is expected");
        } else if authority.is_some_and(|authority| authority.contains('@')) {
            problems.advise(node.mark, "url: user and password are no part of it", "use `auth`");
        }
    }
    Some(secret)
}

/// Why a target must not be reached over `http://`, if so. The host stands without brackets.
pub fn in_the_clear(host: &str, auth: bool, tls: &Tls) -> Option<&'static str> {
    tls.in_the_clear(host, auth).map(|clear| match clear {
        Clear::Certificates => "`tls` is for an `https://` url, and this one is `http://`",
        Clear::Login => "`auth` over `http://` would show the credential to everybody on the way",
    })
}

fn auth(node: &Node, problems: &mut Problems) -> Option<Auth> {
    let mut fields = Fields::of(node, "auth", problems)?;
    let basic = fields.optional("basic").map(|node| basic(node, problems));
    let bearer = fields.optional("bearer").map(|node| read::secret(node, "bearer", problems));
    let header = fields.optional("header").map(|node| own_header(node, problems));
    let mark = fields.mark();
    fields.finish(problems);
    match (basic, bearer, header) {
        (Some(basic), None, None) => basic,
        (None, Some(token), None) => token.map(Auth::Bearer),
        (None, None, Some(header)) => header,
        _ => {
            problems.add(mark, "auth: one of `basic`, `bearer` and `header` is expected");
            None
        }
    }
}

fn basic(node: &Node, problems: &mut Problems) -> Option<Auth> {
    let mut fields = Fields::of(node, "basic", problems)?;
    let user = fields.required("user", problems);
    let user = user.and_then(|node| read::secret(node, "user", problems));
    let password = fields.required("password", problems);
    let password = password.and_then(|node| read::secret(node, "password", problems));
    fields.finish(problems);
    Some(Auth::Basic { user: user?, password: password? })
}

fn own_header(node: &Node, problems: &mut Problems) -> Option<Auth> {
    let mut fields = Fields::of(node, "header", problems)?;
    fields.required("name", problems);
    let name = fields.parsed("name", problems, header_name);
    let value = fields.required("value", problems);
    let value = value.and_then(|node| read::secret(node, "value", problems));
    fields.finish(problems);
    Some(Auth::Header { name: name?, value: value? })
}

fn headers(node: Option<&Node>, problems: &mut Problems) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    let Some(node) = node else { return headers };
    for (name, node) in yaml::entries(node, "headers", problems) {
        match header_name(&name.value) {
            Ok(name) => headers
                .extend(read::secret(node, "headers", problems).map(|value| (name.clone(), value))),
            Err(why) => problems.add(name.mark, format!("headers: {why}")),
        }
    }
    headers
}

/// Names as RFC 9110 has them; what the agent sets itself is not to be set twice.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(token) {
        return Err("the name of a header is expected".to_owned());
    }
    let own = ["content-length", "transfer-encoding", "host", "connection", "content-type"];
    if own.contains(&&*text.to_ascii_lowercase()) {
        return Err(format!("the agent sets `{text}` itself"));
    }
    Ok(text.to_owned())
}

fn header_value(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if plain { Ok(text.to_owned()) } else { Err("a media type is expected".to_owned()) }
}

fn timeouts(node: Option<&Node>, problems: &mut Problems) -> Timeouts {
    let seconds = Duration::from_secs;
    let mut timeouts =
        Timeouts { connect: seconds(5), first_byte: seconds(30), total: seconds(60) };
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "timeouts", problems)) else {
        return timeouts;
    };
    let connect = fields.parsed("connect", problems, unit::duration);
    let first_byte = fields.parsed("first_byte", problems, unit::duration);
    let total = fields.parsed("total", problems, unit::duration);
    let mark: Mark = fields.mark();
    fields.finish(problems);
    timeouts.connect = connect.unwrap_or(timeouts.connect);
    timeouts.first_byte = first_byte.unwrap_or(timeouts.first_byte);
    timeouts.total = total.unwrap_or(timeouts.total.max(timeouts.first_byte));
    if timeouts.connect > timeouts.first_byte || timeouts.first_byte > timeouts.total {
        problems.add(mark, "timeouts: `connect` is at most `first_byte`, that at most `total`");
    }
    timeouts
}

fn answers(node: Option<&Node>, problems: &mut Problems) -> Vec<Statuses> {
    let words = [
        ("delivered", Meaning::Delivered),
        ("retry", Meaning::Retry),
        ("reject", Meaning::Reject),
        ("unavailable", Meaning::Unavailable),
        ("in-doubt", Meaning::InDoubt),
    ];
    let mut answers = Vec::new();
    let Some(node) = node else { return answers };
    for (name, node) in yaml::entries(node, "answers", problems) {
        let Some((first, last)) = statuses(&name.value) else {
            let remedy = "write a status such as `404`, or a class such as `5xx`";
            problems.advise(name.mark, format!("`{}` is no status", name.value), remedy);
            continue;
        };
        let word = node.text().unwrap_or_default();
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, meaning)) => answers.push(Statuses { first, last, meaning: *meaning }),
            None => {
                problems.unknown(node.mark, "answer", word, words.iter().map(|(word, _)| *word))
            }
        }
    }
    answers
}

fn statuses(text: &str) -> Option<(u16, u16)> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (2..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let status = text.parse().ok().filter(|status| (200..=599).contains(status))?;
    Some((status, status))
}

fn extract(node: &Node, problems: &mut Problems) -> Option<Extract> {
    let mut fields = Fields::of(node, "answer", problems)?;
    let header = fields.text("header", problems).map(|name| Extract::Header(name.value));
    let path = |text: &str| Path::parse(text).map_err(|error| error.to_string());
    let json = fields.parsed("json", problems, path).map(Extract::Json);
    let text = fields.flag("text", problems).filter(|on| *on).map(|_| Extract::Text);
    let mark = fields.mark();
    fields.finish(problems);
    let mut found = [header, json, text].into_iter().flatten();
    let first = found.next();
    if first.is_none() || found.next().is_some() {
        problems.add(mark, "one of `header: NAME`, `json: PATH` and `text: true` is expected");
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    #[test]
    fn no_credential_goes_over_the_network_in_the_clear() {
        const BEARER: &str = "auth: { bearer: { file: token } }";
        const TLS: &str = "tls: { ca: ca.pem }";
        for (url, keys, refused) in [
            ("https://erp.example/x", BEARER, false),
            ("https://erp.example/x", TLS, false),
            ("http://erp.example/x", "dedupes: id", false),
            ("http://erp.example:80/x", BEARER, true),
            ("http://10.0.0.1?x", BEARER, true),
            ("http://[::2]:80", BEARER, true),
            ("http://localhost.example/", BEARER, true),
            ("http://localhost:8080/x", BEARER, false),
            ("http://127.0.0.9/", BEARER, false),
            ("http://[::1]:80", BEARER, false),
            ("http://erp.example/x", "tls: none, auth: { bearer: { file: token } }", false),
            ("http://localhost/", TLS, true),
            ("http://erp.example/", TLS, true),
        ] {
            let problems = problems(url, keys);
            assert_eq!(problems.len(), usize::from(refused), "{url} {keys}: {problems:#?}");
        }
    }

    fn problems(url: &str, keys: &str) -> Vec<crate::diagnostic::Diagnostic> {
        let text = format!(
            "version: 1
agent: {{ name: test, instance: \"001\", data_dir: data }}
sources: {{ vms: {{ type: amqp, url: x, queue: q }} }}
targets: {{ erp: {{ type: http, url: \"{url}\", {keys} }} }}
routes: []
"
        );
        let mut problems = Problems::new(SourceFile::new("waybill.yaml", text));
        read::config(&mut problems);
        problems.into_list()
    }
}
