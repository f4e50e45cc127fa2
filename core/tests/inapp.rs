//! The committed example of a sealed message opens: clients in other languages read the same file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use otp_core::inapp::{INFO, SUITE, Sealed, open, public_key, seal};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/inapp.json");
const ID: &str = "00112233445566778899aabbccddeeff@otp.example";
const CONTACT: &str = "0199aa00-0000-7000-8000-000000000001";

/// A new example: WRITE_VECTORS=1 cargo test -p otp-core --test inapp
fn write() {
    let private: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
    let public = public_key(&private).unwrap();
    let message = json!({
        "version": 1, "id": ID, "type": "contact-confirmation", "contactId": CONTACT,
        "wallet": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "createdAt": "2026-11-27T18:00:00.000Z", "expiresAt": "2026-11-27T18:10:00.000Z", "digits": "004213",
    });
    let plain = Zeroizing::new(message.to_string().into_bytes());
    let sealed = seal(&public, ID, CONTACT.parse().unwrap(), plain).unwrap();
    let vector = json!({
        "suite": SUITE,
        "info": String::from_utf8_lossy(INFO),
        "privateKey": hex::encode_prefixed(private),
        "publicKey": format!("0x{public}"),
        "id": ID,
        "contactId": CONTACT,
        "aad": format!("{ID}\n{CONTACT}"),
        "enc": hex::encode_prefixed(&sealed.enc),
        "ciphertext": hex::encode_prefixed(&sealed.ciphertext),
        "message": message,
    });
    std::fs::write(PATH, serde_json::to_string_pretty(&vector).unwrap() + "\n").unwrap();
}

#[test]
fn the_committed_example_opens() {
    if std::env::var_os("WRITE_VECTORS").is_some() {
        write();
    }
    let vector: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap();
    let bytes = |name: &str| hex::decode(text(name)).unwrap();
    assert_eq!((text("suite"), text("info").as_bytes()), (SUITE, INFO));
    let private: [u8; 32] = bytes("privateKey").try_into().unwrap();
    assert_eq!(format!("0x{}", public_key(&private).unwrap()), text("publicKey"));
    let sealed = Sealed { enc: bytes("enc"), ciphertext: bytes("ciphertext") };
    let opened = open(&private, text("id"), text("contactId").parse().unwrap(), &sealed).unwrap();
    assert_eq!(opened.len() % 512, 0);
    assert_eq!(serde_json::from_slice::<Value>(&opened).unwrap(), vector["message"]);
}
