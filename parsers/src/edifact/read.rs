//! Interchanges to documents.

use std::collections::VecDeque;
use std::io::Read;

use crate::document::Room;
use crate::edifact::checks::is_tag;
use crate::edifact::rules;
use crate::edifact::state::{Group, Interchange};
use crate::edifact::syntax::{Repetition, Syntax, service_string};
use crate::reading::{FrameError, Limits, Place};
use crate::segment::{Level, Mode, Nodes, Part, Rule, Segments, Separators, is_wrapped};

/// How an input is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// What is an error.
    pub mode: Mode,
    /// When repetitions are looked for.
    pub repetition: Repetition,
    /// What is accepted at all.
    pub limits: Limits,
}

/// The interchanges of an input, part by part.
///
/// A message is a document whose root is a [`Kind::Group`](crate::Kind::Group) named by the message
/// type (0065). Its first child is a group `envelope` with the segments UNA (as one field), UNB and
/// UNG, as far as they came; then follow the segments of the message from UNH to UNT. So child `n`
/// of the root is the segment that the standard calls number `n`. Elements have no names:
/// `BGM[0][1]` is the second element of the first BGM.
///
/// A [`Part::Group`] holds UNG and UNE, a [`Part::Interchange`] UNA, UNB and UNZ. What stands
/// outside of UNB and UNZ is an interchange without these. A package (UNO, UNP) is a message named
/// `UNO` with its object as a field `object`, a character for each byte.
#[derive(Debug)]
pub struct Reader<R> {
    segments: Segments<R>,
    state: State,
    is_ended: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: ReadOptions,
    pub(super) syntax: Syntax,
    /// UNA of the interchange that begins, and where it stands.
    pub(super) una: Option<([u8; 6], Place)>,
    pub(super) interchange: Option<Interchange>,
    pub(super) group: Option<Group>,
    pub(super) message: Option<Level>,
    /// The length of the object of the package that is open.
    pub(super) object: Option<u64>,
    pub(super) nodes: Nodes,
    pub(super) ready: VecDeque<Part>,
    /// All segments so far.
    pub(super) count: u64,
    /// Where the segment read last ends.
    pub(super) end: u64,
    /// Problems before the first segment of an interchange.
    pub(super) early: Vec<(Rule, Place, &'static str)>,
    /// Whether segments of a message are skipped whose header is missing.
    pub(super) is_headless: bool,
    /// How big the message before was, for room in advance.
    pub(super) room: Room,
}

/// What the lexer has to do after a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Continue,
    /// The syntax has changed.
    Adopt,
    /// The segment begins the next interchange: look at it again from outside.
    Again,
    /// An object of that many bytes follows.
    Object(u64),
}

/// What was found where an interchange may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Nothing,
    Interchange,
    /// An interchange that cannot be read; the next one begins here now.
    Skipped,
}

impl<R: Read> Reader<R> {
    /// Reads `input` from its first byte.
    pub fn new(input: R, options: ReadOptions) -> Self {
        let segments = Segments::new(input, Separators::EDIFACT, &options.limits);
        let state = State {
            options,
            syntax: Syntax::DEFAULT,
            una: None,
            interchange: None,
            group: None,
            message: None,
            object: None,
            nodes: Nodes::default(),
            ready: VecDeque::new(),
            count: 0,
            end: 0,
            early: Vec::new(),
            is_headless: false,
            room: Room::default(),
        };
        Self { segments, state, is_ended: false }
    }

    /// How many segments were read so far, UNA not counted.
    pub fn segments(&self) -> u64 {
        self.state.count
    }

    /// The syntax of the interchange that is being read.
    pub fn syntax(&self) -> &Syntax {
        &self.state.syntax
    }

    fn read(&mut self) -> Result<Option<Part>, FrameError> {
        loop {
            if let Some(part) = self.state.ready.pop_front() {
                return Ok(Some(part));
            }
            if self.is_ended {
                return Ok(None);
            }
            // An interchange that was skipped is handed out before the next one is read.
            if (self.state.interchange.is_none() || self.state.is_between())
                && self.begin()? == Begun::Skipped
            {
                continue;
            }
            if !self.next_to_look_at()? {
                self.is_ended = true;
                self.state.close_interchange();
                continue;
            }
            let segment = self.segments.last();
            let mut then = self.state.segment(segment, true)?;
            if then == Then::Again {
                self.segments.rewind();
                then = Then::Continue;
                if self.begin()? == Begun::Nothing
                    && let Some(segment) = self.segments.next()?
                {
                    then = self.state.segment(segment, false)?;
                }
            }
            match then {
                Then::Adopt => self.segments.set_separators(self.state.syntax.separators),
                Then::Object(length) => self.object(length)?,
                Then::Continue | Then::Again => {}
            }
        }
    }

    /// Reads to the next segment that is more than data of the open message; says whether there is
    /// one.
    fn next_to_look_at(&mut self) -> Result<bool, FrameError> {
        let ReadOptions { mode, limits, .. } = self.state.options;
        let Some(level) = self.state.message.as_mut().filter(|_| mode != Mode::Strict) else {
            return Ok(self.segments.next()?.is_some());
        };
        let nodes = &mut self.state.nodes;
        let taken = level.take_simple(&mut self.segments, (&limits, nodes), is_data)?;
        self.state.count += taken.count;
        self.state.end = taken.end.unwrap_or(self.state.end);
        Ok(taken.is_left)
    }

