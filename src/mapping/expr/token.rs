//! Expression text to tokens: the lexical grammar of CEL, as far as it is supported.

use super::Mistake;

/// One token and where it stands, in bytes of the expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) what: What<'t>,
    pub(super) at: usize,
    pub(super) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What<'t> {
    /// A name.
    Name(&'t str),
    /// A name in back quotes, which may hold any character and is never a keyword.
    Quoted(&'t str),
    /// A text literal, unescaped.
    Text(String),
    /// A number literal as written.
    Number(&'t str),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 19] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "(", ")", ".", "[", "]", ",",
    ":",
];

/// What CEL has and this version has not, with its name.
const NOT_YET: [(char, &str); 4] =
    [('/', "division"), ('%', "the remainder"), ('?', "the conditional"), ('{', "a map")];

/// All tokens of `text`, the last one [`What::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let (what, end) = token(text, at)?;
        let last = what == What::End;
        found.push(Token { what, at, end });
        if last {
            return Ok(found);
        }
        at = end;
    }
}

fn token(text: &str, at: usize) -> Result<(What<'_>, usize), Mistake> {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else {
        return Ok((What::End, at));
    };
    let digit_after_point = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    match first {
        '\'' | '"' => text_literal(text, at, first),
        '`' => match rest[1..].find('`') {
            Some(0) | None => {
                Err(Mistake::new(at, "the name in back quotes is empty or not closed"))
            }
            Some(len) => Ok((What::Quoted(&rest[1..=len]), at + len + 2)),
        },
        'A'..='Z' | 'a'..='z' | '_' => name(text, at),
        '0'..='9' => number(text, at),
        '.' if digit_after_point => number(text, at),
        _ => sign(text, at, first),
    }
}

fn name(text: &str, at: usize) -> Result<(What<'_>, usize), Mistake> {
    let rest = &text[at..];
    let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let name = &rest[..len];
    let raw = name.len() <= 2 && name.chars().all(|c| matches!(c, 'r' | 'R' | 'b' | 'B'));
    if raw && rest[len..].starts_with(['\'', '"']) {
        let what = if name.contains(['b', 'B']) { "a bytes literal" } else { "a raw text literal" };
        return Err(Mistake::not_yet(at, what, &format!("{name}'…'")));
    }
    Ok((What::Name(name), at + len))
}

fn number(text: &str, at: usize) -> Result<(What<'_>, usize), Mistake> {
    let rest = &text[at..];
    if rest.starts_with("0x") || rest.starts_with("0X") {
        return Err(Mistake::not_yet(at, "a hexadecimal number", "0x…"));
    }
    let digits = |from: usize| from + rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut len = digits(0);
    if rest[len..].starts_with('.') && digits(len + 1) > len + 1 {
        len = digits(len + 1);
    }
    if rest[len..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[len + 1..].starts_with(['+', '-']));
        let end = digits(len + 1 + sign);
        if end > len + 1 + sign {
            len = end;
        }
    }
    match rest[len..].chars().next() {
        Some('u' | 'U') => Err(Mistake::not_yet(at, "an unsigned number", "5u")),
        Some(c) if c.is_alphanumeric() || c == '_' => {
            Err(Mistake::new(at + len, format!("`{c}` cannot follow a number")))
        }
        _ => Ok((What::Number(&rest[..len]), at + len)),
    }
}

fn sign(text: &str, at: usize, first: char) -> Result<(What<'_>, usize), Mistake> {
    let rest = &text[at..];
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((What::Sign(sign), at + sign.len()));
    }
    if let Some((sign, what)) = NOT_YET.iter().find(|(sign, _)| *sign == first) {
        return Err(Mistake::not_yet(at, what, &sign.to_string()));
    }
    let remedy = match first {
        '=' => "did you mean `==`?",
        '&' => "did you mean `&&`?",
        '|' => "did you mean `||`?",
        '‘' | '’' | '“' | '”' => "text stands between `'` or `\"`",
        _ => return Err(Mistake::new(at, format!("`{first}` has no meaning here"))),
    };
    Err(Mistake::new(at, format!("`{first}` is no operator")).remedied(remedy))
}

fn text_literal(text: &str, at: usize, quote: char) -> Result<(What<'_>, usize), Mistake> {
    let rest = &text[at..];
    if rest[1..].starts_with(quote) && rest[2..].starts_with(quote) {
        let what = "a text literal in three quotes";
        return Err(Mistake::not_yet(at, what, &rest[..3]));
    }
    let mut value = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((offset, character)) = characters.next() {
        match character {
            '\n' | '\r' => break,
            '\\' => {
                let (escaped, used) = escape(&rest[offset + 1..])
                    .ok_or_else(|| Mistake::new(at + offset, "unknown escape in a text literal"))?;
                value.push(escaped);
                // Escapes are ASCII: as many characters as bytes.
                for _ in 0..used {
                    characters.next();
                }
            }
            c if c == quote => return Ok((What::Text(value), at + offset + 1)),
            c => value.push(c),
        }
    }
    Err(Mistake::new(at, "the text literal is not closed"))
}

/// The character that an escape means, and how many bytes stand behind its backslash.
fn escape(rest: &str) -> Option<(char, usize)> {
    let first = rest.chars().next()?;
    let coded = |from: usize, len: usize, radix: u32| {
        let digits = rest.get(from..from + len)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        let code = u32::from_str_radix(digits, radix).ok()?;
        Some((char::from_u32(code)?, from + len))
    };
    let plain = match first {
        '\\' | '\'' | '"' | '`' | '?' => first,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        'x' | 'X' => return coded(1, 2, 16),
        'u' => return coded(1, 4, 16),
        'U' => return coded(1, 8, 16),
        '0'..='3' => return coded(0, 3, 8),
        _ => return None,
    };
    Some((plain, 1))
}
