//! Text from outside, made visible before a person reads it.
//!
//! Keys, kinds, names of files, answers of receivers and the like are written by others. Printed as
//! they are, they command a terminal (titles, colours, the clipboard), forge rows and lines of a
//! log, or read differently from what they say. [`visible`] is the one function that stops this:
//!
//! | character | shown as |
//! |---|---|
//! | line feed, carriage return, tab | `\n`, `\r`, `\t` |
//! | other controls (C0, DEL, C1), NUL | `\u{1b}` |
//! | bidirectional controls, zero-width and invisible characters, tags, variation selectors | `\u{202e}` |
//! | line and paragraph separators | `\u{2028}` |
//! | a combining mark behind [`MOST_MARKS`] others | `\u{301}` |
//!
//! Everything else stays as it is, the backslash too: what is visible already does not change. So
//! `\n` on a screen is a line feed or these two characters; `--json` tells which.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Combining marks on one character that are shown as such. More of them paint over the lines
/// around.
pub const MOST_MARKS: usize = 4;

/// The text with every character shown that would act instead of being seen.
pub fn visible(text: &str) -> Cow<'_, str> {
    // Most of what is printed.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut marks = 0;
    let mut acts = |c: char| {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        is_hidden(c) || marks > MOST_MARKS
    };
    let Some(first) = text.char_indices().find_map(|(at, c)| acts(c).then_some(at)) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(first);
    let mut shown = before.to_owned();
    for (at, c) in rest.chars().enumerate() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // The first was judged already.
            c if at == 0 || acts(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON with the characters as escapes that its strings may hold raw and that are not to reach a
/// terminal. JSON has none of them outside of strings, so the value is the same.
pub fn json(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c >= '\u{7f}' && is_hidden(c);
    if text.bytes().all(|byte| byte < 0x7f) || !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped += &format!("\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// The columns of a terminal that a visible text takes: East Asian characters take two.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A visible text of at most so many columns; what is cut off ends with an ellipsis.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    let mut taken = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > most {
            return Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()));
        }
        // Room for the ellipsis stays.
        if taken < most {
            end = at + c.len_utf8();
        }
    }
    Cow::Borrowed(text)
}

/// Whether a character acts on what shows it, or is not to be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Bidirectional controls and marks, overrides and isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Without width, or blank without being a blank.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Variation selectors and tags, which carry text that nobody sees.
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_language_stays_as_it_is() {
        for text in
            ["", "WBL1A2B37T4000017", "Übergabe mit 2 Schlüsseln", "東京", "C:\\new", "a\u{301}🚗"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_would_act_is_shown() {
        for (text, shown) in [
            ("\x1b]52;c;cm0=\x07", "\\u{1b}]52;c;cm0=\\u{7}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\0\x7f\u{9b}31m", "\\u{0}\\u{7f}\\u{9b}31m"),
            ("\u{202e}cod.exe", "\\u{202e}cod.exe"),
            ("VIN\u{200b}1\u{feff}", "VIN\\u{200b}1\\u{feff}"),
            ("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_pile_of_marks_is_taken_apart() {
        let text = format!("a{}b", "\u{301}".repeat(6));
        assert_eq!(visible(&text), format!("a{}\\u{{301}}\\u{{301}}b", "\u{301}".repeat(4)));
    }

    #[test]
    fn what_is_visible_stays_so() {
        let all: String = (0..=0x0010_ffff).filter_map(char::from_u32).collect();
        let shown = visible(&all).into_owned();
        assert_eq!(visible(&shown), shown);
        assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'));
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({ "k\u{202e}": "\x1b\u{9b}\u{7f}\u{e0041}\u{200b}ö東\n" });
        let text = value.to_string();
        let escaped = json(&text);
        assert!(!escaped.contains(is_hidden), "{escaped}");
        assert!(escaped.contains("\\udb40\\udc41") && escaped.contains('東'), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        assert!(matches!(json("[\n1]"), Cow::Borrowed(_)));
    }

    #[test]
    fn cells_are_cut_by_columns() {
        assert_eq!((columns("abc"), columns("東京"), columns("a\u{301}")), (3, 4, 1));
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("東京都内", 6), "東京…");
        assert_eq!(cut("a\u{301}bc", 2), "a\u{301}…");
    }
}
