//! Text that somebody else wrote, made fit to be read in a message: on one line, without anything invisible, nothing
//! that a mail program turns into a link, and no run of digits that could pass for the code.

/// The most characters of one value that are shown.
const MOST: usize = 300;
/// The longest run of digits that is left together.
const RUN: usize = 4;
/// The longest port: still no code.
const PORT: usize = 5;

/// How a language writes numbers, and what it says of a value that was cut.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Between groups of three digits. It is ASCII, and none that this language writes before decimals.
    pub thousands: char,
    /// How many characters there are in all.
    pub in_all: fn(&str) -> String,
}

/// Whether six or more digits, of any script, stand in a row or look as if they did.
#[must_use]
pub fn has_six_digits(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        run = run_after(run, c);
        run >= 6
    })
}

/// How long a run of digits is after one more character.
fn run_after(run: usize, c: char) -> usize {
    match c {
        c if c.is_numeric() => run + 1,
        c if separates(c) => 0,
        _ => run,
    }
}

/// Whether a person sees digits before and after this as two. ASCII alone can be trusted with that, and not all of it:
/// marks that sit on a digit or around it, dots and signs of other scripts can be next to nothing to look at.
const fn separates(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_digit() && !matches!(c, '\'' | '`' | '^' | '_' | '~' | '|')
}

/// A value as a requester gave it. Numbers are grouped by thousands and hex by fours; everything else stands in quotes.
#[must_use]
pub fn value(text: &str, style: &Style) -> String {
    let cleaned = clean(text);
    let shown: String = cleaned.chars().take(MOST).collect();
    let digits = shown.strip_prefix('-').unwrap_or(&shown);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let mut result = match shown.as_str() {
        "true" | "false" => shown,
        number if is_number => group(number, style),
        word if is_hex(word) => group(word, style),
        other => format!("\"{}\"", group(&defang(other), style)),
    };
    let length = cleaned.chars().count();
    if length > MOST {
        result.push_str(&format!(" ... {}", (style.in_all)(&thousands(&length.to_string(), style))));
    }
    result
}

/// A name that a requester gave (of a struct or a field), or any short text of ours that carries digits.
#[must_use]
pub fn name(text: &str, style: &Style) -> String {
    let shown: String = clean(text).chars().take(64).collect();
    group(&defang(&shown), style)
}

/// Text of ours that is no requester's: only its runs of digits are broken.
#[must_use]
pub fn own(text: &str, style: &Style) -> String {
    group(&clean(text), style)
}

/// Escapes text for an HTML element or a quoted attribute.
#[must_use]
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// One line: white space becomes a space, what prints nothing or turns the writing direction is dropped, and a quote
/// cannot end our own.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        match c {
            c if c.is_whitespace() || c.is_control() => {
                if !cleaned.is_empty() && !cleaned.ends_with(' ') {
                    cleaned.push(' ');
                }
            }
            '"' | '\u{201C}'..='\u{201F}' | '\u{FF02}' => cleaned.push('\''),
            // dots of other scripts, which host names allow in place of '.'
            '\u{2024}' | '\u{3002}' | '\u{FE52}' | '\u{FF0E}' | '\u{FF61}' => cleaned.push('.'),
            '\u{FF20}' | '\u{FE6B}' => cleaned.push('@'),
            '\u{FE55}' | '\u{FF1A}' => cleaned.push(':'),
            other => cleaned.push(other),
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// Format characters (bidi controls, zero widths, variation selectors, tags) and fillers.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{13430}'..='\u{1345F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Breaks what mail programs make links of: `a.b`, `a:b`, `://`, `a@b`.
fn defang(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut result = String::with_capacity(text.len());
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|j| chars.get(j)).is_some_and(|c| !c.is_whitespace());
        let after = chars.get(i + 1).is_some_and(|c| !c.is_whitespace());
        match c {
            '.' if before && after => result.push_str("[.]"),
            ':' if after => result.push_str("[:]"),
            '@' => result.push_str("[at]"),
            other => result.push(*other),
        }
    }
    result
}

fn is_hex(word: &str) -> bool {
    word.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Breaks every long run of digits: `1,000,000`, `0x1234 5678`, and `1234 56` inside any other word. What follows a colon
/// or stands in a URL is no amount, and is left as it is where it is no longer than a port.
fn group(text: &str, style: &Style) -> String {
    let mut result = String::with_capacity(text.len() * 5 / 4);
    let mut rest = text;
    let (mut before, mut run) = (' ', 0);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()).max(first.len_utf8());
        let (word, tail) = rest.split_at(end);
        let after = tail.chars().next().unwrap_or(' ');
        let alone = !matches!(before, '.' | ',') && !matches!(after, '.' | ',');
        let alone = alone || (after == ',' && tail[1..].starts_with(' ') && !matches!(before, '.' | ','));
        let alone = alone && separates(before) && separates(after);
        let is_digits = word.bytes().all(|b| b.is_ascii_digit());
        let in_address = result.ends_with([':', ']']) || result.rsplit(' ').next().is_some_and(|s| s.contains("//"));
        if alone && in_address && is_digits && word.len() <= PORT {
            result.push_str(word);
            run = word.len();
        } else if alone && is_digits {
            result.push_str(&thousands(word, style));
        } else if is_hex(word) {
            result.push_str("0x");
            result.push_str(&word.as_bytes()[2..].chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" "));
            run = RUN;
        } else {
            run = push_broken(&mut result, word, run);
        }
        before = word.chars().next_back().unwrap_or(' ');
        rest = tail;
    }
    result
}

