//! This server's clock is set back, or ahead, while messages wait. Times that are stored then lie in another time.

use std::{process::Command, time::Duration};

use serde_json::json;
use testbed::faults::{SmtpFault, SmtpServer};

use crate::harness::{Chain, World, follow, work_off};

const HOUR_MS: i64 = 3_600_000;
/// The longest pause that can be configured.
const MINUTES: Duration = Duration::from_secs(600);

/// Moves every time of this server that is stored of messages: by the clock's step, the other way round. What is due by
/// a block's depth is due by no clock.
fn shift(world: &World, by_ms: i64) {
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], timeout=10)\n\
        by = int(sys.argv[2])\n\
        db.execute('UPDATE deliveries SET created_at_ms = created_at_ms + ?, due_at_ms = due_at_ms + ? \
        WHERE due_at_ms < 9223372036854775807', (by, by))\n\
        db.execute('UPDATE deliveries SET lease_until_ms = lease_until_ms + ? WHERE lease_until_ms > 0', (by,))\n\
        db.commit()";
    let database = world.folder.path().join("otp.db");
    let mut python = Command::new("python3");
    assert!(python.args(["-c", script]).arg(database).arg(by_ms.to_string()).status().unwrap().success());
}

async fn chain_time_passes(world: &World, seconds: u64) {
    world.chain.ask("evm_increaseTime", json!([seconds])).await;
    world.chain.mine(1).await;
    follow(&mut world.tail(&world.chain.url)).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_lets_no_message_wait_until_it_has_caught_up() {
    let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
    let worker = world.worker(smtp.port);
    let mut tail = world.tail(&world.chain.url);
    // One that its process died with, one that the server put off, one that was not tried yet.
    let mut codes = vec![world.issue_one().await];
    follow(&mut tail).await;
    let lost = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    codes.push(world.issue_one().await);
    follow(&mut tail).await;
    smtp.inject(SmtpFault::Greylist);
    assert!(worker.step().await.unwrap());
    codes.push(world.issue_one().await);
    follow(&mut tail).await;

    shift(&world, HOUR_MS);
    work_off(&worker).await;
    assert_eq!(smtp.taken(), 2, "what nobody holds went out");
    // As every start does.
    world.store.release_deliveries().await.unwrap();
    work_off(&worker).await;
    let taken = smtp.drain();
    assert_eq!(taken.len(), 3, "each once");
    assert_eq!(taken[2].message_id, lost.message_id, "under the id that it had");
    for (person, issued) in &codes {
        let its = taken.iter().filter(|mail| mail.to == person.address).collect::<Vec<_>>();
        assert!(its.len() == 1 && its[0].text.contains(issued.code.digits().expose()));
    }
    assert_eq!(world.deliveries("accepted").await, 3);
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_left_alone_whatever_the_clock_did_before() {
    let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
    let mut worker = world.worker(smtp.port);
    (worker.config.retry_first, worker.config.retry_most) = (MINUTES, MINUTES);
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    shift(&world, HOUR_MS);
    smtp.inject(SmtpFault::Greylist);
    assert!(worker.step().await.unwrap());
    assert!(!worker.step().await.unwrap(), "its pause counts by the clock as it is now");
}

#[tokio::test]
async fn nothing_goes_out_after_its_expiry_by_chain_time_wherever_the_clock_stands() {
    let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
    let worker = world.worker(smtp.port);
    for by_ms in [0, HOUR_MS, -HOUR_MS, 24 * HOUR_MS] {
        world.issue_one().await;
        follow(&mut world.tail(&world.chain.url)).await;
        shift(&world, by_ms);
        chain_time_passes(&world, 601).await;
        work_off(&worker).await;
    }
    assert_eq!(smtp.drain(), []);
    assert_eq!((world.deliveries("expired").await, world.deliveries("queued").await), (4, 0));
}

#[tokio::test]
async fn a_clock_that_is_years_ahead_of_the_chain_lets_no_live_code_expire() {
    let (world, smtp) =
        (World::on(Chain::start_at(Some(1_700_000_000)).await).await, SmtpServer::start().await.unwrap());
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    shift(&world, -HOUR_MS);
    work_off(&world.worker(smtp.port)).await;
    let taken = smtp.drain();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].to == person.address && taken[0].text.contains(issued.code.digits().expose()));
}
