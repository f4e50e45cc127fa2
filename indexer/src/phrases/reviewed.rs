//! Every message in every language as a file, so that a review reads what people will: `phrases/reviewed/<language>/`, with a
//! letter's subject and text in `.txt`, its HTML in `.html`, and the text message in `.sms`. To write them anew:
//! `WRITE_MESSAGES=1 cargo test --workspace --lib -- reviewed`.

use std::{fs, path::PathBuf};

use alloy::primitives::{Address, B256};
use otp_core::{
    authorization::Authorization,
    code::Seed,
    contact::Channel,
    language::Language,
    store::{ChangeKind, Stage},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::channel::{ChangeWords, CodeWords, Message, Words, email, sms::text};

const EXPIRY: u64 = 1_795_314_667;

fn seed() -> Seed {
    Seed::from_bytes(&[7; 32]).unwrap()
}

fn code(authorization: Authorization) -> Words {
    Words::Code(Box::new(CodeWords {
        digits: seed().contact_digits(Uuid::nil(), 1),
        reference: "KXQ-7RT".to_owned(),
        purpose: "withdraw".to_owned(),
        on_chain_id: B256::ZERO,
        issuer: Address::ZERO,
        authorization,
        expiry: EXPIRY,
        link: Zeroizing::new("https://otp.example/verify#v1.abc".to_owned()),
        report_link: Zeroizing::new("https://otp.example/report#v1.def".to_owned()),
    }))
}

fn withdrawal() -> Authorization {
    let fields = [
        ("to", "0x1111111111111111111111111111111111111111"),
        ("amount", "1000000000000000000"),
        ("memo", "Rent for \"May\""),
    ];
    Authorization {
        consumer: Some(Address::repeat_byte(0x99)),
        payload_hash: Some(B256::ZERO),
        action: B256::ZERO,
        title: "Withdrawal".to_owned(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        typed: None,
        session: None,
    }
}

fn change(kind: ChangeKind, stage: Stage) -> Words {
    let change_id = Uuid::from_u128(1);
    let about = match kind {
        ChangeKind::Add => Some((Channel::Sms, "+49***56".to_owned())),
        ChangeKind::Remove => Some((Channel::Email, "a***@e***.com".to_owned())),
        ChangeKind::DeleteAccount => None,
    };
    Words::Change(ChangeWords {
        change_id,
        kind,
        stage,
        about,
        due_at_ms: 1_795_573_867_000,
        digits: seed().change_digits(change_id, 1),
        digits_until_ms: 1_795_314_667_000,
        cancel_token: seed().cancel_token(change_id, Uuid::nil()),
        cancel_link: Zeroizing::new("https://otp.example/cancel#v1.ghi".to_owned()),
    })
}

fn all() -> Vec<(String, Words)> {
    let mut all = vec![
        ("code".to_owned(), code(withdrawal())),
        ("code-sign-in".to_owned(), code(Authorization::sign_in("https://app.example", B256::ZERO))),
        ("code-blind".to_owned(), code(Authorization::blind(B256::repeat_byte(9)))),
        ("confirmation".to_owned(), Words::Confirmation { digits: seed().contact_digits(Uuid::nil(), 1) }),
    ];
    for kind in [ChangeKind::Add, ChangeKind::Remove, ChangeKind::DeleteAccount] {
        for (stage, name) in [(Stage::Announced, "announced"), (Stage::Digits, "digits"), (Stage::Done, "done")] {
            all.push((format!("{}-{name}", kind.as_str()), change(kind, stage)));
        }
    }
    all
}

fn files(language: Language) -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/phrases/reviewed").join(language.tag());
    let place = text::Place::new("https://otp.example").unwrap();
    let mut files = Vec::new();
    for (name, words) in all() {
        let message = Message {
            id: "00112233445566778899aabbccddeeff@otp.example".to_owned(),
            created_at_ms: 1_795_314_067_400,
            expires_at_ms: 1_795_314_667_000,
            language,
            contact_id: Uuid::nil(),
            address: Zeroizing::new("a@example.com".to_owned()),
            wallet: "0x1234567890123456789012345678901234567890".parse().unwrap(),
            webhook_secret: seed().webhook_secret(Uuid::nil()),
            words,
        };
        let letter = email::write(&message);
        files.push((folder.join(format!("{name}.txt")), format!("Subject: {}\n\n{}", letter.subject, *letter.text)));
        files.push((folder.join(format!("{name}.html")), letter.html.to_string()));
        files.push((folder.join(format!("{name}.sms")), text::write(&message, &place).unwrap().to_string() + "\n"));
    }
    files
}

#[test]
fn every_message_reads_as_it_was_reviewed() {
    for (path, text) in Language::ALL.into_iter().flat_map(files) {
        if std::env::var_os("WRITE_MESSAGES").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(there, text, "{}: written anew by WRITE_MESSAGES=1", path.display());
    }
}

#[test]
fn a_message_says_in_each_language_the_same_digits_once_and_has_the_same_links() {
    let of = |text: &str| {
        let six = |run: &&str| run.len() == 6 && run.bytes().all(|b| b.is_ascii_digit());
        let digits: Vec<String> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(six).map(str::to_owned).collect();
        (digits, text.matches("://").count(), text.matches("<a ").count())
    };
    let (english, german) = (files(Language::English), files(Language::German));
    assert_eq!(english.len(), german.len());
    for ((path, english), (_, german)) in english.iter().zip(&german) {
        assert_eq!(of(english), of(german), "{}", path.display());
        assert_ne!(english, german, "{}", path.display());
    }
}
