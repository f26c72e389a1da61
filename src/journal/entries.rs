//! What a commit says, one line per entry, in the one way that it can be said.
//!
//! A line is words with one space between; `%`, blanks and control characters inside a word are
//! written as `%xx`. Keys, objects, ids, causes, names and answers appear only inside a
//! commitment: SHA-256 over the event's salt and the values with their lengths. The salt is
//! pruned with the payload; then the line still proves that nothing was changed, and tells
//! nothing about anybody.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::delivery::{DeliveryId, State};
use crate::event::{Digest, Verdict};
use crate::journal::error::CommitError;
use crate::journal::said::{ActionLine, FileLine};
use crate::journal::schema::nanoseconds;

/// Random bytes that make a commitment tell nothing.
pub(super) type Salt = [u8; 16];

/// One draw for the whole batch: the call costs more than the bytes.
pub(super) fn salts(count: usize) -> Result<Vec<Salt>, CommitError> {
    let mut salts = vec![[0; 16]; count];
    getrandom::fill(salts.as_flattened_mut())
        .map_err(|error| CommitError::Io { reason: error.to_string() })?;
    Ok(salts)
}

/// The lines of one commit.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: String,
}

/// One line.
struct Line<'a>(&'a mut String);

impl Line<'_> {
    fn word(self, word: &str) -> Self {
        self.0.push(' ');
        escape(self.0, word);
        self
    }

    fn number(self, number: u64) -> Self {
        let _ = write!(self.0, " {number}");
        self
    }

    fn nanoseconds(self, time: i64) -> Self {
        let _ = write!(self.0, " {time}");
        self
    }

    fn time(self, time: Timestamp) -> Self {
        self.nanoseconds(nanoseconds(time))
    }

    fn maybe(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.number(number),
            None => self.word(""),
        }
    }

    fn digest(self, digest: &Digest) -> Self {
        self.0.push(' ');
        hex(self.0, &digest.0);
        self
    }

    fn commitment(self, digest: Option<&Digest>) -> Self {
        match digest {
            Some(digest) => self.digest(digest),
            None => self.word(""),
        }
    }

    fn settled(self, line: &SettledLine<'_>) -> Self {
        self.number(line.delivery)
            .word(line.state.as_str())
            .number(line.attempts.into())
            .time(line.at)
            .time(line.due)
            .commitment(line.commitment)
    }

    fn end(self) {
        self.0.push('\n');
    }
}

/// What an event line commits to.
pub(super) struct EventLine<'a> {
    pub(super) event: u64,
    pub(super) verdict: Verdict,
    pub(super) source: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) commitment: &'a Digest,
    pub(super) received: Timestamp,
    pub(super) decided: Timestamp,
}

/// What a settlement line commits to.
pub(super) struct SettledLine<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
    pub(super) due: Timestamp,
    pub(super) commitment: Option<&'a Digest>,
}

