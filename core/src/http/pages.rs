//! The pages, embedded at compile time from `web/dist` (see `core/build.rs`): documents, and the scripts and styles that
//! they load. All of it is public and the same for everybody; what is somebody's comes by the API.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use super::{Problem, header_text};

/// What `web/dist` had: paths below it, and contents. Empty where the pages were not built.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
static SITE: LazyLock<Site> = LazyLock::new(|| Site::new(EMBEDDED));

/// Nothing but its own scripts and styles, and calls to this server alone; nobody can frame it, and no text becomes markup
/// or script. `data:` is the icons that wallets announce themselves with (EIP-6963).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'",
);
/// What every file has, beside what every answer has.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
        ),
    ),
    (header::VARY, HeaderValue::from_static("accept-encoding")),
];
/// A document is asked for anew each time, and costs 304 where it is the same.
const ANEW: HeaderValue = HeaderValue::from_static("no-cache");
/// The name of a script or style has the hash of its contents.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// For people with a wallet.
    Wallet,
    /// For operators and auditors.
    Ops,
}

impl Page {
    const fn file(self) -> &'static str {
        match self {
            Self::Wallet => "wallet.html",
            Self::Ops => "ops.html",
        }
    }
}

/// `pages` at their paths, and what they load below `/assets/`. The documents name that relative to themselves, so they
/// belong at the top level of wherever a proxy puts this server.
pub fn routes<S: Clone + Send + Sync + 'static>(pages: &[(&str, Page)]) -> Router<S> {
    of(&SITE, pages)
}

fn of<S: Clone + Send + Sync + 'static>(site: &'static Site, pages: &[(&str, Page)]) -> Router<S> {
    let asset = move |Path(name): Path<String>, headers: HeaderMap| async move { site.asset(&name, &headers) };
    let assets = Router::new().route("/assets/{name}", get(asset));
    pages.iter().fold(assets, |router, (path, page)| {
        let page = *page;
        router.route(path, get(move |headers: HeaderMap| async move { site.document(page, &headers) }))
    })
}

/// All files, by their path.
struct Site {
    files: BTreeMap<&'static str, File>,
}

struct File {
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
    etag: HeaderValue,
    media_type: HeaderValue,
}

impl Site {
    fn new(embedded: &'static [(&'static str, &'static [u8])]) -> Self {
        let all: BTreeMap<_, _> = embedded.iter().copied().collect();
        let files = all.iter().filter_map(|(path, bytes)| {
            let media_type = media_type(path)?;
            // Weak, since it stands for both encodings.
            let etag = format!("W/\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]));
            let gzip = all.get(format!("{path}.gz").as_str()).copied();
            Some((*path, File { bytes, gzip, etag: HeaderValue::from_str(&etag).ok()?, media_type }))
        });
        Self { files: files.collect() }
    }

    fn document(&self, page: Page, request: &HeaderMap) -> Response {
        match self.files.get(page.file()) {
            Some(file) => file.answer(request, ANEW),
            None => not_built(),
        }
    }

    fn asset(&self, name: &str, request: &HeaderMap) -> Response {
        match self.files.get(format!("assets/{name}").as_str()) {
            Some(file) => file.answer(request, FOR_EVER),
            None => Problem::not_found().into_response(),
        }
    }
}

impl File {
    fn answer(&self, request: &HeaderMap, caching: HeaderValue) -> Response {
        let about = [(header::ETAG, self.etag.clone()), (header::CACHE_CONTROL, caching)];
        let known = header_text(request, header::IF_NONE_MATCH).unwrap_or_default();
        if known.split(',').any(|tag| tag.trim().as_bytes() == self.etag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, about, HEADERS).into_response();
        }
        let media_type = [(header::CONTENT_TYPE, self.media_type.clone())];
        match self.gzip.filter(|_| takes_gzip(request)) {
            Some(bytes) => {
                let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
                (about, HEADERS, media_type, encoding, bytes).into_response()
            }
            None => (about, HEADERS, media_type, self.bytes).into_response(),
        }
    }
}

/// `None` for what is not served by itself.
fn media_type(path: &str) -> Option<HeaderValue> {
    let (_, extension) = path.rsplit_once('.')?;
    let text = match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    Some(HeaderValue::from_static(text))
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = header_text(request, header::ACCEPT_ENCODING).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// 503, in words for whoever opened it in a browser: the interface works, the page was left out of this build.
fn not_built() -> Response {
    let text =
        "This daemon was compiled without its pages. Run `make build`, which builds web/ first, and start it anew.\n";
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    (StatusCode::SERVICE_UNAVAILABLE, HEADERS, [(header::CONTENT_TYPE, media_type)], text).into_response()
}
