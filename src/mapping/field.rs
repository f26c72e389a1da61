//! What a field of the target accepts, and the forms in which it wants dates and numbers.

use jiff::civil;
use waybill_parsers::{DataType, Element, Kind};

use super::number;

/// A field of the target: of a segment, or a value of a JSON object.
#[derive(Debug)]
pub(crate) struct TargetField {
    pub(crate) name: Box<str>,
    /// Whether it is a JSON value, which has another notation than a field of an IDoc.
    pub(crate) json: bool,
    pub(crate) length: Option<usize>,
    pub(crate) data: DataType,
    /// The values allowed; empty for any.
    codes: Box<[Box<str>]>,
}

impl TargetField {
    /// What `element` declares.
    pub(crate) fn of(element: &Element) -> Self {
        Self {
            name: element.name.as_str().into(),
            json: !matches!(element.kind, Kind::Field),
            length: element.length.map(|length| length as usize),
            data: element.data,
            codes: element.codes.iter().map(|(code, _)| code.as_str().into()).collect(),
        }
    }

    /// Brings `text` into the form of the field: a date or time out of an RFC 3339 text, a number
    /// without exponent. True where the result is in `out`, which was empty; false where `text` is
    /// right as it stands.
    pub(crate) fn reform(&self, text: &str, out: &mut String) -> Result<bool, &'static str> {
        match self.data {
            DataType::Bool if self.json => match text {
                "true" | "false" => Ok(false),
                "X" => {
                    out.push_str("true");
                    Ok(true)
                }
                _ => Err("the value is not true or false"),
            },
            DataType::Text | DataType::Bool | DataType::Digits => Ok(false),
            DataType::Decimal if number::is_plain(text) && !(self.json && is_padded(text)) => {
                Ok(false)
            }
            DataType::Decimal => {
                let number = number::read(text).map_err(|_| "the value is not a number")?;
                number::write(number, out);
                Ok(true)
            }
            DataType::Date if is_sap_date(text) && !self.json => Ok(false),
            DataType::Date => {
                let parts = if self.json { sap_date(text) } else { None };
                let (year, month, day) =
                    parts.or_else(|| date(text)).ok_or("the value is not a date")?;
                let between = if self.json { "-" } else { "" };
                out.extend([year, between, month, between, day]);
                Ok(true)
            }
            DataType::Time if is_sap_time(text) && !self.json => Ok(false),
            DataType::Time => {
                let parts = if self.json { sap_time(text) } else { None };
                let (hour, minute, second) =
                    parts.or_else(|| time(text)).ok_or("the value is not a time")?;
                let between = if self.json { ":" } else { "" };
                out.extend([hour, between, minute, between, second]);
                Ok(true)
            }
        }
    }

    /// The kind of the node that holds its value.
    pub(crate) fn kind(&self) -> Kind {
        match self.data {
            _ if !self.json => Kind::Field,
            DataType::Decimal => Kind::Number,
            DataType::Bool => Kind::Bool,
            _ => Kind::Text,
        }
    }

    /// Whether `text` is how the source says that there is no value: SAP's date of eight zeros.
    pub(crate) fn is_initial(&self, text: &str) -> bool {
        self.json && self.data == DataType::Date && text == "00000000"
    }

    /// Whether the finished `text` may stand in the field. Reasons never hold the text.
    pub(crate) fn accept(&self, text: &str) -> Result<(), String> {
        // Most texts are shorter in bytes already, so that their characters need no counting.
        if let Some(length) = self.length.filter(|length| text.len() > *length) {
            let found = text.chars().count();
            if found > length {
                return Err(format!("{found} characters, but {} holds {length}", self.name));
            }
        }
        // Only ASCII controls and texts beyond ASCII need the closer look. JSON escapes them.
        if !self.json
            && text.bytes().any(|byte| !(b' '..=b'~').contains(&byte))
            && text.chars().any(char::is_control)
        {
            return Err("a line end, tabulator or other control character is in it".to_owned());
        }
        if self.data == DataType::Digits && !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} holds digits only", self.name));
        }
        if self.data == DataType::Bool && !self.json && text != "X" {
            return Err(format!("{} holds `X` or nothing", self.name));
        }
        if !self.codes.is_empty() && !self.codes.iter().any(|code| &**code == text) {
            return Err(format!("the value is none of the codes of {}", self.name));
        }
        Ok(())
    }

    /// The codes allowed, for messages.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(|code| &**code)
    }
}

