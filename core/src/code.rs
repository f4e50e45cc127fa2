//! Digits, keys and codes, and the one derivation they come from (protocol.md §1 and §6).
//!
//! HKDF-SHA-256 (RFC 5869) over the account's seed; every field of `info` has a fixed length, so no two inputs share an
//! encoding. Nothing here is ever stored: whoever holds the seed derives the same code again.

use std::fmt;

use alloy::primitives::{B256, keccak256};
use data_encoding::Specification;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::Slot;

const CODE_DOMAIN: &[u8] = b"otp/code/v1\0";
const CONTACT_DOMAIN: &[u8] = b"otp/contact/v1\0";
const CHANGE_DOMAIN: &[u8] = b"otp/change/v1\0";
const REPORT_DOMAIN: &[u8] = b"otp/report/v1\0";
const CANCEL_DOMAIN: &[u8] = b"otp/cancel/v1\0";
const WEBHOOK_DOMAIN: &[u8] = b"otp/webhook/v1\0";
const DIGITS: u32 = 1_000_000;
/// The largest multiple of 10^6 that a u32 reaches: a draw at or above it is rejected, so that digits are uniform.
const FAIR_LIMIT: u32 = u32::MAX - (u32::MAX % DIGITS);

/// 32 bytes from the OS CSPRNG, one per account, from which all its codes derive.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A new seed.
    ///
    /// # Errors
    /// When the OS gives no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A seed opened from its envelope; `None` when the length is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The code for a number and a request.
    #[must_use]
    pub fn code(&self, slot: &Slot, request_id: Uuid) -> Code {
        let mut info = CODE_DOMAIN.to_vec();
        info.extend(slot.deployment.chain_id.to_be_bytes());
        info.extend(slot.deployment.verifier);
        info.extend(slot.issuer);
        info.extend(slot.purpose.bytes32());
        info.extend(slot.serial.to_be_bytes());
        info.extend(slot.subject);
        info.extend(slot.action);
        info.extend(request_id.as_bytes());
        let mut key = [0; 16];
        self.expand(&info, b"key", &mut key);
        Code { digits: self.digits(&info), key: CodeKey(key) }
    }

    /// The digits that confirm a contact; `challenge` counts the confirmations asked for.
    #[must_use]
    pub fn contact_digits(&self, contact_id: Uuid, challenge: u64) -> Digits {
        let mut info = CONTACT_DOMAIN.to_vec();
        info.extend(contact_id.as_bytes());
        info.extend(challenge.to_be_bytes());
        self.digits(&info)
    }

    /// The digits that approve a change of contacts; `challenge` counts the messages asked for.
    #[must_use]
    pub fn change_digits(&self, change_id: Uuid, challenge: u64) -> Digits {
        let mut info = CHANGE_DOMAIN.to_vec();
        info.extend(change_id.as_bytes());
        info.extend(challenge.to_be_bytes());
        self.digits(&info)
    }

    /// What the link "this was not me" of a request's message carries.
    #[must_use]
    pub fn report_token(&self, request_id: Uuid) -> LinkToken {
        self.token(&[REPORT_DOMAIN, request_id.as_bytes()].concat())
    }

    /// What the link that cancels a change carries, in the announcement to one contact.
    #[must_use]
    pub fn cancel_token(&self, change_id: Uuid, contact_id: Uuid) -> LinkToken {
        self.token(&[CANCEL_DOMAIN, change_id.as_bytes(), contact_id.as_bytes()].concat())
    }

    /// What messages to a webhook are signed with.
    #[must_use]
    pub fn webhook_secret(&self, contact_id: Uuid) -> WebhookSecret {
        let mut secret = [0; 32];
        self.expand(&[WEBHOOK_DOMAIN, contact_id.as_bytes()].concat(), b"secret", &mut secret);
        WebhookSecret(secret)
    }

    fn token(&self, info: &[u8]) -> LinkToken {
        let mut token = [0; 16];
        self.expand(info, b"token", &mut token);
        LinkToken(token)
    }

    fn digits(&self, info: &[u8]) -> Digits {
        let fair = (0u32..).find_map(|draw| {
            let mut word = [0; 4];
            self.expand(info, &[b"digits".as_slice(), &draw.to_be_bytes()].concat(), &mut word);
            let number = u32::from_be_bytes(word);
            (number < FAIR_LIMIT).then_some(number % DIGITS)
        });
        Digits::from_number(fair.unwrap_or_default())
    }

    fn expand(&self, info: &[u8], label: &[u8], output: &mut [u8]) {
        let filled = Hkdf::<Sha256>::new(None, &self.0).expand_multi_info(&[info, label], output);
        debug_assert!(filled.is_ok(), "HKDF-SHA-256 gives up to 8160 bytes");
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Six decimal digits, leading zeros kept.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Digits([u8; 6]);

/// The text is not six ASCII digits.
#[derive(Debug, thiserror::Error)]
#[error("six digits are expected, 0-9 and nothing else")]
pub struct BadDigits;

impl Digits {
    /// Exactly six ASCII digits.
    ///
    /// # Errors
    /// On any other text, surrounding space and full-width digits included.
    pub fn parse(text: &str) -> Result<Self, BadDigits> {
        let bytes: [u8; 6] = text.as_bytes().try_into().map_err(|_| BadDigits)?;
        if bytes.iter().all(u8::is_ascii_digit) { Ok(Self(bytes)) } else { Err(BadDigits) }
    }

    fn from_number(mut number: u32) -> Self {
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
        Self(digits)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The digits as text, for the message alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The 128 bits that make a code unguessable; they stay with the relayer until the digits were right.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct CodeKey([u8; 16]);

/// `digits ‖ key`: what `verify` takes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Code {
    digits: Digits,
    key: CodeKey,
}

impl Code {
    /// The six digits, which travel over the second channel.
    #[must_use]
    pub const fn digits(&self) -> &Digits {
        &self.digits
    }

    /// The full code: 6 digits and 26 characters of lower-case base32 (RFC 4648, no padding).
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        text.push_str(self.digits.expose());
        base32().encode_append(&self.key.0, &mut text);
        text
    }

    /// `keccak256(abi.encodePacked(code))`.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(self.expose().as_bytes())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// 128 bits that let whoever has them do one thing, by a link in a message: 32 lower-case hexadecimal digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LinkToken([u8; 16]);

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a token is 32 characters of 0-9 and a-f")]
pub struct BadToken;

impl LinkToken {
    /// Exactly 32 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// On any other text.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let mut token = Self([0; 16]);
        let plain = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if plain && hex::decode_to_slice(text, &mut token.0).is_ok() { Ok(token) } else { Err(BadToken) }
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The bytes, for a short link alone.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The text, for the link alone.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// 256 bits that the messages to one webhook are signed with.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// The text whose bytes are the key, for its owner and for signing alone.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(70));
        text.push_str("whsec_");
        text.push_str(&Zeroizing::new(hex::encode(self.0)));
        text
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Lower-case base32 without padding.
fn base32() -> &'static data_encoding::Encoding {
    static ENCODING: std::sync::LazyLock<data_encoding::Encoding> = std::sync::LazyLock::new(|| {
        let mut specification = Specification::new();
        specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
    });
    &ENCODING
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, address};

    use super::*;
    use crate::id::Deployment;

    fn slot() -> Slot {
        Slot {
            deployment: Deployment { chain_id: 31337, verifier: Address::repeat_byte(1) },
            issuer: Address::repeat_byte(2),
            purpose: "withdraw".parse().unwrap(),
            serial: 7,
            subject: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            action: B256::repeat_byte(3),
        }
    }

    /// The same bytes by Python's standard library (hmac, hashlib), see docs/ARCHITECTURE.md "Derivation".
    #[test]
    fn a_code_is_what_an_independent_hkdf_gives() {
        let seed = Seed([0x42; 32]);
        let code = seed.code(&slot(), Uuid::from_u128(0x0123_4567_89ab_7def_8123_4567_89ab_cdef));
        assert_eq!(code.expose().as_str(), include_str!("../tests/data/code.txt").trim_end());
    }

    #[test]
    fn a_code_changes_with_every_field() {
        let seed = Seed([0x42; 32]);
        let request = Uuid::from_u128(1);
        let base = slot();
        let mut others = vec![
            seed.code(&base, Uuid::from_u128(2)),
            Seed([0x43; 32]).code(&base, request),
            seed.code(&Slot { serial: 8, ..base }, request),
            seed.code(&Slot { subject: Address::ZERO, ..base }, request),
            seed.code(&Slot { issuer: Address::ZERO, ..base }, request),
            seed.code(&Slot { action: B256::ZERO, ..base }, request),
            seed.code(&Slot { purpose: "login".parse().unwrap(), ..base }, request),
            seed.code(&Slot { deployment: Deployment { chain_id: 1, ..base.deployment }, ..base }, request),
            seed.code(&Slot { deployment: Deployment { verifier: Address::ZERO, ..base.deployment }, ..base }, request),
        ];
        others.push(seed.code(&base, request));
        let mut keys: Vec<_> = others.iter().map(|code| code.key.0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn a_code_has_six_digits_and_26_lower_case_base32_characters() {
        let text = Seed([9; 32]).code(&slot(), Uuid::nil()).expose();
        let (digits, key) = text.split_at(6);
        assert!(digits.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(key.len(), 26);
        assert!(key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
    }

    #[test]
    fn digits_are_exactly_six_ascii_digits() {
        for bad in
            ["", "12345", "1234567", "12345a", "123456\n", " 12345", "+12345", "１２３４５６", "-12345", "1.2345"]
        {
            assert!(Digits::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Digits::parse("004213").unwrap().matches(&Digits::from_number(4213)));
        assert!(!Digits::parse("004213").unwrap().matches(&Digits::from_number(4214)));
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let seed = Seed([9; 32]);
        let code = seed.code(&slot(), Uuid::nil());
        let (token, secret) = (seed.report_token(Uuid::nil()), seed.webhook_secret(Uuid::nil()));
        let shown = format!("{code:?} {:?} {seed:?} {token:?} {secret:?}", code.digits());
        assert_eq!(shown, "[redacted] [redacted] [redacted] [redacted] [redacted]");
    }

    #[test]
    fn a_token_is_good_for_one_link() {
        let (seed, a, b) = (Seed([9; 32]), Uuid::from_u128(1), Uuid::from_u128(2));
        let tokens = [
            seed.report_token(a),
            seed.report_token(b),
            seed.cancel_token(a, a),
            seed.cancel_token(a, b),
            seed.cancel_token(b, a),
            Seed([8; 32]).report_token(a),
        ];
        for (place, token) in tokens.iter().enumerate() {
            assert_eq!(tokens.iter().filter(|other| other.matches(token)).count(), 1, "{place}");
            assert!(LinkToken::parse(&token.expose()).unwrap().matches(token));
            assert!(
                LinkToken::parse(&token.expose().to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")).is_err()
            );
        }
        for bad in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), &format!("0x{}", "0".repeat(30))] {
            assert!(LinkToken::parse(bad).is_err(), "{bad:?}");
        }
        assert!(
            !seed.change_digits(a, 1).matches(&seed.change_digits(a, 2))
                || !seed.change_digits(a, 3).matches(&seed.contact_digits(a, 3))
        );
    }

    #[test]
    fn each_webhook_has_a_secret_of_its_own() {
        let (seed, a, b) = (Seed([9; 32]), Uuid::from_u128(1), Uuid::from_u128(2));
        let secret = seed.webhook_secret(a).expose();
        assert!(secret.starts_with("whsec_") && secret.len() == 70);
        assert_eq!(secret, seed.webhook_secret(a).expose());
        assert_ne!(secret, seed.webhook_secret(b).expose());
        assert_ne!(secret, Seed([8; 32]).webhook_secret(a).expose());
    }

    /// Chi-square over the six positions: 9 degrees of freedom each, 54 together; 110 is p < 10^-5.
    #[test]
    fn digits_are_uniform() {
        let seed = Seed([5; 32]);
        let draws = 20_000;
        let mut counts = [[0f64; 10]; 6];
        for challenge in 0..draws {
            for (place, digit) in seed.contact_digits(Uuid::nil(), challenge).0.iter().enumerate() {
                counts[place][usize::from(digit - b'0')] += 1.0;
            }
        }
        let expected = f64::from(u32::try_from(draws).unwrap()) / 10.0;
        let chi_square: f64 = counts.iter().flatten().map(|n| (n - expected).powi(2) / expected).sum();
        assert!(chi_square < 110.0, "{chi_square}");
    }
}
