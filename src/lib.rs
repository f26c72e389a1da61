//! waybill.

pub mod delivery;
pub mod diagnostic;
pub mod event;
pub mod yaml;
