//! A database whose write lock another process holds; `core` tests one that is full or read-only.

use std::time::Duration;

use crate::world::{Counts, World};

#[tokio::test]
async fn while_another_process_holds_the_write_lock_nothing_is_sent_and_nothing_lost() {
    let world = World::new().await;
    let mut issuer = world.issuer().await;
    let requests = world.accept("withdraw", 5).await;
    let lock = world.hold_write_lock(Duration::from_secs(12)).await;
    assert!(issuer.turn().await.is_err(), "the lock is held longer than a statement waits");
    assert!(world.pooled().await.is_empty(), "what is not stored is not sent");
    lock.await.unwrap();
    issuer.turn().await.unwrap();
    world.mine().await;
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(5));
}
