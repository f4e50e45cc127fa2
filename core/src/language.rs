//! The languages that messages are written in, and which one a BCP 47 tag means.

use std::{fmt, str::FromStr};

/// The longest tag that is read: RFC 5646 §4.4.1 asks for no more.
const LONGEST_TAG: usize = 35;
const LONGEST_SUBTAG: usize = 8;

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `en`
    English,
    /// `de`
    German,
}

/// The text is no language tag, or none of a language that messages are written in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLanguage {
    /// RFC 5646's syntax is not kept to.
    #[error("a language tag such as de or en-GB is expected (BCP 47, at most {LONGEST_TAG} characters)")]
    NoTag,
    /// Messages are not written in it.
    #[error("messages are written in en and de")]
    NotWritten,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its tag: the shortest one.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// What a person who asks for `tag` is written in, by RFC 4647's lookup: `de-AT-1996` is written in `de`. `None` where
    /// it is a language that messages are not written in.
    ///
    /// # Errors
    /// [`BadLanguage::NoTag`]
    pub fn lookup(tag: &str) -> Result<Option<Self>, BadLanguage> {
        let subtag =
            |part: &str| (1..=LONGEST_SUBTAG).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let primary = tag.split('-').next().unwrap_or_default();
        let is_language = primary.len() >= 2 && primary.bytes().all(|b| b.is_ascii_alphabetic());
        if tag.len() > LONGEST_TAG || !is_language || !tag.split('-').all(subtag) {
            return Err(BadLanguage::NoTag);
        }
        Ok(Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary)))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl FromStr for Language {
    type Err = BadLanguage;

    fn from_str(tag: &str) -> Result<Self, BadLanguage> {
        Self::lookup(tag)?.ok_or(BadLanguage::NotWritten)
    }
}

impl TryFrom<String> for Language {
    type Error = BadLanguage;

    fn try_from(tag: String) -> Result<Self, BadLanguage> {
        tag.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_means_the_language_that_it_begins_with() {
        for (tag, language) in [
            ("de", Some(Language::German)),
            ("DE-at-1996", Some(Language::German)),
            ("en-GB", Some(Language::English)),
            ("fr-CA", None),
            ("den", None),
            ("zh-cmn-Hans-CN-x-private-use1-u-ab", None),
        ] {
            assert_eq!(Language::lookup(tag), Ok(language), "{tag}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for bad in [
            "",
            "d",
            "de-",
            "-de",
            "de--AT",
            "de_AT",
            "de AT",
            "dé",
            "d3",
            "123",
            "de-toolongasubtag",
            &"de-a".repeat(12),
        ] {
            assert_eq!(Language::lookup(bad), Err(BadLanguage::NoTag), "{bad}");
        }
    }
}
