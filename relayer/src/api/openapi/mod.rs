//! The interface as an OpenAPI 3.1 document, made from what stands beside each handler. `GET /openapi.json` serves it,
//! `relayer/openapi.json` is its committed form, and the API is fuzzed from it.

pub mod shapes;

use axum::response::Response;
use otp_core::http::answer;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, Required, ResponseBuilder, Type,
        path::Operation,
        schema::{AdditionalProperties, Schema},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{about, auth, changes, contacts, events, inapp, links, otps, sponsor, unlock, view};

const PROBLEM: &str = "Problem";
const PROBLEM_TYPE: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "OTP relayer",
        description = "Signs wallets in, takes their requests for one-time codes, commits these to the chain and counts \
                       the guesses. Every refusal is a problem (RFC 9457) whose `type` ends in a slug that stays; every \
                       answer has `x-request-id`.",
        license(name = "MIT")
    ),
    paths(
        about::config, about::readyz, about::ticket, livez, openapi,
        auth::nonce, auth::login, auth::logout,
        contacts::list, contacts::add, contacts::confirm, contacts::remove,
        inapp::messages,
        changes::list, changes::approve, changes::renew, changes::cancel, changes::delete_account,
        otps::submit, view::list, view::show, events::follow, unlock::unlock, links::report, sponsor::sponsor,
    ),
    components(schemas(shapes::Problem)),
    modifiers(&Everywhere)
)]
struct Api;

/// The document.
#[must_use]
pub fn document() -> Document {
    Api::openapi()
}

/// `GET /openapi.json`
#[utoipa::path(get, path = "/openapi.json", tag = "about", summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = shapes::Anything)))]
pub(super) async fn openapi() -> Response {
    answer(axum::http::StatusCode::OK, &document())
}

#[utoipa::path(get, path = "/livez", tag = "about", summary = "Whether the process serves",
    responses((status = 200, description = "It does", body = shapes::Live)))]
#[expect(dead_code, reason = "the handler is the core's; this says what it answers")]
fn livez() {}

/// What holds for all operations, said once.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                complete(operation);
            }
        }
        let Some(components) = &mut document.components else { return };
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let in_cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-otp-session")));
        components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
        components.security_schemes.insert("cookie".to_owned(), in_cookie.into());
        for (name, schema) in &mut components.schemas {
            if let RefOr::T(Schema::Object(object)) = schema
                && object.additional_properties.is_none()
                && name != PROBLEM
                && !object.properties.is_empty()
            {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
}

/// Adds the refusals that follow from what an operation is, and the header that every answer has.
fn complete(operation: &mut Operation) {
    let mut common = vec![
        ("400", "Nothing that the interface knows: the detail says what is wrong"),
        ("500", "Something broke inside"),
        ("503", "Not now: Retry-After says when"),
    ];
    if operation.request_body.is_some() {
        common.extend([("408", "The body did not arrive in time"), ("415", "Not application/json")]);
    }
    if operation.security.is_some() {
        common.extend([
            ("401", "`unauthenticated`: no session, or it has ended; `dpop-invalid`: no proof of its device's key"),
            ("403", "`origin-mismatch`: with the cookie, from another page; or what the operation refuses so"),
            ("429", "`rate-limited`: Retry-After says when"),
        ]);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in common {
        let refusal = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(refusal);
    }
    let request_id = || HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        response.headers.insert("x-request-id".to_owned(), request_id().into());
        if status.starts_with(['4', '5']) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build();
            response.content.insert(PROBLEM_TYPE.to_owned(), content.into());
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(Required::True);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let made = document().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("WRITE_OPENAPI").is_some() {
            std::fs::write(COMMITTED, &made).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(made == committed, "write it anew: WRITE_OPENAPI=1 cargo test -p relayer --lib openapi");
    }

    /// What `.route("/path", get(handler).post(handler))` says in the router's source.
    fn routed() -> BTreeSet<(String, &'static str)> {
        let source = include_str!("../mod.rs").split_once("pub fn router").unwrap().1;
        let public = source.split_once("\n}\n").unwrap().0;
        let mut routes = BTreeSet::new();
        for route in public.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            for method in ["get", "post", "delete"] {
                if route.contains(&format!("{method}(")) {
                    routes.insert((path.to_owned(), method));
                }
            }
        }
        routes
    }

    #[test]
    fn every_public_route_is_in_the_document_and_no_other() {
        let mut written = BTreeSet::new();
        for (path, item) in document().paths.paths {
            let operations = [("get", item.get), ("post", item.post), ("delete", item.delete)];
            written.extend(operations.into_iter().filter(|(_, o)| o.is_some()).map(|(name, _)| (path.clone(), name)));
        }
        assert_eq!(written, routed());
    }
}
