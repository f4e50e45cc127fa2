//! The issuer's key in KMS: slow, throttled, disabled, another one, gone, and with signatures that chains refuse.

use std::{sync::Arc, time::Duration};

use alloy::network::TxSigner;
use testbed::{
    anvil::fund,
    kms::{Kms, SValue, Switches},
};

use crate::world::{Counts, World};

#[tokio::test]
async fn whatever_kms_does_nothing_is_lost_and_what_it_signed_for_another_key_is_never_sent() {
    let world = World::new().await;
    let kms = Kms::start(0, world.folder()).await.unwrap();
    let signer = kms.signer(world.deployment.chain_id).await.unwrap();
    world.grant(signer.address()).await;
    fund(&world.anvil.node, signer.address()).await.unwrap();
    let mut parts = world.parts_with(|issue| issue.sign_timeout = Duration::from_secs(2));
    parts.view = world.view_of(signer.address());
    parts.signer = Arc::new(signer);
    let mut issuer = world.start(parts).await;
    let mut requests = Vec::new();
    for (what, switches) in [
        ("throttled", Switches { throttle: -1, ..Switches::default() }),
        ("disabled", Switches { disabled: true, ..Switches::default() }),
        ("another key", Switches { wrong_key: true, ..Switches::default() }),
        ("slower than is waited for", Switches { latency_ms: 4_000, ..Switches::default() }),
    ] {
        kms.set(switches).await.unwrap();
        requests.extend(world.accept("withdraw", 3).await);
        let begun = std::time::Instant::now();
        assert!(issuer.turn().await.is_err(), "{what}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{what}: a turn ends");
        assert!(world.pooled().await.is_empty(), "{what}: nothing is sent");
        // A single-threaded stand-in answers what is left of its queue first.
        tokio::time::sleep(Duration::from_secs(if what.starts_with("slower") { 13 } else { 0 })).await;
    }
    kms.set(Switches { s: SValue::High, ..Switches::default() }).await.unwrap();
    issuer.turn().await.unwrap();
    world.mine().await;
    requests.extend(world.accept("withdraw", 90).await);
    kms.set(Switches { latency_ms: 20, throttle: 1, ..Switches::default() }).await.unwrap();
    for _ in 0..4 {
        let _ = issuer.turn().await;
        world.mine().await;
    }
    issuer.turn().await.unwrap();
    assert_eq!(world.count(&requests).await, Counts::all_mined(102));
    println!("{} signatures for {} codes", kms.signatures().await.unwrap(), requests.len());
}
