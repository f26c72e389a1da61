//! Interchanges to documents.

use std::collections::VecDeque;
use std::io::Read;

use crate::document::{Document, Room};
use crate::reading::{FrameError, Limits, Place};
use crate::segment::{Level, Mode, Nodes, Part, References, Rule, Segments, Separators};
use crate::x12::checks::is_tag;
use crate::x12::isa::{self, Header};
use crate::x12::rules;

/// How an input is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// What is an error.
    pub mode: Mode,
    /// What is accepted at all.
    pub limits: Limits,
}

/// The interchanges of an input, part by part.
///
/// A transaction set is a document whose root is a [`Kind::Group`](crate::Kind::Group) named by
/// the set (ST01, `850`). Its first child is a group `envelope` with ISA and GS, as far as they
/// came, and an attribute `separators`: element separator and segment terminator. Then follow the
/// segments from ST to SE, so that child `n` of the root is segment `n` of the set. Elements have
/// no names: `BEG[0][2]` is BEG03. Elements of ISA have no padding.
///
/// A [`Part::Group`] holds GS and GE, a [`Part::Interchange`] ISA, what stands between the groups
/// (TA1, ISB, ISX) and IEA. What stands outside of ISA and IEA is an interchange without these.
#[derive(Debug)]
pub struct Reader<R> {
    segments: Segments<R>,
    state: State,
    /// Whether a header or the first segment was read.
    is_begun: bool,
    is_ended: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: ReadOptions,
    pub(super) interchange: Option<Interchange>,
    pub(super) group: Option<Group>,
    pub(super) set: Option<Level>,
    pub(super) nodes: Nodes,
    pub(super) ready: VecDeque<Part>,
    /// All segments so far.
    pub(super) count: u64,
    /// Where the segment read last ends.
    pub(super) end: u64,
    pub(super) early: Vec<(Rule, Place, &'static str)>,
    /// Whether segments of a set are skipped whose header is missing.
    pub(super) is_headless: bool,
    /// How big the set before was, for room in advance.
    pub(super) room: Room,
}

/// The open interchange.
#[derive(Debug)]
pub(super) struct Interchange {
    pub(super) level: Level,
    /// ISA and GS, to be copied into every set.
    pub(super) envelope: Document,
    /// Whether there is no ISA.
    pub(super) is_implicit: bool,
    /// ISA12 as a number.
    pub(super) version: u32,
    pub(super) groups: u64,
    /// Sets that are in no group.
    pub(super) bare_sets: u64,
    /// TA1 and its like.
    pub(super) services: u64,
    pub(super) references: References,
}

/// The open group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) level: Level,
    /// The envelope of the interchange, without the group.
    pub(super) outer: Document,
    pub(super) references: References,
}

/// What the lexer has to do after a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Continue,
    /// ISA: look at it again from outside.
    Again,
    /// A release character was declared.
    Release(u8),
    /// Token `token` has `length` bytes, counted from the first byte of the segment.
    Binary {
        token: usize,
        length: Option<usize>,
    },
}

impl<R: Read> Reader<R> {
    /// Reads `input` from its first byte.
    pub fn new(input: R, options: ReadOptions) -> Self {
        let segments = Segments::new(input, Separators::X12, &options.limits);
        let state = State {
            options,
            interchange: None,
            group: None,
            set: None,
            nodes: Nodes::default(),
            ready: VecDeque::new(),
            count: 0,
            end: 0,
            early: Vec::new(),
            is_headless: false,
            room: Room::default(),
        };
        Self { segments, state, is_begun: false, is_ended: false }
    }

    /// How many segments were read so far.
    pub fn segments(&self) -> u64 {
        self.state.count
    }

    /// The separators of the interchange that is being read.
    pub fn separators(&self) -> &Separators {
        self.segments.separators()
    }

    fn read(&mut self) -> Result<Option<Part>, FrameError> {
        loop {
            if let Some(part) = self.state.ready.pop_front() {
                return Ok(Some(part));
            }
            if self.is_ended {
                return Ok(None);
            }
            // A header that was skipped is handed out before the next one is read.
            if self.state.interchange.is_none() && self.begin()? {
                continue;
            }
            if !self.next_to_look_at()? {
                self.is_ended = true;
                self.state.close_interchange();
                continue;
            }
            let segment = self.segments.last();
            match self.state.segment(segment)? {
                Then::Continue => {}
                Then::Again => {
                    self.segments.rewind();
                    self.begin()?;
                }
                Then::Release(byte) => {
                    let separators = *self.segments.separators();
                    let separators = Separators { release: Some(byte), ..separators };
                    if !separators.are_ambiguous() {
                        self.segments.set_separators(separators);
                    }
                }
                Then::Binary { token, length } => {
                    let is_whole = match length {
                        Some(length) => self.segments.lengthen(token, length)?,
                        None => false,
                    };
                    self.state.binary(self.segments.last(), is_whole)?;
                }
            }
        }
    }

    /// Reads to the next segment that is more than data of the open set; says whether there is
    /// one.
    fn next_to_look_at(&mut self) -> Result<bool, FrameError> {
        let ReadOptions { mode, limits, .. } = self.state.options;
        let Some(level) = self.state.set.as_mut().filter(|_| mode != Mode::Strict) else {
            return Ok(self.segments.next()?.is_some());
        };
        let nodes = &mut self.state.nodes;
        let taken = level.take_simple(&mut self.segments, (&limits, nodes), is_data)?;
        self.state.count += taken.count;
        self.state.end = taken.end.unwrap_or(self.state.end);
        Ok(taken.is_left)
    }

