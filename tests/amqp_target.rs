//! The AMQP target against a real broker: every answer that a broker can give, and none.
//!
//! `make test` starts the broker and says where it is (`WAYBILL_TEST_AMQP`). What stops, kills or
//! starves a broker has one of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/amqp.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use waybill::config::secret::Secret;
use waybill::config::{DeclareExchange, Mode, OnDoubt};
use waybill::delivery::State;
use waybill::journal::What;

use support::{Private, Received, Receiver, broker, configure, until, world};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Names for many lanes.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n}")).collect()
}

/// The first message of each id.
fn firsts(messages: &[Received]) -> Vec<&Received> {
    let mut seen = BTreeSet::new();
    messages.iter().filter(|message| seen.insert(&message.id)).collect()
}

#[tokio::test]
async fn messages_are_confirmed_persistent_cloud_events_in_the_order_of_their_keys() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let names = keys(7);
    let list: Vec<_> = (0..300).map(|n| (names[n % 7].as_str(), "idoc")).collect();
    world.many(&list).await;
    let running = world.start();
    world.until_done().await;
    running.stop().await;
    let got = receiver.drain(&queue).await;
    assert_eq!((got.len(), firsts(&got).len()), (300, 300));
    let mut last = BTreeMap::new();
    for message in &got {
        let before = last.insert(message.routing_key.clone(), message.id.clone());
        assert!(before.is_none_or(|before| before < message.id), "{}", message.id);
        assert_eq!(*message.properties.delivery_mode(), Some(2));
    }
    let first = got.iter().find(|message| message.id == "test-0000000000000001").unwrap();
    let content_type = first.properties.content_type().clone().unwrap();
    assert_eq!(content_type.as_str(), "application/cloudevents+json; charset=utf-8");
    assert_eq!(first.routing_key, "sap.idoc.k0");
    let event: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "test-0000000000000001");
    assert_eq!((&event["subject"], &event["data"]["n"]), (&"k0".into(), &1.into()));
    receiver.close().await;
}

#[tokio::test]
async fn in_binary_mode_the_data_is_the_body_and_the_attributes_are_headers() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    configure(&mut world, |amqp| {
        (amqp.mode, amqp.declare) = (Mode::Binary, DeclareExchange::Topic)
    });
    world.due("4711", "idoc").await;
    let running = world.start();
    world.until_done().await;
    running.stop().await;
    let got = receiver.drain(&queue).await.remove(0);
    assert_eq!(got.body, b"{\"n\":1}");
    assert_eq!(got.properties.content_type().clone().unwrap().as_str(), "application/json");
    let headers = got.properties.headers().clone().unwrap();
    for (name, value) in [("specversion", "1.0"), ("id", &*got.id), ("subject", "4711")] {
        let name = format!("cloudEvents:{name}");
        assert_eq!(headers.inner().get(name.as_str()), Some(&text(value)), "{name}");
    }
    receiver.close().await;
}

#[tokio::test]
async fn a_message_that_no_queue_takes_is_dead_with_the_brokers_reason_and_no_other() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    // A quorum queue confirms late, so that the returns of others overtake its confirmations.
    let slow = [("x-queue-type", text("quorum"))];
    let queue = receiver.queue("some", "sap.idoc.*", &slow).await;
    let mut world = world(&url, &receiver.exchange);
    let names = keys(60);
    let word = |n: usize| if n.is_multiple_of(3) { "nobody" } else { "idoc" };
    let list: Vec<_> = (0..60).map(|n| (names[n].as_str(), word(n))).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    until("all have an answer", || async {
        ids.iter().all(|id| matches!(world.state(*id), State::Delivered | State::Dead))
    })
    .await;
    for (n, id) in ids.iter().enumerate() {
        let expected = if n.is_multiple_of(3) { State::Dead } else { State::Delivered };
        assert_eq!(world.state(*id), expected, "message {n}");
    }
    assert!(world.reason(ids[0]).contains("312 NO_ROUTE"), "{}", world.reason(ids[0]));
    assert_eq!(receiver.drain(&queue).await.len(), 40);
    // Once a queue is bound, an operator releases it.
    let other = receiver.queue("other", "sap.nobody.k0", &[]).await;
    running.act("k0", What::Release(ids[0])).await;
    world.until_state(ids[0], State::Delivered).await;
    assert_eq!(receiver.drain(&other).await.len(), 1);
    running.stop().await;
    receiver.close().await;
}

