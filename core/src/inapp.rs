//! Messages that only their reader opens: HPKE (RFC 9180), base mode, to the X25519 key of an in-app contact.
//!
//! docs/CHANNELS.md has the format for whoever writes a client, and `core/tests/vectors/inapp.json` an example of it.

use hpke::{
    Deserializable, HpkeError, OpModeR, OpModeS, Serializable,
    aead::AesGcm256,
    kdf::HkdfSha256,
    kem::{Kem, X25519HkdfSha256},
    single_shot_open, single_shot_seal,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// HPKE's `info`: what the messages are of, and in which version.
pub const INFO: &[u8] = b"otp/inapp/v1";
/// The suite as RFC 9180 numbers it: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. WebCrypto has all three.
pub const SUITE: &str = "0x0020,0x0001,0x0002";
/// Messages are padded to a multiple of this, so that their length does not say what they are about.
const BLOCK: usize = 512;

/// What is stored and handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The ephemeral public key, 32 bytes.
    pub enc: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// It does not seal or open; no more is said.
#[derive(Debug, thiserror::Error)]
#[error("the key or the sealed message is not good")]
pub struct BadSeal;

impl From<HpkeError> for BadSeal {
    fn from(_: HpkeError) -> Self {
        Self
    }
}

/// Seals a JSON text to a contact's key (64 hexadecimal digits, as a contact's address has it), padded with spaces.
///
/// # Errors
/// When the key is none.
pub fn seal(
    public_key: &str,
    message_id: &str,
    contact_id: Uuid,
    mut json: Zeroizing<Vec<u8>>,
) -> Result<Sealed, BadSeal> {
    let key: [u8; 32] = hex::decode_to_array(public_key).map_err(|_| BadSeal)?;
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key)?;
    let padded = json.len().next_multiple_of(BLOCK);
    if padded > json.capacity() {
        // Growing would leave a copy behind.
        let mut roomy = Zeroizing::new(Vec::with_capacity(padded));
        roomy.extend_from_slice(&json);
        json = roomy;
    }
    json.resize(padded, b' ');
    let aad = aad(message_id, contact_id);
    let (enc, ciphertext) =
        single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &key, INFO, &json, aad.as_bytes())?;
    Ok(Sealed { enc: enc.to_bytes().to_vec(), ciphertext })
}

/// What the reader does.
///
/// # Errors
/// When the message is not for this key, of another id or contact, or changed.
pub fn open(
    private_key: &[u8; 32],
    message_id: &str,
    contact_id: Uuid,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, BadSeal> {
    let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private_key)?;
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.enc)?;
    let aad = aad(message_id, contact_id);
    let json = single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key,
        &enc,
        INFO,
        &sealed.ciphertext,
        aad.as_bytes(),
    )?;
    Ok(Zeroizing::new(json))
}

/// The public key of a private one, as a contact's address has it.
///
/// # Errors
/// When the private key is none.
pub fn public_key(private_key: &[u8; 32]) -> Result<String, BadSeal> {
    let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private_key)?;
    Ok(hex::encode(<X25519HkdfSha256 as Kem>::sk_to_pk(&key).to_bytes()))
}

/// Binds a message to its id and its contact: neither another's nor an earlier one passes for it.
fn aad(message_id: &str, contact_id: Uuid) -> String {
    format!("{message_id}\n{contact_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff@otp.example";
    const PRIVATE: [u8; 32] = [0x42; 32];

    fn sealed(json: &[u8]) -> Sealed {
        let key = public_key(&PRIVATE).unwrap();
        seal(&key, ID, Uuid::nil(), Zeroizing::new(json.to_vec())).unwrap()
    }

    #[test]
    fn its_reader_opens_a_message_and_nobody_else_does() {
        let message = sealed(b"{\"digits\":\"482913\"}");
        let opened = open(&PRIVATE, ID, Uuid::nil(), &message).unwrap();
        assert_eq!(opened.trim_ascii_end(), b"{\"digits\":\"482913\"}");
        assert!(open(&[0x43; 32], ID, Uuid::nil(), &message).is_err(), "another key");
        assert!(open(&PRIVATE, "other@otp.example", Uuid::nil(), &message).is_err(), "another message's id");
        assert!(open(&PRIVATE, ID, Uuid::from_u128(1), &message).is_err(), "another contact");
        for place in [0, message.ciphertext.len() - 1] {
            let mut changed = message.clone();
            changed.ciphertext[place] ^= 1;
            assert!(open(&PRIVATE, ID, Uuid::nil(), &changed).is_err(), "byte {place}");
        }
        let cut = Sealed { ciphertext: message.ciphertext[..15].to_vec(), ..message };
        assert!(open(&PRIVATE, ID, Uuid::nil(), &cut).is_err());
    }

    #[test]
    fn the_length_of_a_message_says_little_and_no_two_are_alike() {
        let (short, longer) = (sealed(b"{}"), sealed(&[b' '; BLOCK]));
        assert_eq!(short.ciphertext.len(), BLOCK + 16);
        assert_eq!(longer.ciphertext.len(), BLOCK + 16);
        assert_eq!(sealed(&[b' '; BLOCK + 1]).ciphertext.len(), 2 * BLOCK + 16);
        assert_ne!(sealed(b"{}"), short);
    }

    #[test]
    fn what_is_no_key_seals_nothing() {
        for bad in ["", "00", &"z".repeat(64), &"0".repeat(64)] {
            assert!(seal(bad, ID, Uuid::nil(), Zeroizing::new(vec![])).is_err(), "{bad}");
        }
    }
}
