use aws_lc_rs::{
    encoding::AsDer,
    signature::{ED25519, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm},
};
use lettre::message::{MultiPart, SinglePart};
use tempfile::TempDir;

use super::*;

const DATE_MS: i64 = 1_795_000_000_123;

fn message() -> Message {
    let parts = MultiPart::alternative()
        .boundary("part-1")
        .singlepart(SinglePart::plain("Your code:  \r\n\r\n    482913\t \r\n\r\nGrüße\r\n\r\n\r\n".to_owned()))
        .singlepart(SinglePart::html("<p>482913</p>\n".to_owned()));
    Message::builder()
        .from("Codes of a sender with a long name <codes@otp.example>".parse().unwrap())
        .to("a@b.example".parse().unwrap())
        .subject("Your one-time code for withdraw, übrigens (reference 1f2e3d4c), in a line that is folded somewhere")
        .date(std::time::UNIX_EPOCH)
        .message_id(Some("<abc@otp.example>".to_owned()))
        .multipart(parts)
        .unwrap()
}

fn key_file(folder: &TempDir, pkcs8: &[u8], mode: u32) -> std::path::PathBuf {
    let path = folder.path().join("dkim.pem");
    let lines: Vec<String> =
        STANDARD.encode(pkcs8).as_bytes().chunks(64).map(|l| String::from_utf8_lossy(l).into()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    fs::write(&path, pem).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Signs twice, checks that both are the same, and the signature by a reading of the standard of its own.
fn sign_and_check(pkcs8: &[u8], algorithm: &'static dyn VerificationAlgorithm, public: &[u8], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::open("s1", "otp.example", &key_file(&folder, pkcs8, 0o600)).unwrap();
    let mut signed = message();
    signer.sign(&mut signed, DATE_MS).unwrap();
    let mut again = message();
    signer.sign(&mut again, DATE_MS).unwrap();
    let text = String::from_utf8(signed.formatted()).unwrap();
    assert_eq!(text, String::from_utf8(again.formatted()).unwrap(), "a repeat is the same message");
    assert!(text.split("\r\n").all(|line| line.len() < 998));

    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = headers.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |wanted: &str| {
        let line = unfolded.lines().find(|line| line.to_lowercase().starts_with(&format!("{wanted}:")))?;
        let words: Vec<&str> = line.split_once(':').unwrap().1.split_whitespace().collect();
        Some(format!("{wanted}:{}", words.join(" ")))
    };
    let signature = header("dkim-signature").unwrap();
    let (unsigned, value) = signature.split_once(" b=").unwrap();
    assert!(unsigned.contains(&format!("a={name}-sha256; c=relaxed/relaxed; d=otp.example; s=s1; t=1795000000;")));

    let trimmed: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let lead = if line.starts_with([' ', '\t']) { " " } else { "" };
            format!("{lead}{}", line.split_whitespace().collect::<Vec<_>>().join(" ")).trim_end().to_owned()
        })
        .collect();
    let canonical = format!("{}\r\n", trimmed.join("\r\n").trim_end_matches("\r\n"));
    assert!(unsigned.contains(&format!(" bh={};", STANDARD.encode(Sha256::digest(canonical)))), "{unsigned}");

    let listed = unsigned.split_once(" h=").unwrap().1.split_once(';').unwrap().0;
    let mut seen = Vec::new();
    let mut data = String::new();
    for name in listed.split(':') {
        if !seen.contains(&name) {
            seen.push(name);
            data.extend(header(name).map(|line| line + "\r\n"));
        }
    }
    assert!(["from", "to", "subject", "message-id"].iter().all(|name| seen.contains(name)));
    data.push_str(unsigned);
    data.push_str(" b=");
    let signature = STANDARD.decode(value.replace(' ', "")).unwrap();
    let hashed = Sha256::digest(&data);
    let data = if name == "ed25519" { hashed.as_slice() } else { data.as_bytes() };
    UnparsedPublicKey::new(algorithm, public).verify(data, &signature).unwrap();
}

#[test]
fn an_ed25519_signature_holds_and_is_the_same_each_time() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    sign_and_check(pkcs8.as_ref(), &ED25519, public.public_key().as_ref(), "ed25519");
}

#[test]
fn an_rsa_signature_holds_and_is_the_same_each_time() {
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).unwrap();
    sign_and_check(pkcs8.as_ref(), &RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref(), "rsa");
}

/// RFC 6376, 3.4.5.
#[test]
fn the_standards_own_example_becomes_what_it_says() {
    let headers = "A: X\r\nB : Y\t\r\n\tZ  \r\n";
    assert_eq!(relaxed_value(&value_of(headers, "a").unwrap()), "X");
    assert_eq!(relaxed_value(&value_of(headers, "b").unwrap()), "Y Z");
    assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n").as_slice(), b" C\r\nD E\r\n");
    assert_eq!(relaxed_body(b"\r\n\r\n").as_slice(), b"");
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let open = Signer::open("s1", "otp.example", &key_file(&folder, pkcs8.as_ref(), 0o640)).unwrap_err();
    assert!(matches!(open, DkimError::Open(0o640)));
    let none = Signer::open("s1", "otp.example", &key_file(&folder, b"hunter2", 0o600)).unwrap_err();
    assert!(matches!(none, DkimError::NoKey) && !format!("{none} {none:?}").contains("hunter2"));
    let signer = Signer::open("s1", "otp.example", &key_file(&folder, pkcs8.as_ref(), 0o600)).unwrap();
    assert_eq!(format!("{signer:?}"), "Signer { selector: \"s1\", domain: \"otp.example\", .. }");
}