#[tokio::test]
async fn a_full_queue_says_no_which_counts_until_there_is_room_or_the_attempts_are_used_up() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let full = [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    let queue = receiver.queue("full", "sap.#", &full).await;
    let mut world = world(&url, &receiver.exchange);
    let first = world.due("a", "idoc").await;
    let running = world.start();
    world.until_state(first, State::Delivered).await;
    let second = world.due("b", "idoc").await;
    until("the broker said no", || async { world.attempts(second) > 0 }).await;
    assert!(world.reason(second).contains("the broker said no"));
    assert_eq!(receiver.drain(&queue).await[0].id, "test-0000000000000001");
    world.until_state(second, State::Delivered).await;
    assert!(world.retries("nack") > 0);
    let third = world.due("c", "idoc").await;
    world.until_state(third, State::Dead).await;
    assert!(world.reason(third).ends_with("attempt 4 was the last"), "{}", world.reason(third));
    running.stop().await;
    receiver.close().await;
}

#[tokio::test]
async fn without_its_exchange_a_target_is_down_and_nothing_is_lost_or_counted() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let first = world.due("a", "idoc").await;
    let running = world.start();
    world.until_state(first, State::Delivered).await;
    let name = receiver.exchange.as_str().into();
    receiver.channel.exchange_delete(name, ExchangeDeleteOptions::default()).await.unwrap();
    let names = keys(30);
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "idoc")).collect();
    world.many(&list).await;
    until("the target is down", || async { !world.up() }).await;
    receiver.declare().await;
    receiver.queue("all", "sap.#", &[]).await;
    world.until_done().await;
    running.stop().await;
    let got = receiver.drain(&queue).await;
    assert_eq!(firsts(&got).len(), 31);
    for message in &got {
        let same = got.iter().filter(|other| other.id == message.id);
        assert!(same.into_iter().all(|other| other.body == message.body));
    }
    assert!((1..=31).all(|id| world.attempts(id) == 1), "only the attempt that arrived counts");
    receiver.close().await;
}

#[tokio::test]
async fn without_its_queue_a_message_is_unroutable() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let first = world.due("a", "idoc").await;
    let running = world.start();
    world.until_state(first, State::Delivered).await;
    let name = queue.as_str().into();
    receiver.channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
    let second = world.due("a", "idoc").await;
    world.until_state(second, State::Dead).await;
    assert!(world.reason(second).contains("NO_ROUTE"));
    assert!(world.up(), "the broker is there all the same");
    running.stop().await;
    receiver.close().await;
}

#[tokio::test]
async fn an_exchange_that_is_not_there_at_the_start_is_waited_for() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let later = format!("{}.later", receiver.exchange);
    let mut world = world(&url, &later);
    let first = world.due("a", "idoc").await;
    let running = world.start();
    // It leads to a queue from its first moment on, or a message between the two would be dead.
    let mut leads_on = FieldTable::default();
    leads_on.insert("alternate-exchange".into(), text(&receiver.exchange));
    let (name, options) = (later.as_str().into(), ExchangeDeclareOptions::default());
    let declared = receiver.channel.exchange_declare(name, ExchangeKind::Topic, options, leads_on);
    declared.await.unwrap();
    world.until_state(first, State::Delivered).await;
    assert_eq!(receiver.drain(&queue).await.len(), 1);
    running.stop().await;
    receiver.close().await;
}

#[tokio::test]
async fn what_a_killed_agent_was_sending_is_sent_again_with_the_same_id_and_bytes() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let first = world.due("a", "idoc").await;
    // The kill came after the broker had it, or before: the journal looks the same.
    world.leave_prepared(first).await;
    world.due("a", "idoc").await;
    let running = world.start();
    world.until_done().await;
    running.stop().await;
    let got = receiver.drain(&queue).await;
    let ids: Vec<_> = got.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids, ["test-0000000000000001", "test-0000000000000002"]);
    let document = world.journal.consignments(&[first]).unwrap().remove(0).document;
    assert_eq!(got[0].body, document);
    receiver.close().await;
}

