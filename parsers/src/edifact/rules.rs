//! The rules of the reader: what each of them is called, how bad a violation is in either mode,
//! and the error code of CONTRL that says so.

use crate::reading::Severity;

/// How strict a reader is. It reads the same from the same bytes in both modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// What is seen in the wild and understood without doubt is a warning.
    #[default]
    Lenient,
    /// What ISO 9735 forbids is an error.
    Strict,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The code of its problems.
    pub code: &'static str,
    /// How bad it is in [`Mode::Lenient`]; `None` where it is not even reported.
    pub lenient: Option<Severity>,
    /// How bad it is in [`Mode::Strict`].
    pub strict: Severity,
    /// The syntax error code (data element 0085) that a CONTRL message gives for it.
    pub syntax_error: u8,
}

impl Rule {
    pub(super) fn severity(&self, mode: Mode) -> Option<Severity> {
        match mode {
            Mode::Lenient => self.lenient,
            Mode::Strict => Some(self.strict),
        }
    }
}

const fn tolerated(code: &'static str, syntax_error: u8) -> Rule {
    Rule { code, lenient: Some(Severity::Warning), strict: Severity::Error, syntax_error }
}

const fn refused(code: &'static str, syntax_error: u8) -> Rule {
    Rule { code, lenient: Some(Severity::Error), strict: Severity::Error, syntax_error }
}

const fn noted(code: &'static str, syntax_error: u8) -> Rule {
    Rule { code, lenient: Some(Severity::Warning), strict: Severity::Warning, syntax_error }
}

pub(super) const BYTE_ORDER_MARK: Rule = tolerated("byte-order-mark", 21);
pub(super) const LEADING_BLANKS: Rule = tolerated("leading-blanks", 21);
pub(super) const WRAPPED_LINES: Rule = tolerated("wrapped-lines", 21);
pub(super) const BLANK_AFTER_UNA: Rule = tolerated("blank-after-una", 21);
pub(super) const AMBIGUOUS_SEPARATORS: Rule = refused("ambiguous-separators", 20);
pub(super) const UNUSED_REPETITION: Rule = noted("unused-repetition", 22);
pub(super) const NO_REPETITION: Rule = noted("no-repetition", 22);
pub(super) const UNKNOWN_SYNTAX: Rule = tolerated("unknown-syntax", 2);
pub(super) const CHARACTER_SET: Rule = tolerated("character-set", 21);
pub(super) const UNKNOWN_CHARACTER: Rule = refused("unknown-character", 21);
pub(super) const CONTROL_CHARACTER: Rule = tolerated("control-character", 21);
pub(super) const NEEDLESS_RELEASE: Rule = tolerated("needless-release", 22);
pub(super) const TRAILING_SEPARATOR: Rule =
    Rule { code: "trailing-separator", lenient: None, strict: Severity::Warning, syntax_error: 45 };
pub(super) const EMPTY_SEGMENT: Rule = tolerated("empty-segment", 13);
pub(super) const UNUSUAL_TAG: Rule = tolerated("unusual-tag", 21);
pub(super) const NOT_A_SEGMENT: Rule = refused("not-a-segment", 21);
pub(super) const NESTING: Rule = tolerated("nesting-indication", 34);
pub(super) const UNTERMINATED: Rule = refused("unterminated", 13);
pub(super) const UNTERMINATED_TRAILER: Rule = tolerated("unterminated-trailer", 13);
pub(super) const OUTSIDE_MESSAGE: Rule = refused("outside-message", 33);
pub(super) const UNEXPECTED_TRAILER: Rule = refused("unexpected-trailer", 33);
pub(super) const NO_INTERCHANGE: Rule = tolerated("no-interchange", 13);
pub(super) const MISSING_MESSAGE_TRAILER: Rule = refused("missing-message-trailer", 13);
pub(super) const MISSING_TRAILER: Rule = tolerated("missing-trailer", 13);
pub(super) const WRONG_COUNT: Rule = tolerated("wrong-count", 29);
pub(super) const WRONG_REFERENCE: Rule = tolerated("wrong-reference", 28);
pub(super) const DUPLICATE_REFERENCE: Rule = tolerated("duplicate-reference", 26);
pub(super) const EMPTY_INTERCHANGE: Rule = refused("empty-interchange", 32);
pub(super) const EMPTY_GROUP: Rule = tolerated("empty-group", 32);
pub(super) const EMPTY_MESSAGE: Rule = tolerated("empty-message", 32);
pub(super) const MIXED_GROUPS: Rule = tolerated("mixed-groups", 30);
pub(super) const MIXED_TYPES: Rule = tolerated("mixed-types", 31);
pub(super) const MISSING_ELEMENT: Rule = tolerated("missing-element", 13);
pub(super) const TOO_LONG: Rule = tolerated("too-long", 39);
pub(super) const TOO_SHORT: Rule = tolerated("too-short", 40);
pub(super) const WRONG_TYPE: Rule = tolerated("wrong-type", 37);
pub(super) const TOO_MANY_ELEMENTS: Rule = tolerated("too-many-elements", 16);
pub(super) const BAD_OBJECT: Rule = refused("bad-object", 29);

