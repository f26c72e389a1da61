//! Where documents go. Each target says what came of a consignment; what follows from it is for
//! [`dispatch`](crate::dispatch) to decide.

pub mod file;
