//! What of a written file is not to be shown: values of keys that hold secrets, user and password of
//! a url, private keys. Pure.
//!
//! A file with a mistake may be no YAML at all, so this reads lines, not a tree: where it cannot
//! tell where a secret ends it hides the rest of the line, and the lines below that are indented
//! deeper. `{ env: NAME }` and `{ file: PATH }` say where a secret is, and are shown.

use std::iter;
use std::ops::Range;

use waybill_parsers::schema::nearest;

/// What stands for what is hidden. Its length says nothing.
const HIDDEN: &str = "***";

/// Keys whose values are secrets, or mappings of secrets: parts of their names, lower case, without
/// `-` and `_`. A misspelt one counts: it is a mistake, so its line is shown.
const SECRET: [&str; 14] = [
    "kennwort",
    "pass",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "credential",
    "privatekey",
    "authorization",
    "cookie",
    "bearer",
];
/// Keys that are none, however near they come.
const PLAIN: [&str; 2] = ["header", "headers"];
/// Keys that are mappings with secrets in them; a text there was meant as one.
const HOLDERS: [&str; 2] = ["auth", "basic"];

/// A line as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'t> {
    written: &'t str,
    /// Bytes that are hidden, in order and apart.
    hidden: Vec<Range<usize>>,
}

impl<'t> Line<'t> {
    /// A line that is not there.
    pub(super) const EMPTY: Self = Self { written: "", hidden: Vec::new() };

    /// From a column, counted in characters from 1, so many bytes; one at least, where there is one.
    pub(super) fn stretch(&self, column: usize, length: usize) -> Range<usize> {
        let mut letters = self.written.char_indices();
        let from = letters.nth(column.saturating_sub(1)).map_or(self.written.len(), |(at, _)| at);
        let to = (from + length.max(1)).min(self.written.len());
        let to = (to..self.written.len()).find(|at| self.written.is_char_boundary(*at));
        from..to.unwrap_or(self.written.len())
    }

    fn new(written: &'t str, mut ranges: Vec<Range<usize>>) -> Self {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| range.start);
        let mut hidden: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match hidden.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => hidden.push(range),
            }
        }
        Self { written, hidden }
    }

    /// The text, and where a stretch of the written line lies in it.
    pub(super) fn shown(&self, stretch: Range<usize>) -> (String, Range<usize>) {
        let mut text = String::with_capacity(self.written.len());
        let mut at = 0;
        for range in &self.hidden {
            text.push_str(&self.written[at..range.start]);
            text.push_str(HIDDEN);
            at = range.end;
        }
        text.push_str(&self.written[at..]);
        (text, self.place(stretch.start, false)..self.place(stretch.end, true))
    }

    /// Where a byte of the written line is shown; inside of what is hidden, its start or its end.
    fn place(&self, byte: usize, end: bool) -> usize {
        let mut gone = 0_usize;
        let mut added = 0_usize;
        for range in self.hidden.iter().filter(|range| range.start < byte) {
            added += HIDDEN.len();
            if byte < range.end {
                let stands = range.start - gone + added;
                return if end { stands } else { stands - HIDDEN.len() };
            }
            gone += range.len();
        }
        byte - gone + added
    }

    /// A message about this line, in which quotes of what is hidden are hidden, too.
    pub(super) fn message(&self, message: &str) -> String {
        let mut parts = message.split('`');
        let mut text = parts.next().unwrap_or_default().to_owned();
        let mut quoted = true;
        for part in parts {
            let secret = |range: &Range<usize>| self.written[range.clone()].contains(part);
            let known = matches!(part, "" | "env" | "file");
            text.push('`');
            match quoted && !known && self.hidden.iter().any(secret) {
                true => text.push_str(HIDDEN),
                false => text.push_str(part),
            }
            quoted = !quoted;
        }
        let userinfo = urls(&text);
        Line::new(&text, userinfo).shown(0..0).0
    }
}

/// All lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut reader = Reader::default();
    text.lines().map(|line| Line::new(line, reader.line(line))).collect()
}

