//! The HTTP target against a real server: every answer that a web service can give, and none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/http.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use waybill::config::TargetKind;
use waybill::delivery::State;
use waybill::journal::What;

use support::{Reply, Seen, Service, of, target, until, world};

/// Names for many lanes.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n}")).collect()
}

fn ids(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(Seen::id).collect()
}

#[tokio::test]
async fn each_document_arrives_once_in_the_order_of_its_key_over_few_connections() {
    let service = Service::start(|_| Reply::Status(201)).await;
    let mut world = world(&service, "headers: { X-Plant: \"0815\" }");
    world.target.in_flight = 8;
    let names = keys(7);
    let list: Vec<_> = (0..300).map(|n| (names[n % 7].as_str(), "idoc")).collect();
    world.many(&list).await;
    let running = world.start();
    world.until_done().await;
    running.stop().await;
    let seen = service.seen();
    assert_eq!((seen.len(), ids(&seen).iter().collect::<BTreeSet<_>>().len()), (300, 300));
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for one in &seen {
        let before = last.insert(&one.path, one.id());
        assert!(before.is_none_or(|before| before < one.id()), "{}", one.id());
    }
    assert!(seen.iter().map(|one| one.connection).max().unwrap() <= 8);
    let first = seen.iter().find(|one| one.id() == "test-0000000000000001").unwrap();
    assert_eq!((&*first.method, &*first.path), ("POST", "/api/idoc/k0"));
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!((first.header("x-plant"), &*first.body), ("0815", &b"{\"n\":1}"[..]));
}

#[tokio::test]
async fn what_the_service_calls_a_document_and_why_it_refuses_one_are_in_the_journal() {
    let service = Service::start(|one| match one.path.ends_with("bad") {
        true => {
            Reply::Full(422, "x-a", "b", "{\"error\":{\"message\":\"plant of\\nJana N. unknown\"}}")
        }
        false => Reply::Full(201, "location", "/documents/4711", "{\"number\":\"90001\"}"),
    })
    .await;
    let keys = "reference: { json: number }, error: { json: error.message }";
    let mut world = world(&service, keys);
    let good = world.due("good", "x").await;
    let bad = world.due("bad", "x").await;
    let running = world.start();
    world.until_state(good, State::Delivered).await;
    world.until_state(bad, State::Dead).await;
    running.stop().await;
    assert_eq!(world.journal.delivery(good).unwrap().unwrap().answer, "90001");
    let reason = world.reason(bad);
    assert_eq!(reason, "the answer is 422 Unprocessable Entity: plant of Jana N. unknown");
}

#[tokio::test]
async fn a_busy_service_is_asked_again_when_it_wants_to_be() {
    let mut calls = 0;
    let service = Service::start(move |_| {
        calls += 1;
        match calls {
            1 => Reply::Full(503, "retry-after", "2", ""),
            2 => Reply::Status(429),
            _ => Reply::Status(200),
        }
    })
    .await;
    let mut world = world(&service, "dedupes: none");
    let id = world.due("a", "x").await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    let seen = service.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(2), "{:?}", seen[1].at - seen[0].at);
    assert!(seen[2].at - seen[1].at < Duration::from_secs(2));
    assert_eq!((world.attempts(id), world.retries("busy")), (3, 2));
}

#[tokio::test]
async fn where_the_service_knows_ids_a_doubtful_document_is_sent_again_the_same() {
    for doubt in [Reply::Close, Reply::Silence, Reply::Status(500), Reply::Status(504)] {
        let mut first = true;
        let name = format!("{doubt:?}");
        let service = Service::start(move |_| match std::mem::replace(&mut first, false) {
            true => doubt.clone(),
            false => Reply::Status(200),
        })
        .await;
        let mut world = world(&service, "dedupes: id");
        let id = world.due("a", "x").await;
        world.due("a", "x").await;
        let running = world.start();
        world.until_done().await;
        running.stop().await;
        let seen = service.seen();
        let expected = ["test-0000000000000001", "test-0000000000000001", "test-0000000000000002"];
        assert_eq!(ids(&seen), expected, "{name}");
        assert_eq!(seen[0].body, seen[1].body);
        assert_eq!((world.attempts(id), world.retries("in-doubt")), (2, 1), "{name}");
    }
}

