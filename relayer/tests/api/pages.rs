//! The page for people with a wallet, beside the interface that it calls. What its headers are is tested where they are set.

use reqwest::Method;

use crate::app::TestApp;

#[tokio::test]
async fn the_page_is_served_at_its_two_paths_with_a_policy_of_its_own_and_the_interface_keeps_its() {
    let app = TestApp::new().await;
    for (path, runs_scripts) in [("/", true), ("/verify", true), ("/v1/config", false), ("/assets/none.js", false)] {
        let answer = app.request(Method::GET, path).send().await.unwrap();
        // 503 where the pages are not built.
        let is_served = matches!(answer.status().as_u16(), 200 | 503);
        assert_eq!(is_served, !path.starts_with("/assets"), "{path}: {}", answer.status());
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert_eq!(policy.contains("script-src 'self'"), runs_scripts, "{path}: {policy}");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(answer.headers().get("set-cookie").is_none(), "{path}");
    }
}