#[tokio::test]
async fn where_doubt_holds_an_operator_decides_and_the_lane_waits_for_that() {
    let Some(url) = broker() else { return };
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    configure(&mut world, |amqp| amqp.on_doubt = OnDoubt::Hold);
    let list = [("a", "idoc"), ("a", "idoc"), ("b", "idoc"), ("b", "idoc"), ("c", "idoc")];
    let ids = world.many(&list).await;
    for id in [ids[0], ids[2]] {
        world.leave_prepared(id).await;
    }
    let running = world.start();
    world.until_state(ids[0], State::InDoubt).await;
    world.until_state(ids[2], State::InDoubt).await;
    world.until_state(ids[4], State::Delivered).await;
    assert_eq!((world.state(ids[1]), world.state(ids[3])), (State::Due, State::Due));
    assert_eq!(receiver.drain(&queue).await.len(), 1);
    running.act("a", What::Release(ids[0])).await;
    running.act("b", What::Discard(ids[2])).await;
    world.until_done().await;
    running.stop().await;
    assert_eq!(world.state(ids[2]), State::Discarded);
    let got = receiver.drain(&queue).await;
    let of_a: Vec<_> = got.iter().filter(|m| m.routing_key == "sap.idoc.a").collect();
    assert_eq!(of_a.len(), 2);
    assert_eq!((of_a[0].id.as_str(), got.len()), ("test-0000000000000001", 3));
    receiver.close().await;
}

#[tokio::test]
async fn a_broker_killed_with_messages_on_their_way_gets_them_again() {
    if broker().is_none() {
        return;
    }
    let private = Private::start();
    let url = private.url();
    let receiver = Receiver::new(&url).await;
    // RabbitMQ 3.10 leaves a quorum queue without a leader that is younger than the kill.
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let names = keys(50);
    let list: Vec<_> = (0..2000).map(|n| (names[n % 50].as_str(), "idoc")).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    until("some are there", || async { world.state(ids[200]) == State::Delivered }).await;
    private.kill();
    until("the target is down", || async { !world.up() }).await;
    private.restart();
    world.until_done().await;
    running.stop().await;
    let receiver = Receiver::again(&url, receiver.exchange.clone()).await;
    let got = receiver.drain(&queue).await;
    let firsts = firsts(&got);
    assert_eq!(firsts.len(), 2000, "none lost; {} came twice", got.len() - 2000);
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for message in &firsts {
        let before = last.insert(&message.routing_key, &message.id);
        assert!(before.is_none_or(|before| before < message.id.as_str()), "{}", message.id);
        bodies.insert(&message.id, &message.body);
    }
    assert!(got.iter().all(|message| bodies[message.id.as_str()] == message.body));
    receiver.close().await;
}

#[tokio::test]
async fn a_blocked_connection_takes_nothing_and_nothing_is_counted() {
    if broker().is_none() {
        return;
    }
    let private = Private::start();
    let url = private.url();
    let receiver = Receiver::new(&url).await;
    let queue = receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    let first = world.due("a", "idoc").await;
    let running = world.start();
    world.until_state(first, State::Delivered).await;
    private.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    // The broker says that it is blocked when somebody publishes.
    let second = world.due("b", "idoc").await;
    until("the target is down", || async { !world.up() }).await;
    let third = world.due("c", "idoc").await;
    private.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    world.until_done().await;
    running.stop().await;
    assert_eq!((world.attempts(second), world.attempts(third)), (1, 1));
    let got = receiver.drain(&queue).await;
    assert_eq!((got.len(), firsts(&got).len()), (3, 3));
    receiver.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_until_it_changes() {
    if broker().is_none() {
        return;
    }
    let private = Private::start();
    let url = private.url();
    let receiver = Receiver::new(&url).await;
    receiver.queue("all", "sap.#", &[]).await;
    let mut world = world(&url, &receiver.exchange);
    configure(&mut world, |amqp| amqp.url = Secret::File("url".to_owned()));
    let (user, rest) = url.split_once("@").unwrap();
    let wrong = format!("{user}x@{rest}");
    std::fs::write(world.path("url"), &wrong).unwrap();
    let first = world.due("a", "idoc").await;
    let running = world.start();
    let refused = || private.log().matches("user 'waybill' - invalid credentials").count();
    until("the login was refused", || async { refused() > 0 }).await;
    assert!(!world.up());
    std::fs::write(world.path("url"), &url).unwrap();
    world.until_state(first, State::Delivered).await;
    assert_eq!((refused(), world.attempts(first)), (1, 1));
    running.stop().await;
    receiver.close().await;
}
