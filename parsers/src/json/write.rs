//! A document to JSON text.
//!
//! | node | JSON |
//! |---|---|
//! | group, segment | object; names that repeat become one array at the place of the first |
//! | list | array |
//! | number | its source text; a string where that is no JSON number (`12.50-`) |
//! | bool, null | themselves |
//! | text, field, attribute | string; an object or array where components hang below a field |
//!
//! What [`read`](super::read) accepted is written back with the same values in the same order, and
//! writing that again changes nothing more.

use crate::document::{Kind, Node};

/// Appends `node` as JSON without blanks.
pub fn write(node: Node<'_>, out: &mut Vec<u8>) {
    Writer { out, pretty: false }.value(node, 0);
}

/// Appends `node` as JSON for people: one value a line, indented by two blanks.
pub fn write_pretty(node: Node<'_>, out: &mut Vec<u8>) {
    Writer { out, pretty: true }.value(node, 0);
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pretty: bool,
}

impl Writer<'_> {
    fn value(&mut self, node: Node<'_>, depth: usize) {
        match node.kind() {
            Kind::Null => self.out.extend_from_slice(b"null"),
            Kind::Bool if matches!(node.text(), "true" | "false") => self.raw(node.text()),
            Kind::Number if is_number(node.text()) => self.raw(node.text()),
            Kind::List => self.list(node.children(), depth),
            Kind::Group | Kind::Segment => self.object(node, depth),
            _ => match node.children().next() {
                None => self.string(node.text()),
                Some(first) if first.name().is_empty() => self.list(node.children(), depth),
                Some(_) => self.object(node, depth),
            },
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn list<'d>(&mut self, items: impl Iterator<Item = Node<'d>>, depth: usize) {
        self.out.push(b'[');
        let mut empty = true;
        for item in items {
            self.next(&mut empty, depth + 1);
            self.value(item, depth + 1);
        }
        self.end(b']', empty, depth);
    }

    fn object(&mut self, node: Node<'_>, depth: usize) {
        self.out.push(b'{');
        let mut empty = true;
        let repeats = Repeats::of(node);
        for (at, child) in node.children().enumerate() {
            if repeats.is_later(at) {
                continue;
            }
            self.next(&mut empty, depth + 1);
            self.string(child.name());
            self.out.extend_from_slice(if self.pretty { b": " } else { b":" });
            match repeats.of_first(at) {
                [] => self.value(child, depth + 1),
                later => {
                    let later = later.iter().map(|(_, node)| *node);
                    self.list(std::iter::once(child).chain(later), depth + 1);
                }
            }
        }
        self.end(b'}', empty, depth);
    }

    fn next(&mut self, empty: &mut bool, depth: usize) {
        if !std::mem::take(empty) {
            self.out.push(b',');
        }
        self.line(depth);
    }

    fn end(&mut self, bracket: u8, empty: bool, depth: usize) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if self.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * depth, b' ');
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| must_escape(*byte)) {
            let (head, tail) = rest.split_at(at);
            self.out.extend_from_slice(head);
            let Some((byte, tail)) = tail.split_first() else {
                break;
            };
            self.escape(*byte);
            rest = tail;
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => return self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }
}

fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The children of one node whose names repeat. Empty, and free of allocation, for objects without.
struct Repeats<'d> {
    /// The position of the first of a name, and each later node of that name; sorted by the first.
    later: Vec<(usize, Node<'d>)>,
    /// The positions of the later ones, sorted.
    skipped: Vec<usize>,
}

impl<'d> Repeats<'d> {
    /// Small objects are compared pair by pair; large ones through a sorted list of names.
    fn of(node: Node<'d>) -> Self {
        let mut repeats = Self { later: Vec::new(), skipped: Vec::new() };
        if node.children().take(9).count() < 9 {
            for (at, child) in node.children().enumerate() {
                let first = node.children().position(|other| other.name() == child.name());
                repeats.note(first.unwrap_or(at), at, child);
            }
        } else {
            let mut named: Vec<_> = node.children().enumerate().collect();
            named.sort_by_key(|(_, child)| child.name());
            let mut first = 0;
            for (place, (at, child)) in named.iter().enumerate() {
                let previous = place.checked_sub(1).and_then(|place| named.get(place));
                if previous.is_none_or(|(_, previous)| previous.name() != child.name()) {
                    first = *at;
                }
                repeats.note(first, *at, *child);
            }
            repeats.skipped.sort_unstable();
        }
        repeats.later.sort_by_key(|(first, _)| *first);
        repeats
    }

    fn note(&mut self, first: usize, at: usize, child: Node<'d>) {
        if first != at {
            self.later.push((first, child));
            self.skipped.push(at);
        }
    }

    fn is_later(&self, at: usize) -> bool {
        self.skipped.binary_search(&at).is_ok()
    }

    fn of_first(&self, at: usize) -> &[(usize, Node<'d>)] {
        let from = self.later.partition_point(|(first, _)| *first < at);
        let to = self.later.partition_point(|(first, _)| *first <= at);
        self.later.get(from..to).unwrap_or_default()
    }
}

/// Whether the text is a number of RFC 8259 §6.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole_is_plain = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    whole_is_plain && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Builder;
    use crate::json::read;
    use crate::reading::Limits;

    fn written(node: Node<'_>) -> String {
        let mut out = Vec::new();
        write(node, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_read_is_written_back_without_its_blanks() {
        let text = r#" {"a" : [1, 2.50, -0e+1, [], {}], "b\n\u0001é": null , "": true} "#;
        let reading = read(text.as_bytes(), &Limits::default()).unwrap();
        let compact = r#"{"a":[1,2.50,-0e+1,[],{}],"b\n\u0001é":null,"":true}"#;
        assert_eq!(written(reading.document.root()), compact);
        let mut pretty = Vec::new();
        write_pretty(reading.document.root(), &mut pretty);
        let again = read(&pretty, &Limits::default()).unwrap();
        assert_eq!(again.document, reading.document);
        assert!(pretty.starts_with(b"{\n  \"a\": [\n    1,\n"));
    }

    #[test]
    fn repeated_segments_become_one_array() {
        for fillers in [0, 20] {
            let mut builder = Builder::new();
            builder.open(Kind::Group, "ORDERS05", 0);
            let names = ["E1EDK01", "E1EDP01", "E1EDK02", "E1EDP01", "E1EDP01", "E1EDK02"];
            for (at, name) in names.into_iter().enumerate() {
                builder.open(Kind::Segment, name, 0);
                builder.put(Kind::Field, "AT", &(2 * at + 2).to_string(), 0);
                builder.close();
            }
            for at in 0..fillers {
                builder.put(Kind::Field, &format!("F{at}"), "", 0);
            }
            let text = written(builder.finish().root());
            let start = concat!(
                r#"{"E1EDK01":{"AT":"2"},"E1EDP01":[{"AT":"4"},{"AT":"8"},{"AT":"10"}],"#,
                r#""E1EDK02":[{"AT":"6"},{"AT":"12"}]"#
            );
            assert!(text.starts_with(start), "{text}");
        }
    }

    #[test]
    fn a_number_in_another_notation_is_written_as_a_string() {
        let mut builder = Builder::new();
        builder.open(Kind::List, "", 0);
        for text in ["12.50", "12.50-", "007", "", "1e", "-0.0E-2", "+1", "1."] {
            builder.put(Kind::Number, "", text, 0);
        }
        assert_eq!(
            written(builder.finish().root()),
            r#"[12.50,"12.50-","007","","1e",-0.0E-2,"+1","1."]"#
        );
    }
}