fn digits(text: &str) -> Option<u32> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn is_date(year: &str, month: &str, day: &str) -> bool {
    let (Some(year), Some(month), Some(day)) = (digits(year), digits(month), digits(day)) else {
        return false;
    };
    civil::Date::new(year as i16, month as i8, day as i8).is_ok()
}

fn is_time(hour: &str, minute: &str, second: &str) -> bool {
    let below = |text, limit| digits(text).is_some_and(|number| number < limit);
    below(hour, 24) && below(minute, 60) && below(second, 60)
}

/// Zeros in front, which JSON does not allow.
fn is_padded(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// `YYYYMMDD`; eight zeros are SAP's "no date".
fn is_sap_date(text: &str) -> bool {
    text == "00000000" || sap_date(text).is_some()
}

fn sap_date(text: &str) -> Option<Parts<'_>> {
    let (year, month, day) = (text.get(..4)?, text.get(4..6)?, text.get(6..)?);
    (text.len() == 8 && is_date(year, month, day)).then_some((year, month, day))
}

/// `HHMMSS`.
fn is_sap_time(text: &str) -> bool {
    sap_time(text).is_some()
}

fn sap_time(text: &str) -> Option<Parts<'_>> {
    let (hour, minute, second) = (text.get(..2)?, text.get(2..4)?, text.get(4..)?);
    (text.len() == 6 && is_time(hour, minute, second)).then_some((hour, minute, second))
}

type Parts<'t> = (&'t str, &'t str, &'t str);

/// The date of an RFC 3339 date or timestamp, in the offset as written.
fn date(text: &str) -> Option<Parts<'_>> {
    let (date, rest) = (text.get(..10)?, &text[10..]);
    let (year, month, day) = split(date, '-')?;
    let whole = rest.is_empty() || timestamp_time(rest).and_then(clock).is_some();
    (whole && year.len() == 4 && is_date(year, month, day)).then_some((year, month, day))
}

/// The time of an RFC 3339 timestamp or time, in the offset as written; fractions are cut off.
fn time(text: &str) -> Option<Parts<'_>> {
    match text.get(10..).and_then(timestamp_time) {
        Some(time) => date(&text[..10]).and_then(|_| clock(time)),
        None => clock(text),
    }
}

/// `HH:MM:SS`, with a fraction and an offset or without.
fn clock(text: &str) -> Option<Parts<'_>> {
    let (clock, rest) = (text.get(..8)?, &text[8..]);
    let (hour, minute, second) = split(clock, ':')?;
    (is_time(hour, minute, second) && is_fraction_and_offset(rest))
        .then_some((hour, minute, second))
}

/// The time behind the date of a timestamp.
fn timestamp_time(text: &str) -> Option<&str> {
    text.strip_prefix(['T', 't', ' '])
}

/// Three parts, the last two of two characters each.
fn split(text: &str, separator: char) -> Option<Parts<'_>> {
    let (first, rest) = text.split_once(separator)?;
    let (second, third) = rest.split_once(separator)?;
    (second.len() == 2 && third.len() == 2).then_some((first, second, third))
}

fn is_fraction_and_offset(text: &str) -> bool {
    let offset = match text.strip_prefix('.') {
        Some(rest) => {
            let offset = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == rest.len() {
                return false;
            }
            offset
        }
        None => text,
    };
    match offset.strip_prefix(['+', '-']) {
        Some(offset) => {
            let (hour, minute) = offset.split_once(':').unwrap_or_default();
            hour.len() == 2 && minute.len() == 2 && is_time(hour, minute, "0")
        }
        None => matches!(offset, "" | "Z" | "z"),
    }
}

#[cfg(test)]
mod tests {
    use waybill_parsers::Kind;

    use super::*;