/// What earlier lines say of the next one.
#[derive(Default)]
struct Reader {
    /// Inside of a private key.
    key: bool,
    /// The indentation of the secret key whose value goes on.
    under: Option<usize>,
    /// The indentation of the `header:` whose `value` is a secret.
    header: Option<usize>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Vec<Range<usize>> {
        let content = line.len() - line.trim_start().len();
        if self.key || line.contains("-----BEGIN") && line.contains("PRIVATE KEY") {
            self.key = !line.contains("-----END");
            let start = line.find("-----BEGIN").unwrap_or(content);
            return iter::once(start..line.len()).collect();
        }
        if line.trim().is_empty() {
            return Vec::new();
        }
        self.under = self.under.filter(|under| content > *under);
        self.header = self.header.filter(|header| content > *header);
        if self.under.is_some() {
            let list = line[content..].len() - line[content..].trim_start_matches(['-', ' ']).len();
            let place = is_place(&line[content + list..]);
            return if place { Vec::new() } else { iter::once(content..line.len()).collect() };
        }
        let mut hidden = urls(line);
        let mut from = 0;
        while let Some(key) = key(line, from) {
            from = key.value;
            if key.is("header") {
                self.header = Some(key.start);
            }
            let secret = key.is_secret() || key.is("value") && self.header.is_some();
            let rest = &line[key.value..];
            let held = HOLDERS.iter().any(|holder| key.is(holder)) && !rest.starts_with(['{', '#']);
            if secret || held && !rest.is_empty() {
                from = self.value(line, &key, &mut hidden);
            }
        }
        hidden
    }

    /// Hides the value of a secret key; where what follows begins.
    fn value(&mut self, line: &str, key: &Key<'_>, hidden: &mut Vec<Range<usize>>) -> usize {
        let rest = &line[key.value..];
        if rest.is_empty() || rest.starts_with(['|', '>', '#']) {
            self.under = Some(key.start);
            return line.len();
        }
        let end = match rest.as_bytes()[0] {
            b'{' | b'[' => closing(rest),
            b'"' | b'\'' => quoted(rest),
            _ => None,
        };
        let flow = line[..key.start].contains(['{', '[']);
        let end = match end.filter(|end| ends(&rest[*end..])) {
            Some(end) => end,
            None if flow => flow_end(rest),
            None => rest.len(),
        };
        // A text may go on below, and what was opened may not be closed here.
        self.under = (key.value + end == line.len()).then_some(key.start);
        let place = rest[..end].strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if !place.is_some_and(|inside| is_place(inside) && !inside.contains([',', '{', '}'])) {
            hidden.push(key.value..key.value + end);
        }
        key.value + end
    }
}

/// A key as written.
struct Key<'t> {
    name: &'t str,
    start: usize,
    /// Where its value begins.
    value: usize,
}

impl Key<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn is_secret(&self) -> bool {
        is_secret(self.name) || self.is("headers")
    }
}

fn is_secret(name: &str) -> bool {
    let plain = |c: &char| !matches!(c, '-' | '_' | '.' | ' ');
    let name: String = name.chars().filter(plain).map(|c| c.to_ascii_lowercase()).collect();
    let long = SECRET.into_iter().filter(|word| word.len() > 4);
    SECRET.iter().any(|word| name.contains(word))
        || nearest(&name, long.chain(PLAIN)).is_some_and(|near| !PLAIN.contains(&near))
}

/// The next key of a line. Also one without a blank behind its colon: that is a common mistake.
fn key(line: &str, from: usize) -> Option<Key<'_>> {
    let mut from = from;
    loop {
        let colon = from + line.get(from..)?.find(':')?;
        from = colon + 1;
        let before = line[..colon].trim_end();
        let quote = before.chars().last().filter(|c| matches!(c, '"' | '\''));
        let (start, name) = match quote {
            Some(quote) => {
                let inside = &before[..before.len() - 1];
                let start = inside.rfind(quote).map_or(0, |at| at + 1);
                (start, &inside[start..])
            }
            None => {
                let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
                let start = before.trim_end_matches(word).len();
                (start, &before[start..])
            }
        };
        let behind = &line[colon + 1..];
        let value = colon + 1 + (behind.len() - behind.trim_start().len());
        if !name.is_empty()
            && (value > colon + 1 || behind.is_empty() || quote.is_some() || is_secret(name))
        {
            return Some(Key { name, start, value });
        }
    }
}

/// Whether a text says where a secret is: `env: NAME`, `file: PATH`.
fn is_place(text: &str) -> bool {
    let text = text.trim_start();
    ["env:", "file:"].iter().any(|place| text.starts_with(place))
}

/// Whether nothing more of a value can be in this rest of a line.
fn ends(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with([',', '}', ']', '#'])
}

