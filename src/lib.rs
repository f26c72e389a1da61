//! waybill.

pub mod config;
pub mod delivery;
pub mod diagnostic;
pub mod event;
pub mod fault;
pub mod lifecycle;
pub mod partner;
pub mod yaml;
