//! Nothing: the tests of this package compare `waybill-parsers` with other parsers.