fn thousands(digits: &str, style: &Style) -> String {
    let mut result = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            result.push(style.thousands);
        }
        result.push(c);
    }
    result
}

/// `run` and the result: how many digits stand together before and after the word.
fn push_broken(result: &mut String, word: &str, mut run: usize) -> usize {
    for c in word.chars() {
        run = run_after(run, c);
        if run > RUN {
            result.push(' ');
            run = 1;
        }
        result.push(c);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrases;

    fn value(text: &str) -> String {
        super::value(text, &phrases::of(otp_core::language::Language::English).style)
    }

    fn name(text: &str) -> String {
        super::name(text, &phrases::of(otp_core::language::Language::English).style)
    }

    fn own(text: &str) -> String {
        super::own(text, &phrases::of(otp_core::language::Language::English).style)
    }

    #[test]
    fn a_german_number_has_no_comma_that_would_begin_its_decimals() {
        let style = &phrases::of(otp_core::language::Language::German).style;
        assert_eq!(super::value("1000000", style), "1 000 000");
        assert!(!has_six_digits(&super::value("482913", style)));
        assert!(super::value(&"a".repeat(1234), style).ends_with("(1 234 Zeichen insgesamt)"));
    }

    #[test]
    fn numbers_and_hex_are_grouped_so_that_a_person_can_compare_them() {
        for (given, shown) in [
            ("1000000", "1,000,000"),
            ("-1234567", "-1,234,567"),
            ("999", "999"),
            ("0xAbC1234567", "0xAbC1 2345 67"),
            ("true", "true"),
            ("[1000000, 0x12345678]", "\"[1,000,000, 0x1234 5678]\""),
            ("", "\"\""),
        ] {
            assert_eq!(value(given), shown);
        }
    }

    #[test]
    fn a_port_or_a_piece_of_a_url_is_no_amount() {
        for (given, shown) in [
            ("http://127.0.0.1:23701", "http://127.0.0.1:23701"),
            (
                "https://app.example:8443/10000/x?n=23701 for 23701",
                "https://app.example:8443/10000/x?n=23701 for 23,701",
            ),
            ("localhost:23701", "localhost:23701"),
        ] {
            assert_eq!(own(given), shown);
        }
        assert_eq!(value("http://x:23701"), "\"http[:]//x[:]23701\"");
        for code in ["http://x/482913", "http://x:482913", "x:48291\u{B7}3", "http://x/48291\u{20E3}3"] {
            assert!(!has_six_digits(&own(code)) && !has_six_digits(&value(code)), "{code} became {}", own(code));
        }
    }

    #[test]
    fn nothing_of_a_requester_becomes_a_link_or_a_line_of_its_own() {
        let shown = value("x\r\nBcc: a@b.example\nhttps://evil.example/1 \"quoted\" www.evil\u{3002}example");
        assert_eq!(shown, "\"x Bcc: a[at]b[.]example https[:]//evil[.]example/1 'quoted' www[.]evil[.]example\"");
    }

    #[test]
    fn what_cannot_be_seen_is_dropped() {
        assert_eq!(name("://x"), "[:]//x");
        assert_eq!(value("www\u{2024}evil\u{FE52}example\u{FE55}80"), "\"www[.]evil[.]example[:]80\"");
        assert_eq!(value("a\u{202E}b\u{200B}c\u{0}d\u{E0041}"), "\"abc d\"");
    }

    #[test]
    fn digits_of_any_script_and_behind_any_trick_stay_broken() {
        for text in [
            "482913",
            "x482913y",
            "４８２９１３",
            "٤٨٢٩١٣",
            "48\u{200B}2913",
            "1,482913",
            "0.482913",
            "0x482913",
            "4\u{20E3}8\u{20E3}2\u{20E3}9\u{20E3}1\u{20E3}3\u{20E3}",
            "4\u{FE0F}\u{20E3}8\u{FE0F}\u{20E3}2913",
            "4\u{301}8\u{363}2\u{64E}913",
            "482\u{13430}913",
            "482\u{1D159}913",
            "482\u{B7}913",
            "482\u{2027}913",
            "482'913",
            "482\"913",
            "0x48\u{B7}2913",
        ] {
            let seen: String = value(text).chars().filter(|c| c.is_numeric() || separates(*c)).collect();
            let longest = seen.split(|c: char| !c.is_numeric()).map(|run| run.chars().count()).max();
            assert!(longest <= Some(RUN), "{text} became {}", value(text));
            assert!(!has_six_digits(&value(text)), "{text} became {}", value(text));
            assert!(!has_six_digits(&name(text)) && !has_six_digits(&own(text)), "{text}");
        }
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let shown = value(&"a".repeat(1234));
        assert!(shown.len() < 400 && shown.ends_with("(1,234 characters in all)"), "{shown}");
    }
}