#[tokio::test]
async fn a_document_that_never_gets_an_answer_is_in_doubt_in_the_end_and_not_dead() {
    let service = Service::start(|one| match one.path.ends_with("poison") {
        true => Reply::Close,
        false => Reply::Status(200),
    })
    .await;
    let mut world = world(&service, "dedupes: id");
    let id = world.due("poison", "x").await;
    let running = world.start();
    world.until_state(id, State::InDoubt).await;
    let other = world.due("other", "x").await;
    world.until_state(other, State::Delivered).await;
    running.stop().await;
    assert!(world.reason(id).ends_with("attempt 4 was the last"), "{}", world.reason(id));
    assert_eq!(service.count(), 5);
}

#[tokio::test]
async fn where_it_does_not_a_person_decides_and_only_that_lane_waits() {
    let service = Service::start(|one| match one.id().ends_with(['1', '3']) {
        true => Reply::Close,
        false => Reply::Status(200),
    })
    .await;
    let mut world = world(&service, "on_doubt: hold");
    let ids = world.many(&[("a", "x"), ("a", "x"), ("b", "x"), ("b", "x"), ("c", "x")]).await;
    let running = world.start();
    world.until_state(ids[0], State::InDoubt).await;
    world.until_state(ids[2], State::InDoubt).await;
    world.until_state(ids[4], State::Delivered).await;
    assert_eq!((world.state(ids[1]), world.state(ids[3])), (State::Due, State::Due));
    service.rule(|_| Reply::Status(200));
    let before = service.count();
    running.act("a", What::Release(ids[0])).await;
    running.act("b", What::Discard(ids[2])).await;
    world.until_done().await;
    running.stop().await;
    let after: Vec<_> = service.seen().split_off(before);
    let of_a: Vec<_> = after.iter().filter(|one| one.path.ends_with("/a")).collect();
    assert_eq!((of_a[0].id(), of_a[1].id()), ("test-0000000000000001", "test-0000000000000002"));
    assert_eq!((after.len(), world.state(ids[2])), (3, State::Discarded));
}

#[tokio::test]
async fn what_a_killed_agent_was_sending_is_in_doubt_unless_the_service_knows_ids() {
    for (keys, expected) in [("dedupes: none", State::InDoubt), ("dedupes: id", State::Delivered)] {
        let service = Service::start(|_| Reply::Status(200)).await;
        let mut world = world(&service, keys);
        let id = world.due("a", "x").await;
        world.leave_prepared(id).await;
        let running = world.start();
        world.until_state(id, expected).await;
        running.stop().await;
        assert_eq!(service.count(), usize::from(expected == State::Delivered));
    }
}

#[tokio::test]
async fn what_was_in_doubt_stays_so_when_the_service_is_said_to_know_no_ids() {
    let service = Service::start(|_| Reply::Close).await;
    let mut world = world(&service, "dedupes: id");
    world.target.retry.attempts = 10_000;
    let names = keys(12);
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    // More than the breaker lets through: by then doubt no longer counts as an attempt.
    until("each was tried", || async {
        service.seen().iter().map(Seen::id).collect::<BTreeSet<_>>().len() == 12
    })
    .await;
    running.stop().await;
    let before = service.count();
    world.target.kind = anew(&service, "dedupes: none");
    let running = world.start();
    for id in ids {
        world.until_state(id, State::InDoubt).await;
    }
    running.stop().await;
    assert_eq!(service.count(), before);
}

#[tokio::test]
async fn what_was_under_way_when_a_target_was_replaced_is_in_doubt_where_ids_are_not_known() {
    let service = Service::start(|_| Reply::Silence).await;
    let patient = "timeouts: { connect: 1s, first_byte: 60s, total: 60s }";
    let mut world = world(&service, &format!("dedupes: id, {patient}"));
    let id = world.due("a", "x").await;
    let running = world.start();
    until("it is under way", || async { service.count() == 1 }).await;
    assert_eq!(world.state(id), State::Due);
    running.cut_short(|| async { world.state(id) == State::Prepared }).await;
    world.target.kind = anew(&service, "dedupes: none");
    let running = world.start();
    world.until_state(id, State::InDoubt).await;
    running.stop().await;
    assert_eq!(service.count(), 1);
}

/// The target with other keys, as after a reload.
fn anew(service: &Service, keys: &str) -> TargetKind {
    TargetKind::Http(Box::new(target(&format!("http://{}/api/", service.address), keys)))
}

#[tokio::test]
async fn without_a_server_nothing_is_counted_and_nothing_in_doubt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut world = of(target(&format!("http://{address}"), "dedupes: none"));
    let names = keys(20);
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    until("the target is down", || async { !world.up() }).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let service = Service::listen(listener, None, |_| Reply::Status(200));
    world.until_done().await;
    running.stop().await;
    assert_eq!(service.count(), 20);
    assert!(ids.iter().all(|id| world.attempts(*id) == 1), "only what arrived counts");
}

