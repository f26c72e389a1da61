//! Framing: places, limits, terminators and shifts.

use super::*;

fn read(input: &[u8], separators: Separators, limits: Limits) -> Vec<(String, u64, u64, u32)> {
    let mut segments = Segments::new(input, separators, &limits);
    let mut all = Vec::new();
    while let Some(segment) = segments.next().unwrap() {
        let place = segment.place();
        let text = String::from_utf8_lossy(segment.bytes()).into_owned();
        all.push((text, place.offset, place.line, place.column));
    }
    all
}

fn code(input: &[u8], limits: Limits) -> &'static str {
    let mut segments = Segments::new(input, Separators::EDIFACT, &limits);
    loop {
        match segments.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(error) => return error.code,
        }
    }
}

#[test]
fn places_are_exact_whatever_stands_between_segments() {
    let text = b"UNH+1'\r\n \tBGM+a\nb'DTM'\nUNT+3'";
    let found = read(text, Separators::EDIFACT, Limits::default());
    let expected =
        [("UNH+1", 0, 1, 1), ("BGM+a\nb", 10, 2, 3), ("DTM", 18, 3, 3), ("UNT+3", 23, 4, 1)];
    assert_eq!(found, expected.map(|(text, o, l, c)| (text.to_owned(), o, l, c)));
}

#[test]
fn a_line_end_may_be_the_terminator() {
    let separators = Separators { terminator: b'\n', ..Separators::X12 };
    let found = read(b"ST*850*1\r\n\nSE*2*1\n", separators, Limits::default());
    let expected = [("ST*850*1\r", 0, 1), ("SE*2*1", 11, 3)];
    let found: Vec<_> = found.iter().map(|(text, o, l, _)| (text.as_str(), *o, *l)).collect();
    assert_eq!(found, expected);
}

#[test]
fn segments_longer_than_the_window_and_across_its_end_are_whole() {
    let long = format!("FTX+{}'", "x".repeat(200_000));
    let text = ["UNH+1'".repeat(20_000), long.clone(), "UNT?'+2'".repeat(20_000)].concat();
    let found = read(text.as_bytes(), Separators::EDIFACT, Limits::default());
    assert_eq!(found.len(), 40_001);
    assert_eq!(found[20_000].0.len() + 1, long.len());
    assert!(found[20_001..].iter().all(|(text, ..)| text == "UNT?'+2"));
    let last = found.last().unwrap();
    assert_eq!(last.1 as usize, text.len() - 8);
}

#[test]
fn limits_end_the_reader_with_bounded_memory() {
    let limits = Limits { record: 1000, nodes: 300, ..Limits::default() };
    assert_eq!(code("x".repeat(1 << 20).as_bytes(), limits), "too-long");
    let limits = Limits { record: 1 << 20, ..limits };
    assert_eq!(code("+".repeat(1 << 20).as_bytes(), limits), "too-many-elements");
}

#[test]
fn parts_in_another_set_hide_their_separators() {
    let separators = Separators { shifts: true, ..Separators::EDIFACT };
    let found = read(b"NAD+\x1b$B'+:?\x1b(B+x'UNT'", separators, Limits::default());
    assert_eq!(found.len(), 2);
    assert!(found[0].0.ends_with("+x"));
}

#[test]
fn unwrapped_lines_keep_the_offsets_of_segments() {
    let text = b"UNB+1'UN\nH+12'B\nGM+3'UNT\n'";
    let mut segments = Segments::new(text.as_slice(), Separators::EDIFACT, &Limits::default());
    segments.unwrap_lines();
    let mut all = Vec::new();
    while let Some(segment) = segments.next().unwrap() {
        all.push((String::from_utf8_lossy(segment.tag()).into_owned(), segment.offset()));
    }
    let expected = [("UNB", 0), ("UNH", 6), ("BGM", 14), ("UNT", 21)];
    assert_eq!(all, expected.map(|(tag, offset)| (tag.to_owned(), offset)));
}

#[test]
fn a_lengthened_segment_takes_bytes_by_their_count() {
    let text = b"BIN*5*a~b*c~SE*1~";
    let mut segments = Segments::new(text.as_slice(), Separators::X12, &Limits::default());
    assert_eq!(segments.next().unwrap().unwrap().bytes(), b"BIN*5*a");
    assert!(segments.lengthen(2, 11).unwrap());
    let last = segments.last();
    assert_eq!(last.component(1, 0).unwrap().bytes(), b"a~b*c");
    assert_eq!(segments.next().unwrap().unwrap().bytes(), b"SE*1");
    assert!(segments.next().unwrap().is_none());
}
