//! The few calls of S3's REST interface that the evidence log needs, signed by AWS' own crate for that (Signature
//! Version 4). The whole SDK for S3 would be the largest crate of this workspace, for a put, a head and two settings.

use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use reqwest::{Client, Method, StatusCode, header::HeaderMap, redirect::Policy};
use url::Url;

use crate::channel::http::{self, HttpFailure};

/// For a whole call. The largest file has ten thousand lines.
const CALL: Duration = Duration::from_secs(30);
/// The most that is read of an answer: a setting, or an error.
const ANSWER: usize = 64 * 1024;
/// The longest error code that is repeated.
const CODE: usize = 64;
/// S3's endpoint, where it has one of its own, and whether no such name counts.
const OF_S3: &str = "AWS_ENDPOINT_URL_S3";
const IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// Why a call did nothing, or nobody knows whether it did.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The service refused. Its `code` is short and plain; `-` where it gave none.
    #[error("the service refused (HTTP {status}, {code})")]
    Refused {
        /// The answer's status.
        status: u16,
        /// S3's name for why.
        code: String,
    },
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpFailure),
    /// The call was not made: mostly for want of credentials in the environment.
    #[error("the call cannot be signed ({0})")]
    Unsigned(String),
}

impl S3Error {
    /// Whether it was refused for this reason.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// An answer of success.
#[derive(Debug)]
pub(super) struct Answer {
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What stands in the first element of that name.
    pub(super) fn element(&self, name: &str) -> Option<&str> {
        element(&self.body, name)
    }
}

/// What a call says beside method and key.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    /// After the question mark, encoded.
    pub(super) query: &'a str,
    /// Names in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub(super) body: Vec<u8>,
}

/// One bucket's calls; cheap to clone.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// The bucket's URL, with a slash at its end.
    base: Url,
}

impl S3 {
    /// Region, credentials and endpoint come from the environment, as in every AWS tool: `AWS_ENDPOINT_URL_S3` before
    /// `AWS_ENDPOINT_URL`. With an endpoint of its own the bucket stands in the path, else in AWS' name.
    ///
    /// # Errors
    /// When there is no region, the endpoint is no URL, or TLS cannot be set up.
    pub async fn from_environment(bucket: &str) -> anyhow::Result<Self> {
        let environment = aws_config::defaults(BehaviorVersion::latest()).load().await;
        let region = environment.region().map(ToString::to_string);
        let region =
            region.ok_or_else(|| anyhow::anyhow!("evidence.s3_bucket: set AWS_REGION to the bucket's region"))?;
        let endpoint = endpoint(|name| std::env::var(name).ok(), environment.endpoint_url());
        let base = match &endpoint {
            Some((_, endpoint)) => format!("{}/{bucket}/", endpoint.trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        };
        let named = endpoint.map_or("AWS_REGION", |(name, _)| name);
        let base = Url::parse(&base).map_err(|e| anyhow::anyhow!("{named}: no URL comes of it ({e})"))?;
        Self::new(environment.credentials_provider(), region, base)
    }

    /// The same from its parts; `base` is the bucket's URL, with a slash at its end.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(credentials: Option<SharedCredentialsProvider>, region: String, base: Url) -> anyhow::Result<Self> {
        let client = Client::builder().redirect(Policy::none()).timeout(CALL).user_agent("otp-indexer/1").build()?;
        Ok(Self { client, credentials, region, base })
    }

