//! The oracle: publishes events, takes the files as SAP would, and judges.
//!
//! It knows nothing of the agent but its promises. The [`judge`] sees two logs, what was published
//! and what was consumed; no crate of the agent is imported, and VINs, lifecycle and IDoc offsets
//! are written down here a second time from the contract.
//!
//! In reading order: [`workload`] (what will be published) from [`vehicle`] and [`random`];
//! [`publisher`] on one side of the agent, [`consumer`] (files) and [`subscriber`] (messages) on the
//! other, each as a [`receiver`]; [`service`], a web service that fails on purpose, and [`doubt`], the
//! person who is asked when it is not known what it took; [`evidence`] and [`judge`];
//! [`site`], [`agent`], its [`cgroup`] and [`broker`], what runs; [`run`], one run from start to judgement; then the
//! proofs: [`prove`], [`crash`], [`large`], [`reload`], [`flood`], [`faults`], [`weather`], [`web`], and [`bare`] and
//! [`load`], the loops to compare with.

pub mod agent;
pub mod bare;
pub mod broker;
pub mod cgroup;
pub mod consumer;
pub mod crash;
pub mod doubt;
pub mod evidence;
pub mod faults;
pub mod figures;
pub mod flood;
pub mod idoc;
pub mod judge;
pub mod large;
pub mod load;
pub mod metrics;
pub mod process;
pub mod prove;
pub mod publisher;
pub mod queue;
pub mod random;
pub mod receiver;
pub mod reload;
pub mod run;
pub mod scratch;
pub mod service;
pub mod site;
pub mod subscriber;
pub mod vehicle;
pub mod weather;
pub mod web;
pub mod workload;
