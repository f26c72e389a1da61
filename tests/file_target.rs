//! The file target behind a dispatcher: what was begun, and where.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "support/world.rs"]
mod world;

use std::fs;
use std::path::Path;

use waybill::config::{FileTarget, NameTemplate, TargetKind};
use waybill::delivery::State;
use waybill::journal::What;
use world::{World, until};

fn at(folder: &Path) -> TargetKind {
    let name = NameTemplate::parse("{docnum}.idoc").unwrap();
    let mode = 0o640;
    TargetKind::File(FileTarget { path: folder.display().to_string(), name, mode })
}

fn world(folder: &Path) -> World {
    World::new("sap", at(folder), |number, _, word| (format!("{number}.idoc"), word.into()))
}

/// The target has been sent to where it stands.
async fn deliver_one(world: &mut World) {
    let id = world.due("first", "EDI_DC40").await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_that_was_begun_and_is_gone_was_taken_by_its_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(folder.path());
    deliver_one(&mut world).await;
    let id = world.due("k", "EDI_DC40").await;
    world.leave_prepared(id).await;
    let running = world.start();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
}

#[tokio::test]
async fn a_delivery_that_was_begun_in_another_folder_is_in_doubt_and_written_when_it_is_released() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut world = world(old.path());
    deliver_one(&mut world).await;
    let begun = world.due("k", "EDI_DC40").await;
    world.leave_prepared(begun).await;
    world.target.kind = at(new.path());
    let fresh = world.due("other", "EDI_DC40").await;
    let running = world.start();
    world.until_state(begun, State::InDoubt).await;
    world.until_state(fresh, State::Delivered).await;
    let reason = world.reason(begun);
    assert!(reason.contains(&old.path().display().to_string()), "{reason}");
    assert!(!new.path().join("2.idoc").exists(), "nobody knows whether it is there already");
    running.act("k", What::Release(begun)).await;
    world.until_state(begun, State::Delivered).await;
    assert_eq!(fs::read(new.path().join("2.idoc")).unwrap(), b"EDI_DC40");
    running.stop().await;
}

#[tokio::test]
async fn what_was_begun_in_a_work_folder_that_is_gone_is_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world(folder.path());
    deliver_one(&mut world).await;
    let id = world.due("k", "EDI_DC40").await;
    world.leave_prepared(id).await;
    fs::remove_dir(folder.path().join(".waybill")).unwrap();
    let running = world.start();
    world.until_state(id, State::InDoubt).await;
    assert!(world.reason(id).contains("release or discard"), "{}", world.reason(id));
    running.act("k", What::Release(id)).await;
    world.until_state(id, State::Delivered).await;
    assert_eq!(fs::read(folder.path().join("2.idoc")).unwrap(), b"EDI_DC40");
    running.stop().await;
}

/// Who may write to the folder makes a link of the work folder: nothing is written behind it, and the
/// delivery waits until it is put right.
#[tokio::test]
async fn a_link_in_the_place_of_the_work_folder_takes_the_target_down_and_is_not_followed() {
    let (folder, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(theirs.path().join("1"), "theirs").unwrap();
    std::os::unix::fs::symlink(theirs.path(), folder.path().join(".waybill")).unwrap();
    let mut world = world(folder.path());
    let id = world.due("k", "EDI_DC40").await;
    let running = world.start();
    let why = || world.metrics.reasons.of("target sap").map_or(String::new(), |why| why.detail);
    until("it is down for that", || async { why().contains("symbolic link") }).await;
    assert_eq!(fs::read(theirs.path().join("1")).unwrap(), b"theirs");
    fs::remove_file(folder.path().join(".waybill")).unwrap();
    world.until_state(id, State::Delivered).await;
    running.stop().await;
}