    /// Signs a call and makes it, once.
    ///
    /// # Errors
    /// [`S3Error`]
    pub(super) async fn call(&self, method: Method, key: &str, call: Call<'_>) -> Result<Answer, S3Error> {
        let mut url = self.base.join(key).map_err(|e| S3Error::Unsigned(e.to_string()))?;
        url.set_query(Some(call.query).filter(|query| !query.is_empty()));
        let signed = self.sign(&method, &url, &call).await?;
        let mut request = self.client.request(method, url);
        for (name, value) in call.headers.iter().copied().chain(signed.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
            request = request.header(name, value);
        }
        let sent = request.body(call.body).send().await;
        let answer = sent.map_err(|error| HttpFailure::of("s3", &error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = http::read(answer, ANSWER).await.ok_or(HttpFailure::NoAnswer("the connection broke"))?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(Answer { headers, body }) } else { Err(refused(status, &body)) }
    }

    /// The headers that prove who calls.
    async fn sign(&self, method: &Method, url: &Url, call: &Call<'_>) -> Result<Vec<(String, String)>, S3Error> {
        let no = |error: &dyn std::fmt::Display| S3Error::Unsigned(error.to_string());
        let provider = self.credentials.as_ref().ok_or_else(|| no(&"none is configured"))?;
        let identity = provider.provide_credentials().await.map_err(|error| no(&error))?.into();
        let mut settings = SigningSettings::default();
        // As S3 wants it, unlike other services.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| no(&error))?
            .into();
        let body = SignableBody::Bytes(&call.body);
        let request = SignableRequest::new(method.as_str(), url.as_str(), call.headers.iter().copied(), body);
        let signed = request.and_then(|request| sign(request, &params)).map_err(|error| no(&error))?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The service's own endpoint before that of all services, each with its name, and neither where the environment says to
/// ignore them. `aws-config` has the second one alone; the first is for each service's crate to read, which is not here.
fn endpoint(environment: impl Fn(&str) -> Option<String>, of_all: Option<&str>) -> Option<(&'static str, String)> {
    let is_ignored = environment(IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let of_s3 = environment(OF_S3).filter(|url| !url.is_empty() && !is_ignored).map(|url| (OF_S3, url));
    of_s3.or_else(|| of_all.map(|url| ("AWS_ENDPOINT_URL", url.to_owned())))
}

fn refused(status: StatusCode, body: &str) -> S3Error {
    let plain = |code: &&str| (1..=CODE).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = element(body, "Code").filter(plain).unwrap_or("-").to_owned();
    S3Error::Refused { status: status.as_u16(), code }
}

/// What stands in the first element of that name, which has no attributes and no elements in it where this is used.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3s_own_endpoint_comes_before_that_of_all_services_unless_both_are_to_be_ignored() {
        let (own, all) = ("http://s3.example:9000", "http://all.example:4566");
        let found = |variables: &[(&str, &str)], of_all: Option<&str>| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            endpoint(value, of_all).map(|(name, url)| format!("{name}={url}"))
        };
        let set = [(OF_S3, own)];
        assert_eq!(found(&set, Some(all)).as_deref(), Some("AWS_ENDPOINT_URL_S3=http://s3.example:9000"));
        assert_eq!(found(&set, None).as_deref(), Some("AWS_ENDPOINT_URL_S3=http://s3.example:9000"));
        assert_eq!(found(&[], Some(all)).as_deref(), Some("AWS_ENDPOINT_URL=http://all.example:4566"));
        assert_eq!(found(&[(OF_S3, "")], Some(all)).as_deref(), Some("AWS_ENDPOINT_URL=http://all.example:4566"));
        assert_eq!(found(&[(OF_S3, own), (IGNORED, "True")], None), None);
        assert_eq!(found(&[], None), None);
    }

    #[test]
    fn a_refusal_has_the_services_code_and_nothing_else_of_its_answer() {
        let xml =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>arn:aws:iam::1:user/me</Message></Error>";
        let error = refused(StatusCode::FORBIDDEN, xml);
        assert!(error.is("AccessDenied"));
        assert_eq!(error.to_string(), "the service refused (HTTP 403, AccessDenied)");
        for odd in ["", "<Code>", "<Code></Code>", "<Code>a b</Code>", &format!("<Code>{}</Code>", "x".repeat(65))] {
            assert_eq!(refused(StatusCode::FORBIDDEN, odd).to_string(), "the service refused (HTTP 403, -)", "{odd}");
        }
    }
}