    fn formed(data: DataType, text: &str) -> Result<String, &'static str> {
        let mut element = Element::new(Kind::Field, "F");
        element.data = data;
        let field = TargetField::of(&element);
        let mut out = String::new();
        let changed = field.reform(text, &mut out)?;
        Ok(if changed { out } else { text.to_owned() })
    }

    #[test]
    fn dates_and_times_are_taken_in_the_offset_as_written() {
        let date = |text| formed(DataType::Date, text).ok();
        let time = |text| formed(DataType::Time, text).ok();
        for (text, day, clock) in [
            ("2026-03-01T10:20:30Z", Some("20260301"), Some("102030")),
            ("2026-03-01T23:59:59.999+02:00", Some("20260301"), Some("235959")),
            ("2024-02-29t00:00:00z", Some("20240229"), Some("000000")),
            ("2026-03-01 10:20:30-05:30", Some("20260301"), Some("102030")),
            ("2026-03-01", Some("20260301"), None),
            ("20260301", Some("20260301"), None),
            ("00000000", Some("00000000"), None),
            ("10:20:30", None, Some("102030")),
            ("10:20:30.5Z", None, Some("102030")),
            ("102030", None, Some("102030")),
        ] {
            assert_eq!(date(text).as_deref(), day, "date of {text}");
            assert_eq!(time(text).as_deref(), clock, "time of {text}");
        }
    }

    #[test]
    fn other_dates_and_times_are_refused() {
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-3-1",
            "1.3.2026",
            "20260230",
            "2026030",
            "ÄÄÄÄ",
            "2026-03-01T",
            "2026-03-01T10:20",
            "2026-03-01T10:20:30+2",
            "2026-03-01X10:20:30Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T10:20:30.Z",
            "2026-03-01T10:20:30Zulu",
            "2026-03-01T10:20:60Z",
            "+026-03-01",
            "2026-03-0112345",
            "äöü-äöü-äö",
        ] {
            assert_eq!(formed(DataType::Date, text), Err("the value is not a date"), "{text}");
            assert_eq!(formed(DataType::Time, text), Err("the value is not a time"), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_text_unless_it_has_an_exponent() {
        let number = |text| formed(DataType::Decimal, text);
        assert_eq!(number("0012.50").as_deref(), Ok("0012.50"));
        assert_eq!(number("-1.5e2").as_deref(), Ok("-150"));
        assert_eq!(number("12.50-").as_deref(), Ok("-12.50"));
        assert_eq!(number("12,50"), Err("the value is not a number"));
    }

    #[test]
    fn json_has_its_own_notation() {
        let json = |data, text: &str| {
            let mut element = Element::new(Kind::Text, "f");
            element.data = data;
            let (field, mut out) = (TargetField::of(&element), String::new());
            let changed = field.reform(text, &mut out)?;
            Ok::<_, &str>(if changed { out } else { text.to_owned() })
        };
        let same = |data, text| assert_eq!(json(data, text).as_deref(), Ok(text));
        for (text, number) in
            [("12.50-", "-12.50"), ("000120", "120"), ("00.5", "0.5"), ("0", "0"), ("1e2", "100")]
        {
            assert_eq!(json(DataType::Decimal, text).as_deref(), Ok(number));
        }
        assert_eq!(json(DataType::Bool, "X").as_deref(), Ok("true"));
        same(DataType::Bool, "false");
        assert_eq!(json(DataType::Bool, "x"), Err("the value is not true or false"));
        assert_eq!(json(DataType::Date, "20260301").as_deref(), Ok("2026-03-01"));
        same(DataType::Date, "2026-03-01");
        assert_eq!(json(DataType::Date, "20260230"), Err("the value is not a date"));
        assert_eq!(json(DataType::Time, "102030").as_deref(), Ok("10:20:30"));
    }

    #[test]
    fn length_counts_characters_and_codes_are_exact() {
        let mut element = Element::new(Kind::Field, "CITY");
        element.length = Some(3);
        element.codes = ["KÖL", "AB"].map(|code| (code.to_owned(), String::new())).to_vec();
        let field = TargetField::of(&element);
        assert_eq!(field.accept("KÖL"), Ok(()));
        assert_eq!(field.accept("KÖLN").unwrap_err(), "4 characters, but CITY holds 3");
        assert_eq!(field.accept("ab").unwrap_err(), "the value is none of the codes of CITY");
    }
}
