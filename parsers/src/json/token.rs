//! The tokens of RFC 8259: strings, numbers and words, over text that is known to be UTF-8.

/// What stops the reader. The place is completed only when it is reported.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) code: &'static str,
    pub(super) message: String,
}

pub(super) fn fault(at: usize, code: &'static str, message: impl Into<String>) -> Fault {
    Fault { at, code, message: message.into() }
}

/// A string of the input: as it stands, or unescaped into a scratch buffer.
pub(super) enum Scanned<'a> {
    Plain(&'a str),
    Unescaped,
}

/// The input and how far it was read.
pub(super) struct Tokens<'a> {
    pub(super) text: &'a str,
    /// Bytes read.
    pub(super) at: usize,
    /// Bytes that a string or number may have.
    pub(super) longest: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Fault {
        if self.at >= self.text.len() {
            return fault(
                self.at,
                "unexpected-end",
                format!("{wanted} expected, but the input ends"),
            );
        }
        fault(self.at, "unexpected", format!("{wanted} expected"))
    }

    /// Reads `word`, whose first letter is known to be there.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let same = rest.iter().zip(word.as_bytes()).take_while(|(a, b)| a == b).count();
        self.at += same;
        if same == word.len() { Ok(()) } else { Err(self.unexpected(word)) }
    }

    /// Reads a number and returns it as it stands.
    pub(super) fn number(&mut self) -> Result<&'a str, Fault> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            // A number has no leading zeros; what follows `0` is then not part of it.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.at - from > self.longest {
            return Err(self.too_long(from));
        }
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }

    fn too_long(&self, from: usize) -> Fault {
        let message = format!("longer than {} bytes", self.longest);
        fault(from, "too-long", message)
    }

    /// Reads the string at the current quote. Without an escape it is a slice of the input.
    pub(super) fn string(&mut self, scratch: &mut String) -> Result<Scanned<'a>, Fault> {
        let quote = self.at;
        self.at += 1;
        scratch.clear();
        loop {
            let from = self.at;
            let rest = self.text.as_bytes().get(from..).unwrap_or_default();
            let Some(len) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return Err(self.unexpected("`\"`"));
            };
            let end = from + len;
            if end - quote > self.longest {
                return Err(self.too_long(quote));
            }
            let run = self.text.get(from..end).unwrap_or_default();
            if let Some(at) = run.bytes().position(|byte| byte < 0x20) {
                let message = "control character in a string; it must be escaped";
                return Err(fault(from + at, "control-character", message));
            }
            self.at = end + 1;
            if self.text.as_bytes().get(end) == Some(&b'"') {
                if from == quote + 1 {
                    return Ok(Scanned::Plain(run));
                }
                scratch.push_str(run);
                return Ok(Scanned::Unescaped);
            }
            scratch.push_str(run);
            let character = self.escape(end)?;
            scratch.push(character);
        }
    }

    /// Reads what follows the backslash at `from`.
    fn escape(&mut self, from: usize) -> Result<char, Fault> {
        let Some(letter) = self.peek() else {
            return Err(self.unexpected("an escape"));
        };
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(from),
            _ => return Err(fault(from, "bad-escape", "unknown escape")),
        })
    }

    fn code_point(&mut self, from: usize) -> Result<char, Fault> {
        let lone = || fault(from, "lone-surrogate", "half of a surrogate pair");
        let unit = self.hex4()?;
        let point = match unit {
            0xd800..=0xdbff => {
                let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                if !rest.starts_with(b"\\u") {
                    return Err(lone());
                }
                self.at += 2;
                let low = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(lone());
                }
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            unit => unit,
        };
        char::from_u32(point).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("four hexadecimal digits"));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }
}
