//! The interface under schemathesis, from its own document and signed in: no 5xx, nothing that the document does not say.
//!
//! `FUZZ_SECONDS` is how long (60 unless set); `FUZZ_SEED` repeats a run, which prints its own.

use std::{
    env,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use testbed::{
    client::Client,
    mailbox::Mailbox,
    stack::{Options, Stack},
    tools,
};

/// Those that say something about what is sent; that odd input is taken is not wrong in itself.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_answer_is_in_the_document_and_no_5xx() {
    let fuzzer = tools::checkout().join("target/tools/schemathesis/bin/schemathesis");
    assert!(fuzzer.is_file(), "{} is missing: run `make setup-test`", fuzzer.display());
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().to_owned());
    options.relayer_env.push(("OTP_RELAYER_SESSION_TTL_SECONDS", "7200".to_owned()));
    let stack = Stack::start(&options).await.unwrap();
    let it = &stack.description;
    let client = Client::sign_in(&it.relayer_url, &it.accounts[0].signer().unwrap()).await.unwrap();
    let contact = client.add_email("fuzz@example.test").await.unwrap();
    let mailbox = Mailbox::new(&it.mail_url).unwrap();
    let mail = mailbox.wait_for("fuzz@example.test", std::time::Duration::from_secs(20), |_| true).await.unwrap();
    client.confirm(contact.contact_id, &mail.digits().unwrap()).await.unwrap();
    let seconds = env::var("FUZZ_SECONDS").unwrap_or_else(|_| "60".to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let seed = env::var("FUZZ_SEED").unwrap_or(now);
    println!("FUZZ_SEED={seed}");
    let document = tools::checkout().join("relayer/openapi.json");
    let status = Command::new(fuzzer)
        .current_dir(folder.path())
        .arg("run")
        .arg(document)
        .args(["--url", it.relayer_url.as_str(), "--header", &format!("Authorization: Bearer {}", client.token())])
        // Signing out would leave the others nothing but 401.
        .args(["--exclude-path", "/v1/auth/logout", "--phases", "coverage,fuzzing", "--checks", CHECKS])
        .args(["--max-time", &seconds, "--request-timeout", "20", "--seed", &seed, "--continue-on-failure"])
        .args(["--warnings", "off", "--output-sanitize", "true"])
        .status()
        .unwrap();
    assert!(status.success(), "see above; FUZZ_SEED={seed}");
    stack.stop().await.unwrap();
}
