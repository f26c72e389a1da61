//! The rules of the X12 reader, and how bad a violation is in each mode.

use crate::segment::Rule;

pub(super) const BYTE_ORDER_MARK: Rule = Rule::tolerated("byte-order-mark");
pub(super) const LEADING_BLANKS: Rule = Rule::tolerated("leading-blanks");
pub(super) const WRAPPED_LINES: Rule = Rule::tolerated("wrapped-lines");
pub(super) const HEADER_LENGTH: Rule = Rule::tolerated("header-length");
pub(super) const INVALID_ISA: Rule = Rule::refused("invalid-isa");
pub(super) const TERMINATOR: Rule = Rule::tolerated("odd-terminator");
pub(super) const AMBIGUOUS_SEPARATORS: Rule = Rule::refused("ambiguous-separators");
pub(super) const NO_REPETITION: Rule = Rule::noted("no-repetition");
pub(super) const INVALID_HEADER: Rule = Rule::tolerated("invalid-header");
pub(super) const CHARACTER_SET: Rule = Rule::noted("character-set");
pub(super) const CONTROL_CHARACTER: Rule = Rule::tolerated("control-character");
pub(super) const TRAILING_SEPARATOR: Rule = Rule::ignored("trailing-separator");
pub(super) const EMPTY_SEGMENT: Rule = Rule::tolerated("empty-segment");
pub(super) const UNUSUAL_TAG: Rule = Rule::tolerated("unusual-tag");
pub(super) const NOT_A_SEGMENT: Rule = Rule::refused("not-a-segment");
pub(super) const BINARY_LENGTH: Rule = Rule::refused("binary-length");
pub(super) const UNTERMINATED: Rule = Rule::refused("unterminated");
pub(super) const UNTERMINATED_TRAILER: Rule = Rule::tolerated("unterminated-trailer");
pub(super) const OUTSIDE_SET: Rule = Rule::refused("outside-set");
pub(super) const UNEXPECTED_TRAILER: Rule = Rule::refused("unexpected-trailer");
pub(super) const NO_INTERCHANGE: Rule = Rule::tolerated("no-interchange");
pub(super) const NO_GROUP: Rule = Rule::tolerated("no-group");
pub(super) const MISSING_SET_TRAILER: Rule = Rule::refused("missing-set-trailer");
pub(super) const MISSING_TRAILER: Rule = Rule::guarded("missing-trailer");
pub(super) const WRONG_COUNT: Rule = Rule::guarded("wrong-count");
pub(super) const WRONG_REFERENCE: Rule = Rule::guarded("wrong-reference");
pub(super) const DUPLICATE_REFERENCE: Rule = Rule::tolerated("duplicate-reference");
pub(super) const EMPTY_INTERCHANGE: Rule = Rule::tolerated("empty-interchange");
pub(super) const EMPTY_GROUP: Rule = Rule::tolerated("empty-group");
pub(super) const EMPTY_SET: Rule = Rule::noted("empty-set");
pub(super) const MISSING_ELEMENT: Rule = Rule::tolerated("missing-element");

/// Every rule of the reader.
///
/// | code | lenient | normal | strict | what |
/// |---|---|---|---|---|
/// | `byte-order-mark`, `leading-blanks` | warning | warning | error | before the first ISA |
/// | `wrapped-lines` | warning | warning | error | line ends in ISA; all of them are left out from there on |
/// | `header-length` | warning | warning | error | ISA is not 106 bytes with its separators in place; taken by elements |
/// | `invalid-isa` | error | error | error | ISA has fewer than sixteen elements; skipped to the next ISA |
/// | `odd-terminator` | warning | warning | error | a blank before `~`, or a character of several bytes |
/// | `ambiguous-separators` | error | error | error | two are the same, or letters or digits; skipped to the next ISA |
/// | `no-repetition` | warning | warning | warning | ISA11 is no separator from version 00402 on |
/// | `invalid-header` | warning | warning | error | an element of ISA has a value that it cannot have |
/// | `character-set` | warning | warning | warning | bytes above 0x7f; read as UTF-8 where they are that, else as ISO 8859-1 |
/// | `control-character` | warning | warning | error | a byte below 0x20 in data, as a line end |
/// | `trailing-separator` | | | warning | separators with nothing behind them |
/// | `empty-segment` | warning | warning | error | a terminator right after another; skipped |
/// | `unusual-tag` | warning | warning | error | a tag that is not two or three capital letters or digits |
/// | `not-a-segment` | error | error | error | something else in the place of a tag |
/// | `binary-length` | error | error | error | BIN or BDS whose length is no number or ends before no terminator |
/// | `unterminated-trailer` | warning | warning | error | the input ends right behind SE, GE or IEA |
/// | `unterminated` | error | error | error | it ends behind another segment |
/// | `outside-set` | error | error | error | a segment between sets; skipped |
/// | `unexpected-trailer` | error | error | error | SE, GE or IEA without its header; skipped |
/// | `no-interchange`, `no-group` | warning | warning | error | sets without ISA, sets without GS |
/// | `missing-set-trailer` | error | error | error | no SE: the set may be cut |
/// | `missing-trailer` | warning | error | error | no GE or IEA |
/// | `wrong-count`, `wrong-reference` | warning | error | error | in SE, GE and IEA |
/// | `duplicate-reference` | warning | warning | error | of a set in its group or a group in its interchange |
/// | `empty-interchange`, `empty-group` | warning | warning | error | no group, no set |
/// | `empty-set` | warning | warning | warning | nothing between ST and SE |
/// | `missing-element` | warning | warning | error | in GS and ST |
pub const RULES: &[Rule] = &[
    BYTE_ORDER_MARK,
    LEADING_BLANKS,
    WRAPPED_LINES,
    HEADER_LENGTH,
    INVALID_ISA,
    TERMINATOR,
    AMBIGUOUS_SEPARATORS,
    NO_REPETITION,
    INVALID_HEADER,
    CHARACTER_SET,
    CONTROL_CHARACTER,
    TRAILING_SEPARATOR,
    EMPTY_SEGMENT,
    UNUSUAL_TAG,
    NOT_A_SEGMENT,
    BINARY_LENGTH,
    UNTERMINATED,
    UNTERMINATED_TRAILER,
    OUTSIDE_SET,
    UNEXPECTED_TRAILER,
    NO_INTERCHANGE,
    NO_GROUP,
    MISSING_SET_TRAILER,
    MISSING_TRAILER,
    WRONG_COUNT,
    WRONG_REFERENCE,
    DUPLICATE_REFERENCE,
    EMPTY_INTERCHANGE,
    EMPTY_GROUP,
    EMPTY_SET,
    MISSING_ELEMENT,
];
