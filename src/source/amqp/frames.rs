//! The frames of a connection on their way to the client library: what is announced, and what is
//! too large for it. Pure.
//!
//! The library puts a message together in memory before anyone sees it, however large it is. But a
//! content header says how many bytes follow before the first of them comes, so the way between
//! socket and library is where a bound on memory can hold:
//!
//! | frame | what is done |
//! |---|---|
//! | `basic.deliver` | its tag is remembered for the content header of its channel |
//! | content header | [`Seen::Announced`]; it passes when the reader goes on |
//! | the same, larger than the limit | it passes with the size of what is kept instead |
//! | content body of such a message | hashed, and kept up to [`KEPT`]; nothing of it passes yet |
//! | the last of these | what was kept passes as the body; [`Seen::Shortened`] |
//! | any other | passes |
//!
//! Bytes that are no frame, and all behind them, pass as they are: the library refuses them.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::event::{Digest, KEPT, Shortened};

/// Type, channel and size of a frame stand before its payload, one octet behind it.
const HEAD: usize = 7;
const TAIL: usize = 1;
const FRAME_END: u8 = 0xce;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// Class and method of `basic.deliver`; its consumer tag of at most 255 bytes and the delivery tag
/// follow.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
const LONGEST_TAG: usize = 255;
/// Where the size of the body stands in a content header: behind class and weight.
const BODY_SIZE: Range<usize> = HEAD + 4..HEAD + 12;
/// Payload of a frame that every peer takes: the least `frame-max` is 4096.
const LEAST_PAYLOAD: usize = 4096 - HEAD - TAIL;

/// A message that is about to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Its delivery tag.
    pub(super) tag: u64,
    /// Bytes of its body that will pass.
    pub(super) body: u64,
    /// Bytes of its content header: properties and headers.
    pub(super) beside: u64,
}

/// What the reader has to know before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A message is about to come. Its content header passes with the next call.
    Announced(Announced),
    /// The message of this tag was too large, and has passed shortened.
    Shortened(u64, Shortened),
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// The most bytes of a body that passes whole.
    largest: u64,
    /// The frame that has begun, as far as it has to be looked at before it passes.
    head: Vec<u8>,
    state: State,
    /// By channel: the delivery whose content header comes next.
    deliveries: HashMap<u16, u64>,
    /// By channel: what is being shortened.
    bodies: HashMap<u16, Body>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two frames, or in the head of one.
    Head,
    /// In the head of a content header that was announced and has not passed.
    Announced,
    /// So many bytes of a frame still pass.
    Passing(usize),
    /// So many bytes of the payload of a frame of that channel are still to be kept or hashed.
    Shortening(u16, usize),
    /// These are no frames.
    Lost,
}

/// A body that is too large.
#[derive(Debug)]
struct Body {
    tag: u64,
    /// All of its bytes, and those that are still to come.
    whole: u64,
    left: u64,
    sum: Sha256,
    first: Vec<u8>,
}

impl Frames {
    /// Of a connection on which bodies of at most `largest` bytes pass whole.
    pub(super) fn new(largest: u64) -> Self {
        let (deliveries, bodies) = (HashMap::new(), HashMap::new());
        Self { largest, head: Vec::new(), state: State::Head, deliveries, bodies }
    }

