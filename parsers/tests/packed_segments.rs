//! Segments that are read packed are the trees that a naive reader makes, and are written as these.

#![expect(clippy::unwrap_used, reason = "a test ends where its input is not as it expects")]

mod naive;

use naive::{Tree, assert_same};
use proptest::prelude::*;
use waybill_parsers::segment::{Mode, Part};
use waybill_parsers::{Document, Kind, edifact, json, x12};

/// The separators that a naive reader splits by.
#[derive(Clone, Copy, Debug)]
struct Marks {
    element: u8,
    component: u8,
    repetition: Option<u8>,
    release: Option<u8>,
    terminator: u8,
    /// How bytes above 0x7f that are no UTF-8, or all of them, become text.
    is_latin: bool,
}

/// The parts of `bytes` between separators, with the byte where each begins.
fn split(bytes: &[u8], at: usize, by: u8, release: Option<u8>) -> Vec<(usize, &[u8])> {
    let (mut parts, mut from, mut next) = (Vec::new(), 0, 0);
    while next < bytes.len() {
        if Some(bytes[next]) == release {
            next += 1;
        } else if bytes[next] == by {
            parts.push((at + from, &bytes[from..next]));
            from = next + 1;
        }
        next += 1;
    }
    parts.push((at + from, &bytes[from..]));
    parts
}

fn text(bytes: &[u8], marks: Marks) -> String {
    let mut kept = Vec::new();
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        kept.extend(if Some(*byte) == marks.release { rest.next() } else { Some(byte) });
    }
    match String::from_utf8(kept) {
        Ok(text) if !marks.is_latin => text,
        Ok(text) if text.is_ascii() => text,
        Ok(text) => text.bytes().map(char::from).collect(),
        Err(error) => error.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn composite((at, bytes): (usize, &[u8]), marks: Marks) -> Tree {
    let parts = split(bytes, at, marks.component, marks.release);
    let leaf = |(at, part): &(usize, &[u8])| Tree::leaf(Kind::Field, "", &text(part, marks), *at);
    match parts.as_slice() {
        [part] => leaf(part),
        parts => Tree::node(Kind::Field, "", at, parts.iter().map(leaf).collect()),
    }
}

/// A segment without its terminator, which begins at byte `at` of the message.
fn segment(bytes: &[u8], at: usize, marks: Marks) -> Tree {
    let mut elements = split(bytes, at, marks.element, marks.release).into_iter();
    let (_, tag) = elements.next().unwrap();
    let mut nested = split(tag, at, marks.component, marks.release).into_iter();
    let tag = String::from_utf8_lossy(nested.next().unwrap().1).into_owned();
    let mut children: Vec<Tree> = elements
        .map(|(at, bytes)| {
            let parts = match marks.repetition {
                Some(by) => split(bytes, at, by, marks.release),
                None => vec![(at, bytes)],
            };
            match parts.as_slice() {
                [part] => composite(*part, marks),
                parts => {
                    let parts = parts.iter().map(|part| composite(*part, marks)).collect();
                    Tree::node(Kind::List, "", at, parts)
                }
            }
        })
        .collect();
    let nesting: Vec<&str> = nested
        .map(|(_, part)| std::str::from_utf8(part).unwrap())
        .map(|part| if part.is_ascii() && !part.contains('?') { part } else { "" })
        .collect();
    if !nesting.is_empty() {
        children.push(Tree::leaf(Kind::Attribute, "nesting", &nesting.join(":"), at));
    }
    Tree::node(Kind::Segment, &tag, at, children)
}

/// The segments of a message.
fn segments(message: &[u8], marks: Marks) -> Vec<Tree> {
    let mut found = Vec::new();
    for (at, bytes) in split(message, 0, marks.terminator, marks.release) {
        let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\r' | b'\n' | b'\t')).count();
        if blanks < bytes.len() {
            found.push(segment(&bytes[blanks..], at + blanks, marks));
        }
    }
    found
}

/// The tree of a message with the envelope that was read.
fn expected(read: &Document, message: &[u8], marks: Marks) -> Tree {
    let root = Tree::of(read.root());
    let mut children: Vec<Tree> = root.children[..1].to_vec();
    assert_eq!(children[0].name, "envelope");
    children.extend(segments(message, marks));
    Tree { children, ..root }
}

fn shown(document: &Document) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(document.root(), &mut out);
    out
}

const UNB: &str = "UNB+UNOA:3+A?+B:Z+C+261122:1200+1'";
const UNB_LATIN: &str = "UNA:+.?*'UNB+UNOC:4+A+B+20261122:1200+1'UNG+X+A+B+20261122:1200+1+UN'";

fn messages(input: &[u8], mode: Mode) -> Vec<Document> {
    let options = edifact::ReadOptions { mode, ..Default::default() };
    let parts = edifact::Reader::new(input, options).map(Result::unwrap);
    parts.filter_map(Part::into_message).map(|reading| reading.document).collect()
}