    /// Reads the header of what begins here, if it is one; says whether it was skipped, and the next
    /// one begins here now.
    fn begin(&mut self) -> Result<bool, FrameError> {
        let at_start = self.segments.offset() == 0;
        if at_start && self.segments.peek(3)? == b"\xef\xbb\xbf" {
            self.early(rules::BYTE_ORDER_MARK, "a byte order mark before the interchange");
            self.segments.skip(3);
        }
        if self.segments.skip_blanks()? && at_start {
            self.early(rules::LEADING_BLANKS, "blanks before the interchange");
        }
        let start = self.segments.peek(512)?;
        if !isa::is_start(start) {
            self.begin_without_header()?;
            return Ok(false);
        }
        if Header::is_wrapped(start) {
            self.early(rules::WRAPPED_LINES, "line ends in ISA; they are left out from here on");
            self.segments.unwrap_lines();
        }
        let place = self.segments.next_place();
        let Some(header) = Header::read(self.segments.peek(512)?) else {
            let message = "ISA has fewer than sixteen elements";
            if self.is_begun {
                return self.skip_to_header((rules::INVALID_ISA, message), None, place);
            }
            let (code, message) = (rules::INVALID_ISA.code, message.to_owned());
            return Err(FrameError { code, message, place });
        };
        self.is_begun = true;
        if header.separators.are_ambiguous() {
            let message = "ISA names a separator twice, or a letter or digit";
            let fault = (rules::AMBIGUOUS_SEPARATORS, message);
            return self.skip_to_header(fault, Some(&header), place);
        }
        self.state.close_interchange();
        self.segments.skip(header.length);
        self.segments.set_separators(header.separators);
        self.state.header(&header, place);
        Ok(false)
    }

    /// Sets without ISA: separators are those of the first segment, by the usual terminators.
    fn begin_without_header(&mut self) -> Result<(), FrameError> {
        if std::mem::replace(&mut self.is_begun, true) {
            return Ok(());
        }
        let place = self.segments.next_place();
        let start = self.segments.peek(4096)?;
        let tag = start.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let is_fragment = matches!(start.get(..tag), Some(b"GS" | b"ST"));
        let Some(element) = start.get(tag).copied().filter(|_| is_fragment) else {
            if start.is_empty() {
                return Ok(());
            }
            let message = "an interchange begins with ISA".to_owned();
            return Err(FrameError { code: "not-x12", message, place });
        };
        let terminator =
            if memchr::memchr(b'~', start).is_some() && element != b'~' { b'~' } else { b'\n' };
        let separators = Separators { element, terminator, ..Separators::X12 };
        if separators.are_ambiguous() {
            let message = "segments without ISA, and separators that cannot be told".to_owned();
            return Err(FrameError { code: "not-x12", message, place });
        }
        self.segments.set_separators(separators);
        Ok(())
    }

    /// Reports a header that cannot be used, and skips to the next one; says whether there is one.
    fn skip_to_header(
        &mut self,
        fault: (Rule, &'static str),
        header: Option<&Header>,
        place: Place,
    ) -> Result<bool, FrameError> {
        self.state.close_interchange();
        self.state.early.push((fault.0, place.clone(), fault.1));
        self.state.open_interchange(place, header);
        self.segments.skip(3);
        loop {
            let window = self.segments.peek(4096)?;
            let is_header = |at: &usize| {
                let rest = window.get(*at..).unwrap_or_default();
                let before = at.checked_sub(1).and_then(|at| window.get(at)).copied();
                let is_apart = before.is_none_or(|byte| !byte.is_ascii_alphanumeric());
                is_apart && isa::is_start(rest)
            };
            let found = memchr::memmem::find_iter(window, b"ISA").find(is_header);
            let rest = if window.len() < 4096 { window.len() } else { window.len() - 16 };
            let (length, is_last) = (found.unwrap_or(rest), window.len() < 4096);
            self.segments.skip(length);
            if found.is_some() || is_last {
                self.state.end = self.segments.offset();
                self.state.drop_interchange();
                return Ok(found.is_some());
            }
        }
    }

    fn early(&mut self, rule: Rule, message: &'static str) {
        self.state.early.push((rule, self.segments.next_place(), message));
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Part, FrameError>;

    /// The next part. After an error there is none.
    ///
    /// # Errors
    ///
    /// `not-x12` where the input begins with no segment that is known, `invalid-isa`; `too-long`
    /// and `too-many-elements` of [`Segments::next`], `too-long` also for GS or ISX of more than
    /// 2 KiB; `too-large` and `too-many-nodes` for a set above the limits; `io`.
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.is_ended = true;
            self.state.ready.clear();
        }
        read.transpose()
    }
}

/// Whether the tag is that of a segment of a set, as nearly all are.
#[inline]
fn is_data(tag: &[u8]) -> bool {
    let is_known = matches!(
        tag,
        [b'S' | b'G', _] | [b'I', b'S' | b'E', _] | [b'B', b'I' | b'D', _] | [b'T', b'A', _]
    );
    is_tag(tag) && !is_known
}
