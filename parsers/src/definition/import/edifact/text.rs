//! Files to text, and what they are.

/// The characters of code page 437 from 0x80 on.
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Headings stand in the first lines.
const HEAD: usize = 90;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Message,
    Segments,
    Composites,
    Elements,
    Codes,
}

/// The text of a file. Control characters are blanks: none of them means anything but a line end.
pub(super) fn decode(bytes: &[u8]) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.chars().map(plain).collect();
    }
    let table: Vec<char> = CODE_PAGE_437.chars().collect();
    let character = |byte: &u8| match usize::from(*byte).checked_sub(0x80) {
        None => char::from(*byte),
        Some(at) => table.get(at).copied().unwrap_or('\u{fffd}'),
    };
    bytes.iter().map(character).map(plain).collect()
}

/// What the headings of a file say that it is.
pub(super) fn kind_of(text: &str) -> Option<FileKind> {
    if text.trim_start().starts_with('<') {
        return None;
    }
    for line in text.lines().take(HEAD) {
        let line = line.trim();
        let title = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
        let is_numbered = title.len() < line.len();
        let has = |words: &str| {
            title.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words))
        };
        if has("Message type") && title.get(12..).is_some_and(|rest| rest.contains(':')) {
            return Some(FileKind::Message);
        }
        if !is_numbered {
            continue;
        }
        if has("Segment specifications") {
            return Some(FileKind::Segments);
        } else if has("Composite specifications") || has("Composite data element specifications") {
            return Some(FileKind::Composites);
        } else if has("Data element specifications") {
            return Some(FileKind::Elements);
        } else if has("Code list") || has("Service code list") {
            return Some(FileKind::Codes);
        }
    }
    // The second file of a code list has no heading: it begins with an element and its form.
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().and_then(head);
    let is_list = first.is_some_and(|(id, _)| is_element(id))
        && lines.take(40).any(|line| labelled(line, "Repr:").is_some());
    is_list.then_some(FileKind::Codes)
}

/// Whether a line parts two definitions.
pub(super) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() >= 20 && line.chars().all(|c| matches!(c, '-' | '─' | '═' | '_'))
}

/// Whether a word is a sign of change.
pub(super) fn is_sign(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| matches!(c, '+' | '*' | '#' | '|' | 'X' | '-' | '│'))
}

/// Number or tag, and name, of a line that begins a definition; signs of change are skipped.
pub(super) fn head(line: &str) -> Option<(&str, &str)> {
    let mut rest = line.trim();
    loop {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if word.is_empty() {
            return None;
        }
        if !is_sign(word) {
            return Some((word, tail.trim()));
        }
        rest = tail.trim_start();
    }
}

/// What follows a word at the start of a line (`Repr: an..3`); signs of change are skipped.
pub(super) fn labelled<'l>(line: &'l str, label: &str) -> Option<&'l str> {
    let (first, rest) = head(line)?;
    if first == label { Some(rest) } else { first.strip_prefix(label) }
}

/// Whether a word is the number of an element.
pub(super) fn is_element(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a word is the number of a composite element.
pub(super) fn is_composite(word: &str) -> bool {
    let digits = word.strip_prefix(['C', 'E', 'S']);
    digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A name as people read it: `DOCUMENT/MESSAGE NAME [B]` becomes `Document/message name`.
pub(super) fn name(text: &str) -> String {
    let text = text.trim();
    let text = ["[B]", "[I]", "[C]"]
        .iter()
        .fold(text, |text, mark| text.strip_suffix(mark).map_or(text, str::trim_end));
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    if text.chars().any(char::is_lowercase) {
        return text;
    }
    let lower = text.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next().map(|c| c.to_uppercase().collect::<String>());
    first.unwrap_or_default() + characters.as_str()
}
