//! Names that are made of a file's name: what is set aside of it, the next free name.

use crate::event::Digest;

/// The most bytes of a name: what Linux file systems have.
const LONGEST: usize = 255;
/// Bytes of what stands behind a name that was shortened, so that all names of one file are cut at
/// the same place: `.<number>.problems.txt.<twin>`.
const RESERVED: usize = 48;
/// The most bytes behind the last dot that are kept as an extension.
const MOST_EXTENSION: usize = 32;
/// Hexadecimal digits that tell names apart that were shortened alike.
const DIGITS: usize = 16;

/// `name` with `suffix` behind it. Where that is too long for a file system, the name is cut between
/// two characters, and a digest of all of it stands before its extension: `long~0123456789abcdef.idoc`.
pub(super) fn derived(name: &str, suffix: &str) -> String {
    if name.len() + suffix.len() <= LONGEST {
        return format!("{name}{suffix}");
    }
    let at = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= MOST_EXTENSION);
    let (stem, extension) = name.split_at(at.unwrap_or(name.len()));
    let digest = Digest::of(name.as_bytes()).to_string();
    let digest = digest.get(..DIGITS).unwrap_or_default();
    let behind = 1 + digest.len() + extension.len() + suffix.len().max(RESERVED);
    let stem = stem.get(..stem.floor_char_boundary(LONGEST.saturating_sub(behind)));
    format!("{}~{digest}{extension}{suffix}", stem.unwrap_or_default())
}

/// The name of the file for the `twin`th time; the first time it is its own.
pub(super) fn twin(name: &str, twin: u32) -> String {
    if twin == 0 { name.to_owned() } else { derived(name, &format!(".{twin}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = ".18446744073709551615.problems.txt.99999";

    #[test]
    fn a_name_that_fits_is_kept() {
        assert_eq!(derived("a.idoc", ".3"), "a.idoc.3");
        assert_eq!(derived(&"x".repeat(253), ".3").len(), 255);
        assert_eq!((twin("a", 0), twin("a", 2)), ("a".to_owned(), "a.2".to_owned()));
    }

    #[test]
    fn no_derived_name_is_longer_than_a_file_system_takes() {
        for unit in ["x", "ü", "車", "🚗"] {
            for length in 1..=LONGEST / unit.len() {
                for extension in ["", ".idoc", ".x", ".ünicode", "."] {
                    let name = unit.repeat(length) + extension;
                    for suffix in [".1", ".1234567", ".problems.txt", ".duplicate.txt", LAST] {
                        let made = derived(&name, suffix);
                        assert!(made.len() <= LONGEST, "{made}");
                        assert!(made.ends_with(&format!("{extension}{suffix}")), "{made}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_that_differ_at_their_end_stay_apart() {
        let (a, b) = ("x".repeat(240) + "a.idoc", "x".repeat(240) + "b.idoc");
        assert_ne!(derived(&a, ".3.problems.txt"), derived(&b, ".3.problems.txt"));
        let (part, why) = (derived(&a, ".3333333333"), derived(&a, ".3333333333.problems.txt"));
        assert_eq!(format!("{part}.problems.txt"), why, "what belongs together sorts together");
    }
}
