//! waybill.

pub mod agent;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod diagnostic;
pub mod dispatch;
pub mod event;
pub mod facts;
pub mod fault;
pub mod http;
pub mod intake;
pub mod journal;
pub mod lifecycle;
pub mod mapping;
pub mod metrics;
pub mod partner;
pub mod pipeline;
pub mod plan;
pub mod route;
pub mod source;
pub mod table;
pub mod target;
pub mod yaml;