    /// Takes bytes from the front of `input`, and appends to `output` what passes. Returns how many
    /// it has taken: all of them, or those up to what was seen.
    pub(super) fn advance(&mut self, input: &[u8], output: &mut Vec<u8>) -> (usize, Option<Seen>) {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if rest.is_empty() && self.state != State::Announced {
                return (at, None);
            }
            let (taken, seen) = match self.state {
                State::Lost => {
                    output.extend_from_slice(rest);
                    (rest.len(), None)
                }
                State::Passing(left) => {
                    let some = rest.get(..left).unwrap_or(rest);
                    output.extend_from_slice(some);
                    let left = left - some.len();
                    self.state = if left == 0 { State::Head } else { State::Passing(left) };
                    (some.len(), None)
                }
                State::Shortening(channel, left) => self.shorten(channel, left, rest, output),
                State::Announced => {
                    self.pass(output);
                    (0, None)
                }
                State::Head => self.take_head(rest, output),
            };
            at += taken;
            if seen.is_some() {
                return (at, seen);
            }
        }
    }

    /// Bytes of the head of a frame, up to where it can be judged.
    fn take_head(&mut self, rest: &[u8], output: &mut Vec<u8>) -> (usize, Option<Seen>) {
        let missing = self.judged_at() - self.head.len();
        let some = rest.get(..missing).unwrap_or(rest);
        self.head.extend_from_slice(some);
        // With its size the frame may turn out to have more to look at.
        let seen = if self.head.len() == self.judged_at() { self.judge(output) } else { None };
        (some.len(), seen)
    }

    /// How many bytes of the frame have to be there before it is judged.
    fn judged_at(&self) -> usize {
        let Some((kind, _, size)) = self.frame() else { return HEAD };
        let most = match kind {
            METHOD => DELIVER.len() + 1 + LONGEST_TAG + size_of::<u64>(),
            HEADER => BODY_SIZE.end - HEAD,
            _ => 0,
        };
        HEAD + size.min(most)
    }

    /// Type, channel and size of the payload.
    fn frame(&self) -> Option<(u8, u16, usize)> {
        let &[kind, channel, nel, a, b, c, d] = self.head.first_chunk::<HEAD>()?;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        Some((kind, u16::from_be_bytes([channel, nel]), size))
    }

    /// What becomes of a frame whose head is there.
    fn judge(&mut self, output: &mut Vec<u8>) -> Option<Seen> {
        let (kind, channel, size) = self.frame()?;
        match kind {
            METHOD => {
                // Whatever its channel was doing is over.
                self.bodies.remove(&channel);
                self.deliveries.remove(&channel);
                if let Some(tag) = delivery_tag(self.head.get(HEAD..).unwrap_or_default()) {
                    self.deliveries.insert(channel, tag);
                }
            }
            HEADER => {
                self.bodies.remove(&channel);
                if let Some(announced) = self.announce(channel, size) {
                    self.state = State::Announced;
                    return Some(Seen::Announced(announced));
                }
            }
            BODY => match self.bodies.get(&channel) {
                Some(body) if size as u64 <= body.left => {
                    self.head.clear();
                    self.state = State::Shortening(channel, size);
                    return None;
                }
                // More than was announced: the library is to see it.
                Some(_) => self.state = State::Lost,
                None => {}
            },
            HEARTBEAT => {}
            _ => self.state = State::Lost,
        }
        self.pass(output);
        None
    }

    /// What a content header says of the delivery of its channel; one that is too large is
    /// announced as what is kept of it, from here on.
    fn announce(&mut self, channel: u16, size: usize) -> Option<Announced> {
        let field: &mut [u8; 8] = self.head.get_mut(BODY_SIZE)?.try_into().ok()?;
        let (tag, whole) = (self.deliveries.remove(&channel)?, u64::from_be_bytes(*field));
        let mut body = whole;
        if whole > self.largest {
            body = whole.min(KEPT as u64);
            *field = body.to_be_bytes();
            let (sum, first) = (Sha256::new(), Vec::new());
            self.bodies.insert(channel, Body { tag, whole, left: whole, sum, first });
        }
        Some(Announced { tag, body, beside: size as u64 })
    }

    /// Lets the head pass, and the rest of its frame.
    fn pass(&mut self, output: &mut Vec<u8>) {
        let whole = self.frame().map_or(0, |(.., size)| HEAD.saturating_add(size) + TAIL);
        output.extend_from_slice(&self.head);
        if self.state != State::Lost {
            self.state = State::Passing(whole.saturating_sub(self.head.len()));
        }
        self.head.clear();
    }

    /// Bytes of a body that is too large, or the octet behind a frame of it.
    fn shorten(
        &mut self,
        channel: u16,
        left: usize,
        rest: &[u8],
        output: &mut Vec<u8>,
    ) -> (usize, Option<Seen>) {
        let Some(body) = self.bodies.get_mut(&channel) else {
            self.state = State::Lost;
            return (0, None);
        };
        let some = rest.get(..left).unwrap_or(rest);
        if !some.is_empty() {
            body.take(some);
            self.state = State::Shortening(channel, left - some.len());
            return (some.len(), None);
        }
        if rest.first() != Some(&FRAME_END) {
            self.state = State::Lost;
            return (0, None);
        }
        self.state = State::Head;
        if body.left > 0 {
            return (TAIL, None);
        }
        let seen = self.bodies.remove(&channel).map(|body| body.finish(channel, output));
        (TAIL, seen)
    }
}

