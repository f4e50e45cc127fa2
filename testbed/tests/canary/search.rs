//! What was planted, and the search for it.

/// Where something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// A log line of a daemon.
    Log,
    /// A file of the database.
    Database,
    /// The answer to this.
    Answer(&'a str),
}

struct Canary {
    what: &'static str,
    bytes: Vec<u8>,
    /// Digits count where they stand alone: in a longer number they are another number.
    alone: bool,
    meant: Vec<Place<'static>>,
}

/// A canary where it should not be. Tells where, not what it looks like.
#[derive(Debug)]
#[expect(dead_code, reason = "read by whoever reads the failure")]
pub(crate) struct Found {
    what: &'static str,
    place: String,
    near: String,
}

#[derive(Default)]
pub(crate) struct Canaries(Vec<Canary>);

impl Canaries {
    /// `meant` are the places that may carry it.
    pub(crate) fn plant(&mut self, what: &'static str, text: &str, meant: &[Place<'static>]) {
        assert!(text.len() >= 16, "{what} is too short to be told from chance");
        self.0.push(Canary { what, bytes: text.into(), alone: false, meant: meant.to_vec() });
    }

    pub(crate) fn plant_digits(&mut self, what: &'static str, digits: &str, meant: &[Place<'static>]) {
        self.0.push(Canary { what, bytes: digits.into(), alone: true, meant: meant.to_vec() });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is in `bytes` and not meant to be there.
    pub(crate) fn search(&self, place: Place<'_>, name: &str, bytes: &[u8]) -> Vec<Found> {
        let stray = self.0.iter().filter(|canary| !canary.meant.contains(&place) && canary.is_in(bytes));
        let near = || String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(160).collect();
        stray.map(|canary| Found { what: canary.what, place: format!("{place:?} of {name}"), near: near() }).collect()
    }
}

impl Canary {
    fn is_in(&self, bytes: &[u8]) -> bool {
        let length = self.bytes.len();
        let is_digit = |place: Option<&u8>| place.is_some_and(u8::is_ascii_alphanumeric);
        bytes.windows(length).enumerate().any(|(at, window)| {
            let neighbours =
                || is_digit(at.checked_sub(1).and_then(|at| bytes.get(at))) || is_digit(bytes.get(at + length));
            window.eq_ignore_ascii_case(&self.bytes) && !(self.alone && neighbours())
        })
    }
}

#[test]
fn a_planted_leak_is_found_wherever_it_is_not_meant_to_be() {
    let mut canaries = Canaries::default();
    canaries.plant("token", "abcdefghijklmnopqrstuvwxyz", &[Place::Answer("login")]);
    canaries.plant_digits("digits", "482913", &[]);
    let search = |place, text: &str| canaries.search(place, "x", text.as_bytes()).len();
    assert_eq!(search(Place::Answer("login"), "token abcdefghijklmnopqrstuvwxyz"), 0);
    assert_eq!(search(Place::Answer("other"), "token ABCDEFGHIJKLMNOPQRSTUVWXYZ."), 1);
    assert_eq!(search(Place::Log, "\"digits\":\"482913\""), 1);
    assert_eq!(search(Place::Database, "\u{0}482913\u{1}abcdefghijklmnopqrstuvwxyz"), 2);
    assert_eq!(search(Place::Log, "1482913 4829130 0xa482913 482914"), 0);
}
