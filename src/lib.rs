//! waybill: a sidecar between a vehicle management system and SAP.
//!
//! Status events come in over AMQP; declared lifecycles, routes and mappings decide what each one
//! means; the documents that follow go out as IDoc files or as messages. Every step is in a journal that is
//! durable before anything is acknowledged, and that shows when it was changed afterwards.
//!
//! # The life of an event
//!
//! 1. [`source`] takes a message and hands it over as an [`event::Arrival`] with a
//!    [`source::Receipt`], the right to acknowledge it.
//! 2. [`intake`] takes what has arrived, as one batch, off the async workers.
//! 3. [`pipeline`] decides, purely: it reads the arrivals, says what must be known, and makes a
//!    [`event::Decision`] of each under the [`plan`] in force: identity and duplicates,
//!    [`lifecycle`], [`route`], [`mapping`], IDoc.
//! 4. [`journal`] commits events, bytes, verdicts and finished documents in one transaction.
//! 5. [`intake`] acknowledges; only now.
//! 6. [`dispatch`] takes the heads of the lanes, one lane for each key, and brings them to their
//!    [`target`].
//! 7. [`journal`] settles what came of it; only then the lane moves on.
//!
//! [`agent`] puts these parts together and ends them in order; [`cli`] is how people reach them.
//!
//! # Floors
//!
//! A module uses only modules below it: `waybill_parsers` < [`metrics`], [`fault`],
//! [`diagnostic`], [`directory`], [`visible`], [`trace`], [`cloudevent`], [`delivery`], [`event`], [`facts`], [`request`] <
//! [`yaml`] < [`table`], [`lifecycle`],
//! [`partner`], [`config`] < [`mapping`] < [`route`] < [`plan`] < [`pipeline`] < [`journal`] <
//! [`tls`], [`http`], [`amqp`] < [`target`] < [`dispatch`] < [`source`] < [`intake`] < [`agent`] <
//! [`doctor`] < [`cli`].
//! `tests/architecture.rs` holds the exact order and what is pure. Everything up to [`pipeline`]
//! touches no disk, no network and no clock; the exceptions are [`directory`],
//! `config::load` and `config::secret`.

pub mod agent;
pub mod amqp;
pub mod cli;
pub mod cloudevent;
pub mod config;
pub mod delivery;
pub mod diagnostic;
pub mod directory;
pub mod dispatch;
pub mod doctor;
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
pub mod request;
pub mod route;
pub mod source;
pub mod table;
pub mod target;
pub mod tls;
pub mod trace;
pub mod visible;
pub mod yaml;
