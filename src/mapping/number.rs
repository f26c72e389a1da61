//! Exact decimals from text and back.
//!
//! `rust_decimal` computes; what it would do silently is refused here instead: it takes digits
//! beyond its 96 bits away when reading and multiplying, takes `1_000` for a number, and does not
//! know the sign behind the digits that SAP writes (`123.45-`).

use std::fmt::Write as _;

use rust_decimal::{Decimal, RoundingStrategy};

/// The most digits behind the point.
pub(crate) const MOST_DECIMALS: u32 = 28;

/// Why there is no number. The messages never hold the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    /// The text is something else.
    #[error("is not a number")]
    NotANumber,
    /// It has more digits than an exact decimal holds.
    #[error("has more digits than the 28 that are computed exactly")]
    TooLong,
}

/// Reads `-12.50`, `12.50-`, `+3` or `1.5e3`; blanks around it do not count.
pub(crate) fn read(text: &str) -> Result<Decimal, NumberError> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        [.., b'-'] => (true, &text[..text.len() - 1]),
        _ => (false, text),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, power(exponent)?),
        None => (digits, 0),
    };
    let (mantissa, scale) = mantissa(digits)?;
    let (mantissa, scale) = rescaled(mantissa, i64::from(scale) - exponent)?;
    let signed = if negative { -mantissa } else { mantissa };
    Decimal::try_from_i128_with_scale(signed, scale).map_err(|_| NumberError::TooLong)
}

fn power(text: &str) -> Result<i64, NumberError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    let power: i64 = digits.parse().map_err(|_| NumberError::TooLong)?;
    if power > 1_000_000 {
        return Err(NumberError::TooLong);
    }
    Ok(if text.starts_with('-') { -power } else { power })
}

/// The digits without their point, and how many of them stood behind it.
fn mantissa(text: &str) -> Result<(i128, u32), NumberError> {
    let (mut mantissa, mut scale, mut digits) = (0_i128, 0_u32, 0_u32);
    let (mut behind, mut dropped) = (false, false);
    for byte in text.bytes() {
        let digit = match byte {
            b'0'..=b'9' => i128::from(byte - b'0'),
            b'.' if !behind => {
                behind = true;
                continue;
            }
            _ => return Err(NumberError::NotANumber),
        };
        digits += 1;
        let longer = mantissa * 10 + digit;
        if longer <= MOST_MANTISSA && scale < MOST_DECIMALS && !dropped {
            mantissa = longer;
            scale += u32::from(behind);
        } else if behind && digit == 0 {
            // A zero at the far end says nothing, unless another digit follows it.
            dropped = true;
        } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(NumberError::TooLong);
        } else {
            return Err(NumberError::NotANumber);
        }
    }
    if digits == 0 { Err(NumberError::NotANumber) } else { Ok((mantissa, scale)) }
}

/// 96 bits, what a decimal holds.
const MOST_MANTISSA: i128 = (1 << 96) - 1;

fn rescaled(mut mantissa: i128, mut scale: i64) -> Result<(i128, u32), NumberError> {
    if mantissa == 0 {
        return Ok((0, scale.clamp(0, i64::from(MOST_DECIMALS)) as u32));
    }
    while scale < 0 {
        mantissa *= 10;
        scale += 1;
        if mantissa > MOST_MANTISSA {
            return Err(NumberError::TooLong);
        }
    }
    while scale > i64::from(MOST_DECIMALS) {
        if mantissa % 10 != 0 {
            return Err(NumberError::TooLong);
        }
        mantissa /= 10;
        scale -= 1;
    }
    Ok((mantissa, scale as u32))
}

/// The exact sum; `None` where it does not fit.
pub(crate) fn add(a: Decimal, b: Decimal) -> Option<Decimal> {
    if a.is_zero() || b.is_zero() {
        return Some(if a.is_zero() { b } else { a });
    }
    // A scale that shrank means that digits were rounded away to make the sum fit.
    let exact = |a: Decimal, b: Decimal| {
        a.checked_add(b).filter(|sum| sum.scale() == a.scale().max(b.scale()))
    };
    exact(a, b).or_else(|| exact(a.normalize(), b.normalize()))
}

/// The exact product; `None` where it does not fit.
pub(crate) fn multiply(a: Decimal, b: Decimal) -> Option<Decimal> {
    if a.is_zero() || b.is_zero() {
        return Some(Decimal::ZERO);
    }
    let exact = |a: Decimal, b: Decimal| {
        a.checked_mul(b).filter(|product| product.scale() == a.scale() + b.scale())
    };
    exact(a, b).or_else(|| exact(a.normalize(), b.normalize()))
}

