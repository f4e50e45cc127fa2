use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt;

use super::{super::Guard, *};

const FILES: &[(&str, &[u8])] = &[
    ("wallet.html", b"<!doctype html>wallet"),
    ("ops.html", b"<!doctype html>ops"),
    ("assets/wallet-AB12.js", b"let script"),
    ("assets/wallet-AB12.js.gz", b"packed"),
];
static BUILT: LazyLock<Site> = LazyLock::new(|| Site::new(FILES));
static MISSING: LazyLock<Site> = LazyLock::new(|| Site::new(&[]));

async fn get_from(site: &'static Site, path: &str, headers: &[(HeaderName, &str)]) -> (StatusCode, HeaderMap, String) {
    let pages = of(site, &[("/", Page::Ops), ("/verify", Page::Wallet)]);
    let router = super::super::finish(pages, Guard { time_limit: Duration::from_secs(5), is_tls: false });
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get_built(path: &str, headers: &[(HeaderName, &str)]) -> (StatusCode, HeaderMap, String) {
    get_from(&BUILT, path, headers).await
}

#[tokio::test]
async fn a_page_runs_its_own_scripts_alone_and_nobody_frames_or_reads_it() {
    for (path, told) in [("/", "ops"), ("/verify", "wallet")] {
        let (status, headers, body) = get_built(path, &[]).await;
        assert_eq!((status, body), (StatusCode::OK, format!("<!doctype html>{told}")));
        let policies: Vec<_> = headers.get_all(header::CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(policies.len(), 1, "the default policy would let nothing run");
        let policy = policies[0].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.split("; ").any(|directive| directive == part), "{part} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(headers.contains_key("permissions-policy"));
    }
}

#[tokio::test]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let (_, headers, _) = get_built("/", &[]).await;
    let etag = headers[header::ETAG].to_str().unwrap();
    let (status, headers, body) = get_built("/", &[(header::IF_NONE_MATCH, etag)]).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY), "a browser takes these headers over");
    let (status, ..) = get_built("/", &[(header::IF_NONE_MATCH, "W/\"another\"")]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_page_loads_is_kept_for_ever_and_comes_packed_to_whoever_takes_that() {
    let script = "/assets/wallet-AB12.js";
    let (status, headers, body) = get_built(script, &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "let script"));
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(headers[header::VARY], "accept-encoding");
    for (accepted, is_packed) in [("br, gzip", true), ("gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)] {
        let (_, headers, body) = get_built(script, &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!(headers.contains_key(header::CONTENT_ENCODING), is_packed, "{accepted}");
        assert_eq!(body == "packed", is_packed, "{accepted}");
    }
}

#[tokio::test]
async fn nothing_but_the_files_is_found() {
    for path in
        ["/assets/other.js", "/assets/wallet-AB12.js.gz", "/assets/..%2Fwallet.html", "/wallet.html", "/assets/"]
    {
        let (status, headers, _) = get_built(path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn a_build_without_pages_says_how_to_get_them() {
    for path in ["/", "/verify"] {
        let (status, headers, body) = get_from(&MISSING, path, &[]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(body.contains("make build"), "{body}");
    }
    let (status, ..) = get_from(&MISSING, "/assets/wallet-AB12.js", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
