//! Answers say nothing of strangers by how long they take: 200 interleaved samples each of an id that is somebody else's
//! and of one that is nobody's.

use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::json;
use uuid::Uuid;

use crate::app::{Person, TestApp};

const SAMPLES: usize = 200;
const SHUFFLES: u32 = 2_000;

/// Times in microseconds, taken in turn, so that whatever the machine does meets both alike.
async fn sample<'a>(
    mut first: impl FnMut() -> BoxFuture<'a, ()>,
    mut second: impl FnMut() -> BoxFuture<'a, ()>,
) -> (Vec<f64>, Vec<f64>) {
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        first().await;
        second().await;
    }
    for _ in 0..SAMPLES {
        for (call, times) in [(first(), &mut firsts), (second(), &mut seconds)] {
            let begun = Instant::now();
            call.await;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    (firsts, seconds)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// How often a difference of medians this large comes by chance, by shuffling which sample is whose.
fn chance(firsts: &[f64], seconds: &[f64]) -> f64 {
    let found = (median(firsts) - median(seconds)).abs();
    let mut all = [firsts, seconds].concat();
    let (mut state, mut as_large) = (0x9e37_79b9_7f4a_7c15u64, 0u32);
    for _ in 0..SHUFFLES {
        for last in (1..all.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            all.swap(last, usize::try_from(state % (last as u64 + 1)).unwrap());
        }
        let (one, other) = all.split_at(firsts.len());
        as_large += u32::from((median(one) - median(other)).abs() >= found);
    }
    f64::from(as_large) / f64::from(SHUFFLES)
}

/// A difference tells where it is no chance and large enough to be seen over a network.
fn tells(firsts: &[f64], seconds: &[f64]) -> Option<String> {
    let (one, other) = (median(firsts), median(seconds));
    let (chance, ratio) = (chance(firsts, seconds), one.max(other) / one.min(other));
    let text = format!("medians {one:.0} and {other:.0} µs, ratio {ratio:.3}, chance {chance}");
    #[expect(clippy::print_stdout, reason = "what was measured is worth reading when it passes too")]
    {
        println!("{text}");
    }
    (chance < 0.001 && ratio > 1.1 && (one - other).abs() > 100.0).then_some(text)
}

#[test]
fn the_comparison_sees_a_tenth_more_and_not_the_noise() {
    let noise = |n: usize, add: f64| 1_000.0 + add + ((n * 7_919) % 400) as f64;
    let even: Vec<f64> = (0..SAMPLES).map(|n| noise(n, 0.0)).collect();
    let odd: Vec<f64> = (SAMPLES..2 * SAMPLES).map(|n| noise(n, 0.0)).collect();
    let slow: Vec<f64> = (SAMPLES..2 * SAMPLES).map(|n| noise(n, 150.0)).collect();
    assert!(tells(&even, &odd).is_none());
    assert!(tells(&even, &slow).is_some());
}

/// Ids that are somebody else's and nobody's, asked for at the same routes.
async fn compare(
    app: &TestApp,
    thief: &Person,
    theirs: Uuid,
    path: impl Fn(Uuid) -> String + Sync,
    body: serde_json::Value,
) {
    let ask = |id: Uuid| {
        let (path, body) = (path(id), body.clone());
        Box::pin(async move {
            let answer = match body.is_null() {
                true => app.get(&path, &thief.token).await,
                false => app.post(&path, &thief.token, &body).await,
            };
            assert_eq!(answer.told(), (404, "not-found"), "{path}");
        }) as BoxFuture<'_, ()>
    };
    let (strangers, nobodys) = sample(|| ask(theirs), || ask(Uuid::now_v7())).await;
    if let Some(told) = tells(&strangers, &nobodys) {
        panic!("{}: {told}", path(theirs));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_tells_by_its_time_whether_a_strangers_code_or_contact_exists() {
    let app = TestApp::new().await;
    let (victim, contact) = app.person().await;
    let otp = app.accepted(&victim, contact).await;
    let thief = app.stranger().await;
    let digits = json!({ "digits": "123456" });
    compare(&app, &thief, otp, |id| format!("/v1/otps/{id}"), json!(null)).await;
    compare(&app, &thief, otp, |id| format!("/v1/otps/{id}/unlock"), digits.clone()).await;
    compare(&app, &thief, contact, |id| format!("/v1/contacts/{id}/confirm"), digits).await;
    let token = json!({ "token": "0".repeat(32) });
    compare(&app, &thief, otp, |id| format!("/v1/otps/{id}/report"), token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refused_sign_in_tells_by_its_time_whether_a_wallet_has_an_account() {
    let app = TestApp::new().await;
    let known = app.stranger().await;
    let mallory = alloy::signers::local::PrivateKeySigner::random();
    let try_as = |wallet| {
        let (app, mallory) = (&app, &mallory);
        Box::pin(async move {
            let message = app.message(wallet).await.text();
            assert_eq!(app.login(mallory, &message).await.status, 401);
        }) as BoxFuture<'_, ()>
    };
    let nobody = || alloy::signers::local::PrivateKeySigner::random().address();
    let (account, none) = sample(|| try_as(known.wallet.address()), || try_as(nobody())).await;
    assert_eq!(tells(&account, &none), None);
}
