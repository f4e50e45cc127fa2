//! How SQLite goes about a statement: for tests that hold one to an index, since a scan is slow only once it matters.

use super::{
    Store, attempts, claims, deliveries, depth, guesses, inapp,
    issuance::{self, calls},
    sessions,
};

/// The steps, one a line, in a store without statistics, as every store of ours is.
pub(super) async fn of(statement: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let plan = sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    let plan: Vec<(i64, i64, i64, String)> = plan.fetch_all(&store.readers).await.unwrap();
    plan.into_iter().map(|(.., step)| step).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_the_daemons_ask_again_and_again_reads_no_table_that_grows() {
    for (statement, index) in [
        (depth::IS_ANY_HELD, "deliveries_due (due_at_ms=?)"),
        (depth::RELEASE, "deliveries_due (due_at_ms=?)"),
        (deliveries::RELEASE, "deliveries_due"),
        (deliveries::RELEASE_ENDED, "deliveries_leased"),
        (claims::DUE, "deliveries_due (due_at_ms<?)"),
        (calls::UNMINED, "calls_open (sender=?)"),
        (inapp::PRUNE, "inapp_messages_keep (keep_until_ms<?)"),
        (inapp::PRUNE, "accounts_erased"),
        (sessions::FORGET, "sessions_known (expires_at_ms<?)"),
    ] {
        let plan = of(statement).await;
        assert!(plan.contains(index), "{index} is not used:\n{plan}");
    }
}

#[tokio::test]
async fn what_is_asked_for_many_at_once_is_looked_up_one_by_one() {
    for statement in [
        sessions::RUNNING,
        attempts::STANDING,
        attempts::COUNT,
        attempts::UNLOCK,
        attempts::LOCK,
        guesses::BUDGETS,
        guesses::FORGET,
        issuance::CLAIM,
        calls::BATCH,
        claims::TAKE,
        claims::DROP,
        deliveries::ACCEPT,
    ] {
        let plan = of(statement).await;
        let scans: Vec<_> = plan.lines().filter(|step| step.starts_with("SCAN")).collect();
        let bounded = |step: &&str| step.starts_with("SCAN asked") || step.starts_with("SCAN json_each");
        assert!(scans.iter().all(bounded) && plan.contains("SEARCH"), "{statement}\n{plan}");
    }
}
