//! Phone numbers in E.164.

use phonenumber::Mode;

use super::BadContact;

/// Fifteen digits, and the spaces and hyphens that people put between them.
const MAX_GIVEN: usize = 32;
const EXPECTED: BadContact = BadContact("a full phone number such as +49 30 123456 is expected");

/// `+` and up to 15 digits. A number needs its country: there is none to take for granted.
pub(super) fn parse(text: &str) -> Result<String, BadContact> {
    let written = text.strip_prefix('+').ok_or(EXPECTED)?;
    let plain = written.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'.' | b'(' | b')'));
    if text.len() > MAX_GIVEN || !plain {
        return Err(EXPECTED);
    }
    let number = phonenumber::parse(None, text).map_err(|_| EXPECTED)?;
    if !phonenumber::is_valid(&number) {
        return Err(BadContact("no country gives out this phone number"));
    }
    let formatted = number.format().mode(Mode::E164).to_string();
    // What was dialled stays what is dialled: nothing was dropped or filled in.
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    if digits(&formatted) == digits(text) { Ok(formatted) } else { Err(EXPECTED) }
}

/// `+49***56`
pub(super) fn mask(number: &str) -> String {
    let (head, tail) = (number.get(..3).unwrap_or_default(), number.get(number.len().saturating_sub(2)..));
    format!("{head}***{}", tail.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (given, kept) in [
            ("+4930123456", "+4930123456"),
            ("+49 30 123456", "+4930123456"),
            ("+1 (415) 555-2671", "+14155552671"),
            ("+44.20.7946.0958", "+442079460958"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(kept), "{given}");
        }
        assert_eq!(mask("+4930123456"), "+49***56");
    }

    #[test]
    fn what_is_no_full_number_is_refused() {
        let long = format!("+49 30 {}", "1".repeat(40));
        for bad in [
            "",
            "+",
            "030123456",
            "004930123456",
            "+49",
            "+999123456789",
            "+1415555267",
            "+1 415 555 2671 ext. 5",
            "+1 415 555 2671;ext=5",
            "+1415FLOWERS",
            "+４９30123456",
            "+4930123456\n",
            " +4930123456",
            "++4930123456",
            "+49 (0)30 123456",
            &long,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