impl Entries {
    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn line(&mut self, verb: &str) -> Line<'_> {
        self.text.push_str(verb);
        Line(&mut self.text)
    }

    /// The journal begins, or goes on in another epoch or as another instance.
    pub(super) fn journal(&mut self, id: &str, instance: u16, epoch: u16) {
        self.line("journal").word(id).number(instance.into()).number(epoch.into()).end();
    }

    /// The plan that decided what follows.
    pub(super) fn plan(&mut self, digest: &Digest, generation: u64) {
        self.line("plan").digest(digest).number(generation).end();
    }

    /// From here on the chain says everything that is read; the events up to `last` were said as
    /// version 3 did it.
    pub(super) fn format(&mut self, last: u64) {
        self.line("format").number(2).number(last).end();
    }

    /// The number of a configured name.
    pub(super) fn name(&mut self, number: u64, name: &str) {
        self.line("name").number(number).word(name).end();
    }

    /// Where a target stands.
    pub(super) fn place(&mut self, target: &str, place: &str) {
        self.line("place").word(target).digest(&Digest::of(place.as_bytes())).end();
    }

    /// What an operator did.
    pub(super) fn action(&mut self, line: &ActionLine<'_>) {
        self.line("action")
            .number(line.action)
            .nanoseconds(line.at)
            .word(line.who)
            .word(line.why)
            .maybe(line.uid.map(u64::from))
            .word(line.verb)
            .number(line.event)
            .maybe(line.delivery)
            .number(line.commit)
            .end();
    }

    /// The status that an earlier decision of `event` gave an object goes on.
    pub(super) fn stands(&mut self, standing: u64, event: u64, commitment: Option<&Digest>) {
        self.line("stands").number(standing).number(event).commitment(commitment).end();
    }

    /// A key waits for `event` since `at`.
    pub(super) fn park(&mut self, event: u64, at: i64, commitment: Option<&Digest>) {
        self.line("park").number(event).nanoseconds(at).commitment(commitment).end();
    }

    /// A new event.
    pub(super) fn event(&mut self, line: &EventLine<'_>) {
        self.event_line("event", line);
    }

    /// An event that was decided again.
    pub(super) fn again(&mut self, line: &EventLine<'_>) {
        self.event_line("again", line);
    }

    fn event_line(&mut self, verb: &str, line: &EventLine<'_>) {
        self.line(verb)
            .number(line.event)
            .word(line.verdict.as_str())
            .word(line.source)
            .digest(line.digest)
            .digest(line.commitment)
            .time(line.received)
            .time(line.decided)
            .end();
    }

    /// A new delivery of `event`.
    pub(super) fn delivery(
        &mut self,
        delivery: DeliveryId,
        event: u64,
        names: [&str; 2],
        digests: [&Digest; 2],
    ) {
        let [target, mapping] = names;
        let [document, commitment] = digests;
        self.line("delivery")
            .number(delivery)
            .number(event)
            .word(target)
            .word(mapping)
            .digest(document)
            .digest(commitment)
            .end();
    }

    /// What came of an attempt.
    ///
    /// `attempt` is the row that keeps it, where one does.
    pub(super) fn settled(&mut self, line: &SettledLine<'_>, attempt: Option<u64>) {
        self.line("settled").settled(line).maybe(attempt).end();
    }

    /// A delivery as an operator left it.
    pub(super) fn operated(&mut self, verb: &str, line: &SettledLine<'_>) {
        self.line(verb).settled(line).end();
    }

    /// An attempt that an earlier version recorded.
    pub(super) fn attempt(&mut self, attempt: u64, line: &SettledLine<'_>) {
        self.line("attempt").settled(line).number(attempt).end();
    }

    /// No key waits for `event` any more, but those that are said anew.
    pub(super) fn unpark(&mut self, event: u64) {
        self.line("unpark").number(event).end();
    }

    /// A file as it now is.
    pub(super) fn file(&mut self, line: &FileLine<'_>) {
        let words = self
            .line("file")
            .number(line.file)
            .word(line.source)
            .digest(line.digest)
            .number(line.size)
            .number(line.documents)
            .nanoseconds(line.begun)
            .digest(line.commitment)
            .number(line.next_offset)
            .number(line.next_index)
            .number(line.duplicates)
            .number(line.failed);
        let words = match line.ended {
            Some(ended) => words.nanoseconds(ended),
            None => words.word(""),
        };
        words.word(line.outcome.unwrap_or_default()).end();
    }

    /// A document of a file failed: its place, its event, and where it lies.
    pub(super) fn failure(&mut self, file: u64, [place, event, start, length]: [u64; 4]) {
        let words = self.line("failure").number(file).number(place).number(event);
        words.number(start).number(length).end();
    }

    /// The counters from `from` to before `to` are given out.
    pub(super) fn numbers(&mut self, range: &str, from: u64, to: u64) {
        self.line("numbers").word(range).number(from).number(to).end();
    }
}

