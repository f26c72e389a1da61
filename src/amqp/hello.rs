//! The first thing that a broker says: the properties of the server, with the name of its cluster.
//! The client library keeps them to itself. They are read at the socket, before the library has
//! seen them: a broker that is another one than expected is shown no credential.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::types::AMQPValue;
use lapin::types::parsing::parse_field_table;

/// The most bytes of it.
const MOST: usize = 64 << 10;
/// Bytes of a frame before and behind its payload.
const HEAD: usize = 7;
const TAIL: usize = 1;
/// The method, and the version of the protocol, before the properties.
const START: usize = 6;
/// The most characters that are shown of a name.
const SHOWN: usize = 200;

/// Another broker than the one that is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It belongs to another cluster.
    #[error("the broker answers as cluster {0}, expected {1}")]
    Other(String, String),
    /// It does not say to which.
    #[error("the broker does not say its cluster, expected {0}")]
    Nameless(String),
}

/// What a broker says of itself, and what it should say. Clones are one.
#[derive(Clone, Debug)]
pub struct Hello(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    expected: Option<String>,
    /// What the last connection has heard; `None` in it where no name was.
    heard: Mutex<Option<Option<String>>>,
}

impl Hello {
    /// Of a broker that should call its cluster so.
    pub fn new(expected: Option<&str>) -> Self {
        let expected = expected.map(str::to_owned);
        Self(Arc::new(Shared { expected, heard: Mutex::default() }))
    }

    /// The cluster, where the broker has named it.
    pub fn cluster(&self) -> Option<String> {
        self.heard().flatten()
    }

    /// Who has answered instead of the broker that is expected.
    pub fn stranger(&self) -> Option<Stranger> {
        let (expected, heard) = (self.0.expected.clone()?, self.heard()?);
        match heard {
            Some(name) if name == expected => None,
            Some(name) => Some(Stranger::Other(shown(&name), expected)),
            None => Some(Stranger::Nameless(expected)),
        }
    }

    fn heard(&self) -> Option<Option<String>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For one connection.
    pub(super) fn listener(&self) -> Listener {
        Listener { hello: self.clone(), bytes: Vec::new() }
    }
}

/// One line, printable, cut.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

/// Hears one broker begin to speak.
#[derive(Debug)]
pub(super) struct Listener {
    hello: Hello,
    bytes: Vec<u8>,
}

impl Listener {
    /// Hears on. `true` when it has heard enough; an error where it is a stranger.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let room = MOST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let name = match first_frame(&self.bytes) {
            Frame::Begun if self.bytes.len() < MOST => return Ok(false),
            Frame::Whole(payload) => cluster(payload),
            // No broker speaks like that.
            Frame::Begun | Frame::Other => None,
        };
        self.bytes = Vec::new();
        let heard = &self.hello.0.heard;
        *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        match self.hello.stranger() {
            Some(stranger) => Err(io::Error::other(stranger)),
            None => Ok(true),
        }
    }
}

enum Frame<'a> {
    /// More of it is to come.
    Begun,
    /// Its payload.
    Whole(&'a [u8]),
    /// It is none that a connection begins with.
    Other,
}

/// The first frame: of a method, for the connection itself.
fn first_frame(bytes: &[u8]) -> Frame<'_> {
    let known = bytes.len().min(3);
    if bytes[..known] != [1, 0, 0][..known] {
        return Frame::Other;
    }
    let Some(&[a, b, c, d]) = bytes.get(3..HEAD) else { return Frame::Begun };
    let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if size > MOST - HEAD - TAIL {
        return Frame::Other;
    }
    match bytes.get(HEAD..HEAD + size) {
        Some(payload) if bytes.len() >= HEAD + size + TAIL => Frame::Whole(payload),
        _ => Frame::Begun,
    }
}

/// The name of the cluster in a `connection.start`.
fn cluster(payload: &[u8]) -> Option<String> {
    let properties =
        payload.strip_prefix(&[0, 10, 0, 10]).and_then(|rest| rest.get(START - 4..))?;
    let (_, table) = parse_field_table(properties).ok()?;
    match table.inner().get("cluster_name")? {
        AMQPValue::LongString(name) => String::from_utf8(name.as_bytes().to_vec()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(properties: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 10, 0, 10, 0, 9];
        payload.extend(u32::try_from(properties.len()).unwrap().to_be_bytes());
        payload.extend(properties);
        payload.extend(b"\0\0\0\x05PLAIN\0\0\0\x05en_US");
        let mut frame = vec![1, 0, 0];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        frame
    }

    fn named(name: &str) -> Vec<u8> {
        let mut table = b"\x07productS\0\0\0\x08RabbitMQ\x0ccluster_nameS\0\0\0".to_vec();
        table.push(u8::try_from(name.len()).unwrap());
        table.extend(name.as_bytes());
        start(&table)
    }

    /// Heard byte by byte, and all at once.
    fn heard(expected: Option<&str>, bytes: &[u8]) -> (Hello, io::Result<bool>) {
        let hello = Hello::new(expected);
        let mut listener = hello.listener();
        let mut last = Ok(false);
        for byte in bytes {
            assert!(matches!(last, Ok(false)));
            last = listener.hear(&[*byte]);
            if !matches!(last, Ok(false)) {
                break;
            }
        }
        let whole = hello.listener().hear(bytes);
        assert_eq!(whole.as_ref().ok(), last.as_ref().ok());
        (hello, last)
    }

    #[test]
    fn the_cluster_that_is_expected_is_known_by_its_name() {
        let (hello, heard) = heard(Some("rabbit@qas"), &named("rabbit@qas"));
        assert!(heard.unwrap() && hello.stranger().is_none());
        assert_eq!(hello.cluster().as_deref(), Some("rabbit@qas"));
    }

    #[test]
    fn another_cluster_is_refused_as_soon_as_it_has_said_its_name() {
        let (hello, heard) = heard(Some("rabbit@qas"), &named("rabbit@prd"));
        let said = "the broker answers as cluster rabbit@prd, expected rabbit@qas";
        assert_eq!(heard.unwrap_err().to_string(), said);
        assert_eq!(hello.stranger().unwrap().to_string(), said);
    }

    #[test]
    fn who_names_no_cluster_is_no_better() {
        for bytes in [
            start(b""),
            start(b"\x0ccluster_nameI\0\0\0\x07"),
            b"AMQP\0\0\x09\x01".to_vec(),
            b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
            vec![1, 0, 0, 0xff, 0xff, 0xff, 0xff],
        ] {
            let (_, heard) = heard(Some("rabbit@qas"), &bytes);
            let said = heard.unwrap_err().to_string();
            assert_eq!(said, "the broker does not say its cluster, expected rabbit@qas");
        }
    }

    #[test]
    fn where_nothing_is_expected_anybody_may_speak() {
        for bytes in [named("rabbit@prd"), start(b""), b"HTTP/1.1".to_vec()] {
            assert!(heard(None, &bytes).1.unwrap());
        }
    }
}
