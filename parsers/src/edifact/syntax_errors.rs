//! The syntax error codes of CONTRL (data element 0085), and where each of them may stand.

/// A level of a CONTRL message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// UCI.
    Interchange = 1,
    /// UCF.
    Group = 2,
    /// UCM.
    Message = 4,
    /// UCS.
    Segment = 8,
    /// UCD.
    Element = 16,
}

const UCI: u8 = Level::Interchange as u8;
const UCF: u8 = Level::Group as u8;
const UCM: u8 = Level::Message as u8;
const UCS: u8 = Level::Segment as u8;
const UCD: u8 = Level::Element as u8;
const ALL: u8 = UCI | UCF | UCM | UCS | UCD;

/// Not specified.
const UNSPECIFIED: u8 = 18;

/// Code, levels that it may stand at (ISO 9735-4 annex A), and its meaning. Those without a level
/// are marked for deletion; partners with old systems still send them.
const CODES: &[(u8, u8, &str)] = &[
    (1, 0, "message type not supported"),
    (2, UCI, "syntax version or level not supported"),
    (3, 0, "message version or release not supported"),
    (4, 0, "controlling agency not supported"),
    (5, 0, "association assigned code not supported"),
    (6, 0, "service segment not supported"),
    (7, UCI, "recipient is not the actual recipient"),
    (8, 0, "communication channel is not the agreed one"),
    (9, 0, "unspecified message fault"),
    (10, 0, "segment fault"),
    (11, 0, "element fault"),
    (12, ALL, "invalid value"),
    (13, ALL, "missing"),
    (14, ALL, "value not supported here"),
    (15, ALL, "not supported here"),
    (16, ALL, "too many constituents"),
    (17, ALL ^ UCD, "no agreement"),
    (18, ALL, "not specified"),
    (19, UCD, "invalid decimal notation"),
    (20, UCI, "character not valid as service character"),
    (21, ALL, "invalid characters"),
    (22, ALL, "invalid service characters"),
    (23, UCI, "sender not known"),
    (24, UCI | UCF, "too old"),
    (25, ALL ^ UCD, "test indicator not supported"),
    (26, UCI | UCF | UCM, "received before"),
    (27, ALL ^ UCD, "security function not supported"),
    (28, UCI | UCF | UCM, "references do not match"),
    (29, UCI | UCF | UCM, "count does not match"),
    (30, UCI | UCF | UCM, "groups and messages are mixed"),
    (31, UCF, "more than one message type in the group"),
    (32, UCI | UCF, "nothing in it"),
    (33, UCI | UCF, "stands outside of a message or group"),
    (34, UCS, "nesting indication not allowed"),
    (35, UCM | UCS | UCD, "too many repetitions"),
    (36, UCS, "too many repetitions of a segment group"),
    (37, UCI | UCF | UCM | UCD, "invalid type of characters"),
    (38, UCD, "no digit before the decimal mark"),
    (39, UCI | UCF | UCM | UCD, "too long"),
    (40, UCI | UCF | UCM | UCD, "too short"),
    (41, UCI, "permanent network error"),
    (42, UCI, "temporary network error"),
    (43, UCI, "recipient not known"),
    (45, ALL ^ UCD, "trailing separator"),
    (46, UCI, "character set not supported"),
    (47, UCF | UCM, "function of the envelope not supported"),
];

/// What a syntax error code means; `None` for one that is not known.
pub fn syntax_error_text(code: u8) -> Option<&'static str> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, _, text)| *text)
}

/// The error code for a problem, as it may stand at a level.
pub(super) fn syntax_error(problem: &str, level: Level) -> u8 {
    let code = match problem {
        "unknown-syntax" => 2,
        "missing-element"
        | "empty-segment"
        | "unterminated"
        | "unterminated-trailer"
        | "no-interchange"
        | "missing-message-trailer"
        | "missing-trailer"
        | "missing-segment" => 13,
        "too-many-elements" => 16,
        "nesting-indication" => 15,
        "ambiguous-separators" => 20,
        "byte-order-mark" | "leading-blanks" | "wrapped-lines" | "blank-after-una"
        | "kept-separators" | "character-set" | "unknown-character" | "control-character"
        | "unusual-tag" | "not-a-segment" => 21,
        "needless-release" => 22,
        "duplicate-reference" => 26,
        "wrong-reference" => 28,
        "wrong-count" | "bad-object" => 29,
        "mixed-groups" => 30,
        "mixed-types" => 31,
        "empty-interchange" | "empty-group" => 32,
        "empty-message" => 13,
        "outside-message" | "unexpected-trailer" => 33,
        "too-many-segments" | "too-many-repetitions" => 35,
        "too-many-groups" => 36,
        "wrong-type" => 37,
        "too-long" => 39,
        "too-short" => 40,
        "unknown-segment" | "wrong-order" => 15,
        "unknown-value" => 12,
        _ => UNSPECIFIED,
    };
    let is_allowed = CODES.iter().any(|(known, at, _)| *known == code && at & level as u8 != 0);
    if is_allowed { code } else { UNSPECIFIED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edifact::RULES;

    #[test]
    fn every_rule_has_a_code_at_the_level_where_it_is_broken() {
        let levels =
            [Level::Interchange, Level::Group, Level::Message, Level::Segment, Level::Element];
        for rule in RULES {
            let specific = |level: &&Level| syntax_error(rule.code, **level) != UNSPECIFIED;
            let is_noted = rule.strict == crate::Severity::Warning;
            assert!(is_noted || levels.iter().any(|l| specific(&l)), "{}", rule.code);
        }
        assert_eq!(syntax_error("wrong-count", Level::Segment), UNSPECIFIED);
        assert_eq!(syntax_error_text(29), Some("count does not match"));
        assert_eq!(syntax_error_text(44), None);
    }
}