#[tokio::test]
async fn a_service_that_fails_for_everybody_uses_up_nobodys_attempts() {
    let service = Service::start(|_| Reply::Status(503)).await;
    let mut world = world(&service, "dedupes: id");
    let names = keys(60);
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    until("the target is down", || async { !world.up() }).await;
    let before = service.count();
    until("it was probed", || async { service.count() > before }).await;
    assert!(service.count() < 90, "{} requests", service.count());
    service.rule(|_| Reply::Status(200));
    world.until_done().await;
    running.stop().await;
    assert!(ids.iter().all(|id| world.state(*id) == State::Delivered));
}

#[tokio::test]
async fn a_slow_answer_holds_up_its_own_lane_only() {
    let service = Service::start(|one| match one.path.ends_with("slow") {
        true => Reply::Late(Duration::from_secs(4)),
        false => Reply::Status(200),
    })
    .await;
    let keys = "timeouts: { connect: 1s, first_byte: 10s, total: 10s }";
    let mut world = world(&service, keys);
    let slow = world.many(&[("slow", "x"), ("slow", "x")]).await;
    let names = ["a", "b", "c", "d"].repeat(50);
    let list: Vec<_> = names.into_iter().map(|key| (key, "x")).collect();
    let started = Instant::now();
    let quick = world.many(&list).await;
    let running = world.start();
    for id in quick {
        world.until_state(id, State::Delivered).await;
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_ne!(world.state(slow[0]), State::Delivered);
    world.until_done().await;
    running.stop().await;
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_a_bound_and_means_what_its_status_says() {
    let service = Service::start(|_| Reply::Endless).await;
    let mut world = world(&service, "reference: { text: true }");
    let id = world.due("a", "x").await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    let answer = world.journal.delivery(id).unwrap().unwrap().answer;
    assert_eq!(answer.len(), 200);
}

#[tokio::test]
async fn redirects_are_refused_unless_the_configuration_follows_them() {
    let elsewhere = Service::start(|_| Reply::Status(200)).await;
    let address: &'static str = format!("http://{}/x", elsewhere.address).leak();
    for (status, keys, state) in [
        (302, "dedupes: none", Some(State::InDoubt)),
        (307, "dedupes: none", None),
        // To another server: never, a credential is for nobody else.
        (307, "redirects: 3", None),
    ] {
        let service = Service::start(move |_| Reply::Full(status, "location", address, "")).await;
        let mut world = world(&service, keys);
        let id = world.due("a", "x").await;
        let running = world.start();
        match state {
            Some(state) => world.until_state(id, state).await,
            None => until("the target is down", || async { !world.up() }).await,
        }
        running.stop().await;
    }
    assert_eq!(elsewhere.count(), 0);
    let service = Service::start(move |one| match one.path.ends_with("/moved") {
        true => Reply::Status(200),
        false => Reply::Full(308, "location", "/moved", ""),
    })
    .await;
    let mut world = world(&service, "redirects: 1");
    let id = world.due("a", "x").await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    assert_eq!(
        (service.seen()[1].method.as_str(), service.seen()[1].id()),
        ("POST", "test-0000000000000001")
    );
}

#[tokio::test]
async fn a_status_means_what_the_configuration_says() {
    let service = Service::start(|one| match one.path.ends_with("a") {
        true => Reply::Status(404),
        false => Reply::Status(500),
    })
    .await;
    let mut world = world(&service, "answers: { \"404\": delivered, 5xx: reject }");
    let ids = world.many(&[("a", "x"), ("b", "x")]).await;
    let running = world.start();
    world.until_state(ids[0], State::Delivered).await;
    world.until_state(ids[1], State::Dead).await;
    running.stop().await;
}

const BASIC: &str = "auth: { basic: { user: vms, password: { file: password } } }";
const GOOD: &str = "Basic dm1zOmdvb2Q=";

#[tokio::test]
async fn a_wrong_password_is_tried_once_until_its_file_is_corrected() {
    for status in [401, 403, 407] {
        let service = Service::start(move |one| match one.header("authorization") == GOOD {
            true => Reply::Status(200),
            false => Reply::Status(status),
        })
        .await;
        let mut world = world(&service, BASIC);
        std::fs::write(world.path("password"), "geheim").unwrap();
        let names = keys(50);
        let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
        let ids = world.many(&list).await;
        let running = world.start();
        until("the login was refused", || async { service.count() == 1 && !world.up() }).await;
        // Two looks at the file later it is still one try.
        let watched = Instant::now();
        until("time went by", || async { watched.elapsed() > Duration::from_millis(2500) }).await;
        assert_eq!(service.count(), 1, "{status}");
        assert!(ids.iter().all(|id| world.attempts(*id) == 0));
        std::fs::write(world.path("password"), "good\n").unwrap();
        world.until_done().await;
        running.stop().await;
        let good = service.seen().iter().filter(|one| one.header("authorization") == GOOD).count();
        assert_eq!((good, service.count()), (50, 51));
    }
}

#[tokio::test]
async fn an_answer_from_before_the_login_does_not_let_a_wrong_password_be_tried_by_many() {
    for status in [302, 307, 408, 429, 500, 502, 503] {
        let mut first = true;
        let service = Service::start(move |_| match std::mem::replace(&mut first, false) {
            true => Reply::Status(status),
            false => Reply::Status(401),
        })
        .await;
        let mut world = world(&service, BASIC);
        std::fs::write(world.path("password"), "geheim").unwrap();
        let names = keys(50);
        let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
        world.many(&list).await;
        let running = world.start();
        until("the login was refused", || async { service.count() > 1 && !world.up() }).await;
        running.stop().await;
        assert_eq!(service.count(), 2, "{status}");
    }
}

#[tokio::test]
async fn what_waits_for_a_first_login_has_not_begun_when_the_agent_ends() {
    let service = Service::start(|_| Reply::Silence).await;
    let mut world = world(&service, BASIC);
    std::fs::write(world.path("password"), "good").unwrap();
    let names = keys(5);
    let list: Vec<_> = names.iter().map(|key| (key.as_str(), "x")).collect();
    let ids = world.many(&list).await;
    let running = world.start();
    until("the first is under way", || async { service.count() == 1 }).await;
    let of = |state| ids.iter().filter(|id| world.state(**id) == state).count();
    assert_eq!((of(State::Prepared), of(State::Due)), (1, 4));
    running.stop().await;
    assert_eq!((of(State::InDoubt), of(State::Due), service.count()), (1, 4, 1));
    assert_eq!(ids.iter().map(|id| world.attempts(*id)).sum::<u32>(), 1);
}

#[tokio::test]
async fn a_password_that_was_rotated_is_used_without_an_error_or_a_restart() {
    let service = Service::start(|_| Reply::Status(200)).await;
    let mut world = world(&service, "auth: { bearer: { file: token } }");
    std::fs::write(world.path("token"), "one").unwrap();
    let running = world.start();
    let first = world.due("a", "x").await;
    world.until_state(first, State::Delivered).await;
    std::fs::write(world.path("token"), "two").unwrap();
    let rotated = Instant::now();
    while service.seen().last().unwrap().header("authorization") != "Bearer two" {
        assert!(rotated.elapsed() < Duration::from_secs(20), "the new token is never used");
        let id = world.due("a", "x").await;
        world.until_state(id, State::Delivered).await;
    }
    assert_eq!(service.seen()[0].header("authorization"), "Bearer one");
    assert!(world.up());
    running.stop().await;
}

#[tokio::test]
async fn a_secret_that_is_being_written_is_not_used() {
    let service = Service::start(|_| Reply::Status(200)).await;
    let mut world = world(&service, "auth: { bearer: { file: token } }");
    std::fs::write(world.path("token"), "one").unwrap();
    let running = world.start();
    let first = world.due("a", "x").await;
    world.until_state(first, State::Delivered).await;
    // Looks come once a second; whoever takes what one of them sees takes a part.
    let (token, begun, mut part) = (world.path("token"), Instant::now(), 0_u32);
    until("some looks have seen a part", || {
        part += 1;
        std::fs::write(&token, format!("part{part}")).unwrap();
        std::future::ready(begun.elapsed() > Duration::from_millis(3500))
    })
    .await;
    std::fs::write(&token, "one").unwrap();
    let id = world.due("b", "x").await;
    world.until_state(id, State::Delivered).await;
    running.stop().await;
    let seen = service.seen();
    assert!(seen.iter().all(|one| one.header("authorization") == "Bearer one"), "{seen:#?}");
}

#[tokio::test]
async fn an_api_key_goes_into_its_header_and_no_secret_is_shown() {
    let service = Service::start(|_| Reply::Status(403)).await;
    let keys = "auth: { header: { name: X-Api-Key, value: geheim } }, headers: { X-Plant: geheim }";
    let mut world = world(&service, keys);
    assert!(!format!("{:?}", world.target).contains("geheim"));
    world.due("a", "x").await;
    let running = world.start();
    until("the login was refused", || async { service.count() == 1 && !world.up() }).await;
    running.stop().await;
    assert_eq!(service.seen()[0].header("x-api-key"), "geheim");
}