impl Body {
    fn take(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.left -= bytes.len() as u64;
        let room = KEPT - self.first.len();
        self.first.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What was kept passes as the body.
    fn finish(self, channel: u16, output: &mut Vec<u8>) -> Seen {
        for part in self.first.chunks(LEAST_PAYLOAD) {
            output.push(BODY);
            output.extend_from_slice(&channel.to_be_bytes());
            output.extend_from_slice(&(part.len() as u32).to_be_bytes());
            output.extend_from_slice(part);
            output.push(FRAME_END);
        }
        let digest = Digest(self.sum.finalize().into());
        Seen::Shortened(self.tag, Shortened { bytes: self.whole, digest })
    }
}

/// The delivery tag of a `basic.deliver`.
fn delivery_tag(payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(&DELIVER)?;
    let (length, rest) = rest.split_first()?;
    let tag = rest.get(usize::from(*length)..)?.first_chunk()?;
    Some(u64::from_be_bytes(*tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 100;

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(FRAME_END);
        frame
    }

    fn deliver(channel: u16, tag: u64) -> Vec<u8> {
        let mut payload = DELIVER.to_vec();
        payload.extend(b"\x03tag");
        payload.extend(tag.to_be_bytes());
        payload.extend(b"\0\x01x\x01q");
        frame(METHOD, channel, &payload)
    }

    fn header(channel: u16, size: u64) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend(size.to_be_bytes());
        payload.extend(b"\x10\0\x02");
        frame(HEADER, channel, &payload)
    }

    fn bodies(channel: u16, body: &[u8], most: usize) -> Vec<Vec<u8>> {
        body.chunks(most).map(|part| frame(BODY, channel, part)).collect()
    }

    fn message(tag: u64, body: &[u8], most: usize) -> Vec<u8> {
        let size = body.len() as u64;
        [deliver(1, tag), header(1, size), bodies(1, body, most).concat()].concat()
    }

    fn announced(tag: u64, body: u64) -> Seen {
        Seen::Announced(Announced { tag, body, beside: 15 })
    }

    fn shortened(tag: u64, body: &[u8]) -> Seen {
        let (bytes, digest) = (body.len() as u64, Digest::of(body));
        Seen::Shortened(tag, Shortened { bytes, digest })
    }

    /// What passes of `input`, which comes in pieces of these lengths and then as a whole.
    fn passed(input: &[u8], pieces: &[usize]) -> (Vec<u8>, Vec<Seen>) {
        let (mut frames, mut output, mut all) = (Frames::new(LIMIT), Vec::new(), Vec::new());
        let mut rest = input;
        for piece in pieces.iter().copied().chain([input.len()]) {
            let (mut now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            loop {
                let (taken, seen) = frames.advance(now, &mut output);
                now = &now[taken..];
                all.extend(seen);
                if seen.is_none() {
                    break;
                }
            }
            assert!(now.is_empty());
        }
        (output, all)
    }

    #[test]
    fn what_is_small_passes_as_it_is_and_is_announced() {
        let input =
            [frame(HEARTBEAT, 0, b""), message(7, &[b'x'; 100], 30), message(8, b"", 1)].concat();
        let (output, seen) = passed(&input, &[]);
        assert_eq!(output, input);
        assert_eq!(seen, [announced(7, 100), announced(8, 0)]);
    }

    #[test]
    fn a_content_header_passes_only_when_the_reader_goes_on() {
        let (mut frames, mut output) = (Frames::new(LIMIT), Vec::new());
        let input = message(7, b"body", 4);
        let (taken, seen) = frames.advance(&input, &mut output);
        assert_eq!((output.len(), seen), (deliver(1, 7).len(), Some(announced(7, 4))));
        assert_eq!(frames.advance(&input[taken..], &mut output), (input.len() - taken, None));
        assert_eq!(output, input);
    }

    #[test]
    fn a_message_above_the_limit_passes_as_its_first_bytes() {
        let body: Vec<u8> = (0..200_000_u32).map(|at| at.to_be_bytes()[2]).collect();
        let (output, seen) = passed(&message(7, &body, 70_000), &[]);
        assert_eq!(output, message(7, &body[..KEPT], LEAST_PAYLOAD));
        assert_eq!(seen, [announced(7, KEPT as u64), shortened(7, &body)]);
    }

    #[test]
    fn nothing_of_a_body_that_is_too_large_passes_before_its_end() {
        let body = [b'x'; 150];
        let input = message(7, &body, 60);
        let before = deliver(1, 7).len() + header(1, 150).len();
        let (output, seen) = passed(&input[..input.len() - 1], &[]);
        assert_eq!((output.len(), seen), (before, vec![announced(7, 150)]));
    }

    #[test]
    fn what_is_no_delivery_is_not_shortened() {
        let returned = frame(METHOD, 1, &[0, 60, 0, 50, 1, 2]);
        let input = [returned, header(1, 200), bodies(1, &[b'x'; 200], 90).concat()].concat();
        assert_eq!(passed(&input, &[]), (input, Vec::new()));
    }

    #[test]
    fn a_channel_that_ends_within_a_body_ends_it() {
        let close = frame(METHOD, 1, &[0, 20, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
        let begun = [deliver(1, 7), header(1, 150), frame(BODY, 1, &[b'x'; 60])].concat();
        let (output, seen) = passed(&[&*begun, &*close, &*message(1, b"next", 9)].concat(), &[]);
        let next = [deliver(1, 7), header(1, 150), close, message(1, b"next", 9)].concat();
        assert_eq!(output, next);
        assert_eq!(seen, [announced(7, 150), announced(1, 4)]);
    }

    #[test]
    fn bytes_that_are_no_frames_pass_with_all_that_follows() {
        let large = message(7, &[b'x'; 150], 60);
        for strange in [&b"AMQP\0\0\x09\x01"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let input = [strange, &large].concat();
            assert_eq!(passed(&input, &[]), (input, Vec::new()));
        }
    }

    #[test]
    fn a_body_that_is_larger_than_announced_reaches_the_library() {
        let before = [deliver(1, 7), header(1, 150)].concat();
        let more = frame(BODY, 1, &[b'x'; 151]);
        let (output, _) = passed(&[&*before, &*more].concat(), &[]);
        assert_eq!(output, [before, more].concat());
    }

    #[test]
    fn a_frame_without_its_end_reaches_the_library_as_no_frame() {
        let mut more = frame(BODY, 1, &[b'x'; 150]);
        *more.last_mut().unwrap() = 0;
        let before = [deliver(1, 7), header(1, 150)].concat();
        let (output, seen) = passed(&[&*before, &*more, b"rest"].concat(), &[]);
        assert_eq!(output, [&*before, b"\0rest"].concat());
        assert_eq!(seen.len(), 1);
    }

    /// The frames of a message, those that pass, and what is seen.
    type Given = (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<Seen>);

    prop_compose! {
        fn any_message(channel: u16)(
            size in prop_oneof![0..300_usize, 70_000..70_010_usize],
            most in 1..40_000_usize,
            tag: u64,
        ) -> Given {
            let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let most = most.max(size / 20 + 1);
            let whole = |kept: &[u8], most: usize| {
                let mut frames = vec![deliver(channel, tag), header(channel, kept.len() as u64)];
                frames.extend(bodies(channel, kept, most));
                frames
            };
            let input = whole(&body, most);
            if size as u64 <= LIMIT {
                return (input.clone(), input, vec![announced(tag, size as u64)]);
            }
            let kept = &body[..size.min(KEPT)];
            let seen = vec![announced(tag, kept.len() as u64), shortened(tag, &body)];
            (input, whole(kept, LEAST_PAYLOAD), seen)
        }
    }

    /// The frames of one channel, in their order.
    fn of_channel(bytes: &[u8], channel: u16) -> Vec<u8> {
        let (mut rest, mut found) = (bytes, Vec::new());
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[3..7].try_into().unwrap()) as usize;
            let (one, more) = rest.split_at(HEAD + size + TAIL);
            if one[1..3] == channel.to_be_bytes() {
                found.extend(one);
            }
            rest = more;
        }
        found
    }

    proptest! {
        #[test]
        fn however_frames_interleave_and_bytes_come_each_channel_gets_the_same(
            first in proptest::collection::vec(any_message(1), 0..4),
            second in proptest::collection::vec(any_message(2), 0..4),
            turns in proptest::collection::vec(any::<bool>(), 0..60),
            pieces in proptest::collection::vec(0..3_000_usize, 0..60),
        ) {
            let concat = |list: &[Given]| {
                let input: Vec<_> = list.iter().flat_map(|one| one.0.clone()).collect();
                (input, list.iter().flat_map(|one| one.1.concat()).collect::<Vec<u8>>())
            };
            let ((one, out_one), (two, out_two)) = (concat(&first), concat(&second));
            let (mut one, mut two) = (one.into_iter(), two.into_iter());
            let mut input = Vec::new();
            for turn in turns {
                let next = if turn { one.next() } else { two.next() };
                input.extend(next.unwrap_or_else(|| frame(HEARTBEAT, 0, b"")));
            }
            input.extend(one.chain(two).flatten());
            let (output, seen) = passed(&input, &pieces);
            prop_assert_eq!(of_channel(&output, 1), out_one);
            prop_assert_eq!(of_channel(&output, 2), out_two);
            let mut expected: Vec<_> = first.iter().chain(&second).flat_map(|m| &m.2).collect();
            let mut found: Vec<_> = seen.iter().collect();
            let order = |seen: &&Seen| format!("{seen:?}");
            expected.sort_by_key(order);
            found.sort_by_key(order);
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_at_all_stop_it(
            input in proptest::collection::vec(any::<u8>(), 0..200),
            pieces in proptest::collection::vec(1..9_usize, 0..30),
        ) {
            passed(&input, &pieces);
        }
    }
}