    /// Finds the separators of what begins here; says whether an interchange does.
    fn begin(&mut self) -> Result<Begun, FrameError> {
        let at_start = self.segments.offset() == 0;
        if at_start && self.segments.peek(3)? == b"\xef\xbb\xbf" {
            self.early(rules::BYTE_ORDER_MARK, "a byte order mark before the interchange");
            self.segments.skip(3);
        }
        if self.segments.skip_blanks()? && at_start {
            self.early(rules::LEADING_BLANKS, "blanks before the interchange");
        }
        let inside = self.state.count > 0;
        let start = self.segments.peek(512)?;
        let string = service_string(start, inside);
        let starts_interchange = string.is_some() || is_header(start);
        if !starts_interchange {
            return Ok(Begun::Nothing);
        }
        if is_wrapped(start, string.map_or(b'\'', |string| string[5])) {
            self.early(rules::WRAPPED_LINES, "lines of a fixed width; line ends are left out");
            self.segments.unwrap_lines();
        }
        self.state.close_interchange();
        // The line ends of a wrapped file may stand in UNA, too.
        let string = service_string(self.segments.peek(32)?, inside);
        let place = self.segments.next_place();
        self.state.syntax = match string {
            Some(string) => Syntax::from_service_string(string),
            None => self.syntax_without_string()?,
        };
        self.state.una = string.map(|string| (string, place));
        if string.is_some() {
            self.segments.skip(9);
            if self.segments.peek(1)?.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                self.early(rules::BLANK_AFTER_UNA, "blanks behind the service string advice");
            }
        }
        let separators = &self.state.syntax.separators;
        if separators.are_ambiguous() || !separators.bytes().all(|byte| byte.is_ascii()) {
            return self.skip_ambiguous();
        }
        self.segments.set_separators(self.state.syntax.separators);
        Ok(Begun::Interchange)
    }

    /// The syntax of an interchange without UNA: the default one, or that of the interchange before,
    /// whose UNA some programs take to hold for all that follows, where the header is whole by it and
    /// not by the default.
    fn syntax_without_string(&mut self) -> Result<Syntax, FrameError> {
        let before = Syntax {
            separators: Separators { repetition: None, ..self.state.syntax.separators },
            decimal: self.state.syntax.decimal,
            ..Syntax::DEFAULT
        };
        let start = self.segments.peek(512)?;
        let is_kept = self.state.count > 0
            && !is_whole_header(start, &Separators::EDIFACT)
            && is_whole_header(start, &before.separators);
        if !is_kept {
            return Ok(Syntax::DEFAULT);
        }
        self.early(rules::KEPT_SEPARATORS, "no UNA of its own; the separators are those before");
        Ok(before)
    }

    /// Reports separators that cannot be told apart, and skips to where the next interchange may be.
    fn skip_ambiguous(&mut self) -> Result<Begun, FrameError> {
        let message = "UNA names a separator twice, or a character that cannot be one";
        self.early(rules::AMBIGUOUS_SEPARATORS, message);
        self.state.open_interchange(self.segments.next_place(), true);
        loop {
            let window = self.segments.peek(4096)?;
            let found = memchr::memmem::find_iter(window, b"UN").find(|at| {
                let rest = window.get(*at..).unwrap_or_default();
                *at > 0 && (service_string(rest, true).is_some() || is_header(rest))
            });
            // Headers that the window cuts are found in the next one.
            let length = found.unwrap_or(window.len().saturating_sub(16).max(1).min(window.len()));
            let is_last = length == 0;
            self.segments.skip(length);
            if found.is_some() || is_last {
                self.state.end = self.segments.offset();
                self.state.close_interchange();
                self.state.syntax = Syntax::DEFAULT;
                self.segments.set_separators(Separators::EDIFACT);
                return Ok(if is_last { Begun::Interchange } else { Begun::Skipped });
            }
        }
    }

    fn early(&mut self, rule: Rule, message: &'static str) {
        self.state.early.push((rule, self.segments.next_place(), message));
    }

    /// Reads the object of a package.
    fn object(&mut self, length: u64) -> Result<(), FrameError> {
        let most = self.state.options.limits.record;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > most {
            let message = format!("an object of more than {most} bytes");
            let place = self.segments.next_place();
            return Err(FrameError { code: "too-long", message, place });
        }
        let place = self.segments.next_place();
        let bytes = self.segments.peek(length)?;
        let found = bytes.len();
        self.state.object(bytes, &place, length);
        self.segments.skip(found);
        Ok(())
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Part, FrameError>;

    /// The next part. After an error there is none.
    ///
    /// # Errors
    ///
    /// `not-edifact` where the input begins with no segment; `too-long` and `too-many-elements` of
    /// [`Segments::next`], `too-long` also for UNB or UNG of more than 2 KiB; `too-large` and `too-many-nodes` for a message above the limits; `io`.
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.is_ended = true;
            self.state.ready.clear();
        }
        read.transpose()
    }
}

/// Whether the tag is that of a segment of a message, as nearly all are.
#[inline]
fn is_data(tag: &[u8]) -> bool {
    is_tag(tag) && !tag.starts_with(b"UN")
}

/// Whether the bytes begin with a UNB of these separators that the next header, or the trailer,
/// follows.
fn is_whole_header(bytes: &[u8], separators: &Separators) -> bool {
    let is_apart = bytes.get(3) == Some(&separators.element);
    let end = bytes.iter().position(|byte| *byte == separators.terminator);
    let Some(rest) = end.filter(|_| is_apart).and_then(|end| bytes.get(end + 1..)) else {
        return false;
    };
    let rest = rest.trim_ascii_start();
    [b"UNH", b"UNG", b"UNO", b"UNZ"].iter().any(|tag| rest.starts_with(*tag))
}

/// Whether the bytes begin with UNB and a separator.
fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"UNB") && bytes.get(3).is_some_and(|byte| !byte.is_ascii_alphanumeric())
}
