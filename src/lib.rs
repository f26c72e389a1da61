//! waybill.

pub mod config;
pub mod delivery;
pub mod diagnostic;
pub mod dispatch;
pub mod event;
pub mod fault;
pub mod journal;
pub mod lifecycle;
pub mod mapping;
pub mod metrics;
pub mod partner;
pub mod source;
pub mod table;
pub mod target;
pub mod yaml;
