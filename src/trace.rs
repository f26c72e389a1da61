//! Which work of somebody else an event belongs to: W3C Trace Context, as senders put it into
//! `traceparent` and `tracestate`. Pure.
//!
//! It is read, checked, kept and passed on; this agent begins no spans of its own, so what it
//! passes on is what it was given. What is not well-formed is no fault of the event: it goes its
//! way without (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

/// The name of the header and of the extension attribute that says which span is the parent.
pub const PARENT: &str = "traceparent";
/// The name of the one with what tracing systems add.
pub const STATE: &str = "tracestate";

/// Members of a `tracestate`.
const MOST_MEMBERS: usize = 32;
/// Characters of a `tracestate` that are passed on; every system passes on as many.
const LONGEST_STATE: usize = 512;
/// Where a `tracestate` is too long, members longer than this go first.
const LONG_MEMBER: usize = 128;
/// Characters of a key or value of a `tracestate`.
const LONGEST_WORD: usize = 256;

/// A trace context that is well-formed.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace {
    parent: String,
    state: String,
}

impl Trace {
    /// Reads both; `None` where `parent` is not well-formed. A `state` that is not is left out.
    pub fn read(parent: &str, state: &str) -> Option<Self> {
        let parent = read_parent(parent)?;
        Some(Self { parent, state: read_state(state).unwrap_or_default() })
    }

    /// `traceparent`: version, trace id, parent id and flags.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// `tracestate`, or empty.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.parent.get(3..35).unwrap_or_default()
    }

    /// The headers that pass it on.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = (!self.state.is_empty()).then_some((STATE, &*self.state));
        std::iter::once((PARENT, &*self.parent)).chain(state)
    }
}

/// A span for log lines about an event: they are found by its `trace_id`. Where there is no trace
/// the span is none.
pub fn span(trace: Option<&Trace>) -> tracing::Span {
    trace.map_or_else(tracing::Span::none, |trace| {
        tracing::error_span!("event", trace_id = trace.id())
    })
}

/// The id only: it is what log lines are found by.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({})", self.parent)
    }
}

/// As version 00. A later version begins with the same four parts, and may have more behind them.
fn read_parent(text: &str) -> Option<String> {
    let mut parts = text.splitn(5, '-');
    let (version, trace) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
    let (parent, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    let known = version == "00";
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    if version == "ff" || known && parts.next().is_some() || zero(trace) || zero(parent) {
        return None;
    }
    // Of a later version only this flag is known.
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
    let flags = if known { flags.to_owned() } else { format!("{sampled:02x}") };
    Some(format!("00-{trace}-{parent}-{flags}"))
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == length && text.bytes().all(digit)).then_some(text)
}

/// Its members with `,` between, as many as may be passed on.
fn read_state(text: &str) -> Option<String> {
    let mut members: Vec<&str> = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        if member.is_empty() {
            continue;
        }
        let key = member_key(member)?;
        let twice = members.iter().any(|other| other.split('=').next() == Some(key));
        if twice || members.len() == MOST_MEMBERS {
            return None;
        }
        members.push(member);
    }
    let length = |members: &[&str]| members.iter().map(|one| one.len() + 1).sum::<usize>();
    if length(&members) > LONGEST_STATE + 1 {
        members.retain(|member| member.len() <= LONG_MEMBER);
    }
    while length(&members) > LONGEST_STATE + 1 {
        members.pop();
    }
    Some(members.join(","))
}

/// The key of a well-formed member.
fn member_key(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || b"_-*/@".contains(&byte);
    let printable = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    let good = key.bytes().next().is_some_and(first)
        && key.bytes().all(rest)
        && key.len() <= LONGEST_WORD
        && !value.is_empty()
        && value.len() <= LONGEST_WORD
        && value.bytes().all(printable);
    good.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_is_read_and_passed_on_as_it_came() {
        let trace = Trace::read(PARENT, "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE").unwrap();
        assert_eq!((trace.parent(), trace.id()), (PARENT, "4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trace.state(), "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        assert_eq!(trace.to_string(), trace.id());
        let names: Vec<_> = trace.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["traceparent", "tracestate"]);
        assert_eq!(Trace::read(PARENT, "").unwrap().headers().count(), 1);
    }

    #[test]
    fn a_parent_that_is_not_well_formed_is_none() {
        for wrong in [
            "",
            "00",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e4}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::read(wrong, "a=b"), None, "{wrong}");
        }
    }

    #[test]
    fn of_a_later_version_the_parts_that_are_known_are_passed_on() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-comes";
        assert_eq!(Trace::read(later, "").unwrap().parent(), PARENT);
    }

    #[test]
    fn a_state_that_is_not_well_formed_is_left_out() {
        let many = vec!["k=v"; 33].join(",");
        let numbered: Vec<_> = (0..33).map(|n| format!("k{n}=v")).collect();
        for wrong in ["a", "a=", "=b", "A=b", "a=b=c", "a=b,a=c", "a=\u{e4}", "a=b\n", &many] {
            assert_eq!(Trace::read(PARENT, wrong).unwrap().state(), "", "{wrong}");
        }
        assert_eq!(Trace::read(PARENT, &numbered.join(",")).unwrap().state(), "");
        assert_eq!(Trace::read(PARENT, "a=b,,\tt@v=1 2 ,").unwrap().state(), "a=b,t@v=1 2");
    }

    #[test]
    fn of_a_state_that_is_too_long_the_long_members_go_first_and_then_the_last() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<_> = (0..20).map(|n| format!("k{n:02}={}", "y".repeat(20))).collect();
        let state = format!("{},{long},{}", short[..10].join(","), short[10..].join(","));
        assert_eq!(Trace::read(PARENT, &state).unwrap().state(), short.join(","));
        let more: Vec<_> = (0..30).map(|n| format!("k{n:02}={}", "y".repeat(20))).collect();
        let kept = Trace::read(PARENT, &more.join(",")).unwrap().state().to_owned();
        assert_eq!(kept, more[..20].join(","));
    }
}