/// Writes `number` with exactly `decimals` digits behind the point, rounded half away from zero
/// as ABAP does (`rust_decimal` alone would round half to even).
pub(crate) fn write_rounded(number: Decimal, decimals: u32, out: &mut String) {
    let rounded = number.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    let digits = decimals as usize;
    // Writing to a string does not fail.
    let _ = write!(out, "{:.digits$}", unsigned_zero(rounded));
}

/// Writes `number` with the digits that it has.
pub(crate) fn write(number: Decimal, out: &mut String) {
    let _ = write!(out, "{}", unsigned_zero(number));
}

/// No receiver expects `-0`.
fn unsigned_zero(number: Decimal) -> Decimal {
    if number.is_zero() { number.abs() } else { number }
}

/// Whether `text` is in the notation that receivers read: digits, at most one point, sign ahead.
pub(crate) fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut halves = digits.splitn(2, '.');
    halves.all(|half| !half.is_empty() && half.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: Decimal) -> String {
        let mut out = String::new();
        write(number, &mut out);
        out
    }

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        let cases = [
            ("0", Ok("0")),
            ("-12.50", Ok("-12.50")),
            ("12.50-", Ok("-12.50")),
            (" 3 ", Ok("3")),
            ("+3", Ok("3")),
            (".5", Ok("0.5")),
            ("1.5e3", Ok("1500")),
            ("15E-1", Ok("1.5")),
            ("0e400", Ok("0")),
            ("0.000000000000000E+00", Ok("0.000000000000000")),
            ("79228162514264337593543950335", Ok("79228162514264337593543950335")),
            ("79228162514264337593543950336", Err(NumberError::TooLong)),
            ("1.00000000000000000000000000000000", Ok("1.0000000000000000000000000000")),
            ("1.00000000000000000000000000000001", Err(NumberError::TooLong)),
            ("1e29", Err(NumberError::TooLong)),
            ("1e-29", Err(NumberError::TooLong)),
            ("1e99999999999999999999", Err(NumberError::TooLong)),
            ("", Err(NumberError::NotANumber)),
            ("-", Err(NumberError::NotANumber)),
            (".", Err(NumberError::NotANumber)),
            ("1_000", Err(NumberError::NotANumber)),
            ("1,5", Err(NumberError::NotANumber)),
            ("1.2.3", Err(NumberError::NotANumber)),
            ("-5-", Err(NumberError::NotANumber)),
            ("1e", Err(NumberError::NotANumber)),
            ("NaN", Err(NumberError::NotANumber)),
        ];
        for (written, expected) in cases {
            let found = read(written).map(text);
            assert_eq!(found.as_deref(), expected.as_deref(), "{written}");
        }
    }

    #[test]
    fn rounding_is_away_from_zero_and_keeps_the_digits() {
        let rounded = |number: &str, decimals| {
            let mut out = String::new();
            write_rounded(read(number).unwrap(), decimals, &mut out);
            out
        };
        assert_eq!(rounded("0.125", 2), "0.13");
        assert_eq!(rounded("-0.125", 2), "-0.13");
        assert_eq!(rounded("2.5", 0), "3");
        assert_eq!(rounded("7", 3), "7.000");
        assert_eq!(rounded("-0.4", 0), "0");
        assert_eq!(rounded("79228162514264337593543950335", 2), "79228162514264337593543950335.00");
    }

    #[test]
    fn sums_and_products_are_exact_or_refused() {
        let n = |text| read(text).unwrap();
        assert_eq!(add(n("0.1"), n("0.2")).map(text).as_deref(), Some("0.3"));
        assert_eq!(multiply(n("43277.31"), n("1.19")).map(text).as_deref(), Some("51499.9989"));
        let (most, least) = (n("79228162514264337593543950335"), n("1e-28"));
        assert_eq!(add(most, n("1")), None);
        assert_eq!(add(most, n("0.5")), None, "half a unit would be rounded away");
        assert_eq!(multiply(most, n("1.5")), None);
        assert_eq!(multiply(least, n("0.5")), None);
        assert_eq!(multiply(least, n("0")).map(text).as_deref(), Some("0"));
        assert_eq!(
            multiply(n("1.0000000000000000000000000000"), n("1.50"))
                .map(|p| p.normalize())
                .map(text)
                .as_deref(),
            Some("1.5")
        );
    }

    #[test]
    fn plain_notation_has_no_exponent_and_no_group_marks() {
        for plain in ["0", "-1", "12.50", "0010"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["", "-", "1.", ".5", "1e3", "12.50-", "+1", "1,000", "1.2.3"] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
