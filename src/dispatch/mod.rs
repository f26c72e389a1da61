//! Brings deliveries to their targets, in the order of their keys.

pub mod lanes;
pub mod retry;
