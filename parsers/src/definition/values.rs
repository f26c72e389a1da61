//! Whether a value has the form of its element.

use crate::definition::model::{Class, ElementForm, Standard};

/// What is wrong with a value: code and message.
pub(super) type Fault = (&'static str, String);

/// Holds a value that is there against the form of its element.
pub(super) fn form(value: &str, element: &ElementForm, standard: Standard) -> Option<Fault> {
    let is_number = matches!(element.class, Class::Number | Class::Digits(_));
    if !has_class(value, element.class, standard) {
        let what = match element.class {
            Class::Letters => "letters and no digits are allowed",
            Class::Number | Class::Digits(_) => "not a number",
            Class::Date => "not a date",
            Class::Time => "not a time",
            Class::Any | Class::Bytes => "not allowed",
        };
        return Some(("wrong-type", what.to_owned()));
    }
    // Sign and decimal mark do not count (ISO 9735 clause 10, X12.6).
    let counts = |c: &char| !is_number || !matches!(c, '-' | '.' | ',');
    let length = u32::try_from(value.chars().filter(counts).count()).unwrap_or(u32::MAX);
    let ElementForm { min, max, .. } = element;
    if length > *max {
        return Some(("too-long", format!("{length} characters, at most {max} are allowed")));
    }
    if length < *min {
        return Some(("too-short", format!("{length} characters, {min} are needed")));
    }
    None
}

fn has_class(value: &str, class: Class, standard: Standard) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match class {
        Class::Any | Class::Bytes => true,
        Class::Letters => !value.contains(|c: char| c.is_ascii_digit()),
        Class::Digits(_) => digits(value.strip_prefix('-').unwrap_or(value)),
        Class::Number => {
            let mantissa = value.strip_prefix('-').unwrap_or(value);
            let (mantissa, exponent) = match mantissa.split_once(['E', 'e']) {
                Some((mantissa, exponent)) => (mantissa, Some(exponent)),
                None => (mantissa, None),
            };
            let exponent = exponent.is_none_or(|e| digits(e.strip_prefix('-').unwrap_or(e)));
            let mark = if standard == Standard::X12 { &['.'][..] } else { &['.', ','] };
            exponent
                && match mantissa.split_once(mark) {
                    None => digits(mantissa),
                    Some((whole, part)) if standard == Standard::X12 => {
                        (digits(whole) || whole.is_empty())
                            && (digits(part) || part.is_empty())
                            && !(whole.is_empty() && part.is_empty())
                    }
                    Some((whole, part)) => digits(whole) && digits(part),
                }
        }
        Class::Date => digits(value) && is_date(value),
        Class::Time => digits(value) && is_time(value),
    }
}

/// YYMMDD or YYYYMMDD.
fn is_date(value: &str) -> bool {
    let tail = value.len().saturating_sub(4);
    let part =
        |from: usize, to: usize| value.get(from..to).and_then(|part| part.parse::<u32>().ok());
    matches!(value.len(), 6 | 8)
        && part(tail, tail + 2).is_some_and(|month| (1..=12).contains(&month))
        && part(tail + 2, tail + 4).is_some_and(|day| (1..=31).contains(&day))
}

/// HHMM to HHMMSSDD.
fn is_time(value: &str) -> bool {
    let part = |from: usize, most: u32| match value.get(from..from + 2) {
        Some(part) => part.parse::<u32>().is_ok_and(|part| part <= most),
        None => value.len() <= from,
    };
    matches!(value.len(), 4 | 6 | 7 | 8) && part(0, 23) && part(2, 59) && part(4, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_of_numbers_is_that_of_the_standard() {
        let good = |value, standard| has_class(value, Class::Number, standard);
        for value in ["0", "12.5", "-0,5", "1.5E-2"] {
            assert!(good(value, Standard::Edifact), "{value}");
        }
        for value in ["", "-", ",5", "2.", "+1", "1 000", "1.000.0"] {
            assert!(!good(value, Standard::Edifact), "{value}");
        }
        assert!(good(".5", Standard::X12) && good("2.", Standard::X12));
        assert!(!good("1,5", Standard::X12) && !good(".", Standard::X12));
    }

    #[test]
    fn dates_and_times_are_possible_ones() {
        let date = |value| has_class(value, Class::Date, Standard::X12);
        assert!(date("261231") && date("20261231"));
        assert!(!date("20261301") && !date("2026123") && !date("20260132"));
        let time = |value| has_class(value, Class::Time, Standard::X12);
        assert!(time("2359") && time("235959") && time("23595999") && time("2359599"));
        assert!(!time("2460") && !time("12") && !time("1260"));
    }

    #[test]
    fn sign_and_decimal_mark_do_not_count() {
        let element = ElementForm { class: Class::Number, min: 1, max: 3, ..Default::default() };
        assert_eq!(form("-12.5", &element, Standard::Edifact), None);
        assert_eq!(form("1234", &element, Standard::Edifact).unwrap().0, "too-long");
        assert_eq!(form("x", &element, Standard::Edifact).unwrap().0, "wrong-type");
    }
}
