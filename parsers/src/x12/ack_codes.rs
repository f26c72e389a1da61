//! The codes of TA1, 997 and 999 for the problems of the reader.

use crate::reading::Problem;

/// The first element that a problem's path names, from 1; 0 for none.
fn element(problem: &Problem) -> usize {
    problem.place.path.split('/').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0)
}

fn tag(problem: &Problem) -> &str {
    problem.place.path.split('/').next().unwrap_or("")
}

/// The interchange note code (TA105, data element I18).
pub(super) fn note_code(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        "wrong-reference" => "001",
        "odd-terminator" => "004",
        "invalid-header" => match element(problem) {
            9 => "014",
            10 => "015",
            12 => "017",
            13 => "018",
            14 => "019",
            15 => "020",
            _ => "024",
        },
        "wrong-count" => "021",
        "header-length" | "invalid-isa" | "byte-order-mark" | "leading-blanks"
        | "wrapped-lines" | "empty-interchange" | "no-group" | "outside-set"
        | "unexpected-trailer" => "022",
        "missing-trailer" | "unterminated-trailer" | "unterminated" => "023",
        "control-character" | "empty-segment" | "unusual-tag" | "not-a-segment" => "024",
        "duplicate-reference" => "025",
        "ambiguous-separators" => "026",
        _ => return None,
    })
}

/// The group error code (AK905, data element 716).
pub(super) fn group_code(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        "missing-trailer" => "3",
        "wrong-reference" => "4",
        "wrong-count" => "5",
        "missing-element" => match element(problem) {
            1 => "1",
            8 => "2",
            _ => "6",
        },
        "duplicate-reference" => "19",
        _ => return None,
    })
}

/// The set error code (AK502, data element 718).
pub(super) fn set_code(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        "missing-set-trailer" => "2",
        "wrong-reference" => "3",
        "wrong-count" => "4",
        "missing-element" if tag(problem) == "ST" => match element(problem) {
            1 => "6",
            _ => "7",
        },
        "duplicate-reference" => "23",
        _ => return segment_code(problem).map(|_| "5"),
    })
}

/// The segment error code (AK304, data element 720).
pub(super) fn segment_code(problem: &Problem) -> Option<&'static str> {
    let is_envelope = matches!(tag(problem), "ST" | "SE");
    Some(match problem.code {
        "unusual-tag" | "not-a-segment" | "empty-segment" | "outside-set" => "1",
        "missing-segment" => "3",
        "too-many-groups" => "4",
        "too-many-segments" => "5",
        "unknown-segment" => "6",
        "wrong-order" => "7",
        "control-character" | "binary-length" | "unterminated" => "8",
        "missing-element"
        | "too-many-elements"
        | "too-short"
        | "too-long"
        | "unknown-value"
        | "unknown-character"
        | "wrong-type"
        | "too-many-repetitions"
            if !is_envelope =>
        {
            "8"
        }
        _ => return None,
    })
}

/// The element error code (AK403, data element 723).
pub(super) fn element_code(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        "missing-element" => "1",
        "too-many-elements" => "3",
        "too-short" => "4",
        "too-long" => "5",
        "control-character" | "unknown-character" | "wrong-type" => "6",
        "unknown-value" => "7",
        "too-many-repetitions" => "12",
        _ => return None,
    })
}
