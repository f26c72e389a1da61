//! Small runs of the real agent against a real broker, judged by the oracle.
//!
//! `make test` builds the agents, starts the broker and says where they are: `WAYBILL_BIN`,
//! `WAYBILL_FAULTY_BIN` (built with seeded faults), `WAYBILL_TEST_AMQP`. Without them a test is
//! passed over, unless `WAYBILL_TEST_REQUIRED` forbids that.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests are tests, which clippy.toml does not know"
)]

use std::path::PathBuf;

use waybill_oracle::crash::{self, Plan};
use waybill_oracle::faults::{self, Trial};
use waybill_oracle::large;
use waybill_oracle::prove::{self, Proof};
use waybill_oracle::receiver::Way;
use waybill_oracle::reload;
use waybill_oracle::weather::{self, Scenario};
use waybill_oracle::web;
use waybill_oracle::workload::Workload;

/// What the environment says, if it does.
fn given(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        assert!(std::env::var_os("WAYBILL_TEST_REQUIRED").is_none(), "{name} is not set");
        eprintln!("passed over: {name} is not set; `make test` sets it");
    }
    value
}

fn agent() -> Option<PathBuf> {
    given("WAYBILL_BIN").map(PathBuf::from)
}

fn faulty_agent() -> Option<PathBuf> {
    given("WAYBILL_FAULTY_BIN").map(PathBuf::from)
}

#[tokio::test]
async fn every_event_becomes_one_file_in_the_order_of_its_vehicle() {
    let (Some(agent), Some(url)) = (agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let workload = Workload::new(1500, 60, 1);
    let proof = Proof { agent, url, workload, rate: 0, beside_bare: None };
    let report = prove::prove(&proof).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_agent_and_broker_are_killed() {
    let Some(agent) = faulty_agent() else { return };
    let workload = Workload::new(1500, 60, 2);
    let plan = Plan { agent, workload, kills: 6, broker_restarts: 1, way: Way::Files };
    let report = crash::crash(&plan).await.unwrap();
    assert!(report.judgement.is_clean(), "{report}");
}

#[tokio::test]
async fn every_idoc_of_a_file_comes_out_once_beside_events_and_through_kills() {
    let (Some(agent), Some(url)) = (agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let plan = large::Plan { agent, url, mebibytes: 16, rate: 100, seconds: 1 };
    let report = large::large(&plan).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn no_event_is_decided_by_half_of_a_configuration() {
    let (Some(agent), Some(url)) = (agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let workload = Workload::new(2000, 60, 5);
    let report = reload::reload(&reload::Plan { agent, url, workload, rate: 500 }).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_message_comes_again_only_around_a_kill_and_then_the_same() {
    let Some(agent) = faulty_agent() else { return };
    let workload = Workload::new(1500, 60, 3);
    let plan = Plan { agent, workload, kills: 7, broker_restarts: 1, way: Way::Messages };
    let report = crash::crash(&plan).await.unwrap();
    assert!(report.judgement.is_clean(), "{report}");
}

#[tokio::test]
async fn a_web_service_that_knows_ids_takes_each_document_once_through_kills() {
    through_kills(Way::Http).await;
}

#[tokio::test]
async fn a_web_service_that_knows_none_gets_nothing_twice_and_every_doubt_is_listed() {
    through_kills(Way::HttpHeld).await;
}

async fn through_kills(way: Way) {
    let Some(agent) = faulty_agent() else { return };
    let workload = Workload::new(1500, 60, 6);
    let plan = Plan { agent, workload, kills: 7, broker_restarts: 1, way };
    let report = crash::crash(&plan).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn every_deliberate_fault_is_found_and_nothing_where_there_is_none() {
    let (Some(agent), Some(url)) = (faulty_agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let trial = Trial { agent, url, events: 1500, seed: 7 };
    for outcome in faults::faults(&trial).await.unwrap() {
        assert!(outcome.as_expected, "{outcome}\n{}", outcome.judgement);
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_a_corrected_one_is_taken() {
    check(Scenario::WrongPassword).await;
}

#[tokio::test]
async fn an_absent_broker_is_waited_for() {
    check(Scenario::BrokerAbsent).await;
}

#[tokio::test]
async fn a_deleted_queue_is_made_again() {
    check(Scenario::QueueDeleted).await;
}

#[tokio::test]
async fn a_big_event_takes_a_bounded_amount_of_memory() {
    check(Scenario::BigEvent).await;
}

#[tokio::test]
async fn a_web_service_gets_each_document_once_or_a_person_is_asked() {
    let (Some(agent), Some(url)) = (agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let proof = web::Proof { agent, url, workload: Workload::new(1500, 60, 4), load: 0 };
    let report = web::prove(&proof).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn what_a_web_service_gets_twice_is_found() {
    let (Some(agent), Some(url)) = (faulty_agent(), given("WAYBILL_TEST_AMQP")) else { return };
    let proof = web::Proof { agent, url, workload: Workload::new(1500, 60, 5), load: 0 };
    for outcome in web::faults(&proof).await.unwrap() {
        assert!(outcome.as_expected, "{outcome}\n{}", outcome.judgement);
    }
}

#[tokio::test]
async fn events_with_very_many_items_hold_up_no_others() {
    check(Scenario::CostlyEvent).await;
}

#[tokio::test]
async fn an_event_that_kills_the_agent_is_recorded_as_failed_and_the_others_get_through() {
    let Some(agent) = faulty_agent() else { return };
    let report = weather::weather(Scenario::PoisonEvent, &agent).await.unwrap();
    assert!(report.is_fine(), "{report}");
}

async fn check(scenario: Scenario) {
    let Some(agent) = agent() else { return };
    let report = weather::weather(scenario, &agent).await.unwrap();
    assert!(report.is_fine(), "{report}");
}