/// The hash of a commit.
pub(super) fn link(previous: &Digest, number: u64, at: i64, entries: &[u8]) -> Digest {
    let mut sum = Sha256::new();
    sum.update(previous.0);
    sum.update(number.to_be_bytes());
    sum.update(at.to_be_bytes());
    sum.update(entries);
    Digest(sum.finalize().into())
}

/// A commitment to values that must not be readable.
pub(super) fn commitment(salt: &Salt, values: &[&str]) -> Digest {
    let mut sum = Sha256::new();
    sum.update(salt);
    for value in values {
        sum.update((value.len() as u64).to_be_bytes());
        sum.update(value);
    }
    Digest(sum.finalize().into())
}

/// Lower case, and without the formatter: it runs several times per event.
pub(super) fn hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
}

/// How a word is written in a line.
pub(super) fn word(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    escape(&mut text, word);
    text
}

fn escape(text: &mut String, word: &str) {
    if word.is_empty() {
        text.push('-');
    }
    for character in word.chars() {
        if character <= ' ' || matches!(character, '%' | '\u{7f}') {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{:02x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
}

/// A lifecycle step as a commitment takes it.
pub(super) struct StepValues<'a> {
    pub(super) lifecycle: &'a str,
    pub(super) object: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) to: &'a str,
    pub(super) applied: bool,
}

/// The commitment to all of an event that could be about somebody: id, kind, key, time, causes, the
/// step, the trace context and the origin. What is not there adds no value, so that the count of
/// the values tells which they are.
pub(super) fn commit_event(
    salt: &Salt,
    head: [&str; 5],
    step: Option<StepValues<'_>>,
    trace: Option<[&str; 2]>,
    origin: Option<&str>,
) -> Digest {
    let mut all = head.to_vec();
    if let Some(step) = step {
        let known = if step.from.is_some() { "known" } else { "" };
        let applied = if step.applied { "applied" } else { "" };
        let from = step.from.unwrap_or_default();
        all.extend([step.lifecycle, step.object, known, from, step.to, applied]);
    }
    all.extend(trace.into_iter().flatten());
    all.extend(origin);
    commitment(salt, &all)
}

/// A word of a line as it was before it was escaped.
pub(super) fn unescape(word: &str) -> String {
    if word == "-" {
        return String::new();
    }
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        text.push(code.map_or('%', char::from));
        rest = after.get(2..).unwrap_or("");
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_never_ends_a_line_early() {
        let mut entries = Entries::default();
        entries.name(1, "mary ann");
        entries.name(2, "50% off\nunpark 7");
        assert_eq!(entries.as_bytes(), b"name 1 mary%20ann\nname 2 50%25%20off%0aunpark%207\n");
        assert_eq!(unescape("50%25%20off%0aunpark%207"), "50% off\nunpark 7");
        assert_eq!(unescape("-"), "");
    }

    #[test]
    fn values_cannot_change_places_inside_a_commitment() {
        let salt = [7; 16];
        assert_ne!(commitment(&salt, &["ab", "c"]), commitment(&salt, &["a", "bc"]));
        assert_ne!(commitment(&salt, &["a"]), commitment(&[8; 16], &["a"]));
    }

    #[test]
    fn trace_and_origin_are_part_of_what_an_event_commits_to_and_none_changes_nothing() {
        let (salt, head) = ([7; 16], ["id", "kind", "key", "time", "causes"]);
        let of = |trace, origin| commit_event(&salt, head, None, trace, origin);
        assert_eq!(of(None, None), commitment(&salt, &head));
        assert_ne!(of(Some(["parent", ""]), None), of(None, None));
        assert_ne!(of(Some(["parent", ""]), None), of(Some(["parent", "a=b"]), None));
        assert_ne!(of(None, Some("plant 1")), of(None, None));
        assert_ne!(of(None, Some("plant 1")), of(None, Some("plant 2")));
    }
}
