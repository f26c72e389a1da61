//! The HTTP request of a delivery, as the journal keeps it. Pure.
//!
//! Lines of `name: value`, an empty line, the body. `method` and `path` come first, then the
//! headers that belong to the document. What belongs to the connection is not in it: the address
//! and the credentials may change while a delivery waits, and a secret has no place in a journal.

use std::borrow::Cow;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Cow<'a, str>,
    /// What follows the target's address; empty, or beginning with `/` or `?`.
    pub path: Cow<'a, str>,
    /// The headers of the document.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The document.
    pub body: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    /// The text that the journal keeps. The error names a header that no line can hold.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::with_capacity(self.body.len() + 256);
        let own = [("method", &self.method), ("path", &self.path)];
        let headers = self.headers.iter().map(|(name, value)| (&**name, value));
        for (name, value) in own.into_iter().chain(headers) {
            if value.chars().any(char::is_control) {
                return Err(format!("`{name}` of the request has a control character"));
            }
            text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        text.push(b'\n');
        text.extend_from_slice(&self.body);
        Ok(text)
    }

    /// Reads that text again. The error quotes nothing of it.
    pub fn read(text: &'a [u8]) -> Result<Self, String> {
        let mut rest = text;
        let mut headers = Vec::new();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let end = end.ok_or("the journal holds no request: its head has no end")?;
            let line = std::str::from_utf8(&rest[..end])
                .map_err(|_| "the journal holds no request: its head is not UTF-8")?;
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            let (name, value) =
                line.split_once(": ").ok_or("the journal holds no request: a line has no name")?;
            headers.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        if headers.len() < 2 || headers[0].0 != "method" || headers[1].0 != "path" {
            return Err("the journal holds no request: method and path are missing".to_owned());
        }
        let (_, path) = headers.remove(1);
        let (_, method) = headers.remove(0);
        Ok(Self { method, path, headers, body: Cow::Borrowed(rest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(path: &'a str, body: &'a [u8]) -> Request<'a> {
        let headers = vec![("content-type".into(), "application/json".into())];
        Request { method: "POST".into(), path: path.into(), headers, body: body.into() }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_whatever_its_body_holds() {
        for (path, body) in [("/a%20b", &b"{}"[..]), ("", b"\n\nx: y\n"), ("?x=1", b"\xff\x00")] {
            let written = request(path, body).write().unwrap();
            assert_eq!(Request::read(&written).unwrap(), request(path, body));
        }
        let written = request("/x", b"{}").write().unwrap();
        assert_eq!(written, b"method: POST\npath: /x\ncontent-type: application/json\n\n{}");
    }

    #[test]
    fn what_is_no_request_is_refused_without_being_quoted() {
        for text in [&b"geheim"[..], b"geheim\n\n", b"a: geheim\n\n", b"\xff\n\n", b""] {
            let error = Request::read(text).unwrap_err();
            assert!(!error.contains("geheim"), "{error}");
        }
        assert!(request("/a\r\nx: y", b"").write().is_err());
    }
}