/// The end of what is opened at the start.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// The end of a text in quotes; a doubled or escaped quote does not end it.
fn quoted(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next()?;
    let mut letters = letters.peekable();
    while let Some((at, c)) = letters.next() {
        if quote == '"' && c == '\\' {
            letters.next();
        } else if c == quote {
            match letters.peek() {
                Some((_, next)) if *next == quote && quote == '\'' => drop(letters.next()),
                _ => return Some(at + 1),
            }
        }
    }
    None
}

/// The end of a value inside of braces: before the next key, or before what closes at the end of
/// the line. A comma or a brace may be part of a secret that should have been quoted.
fn flow_end(text: &str) -> usize {
    for (comma, _) in text.match_indices(',') {
        let rest = text[comma + 1..].trim_start();
        let name =
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '"' | '\'')));
        if name.is_some_and(|end| end > 0 && rest[end..].starts_with(": ")) {
            return comma;
        }
    }
    text.trim_end_matches(['}', ']', ' ']).len()
}

/// User and password of every url of a line, and a query with a secret in it.
fn urls(line: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    for (at, _) in line.match_indices("://") {
        let from = at + 3;
        let quote = line[..at].chars().rev().find(|c| matches!(c, '"' | '\'' | '`' | ' '));
        let rest = &line[from..];
        let end = match quote {
            Some(quote @ ('"' | '\'' | '`')) => rest.find(quote).unwrap_or(rest.len()),
            _ if line[..at].contains(['{', '[']) => flow_end(rest),
            _ => rest.len(),
        };
        let rest = &rest[..end];
        let host = match rest.rfind('@') {
            Some(last) => {
                hidden.push(from..from + last);
                last + 1
            }
            None => 0,
        };
        let authority = rest[host..].split(['/', '?', '#', ' ', ',']).next().unwrap_or_default();
        // Without `@` what should be a port may be a password.
        if let Some((name, port)) = authority.split_once(':')
            && !name.starts_with('[')
            && !port.chars().all(|c| c.is_ascii_digit())
        {
            hidden.push(from + host + name.len() + 1..from + rest.len());
        }
        if let Some((before, query)) = rest.split_once('?')
            && query.split(['&', '=']).any(is_secret)
        {
            hidden.push(from + before.len() + 1..from + rest.len());
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        lines(text).iter().map(|line| line.shown(0..0).0).collect()
    }

    #[test]
    fn values_of_secret_keys_are_hidden_however_they_are_written() {
        for (written, expected) in [
            ("password: geheim", "password: ***"),
            ("Password : geheim # neu", "Password : ***"),
            ("  - token: 'ge''heim'", "  - token: ***"),
            (r#"api_key: "ge\"heim", x"#, r"api_key: ***, x"),
            (
                r#"{ "client-secret":"geheim", "queue": "q" }"#,
                r#"{ "client-secret":***, "queue": "q" }"#,
            ),
            ("{ user: vms, password: geheim }", "{ user: vms, password: *** }"),
            ("{ password: ge,heim, queue: q }", "{ password: ***, queue: q }"),
            ("{ password: ge}heim }", "{ password: *** }"),
            ("{ password: geheim", "{ password: ***"),
            ("password: \"geheim", "password: ***"),
            ("password: 'ge'heim", "password: ***"),
            ("password:geheim", "password:***"),
            ("password: [ geheim, heim ]", "password: ***"),
            ("password: { value: geheim }", "password: ***"),
            ("password: { env: NAME, value: geheim }", "password: ***"),
            ("auth: geheim", "auth: ***"),
            ("auth: { bearer: geheim }", "auth: { bearer: *** }"),
            (
                "auth: { header: { name: X-Key, value: geheim } }",
                "auth: { header: { name: X-Key, value: *** } }",
            ),
            ("headers: { X-Key: geheim, X-B: heim }", "headers: ***"),
            ("passphrase: geheim", "passphrase: ***"),
            ("privateKey: geheim", "privateKey: ***"),
            ("{ user: vms, pasword: geheim }", "{ user: vms, pasword: *** }"),
            ("Passwort: geheim", "Passwort: ***"),
            ("bearrer: geheim", "bearrer: ***"),
        ] {
            assert_eq!(shown(written), [expected], "{written}");
        }
    }

    #[test]
    fn what_says_where_a_secret_is_and_all_else_is_shown() {
        for line in [
            "password: { env: BROKER_PASSWORD }",
            "{ bearer: { file: secrets/token }, dedupes: id }",
            "tls: { ca: ca.pem, cert: cert.pem, key: key.pem }",
            "url: \"https://erp.example:8443/idocs?client=100\"",
            "url: \"amqps://[2001:db8::7]:5671/%2f?auth_mechanism=external\"",
            "event: { key: data.vin, path: out, type: http, to: [sap] }",
            "header: { name: X-Key }",
            "E1KNA1M/KUNNR: { value: data.number }",
            "error: { header: X-Error }",
            "auth: { basic: { user: vms } }",
        ] {
            assert_eq!(shown(line), [line]);
        }
    }

    #[test]
    fn user_and_password_of_a_url_are_hidden_also_where_the_url_is_wrong() {
        for (written, expected) in [
            ("url: amqp://vms:geheim@broker/%2f", "url: amqp://***@broker/%2f"),
            ("url: \"amqp://vms:ge/he@im@broker\", x", "url: \"amqp://***@broker\", x"),
            ("url: amqp://vms:ge heim@broker/", "url: amqp://***@broker/"),
            (
                "{ url: amqp://vms:ge,heim@broker, queue: q }",
                "{ url: amqp://***@broker, queue: q }",
            ),
            ("url: amqp://vms:geheim", "url: amqp://vms:***"),
            ("url: https://geheim@erp.example/x", "url: https://***@erp.example/x"),
            ("url: https://erp.example/x?api_key=geheim&a=b", "url: https://erp.example/x?***"),
            ("name: amqp://vms:geheim@broker", "name: amqp://***@broker"),
        ] {
            assert_eq!(shown(written), [expected], "{written}");
        }
    }

    #[test]
    fn what_goes_on_below_a_secret_key_is_hidden_until_the_indentation_ends() {
        let text = "a:\n  password: |\n    geheim\n\n    heim\n  queue: q\n  token:\n    geheim\n  \
                    secret:\n    file: s/f\n  basic:\n    user: vms\n    password: \"geheim\n      heim\"\n  \
                    header:\n    name: X-Key\n    value: geheim\n  on: value\n";
        let expected = "a:\n  password: |\n    ***\n\n    ***\n  queue: q\n  token:\n    ***\n  \
                        secret:\n    file: s/f\n  basic:\n    user: vms\n    password: ***\n      ***\n  \
                        header:\n    name: X-Key\n    value: ***\n  on: value\n";
        assert_eq!(shown(text).join("\n") + "\n", expected);
    }

    #[test]
    fn a_private_key_is_hidden_to_its_end() {
        let (begin, end) = ("-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----");
        let text = format!(
            "key: |\n  {begin}\n  MHcCAQEE\n  {end}\nqueue: q\nkey: \"{begin}\\nMHcC{end}\"\nx: y"
        );
        let expected = ["key: |", "  ***", "  ***", "  ***", "queue: q", "key: \"***", "x: y"];
        assert_eq!(shown(&text), expected);
    }

    #[test]
    fn a_place_stays_where_it_is_shown() {
        let written = "{ password: geheim, qeue: q, token: x }";
        let line = lines(written).remove(0);
        let of = |word: &str| written.find(word).map(|at| at..at + word.len()).unwrap();
        for (word, expected) in [
            ("qeue", "qeue"),
            ("password", "password"),
            ("geheim", "***"),
            ("heim", "***"),
            ("x", "***"),
        ] {
            let (text, stretch) = line.shown(of(word));
            assert_eq!(&text[stretch], expected, "{word}");
        }
    }

    #[test]
    fn a_message_quotes_nothing_that_is_hidden() {
        let line = lines("password: { geheim }, qeue: amqp://a:b@c").remove(0);
        assert_eq!(
            line.message("unknown key `geheim`; not `qeue`"),
            "unknown key `***`; not `qeue`"
        );
        assert_eq!(line.message("`amqp://vms:x@host/` is none"), "`amqp://***@host/` is none");
        assert_eq!(line.message("either `env` or `file`"), "either `env` or `file`");
    }

    #[test]
    fn no_line_makes_it_stumble() {
        for text in [
            "",
            ":",
            "::",
            "'",
            "\":",
            "password:",
            "ü: ö, password: ä",
            "{",
            "}:",
            "://",
            "x://@",
            "\\",
            "password: '",
        ] {
            for cut in 0..=text.len() {
                if text.is_char_boundary(cut) {
                    let line = lines(&text[..cut]);
                    line.iter().for_each(|line| drop(line.shown(0..cut)));
                }
            }
        }
    }
}