/// Every rule of the reader.
///
/// | code | lenient | strict | what |
/// |---|---|---|---|
/// | `byte-order-mark`, `leading-blanks` | warning | error | before the first UNA or UNB |
/// | `wrapped-lines` | warning | error | lines of a fixed width; line ends are left out (in strict mode they are data) |
/// | `blank-after-una` | warning | error | blanks between UNA and UNB |
/// | `ambiguous-separators` | error | error | UNA names a separator twice, or a letter or digit; skipped to the next interchange |
/// | `unused-repetition` | warning | warning | UNA position 5 is set below version 4, where it is reserved |
/// | `no-repetition` | warning | warning | it is blank in version 4: nothing is repeated |
/// | `unknown-syntax` | warning | error | a syntax identifier or version that is not known; read as ISO 8859-1 |
/// | `character-set` | warning | error | bytes that the declared set does not have; read as UTF-8 where they are that, else as ISO 8859-1 |
/// | `unknown-character` | error | error | bytes that mean nothing in the declared set |
/// | `control-character` | warning | error | a byte below 0x20 in data, as a line end |
/// | `needless-release` | warning | error | a release character before an ordinary one; it is left out |
/// | `trailing-separator` | | warning | separators with nothing behind them |
/// | `empty-segment` | warning | error | a terminator right after another; skipped |
/// | `unusual-tag` | warning | error | a tag that is not three capital letters or digits |
/// | `not-a-segment` | error | error | something else in the place of a tag |
/// | `nesting-indication` | warning | error | `SEG:1:2` in version 4 |
/// | `unterminated-trailer` | warning | error | the input ends right behind UNT, UNE or UNZ |
/// | `unterminated` | error | error | it ends behind another segment |
/// | `outside-message` | error | error | a segment between messages or interchanges; skipped |
/// | `unexpected-trailer` | error | error | UNT, UNE or UNZ without its header; skipped |
/// | `no-interchange` | warning | error | messages without UNB and UNZ |
/// | `missing-message-trailer` | error | error | no UNT: the message may be cut |
/// | `missing-trailer` | warning | error | no UNE or UNZ |
/// | `wrong-count`, `wrong-reference` | warning | error | in UNT, UNE and UNZ |
/// | `duplicate-reference` | warning | error | of a message or group in its interchange |
/// | `empty-interchange` | error | error | neither message nor group |
/// | `empty-group`, `empty-message` | warning | error | |
/// | `mixed-groups` | warning | error | messages inside and outside of groups |
/// | `mixed-types` | warning | error | several types in a group, below version 4 |
/// | `missing-element`, `too-long`, `too-short`, `wrong-type`, `too-many-elements` | warning | error | in the service segments |
/// | `bad-object` | error | error | a package whose object does not end where its header says |
pub const RULES: &[Rule] = &[
    BYTE_ORDER_MARK,
    LEADING_BLANKS,
    WRAPPED_LINES,
    BLANK_AFTER_UNA,
    AMBIGUOUS_SEPARATORS,
    UNUSED_REPETITION,
    NO_REPETITION,
    UNKNOWN_SYNTAX,
    CHARACTER_SET,
    UNKNOWN_CHARACTER,
    CONTROL_CHARACTER,
    NEEDLESS_RELEASE,
    TRAILING_SEPARATOR,
    EMPTY_SEGMENT,
    UNUSUAL_TAG,
    NOT_A_SEGMENT,
    NESTING,
    UNTERMINATED,
    UNTERMINATED_TRAILER,
    OUTSIDE_MESSAGE,
    UNEXPECTED_TRAILER,
    NO_INTERCHANGE,
    MISSING_MESSAGE_TRAILER,
    MISSING_TRAILER,
    WRONG_COUNT,
    WRONG_REFERENCE,
    DUPLICATE_REFERENCE,
    EMPTY_INTERCHANGE,
    EMPTY_GROUP,
    EMPTY_MESSAGE,
    MIXED_GROUPS,
    MIXED_TYPES,
    MISSING_ELEMENT,
    TOO_LONG,
    TOO_SHORT,
    WRONG_TYPE,
    TOO_MANY_ELEMENTS,
    BAD_OBJECT,
];
