//! Whether a value keeps the rules of its field.
//!
//! The rules are those of the data types of the ABAP Dictionary as IDocs carry them: text, with the
//! sign of a number behind it. Initial values are allowed everywhere: blanks never come here, and
//! `00000000` and `000000` are the initial date and time.

use crate::schema::{DataType, Element};

/// What is wrong with a value.
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Checks a value that is not blank. The message names the rule and never the value.
pub(crate) fn value(field: &Element, text: &str) -> Option<Fault> {
    let (code, message) = match field.data {
        DataType::Digits if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
            ("not-digits", "digits only expected".to_owned())
        }
        DataType::Decimal if !is_number(text) => {
            ("not-a-number", "a number expected, such as 12.50 or 12.50-".to_owned())
        }
        DataType::Date if field.length == Some(6) && !is_short_date(text) => {
            ("not-a-date", "YYMMDD expected".to_owned())
        }
        DataType::Date if field.length != Some(6) && !is_date(text) => {
            ("not-a-date", "YYYYMMDD expected".to_owned())
        }
        DataType::Time if field.length == Some(4) && !is_short_time(text) => {
            ("not-a-time", "HHMM expected".to_owned())
        }
        DataType::Time if field.length != Some(4) && !is_time(text) => {
            ("not-a-time", "HHMMSS expected".to_owned())
        }
        DataType::Bool if text != "X" => ("not-a-flag", "X or blank expected".to_owned()),
        _ if !field.codes.is_empty() && !field.codes.iter().any(|(code, _)| code == text) => {
            ("unknown-value", format!("none of the {} values of the field", field.codes.len()))
        }
        _ => return None,
    };
    Some(Fault { code, message })
}

/// `12`, `12.50`, `.5`, `12.50-`, `-3`, `0.000000000000000E+00`.
fn is_number(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    let unsigned = text.strip_suffix('-').or_else(|| text.strip_prefix(['-', '+']));
    let unsigned = unsigned.unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['E', 'e']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_good = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_is_good
        && digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
}

fn is_date(text: &str) -> bool {
    if text == "00000000" {
        return true;
    }
    let Some(numbers) = numbers::<3>(text, [4, 2, 2]) else { return false };
    let [year, month, day] = numbers;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `YYMMDD`, as records of VDA have it. The century is not said; 00 is a leap year of this one.
fn is_short_date(text: &str) -> bool {
    text == "000000" || text.len() == 6 && is_date(&format!("20{text}"))
}

/// `HHMM`.
fn is_short_time(text: &str) -> bool {
    text.len() == 4 && is_time(&format!("{text}00"))
}

/// SAP knows 240000 as the end of a day.
fn is_time(text: &str) -> bool {
    match numbers::<3>(text, [2, 2, 2]) {
        Some([24, 0, 0]) => true,
        Some([hour, minute, second]) => hour < 24 && minute < 60 && second < 60,
        None => false,
    }
}

fn numbers<const N: usize>(text: &str, lengths: [usize; N]) -> Option<[u32; N]> {
    let mut rest = text;
    let mut found = [0; N];
    for (number, length) in found.iter_mut().zip(lengths) {
        let (head, tail) = rest.split_at_checked(length)?;
        if !head.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = head.parse().ok()?;
        rest = tail;
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;

    fn code(data: DataType, text: &str) -> &'static str {
        let field = Element { data, ..Element::new(Kind::Field, "F") };
        value(&field, text).map_or("", |fault| fault.code)
    }

    #[test]
    fn a_decimal_has_an_optional_sign_point_and_exponent() {
        for good in ["1", "12.50-", "-3", ".5", "5.", "0.000000000000000E+00", "  7"] {
            assert_eq!(code(DataType::Decimal, good), "", "{good}");
        }
        for bad in ["1,5", "-", ".", "1E", "12.5 -", "--1", "EUR"] {
            assert_eq!(code(DataType::Decimal, bad), "not-a-number", "{bad}");
        }
    }

    #[test]
    fn a_date_is_a_day_of_the_calendar_or_initial() {
        for good in ["20260228", "20240229", "00000000", "20001231"] {
            assert_eq!(code(DataType::Date, good), "", "{good}");
        }
        for bad in
            ["20260229", "19000229", "20261301", "2026022", "20260100", "2026-1-1", "202601011"]
        {
            assert_eq!(code(DataType::Date, bad), "not-a-date", "{bad}");
        }
    }

    #[test]
    fn six_characters_of_a_date_and_four_of_a_time_have_no_century_and_no_seconds() {
        let code = |data, length, text: &str| {
            let length = Some(length);
            let field = Element { data, length, ..Element::new(Kind::Field, "F") };
            value(&field, text).map_or("", |fault| fault.code)
        };
        for good in ["260228", "240229", "000000", "000229"] {
            assert_eq!(code(DataType::Date, 6, good), "", "{good}");
        }
        for bad in ["260229", "261301", "20260228", "26022", "222222", "2602 8"] {
            assert_eq!(code(DataType::Date, 6, bad), "not-a-date", "{bad}");
        }
        assert_eq!(code(DataType::Time, 4, "2359"), "");
        assert_eq!(code(DataType::Time, 4, "2400"), "");
        for bad in ["2401", "1260", "120000", "12 0"] {
            assert_eq!(code(DataType::Time, 4, bad), "not-a-time", "{bad}");
        }
    }

    #[test]
    fn times_digits_flags_and_text_have_their_rules() {
        assert_eq!(code(DataType::Time, "235959"), "");
        assert_eq!(code(DataType::Time, "240000"), "");
        assert_eq!(code(DataType::Time, "240001"), "not-a-time");
        assert_eq!(code(DataType::Time, "+10000"), "not-a-time");
        assert_eq!(code(DataType::Digits, "007"), "");
        assert_eq!(code(DataType::Digits, "7a"), "not-digits");
        assert_eq!(code(DataType::Bool, "Y"), "not-a-flag");
        assert_eq!(code(DataType::Text, "日"), "");
    }

    #[test]
    fn a_value_must_be_one_of_those_declared() {
        let codes = vec![("01".to_owned(), String::new())];
        let field = Element { codes, ..Element::new(Kind::Field, "F") };
        assert!(value(&field, "01").is_none());
        assert_eq!(value(&field, "02").map(|fault| fault.code), Some("unknown-value"));
    }
}
