//! Sign-in nonces that need no row until they are used: whoever asks for a million of them has written nothing.
//!
//! A nonce is the hex of `expiry in Unix ms (8 bytes) ‖ random (12) ‖ HMAC-SHA-256 over both (first 16)`: alphanumeric as
//! EIP-4361 wants it, and ours by its tag. That it is used once is the store's to say.

use std::time::Duration;

use otp_core::{clock::now_ms, seal::Keyring};
use subtle::ConstantTimeEq;

/// How long a nonce can be signed.
pub(super) const TTL: Duration = Duration::from_secs(60);

const DOMAIN: &str = "login-nonce";
const BODY: usize = 20;
const TAG: usize = 16;

/// A new nonce, and when it expires in Unix milliseconds.
pub(super) fn issue(keyring: &Keyring) -> Result<(String, i64), getrandom::Error> {
    let expires_at_ms = now_ms().saturating_add(i64::try_from(TTL.as_millis()).unwrap_or(i64::MAX));
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    Ok((write(keyring, expires_at_ms, random), expires_at_ms))
}

fn write(keyring: &Keyring, expires_at_ms: i64, random: [u8; 12]) -> String {
    let body = [expires_at_ms.to_be_bytes().as_slice(), &random].concat();
    let tag = keyring.tag(DOMAIN, &body);
    hex::encode([body.as_slice(), &tag[..TAG]].concat())
}

/// When a nonce of ours expires; `None` when it is not ours or has expired.
pub(super) fn check(keyring: &Keyring, nonce: &str) -> Option<i64> {
    let bytes: [u8; BODY + TAG] = hex::decode(nonce).ok()?.try_into().ok()?;
    // One nonce has one text, or its upper-case twin would be good once more.
    if hex::encode(bytes) != nonce {
        return None;
    }
    let (body, tag) = bytes.split_at(BODY);
    let ours: bool = keyring.tag(DOMAIN, body)[..TAG].ct_eq(tag).into();
    let expires_at_ms = i64::from_be_bytes(*body.first_chunk()?);
    (ours && expires_at_ms > now_ms()).then_some(expires_at_ms)
}

#[cfg(test)]
mod tests {
    use otp_core::{seal::KeyWrapper, store::Store};

    use super::*;

    async fn keyring(folder: &tempfile::TempDir) -> Keyring {
        let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
        Keyring::open_or_create(&store, &KeyWrapper::File(folder.path().join("key"))).await.unwrap()
    }

    #[tokio::test]
    async fn a_nonce_is_ours_until_it_expires_and_in_no_other_form() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = keyring(&folder).await;
        let (nonce, expires_at_ms) = issue(&keyring).unwrap();
        assert!(nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(check(&keyring, &nonce), Some(expires_at_ms));
        assert_eq!(check(&keyring, &write(&keyring, now_ms() - 1, [1; 12])), None, "expired");
        assert_eq!(check(&keyring, &nonce.to_uppercase()), None);
        assert_eq!(check(&keyring, &format!("{nonce}00")), None);
        for place in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(check(&keyring, std::str::from_utf8(&changed).unwrap()), None, "changed at {place}");
        }
    }

    #[tokio::test]
    async fn another_deployments_nonce_is_not_ours() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (nonce, _) = issue(&keyring(&theirs).await).unwrap();
        assert_eq!(check(&keyring(&ours).await, &nonce), None);
    }
}
