//! Quantities with their units in the value: `30s`, `64MiB`.

use std::time::Duration;

/// A duration: a number with `ms`, `s`, `m`, `h` or `d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a duration such as `500ms`, `30s`, `5m`, `2h` is expected".to_owned()),
    };
    let seconds = number.checked_mul(seconds).ok_or("too long a time")?;
    Ok(Duration::from_secs(seconds))
}

/// A size in bytes: a number with `B`, `KiB`, `MiB` or `GiB`.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("a size such as `512KiB`, `32MiB`, `1GiB` is expected".to_owned()),
    };
    number.checked_mul(factor).ok_or_else(|| "too large a size".to_owned())
}

/// A whole number between `least` and `most`.
pub fn count(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let expected = || format!("a whole number from {least} to {most} is expected");
    let number: u64 = text.parse().map_err(|_| expected())?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(expected()) }
}

/// The mode of a file: octal digits. Its owner, the agent, must be able to read and write it, and
/// nobody executes a document.
pub fn file_mode(text: &str) -> Result<u32, String> {
    let expected = || "an octal mode such as `0640` or `0660` is expected".to_owned();
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits).ok_or_else(expected)?;
    if mode & 0o600 != 0o600 || mode & !0o666 != 0 {
        return Err(format!("{}; the owner reads and writes, nobody executes", expected()));
    }
    Ok(mode)
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number = number.parse().map_err(|_| "a number with its unit is expected".to_owned())?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(size("32MiB"), Ok(32 << 20));
        assert_eq!(size("16 KiB"), Ok(16 << 10));
        assert_eq!(count("500", 1, 65_535), Ok(500));
    }

    #[test]
    fn the_mode_of_a_file_is_octal_and_sane() {
        assert_eq!(file_mode("0640"), Ok(0o640));
        assert_eq!(file_mode("600"), Ok(0o600));
        for wrong in ["", "64", "0o640", "0888", "+640", "0440", "0755", "4640", "06400"] {
            assert!(file_mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_quantity_without_unit_or_beyond_bounds_is_refused() {
        assert!(duration("30").is_err());
        assert!(size("1.5GiB").is_err());
        assert!(size("99999999999GiB").is_err());
        assert!(count("0", 1, 10).is_err());
    }
}