fn check_edifact(header: &str, body: &[u8], marks: Marks) {
    let message = [b"UNH+1+ORDERS:D:96A:UN'".as_slice(), body, b"'UNT+2+1'"].concat();
    let input = [header.as_bytes(), &message, b"\n", &message].concat();
    for mode in [Mode::Lenient, Mode::Normal, Mode::Strict] {
        let found = messages(&input, mode);
        assert_eq!(found.len(), 2);
        for document in &found {
            let tree = expected(document, &message, marks);
            assert_same(document, &tree);
            let plain = tree.document();
            assert_eq!(shown(document), shown(&plain));
            for component in [b':', b'='] {
                let mut options = edifact::WriteOptions::default();
                options.syntax.separators.component = component;
                let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
                let problems = edifact::write(document, &options, &mut packed);
                assert_eq!(edifact::write(&plain, &options, &mut unpacked), problems);
                assert_eq!(String::from_utf8_lossy(&packed), String::from_utf8_lossy(&unpacked));
            }
        }
    }
}

const PLAIN: &str = "(([A-T][A-Z][A-Z0-9])(:[0-9?A]{0,2}){0,2})?\
                     ([+:]{1,3}([A-Z0-9 .,]|\\?[+:'?A]|\\*){0,12}){0,9}";

fn body(token: &'static str) -> impl Strategy<Value = String> {
    let segments = prop::collection::vec((token, "('|'\n|' \r\n|''|'\t){1}"), 1..12);
    (segments, prop::sample::select(vec![1_usize, 1, 1, 1, 1, 1, 1, 150])).prop_map(
        |(segments, times)| {
            let text: String = segments.into_iter().flat_map(|(text, end)| [text, end]).collect();
            text.repeat(times)
        },
    )
}

const LATIN: Marks = Marks {
    element: b'+',
    component: b':',
    repetition: Some(b'*'),
    release: Some(b'?'),
    terminator: b'\'',
    is_latin: true,
};
const ASCII: Marks = Marks { repetition: None, is_latin: false, ..LATIN };

const ISA: &str = "ISA*00*          *00*          *ZZ*SENDERID       *ZZ*RECEIVERID     *261122*1200\
                   *^*00501*000000001*0*P*>~GS*PO*A*B*20261122*1200*1*X*005010~";

fn check_x12(body: &[u8], is_released: bool) {
    let isa = if is_released {
        ISA.replace("00501", "00704").replace("~GS", "~ISX*?~GS")
    } else {
        ISA.to_owned()
    };
    let marks = Marks {
        element: b'*',
        component: b'>',
        repetition: Some(b'^'),
        release: is_released.then_some(b'?'),
        terminator: b'~',
        is_latin: false,
    };
    let message = [b"ST*850*0001~".as_slice(), body, b"~SE*2*0001~"].concat();
    let input = [isa.as_bytes(), &message, b"\n", &message].concat();
    for mode in [Mode::Lenient, Mode::Normal, Mode::Strict] {
        let options = x12::ReadOptions { mode, ..Default::default() };
        let parts = x12::Reader::new(input.as_slice(), options).map(Result::unwrap);
        let found: Vec<_> = parts.filter_map(Part::into_message).collect();
        assert_eq!(found.len(), 2);
        for document in found.iter().map(|reading| &reading.document) {
            let tree = expected(document, &message, marks);
            assert_same(document, &tree);
            let plain = tree.document();
            assert_eq!(shown(document), shown(&plain));
            let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
            let options = x12::WriteOptions::default();
            let problems = x12::write(document, &options, &mut packed);
            assert_eq!(x12::write(&plain, &options, &mut unpacked), problems);
            assert_eq!(String::from_utf8_lossy(&packed), String::from_utf8_lossy(&unpacked));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_and_released_segments_are_what_is_between_their_separators(body in body(PLAIN)) {
        check_edifact(UNB, body.as_bytes(), ASCII);
    }

    #[test]
    fn segments_of_other_characters_are_what_is_between_their_separators(
        body in body("[A-T][A-Z]{2}([+][:*]{0,2}([A-Z]|é|日|\\?[+*:'?é]|\n|\u{1}){0,9}){0,6}"),
    ) {
        check_edifact(UNB, body.as_bytes(), ASCII);
        check_edifact(UNB_LATIN, body.as_bytes(), LATIN);
    }

    #[test]
    fn sets_of_x12_are_what_is_between_their_separators(
        body in body("[A-R][1-9]{1,2}([*][>^]{0,2}([A-Z+:]|é|\\?){0,9}){0,6}"),
    ) {
        check_x12(body.replace('\'', "~").as_bytes(), false);
    }

    #[test]
    fn released_sets_of_x12_are_what_is_between_their_separators(
        body in body("[A-R][1-9]{1,2}([*][>]{0,2}([A-Z+:]|é|\\?[*>~^?A]){0,9}){0,6}"),
    ) {
        check_x12(body.replace('\'', "~").as_bytes(), true);
    }
}
