//! The rules of the EDIFACT reader, and how bad a violation is in each mode.

use crate::segment::Rule;

pub(super) const BYTE_ORDER_MARK: Rule = Rule::tolerated("byte-order-mark");
pub(super) const LEADING_BLANKS: Rule = Rule::tolerated("leading-blanks");
pub(super) const WRAPPED_LINES: Rule = Rule::tolerated("wrapped-lines");
pub(super) const BLANK_AFTER_UNA: Rule = Rule::tolerated("blank-after-una");
pub(super) const KEPT_SEPARATORS: Rule = Rule::tolerated("kept-separators");
pub(super) const AMBIGUOUS_SEPARATORS: Rule = Rule::refused("ambiguous-separators");
pub(super) const UNUSED_REPETITION: Rule = Rule::noted("unused-repetition");
pub(super) const NO_REPETITION: Rule = Rule::noted("no-repetition");
pub(super) const UNKNOWN_SYNTAX: Rule = Rule::tolerated("unknown-syntax");
pub(super) const CHARACTER_SET: Rule = Rule::tolerated("character-set");
pub(super) const UNKNOWN_CHARACTER: Rule = Rule::refused("unknown-character");
pub(super) const CONTROL_CHARACTER: Rule = Rule::tolerated("control-character");
pub(super) const NEEDLESS_RELEASE: Rule = Rule::tolerated("needless-release");
pub(super) const TRAILING_SEPARATOR: Rule = Rule::ignored("trailing-separator");
pub(super) const EMPTY_SEGMENT: Rule = Rule::tolerated("empty-segment");
pub(super) const UNUSUAL_TAG: Rule = Rule::tolerated("unusual-tag");
pub(super) const NOT_A_SEGMENT: Rule = Rule::refused("not-a-segment");
pub(super) const NESTING: Rule = Rule::tolerated("nesting-indication");
pub(super) const UNTERMINATED: Rule = Rule::refused("unterminated");
pub(super) const UNTERMINATED_TRAILER: Rule = Rule::tolerated("unterminated-trailer");
pub(super) const OUTSIDE_MESSAGE: Rule = Rule::refused("outside-message");
pub(super) const UNEXPECTED_TRAILER: Rule = Rule::refused("unexpected-trailer");
pub(super) const NO_INTERCHANGE: Rule = Rule::tolerated("no-interchange");
pub(super) const MISSING_MESSAGE_TRAILER: Rule = Rule::refused("missing-message-trailer");
pub(super) const MISSING_TRAILER: Rule = Rule::guarded("missing-trailer");
pub(super) const WRONG_COUNT: Rule = Rule::guarded("wrong-count");
pub(super) const WRONG_REFERENCE: Rule = Rule::guarded("wrong-reference");
pub(super) const DUPLICATE_REFERENCE: Rule = Rule::tolerated("duplicate-reference");
pub(super) const EMPTY_INTERCHANGE: Rule = Rule::refused("empty-interchange");
pub(super) const EMPTY_GROUP: Rule = Rule::tolerated("empty-group");
pub(super) const EMPTY_MESSAGE: Rule = Rule::tolerated("empty-message");
pub(super) const MIXED_GROUPS: Rule = Rule::tolerated("mixed-groups");
pub(super) const MIXED_TYPES: Rule = Rule::tolerated("mixed-types");
pub(super) const MISSING_ELEMENT: Rule = Rule::tolerated("missing-element");
pub(super) const TOO_LONG: Rule = Rule::tolerated("too-long");
pub(super) const TOO_SHORT: Rule = Rule::tolerated("too-short");
pub(super) const WRONG_TYPE: Rule = Rule::tolerated("wrong-type");
pub(super) const TOO_MANY_ELEMENTS: Rule = Rule::tolerated("too-many-elements");
pub(super) const BAD_OBJECT: Rule = Rule::refused("bad-object");

/// Every rule of the reader.
///
/// | code | lenient | normal | strict | what |
/// |---|---|---|---|---|
/// | `byte-order-mark`, `leading-blanks` | warning | warning | error | before the first UNA or UNB |
/// | `wrapped-lines` | warning | warning | error | lines of a fixed width that cut segments; line ends are left out |
/// | `blank-after-una` | warning | warning | error | blanks between UNA and UNB |
/// | `kept-separators` | warning | warning | error | UNB without UNA, by the separators of the interchange before |
/// | `ambiguous-separators` | error | error | error | UNA names a separator twice, or a letter, a digit or a byte above 0x7f; skipped to the next interchange |
/// | `unused-repetition` | warning | warning | warning | UNA position 5 is set below version 4, where it is reserved |
/// | `no-repetition` | warning | warning | warning | it is blank in version 4: nothing is repeated |
/// | `unknown-syntax` | warning | warning | error | a syntax identifier or version that is not known; read as ISO 8859-1 |
/// | `character-set` | warning | warning | error | bytes that the declared set does not have; read as UTF-8 where they are that, else as ISO 8859-1 |
/// | `unknown-character` | error | error | error | bytes that mean nothing in the declared set |
/// | `control-character` | warning | warning | error | a byte below 0x20 in data, as a line end |
/// | `needless-release` | warning | warning | error | a release character before an ordinary one; it is left out |
/// | `trailing-separator` | | | warning | separators with nothing behind them |
/// | `empty-segment` | warning | warning | error | a terminator right after another; skipped |
/// | `unusual-tag` | warning | warning | error | a tag that is not three capital letters or digits |
/// | `not-a-segment` | error | error | error | something else in the place of a tag |
/// | `nesting-indication` | warning | warning | error | `SEG:1:2` in version 4 |
/// | `unterminated-trailer` | warning | warning | error | the input ends right behind UNT, UNE or UNZ |
/// | `unterminated` | error | error | error | it ends behind another segment |
/// | `outside-message` | error | error | error | a segment between messages or interchanges; skipped |
/// | `unexpected-trailer` | error | error | error | UNT, UNE or UNZ without its header; skipped |
/// | `no-interchange` | warning | warning | error | messages without UNB and UNZ |
/// | `missing-message-trailer` | error | error | error | no UNT: the message may be cut |
/// | `missing-trailer` | warning | error | error | no UNE or UNZ |
/// | `wrong-count`, `wrong-reference` | warning | error | error | in UNT, UNE and UNZ |
/// | `duplicate-reference` | warning | warning | error | of a message or group in its interchange |
/// | `empty-interchange` | error | error | error | neither message nor group |
/// | `empty-group`, `empty-message` | warning | warning | error | no message, no segment between UNH and UNT |
/// | `mixed-groups` | warning | warning | error | messages inside and outside of groups |
/// | `mixed-types` | warning | warning | error | several types in a group, below version 4 |
/// | `missing-element`, `too-long`, `too-short`, `wrong-type`, `too-many-elements` | warning | warning | error | in the service segments |
/// | `bad-object` | error | error | error | a package whose object does not end where its header says |
pub const RULES: &[Rule] = &[
    BYTE_ORDER_MARK,
    LEADING_BLANKS,
    WRAPPED_LINES,
    BLANK_AFTER_UNA,
    KEPT_SEPARATORS,
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
