//! Limits that tighten themselves: while most guesses or sign-ins are wrong, every caller is served less, until it passes.
//!
//! No client tightens them alone: of each, a tenth of the samples that are needed counts, right or wrong, so it takes ten
//! addresses (IPv6: /64s) to conclude anything. What all callers share stays as it is.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use otp_core::metrics::LIMIT_FACTOR;

/// What is looked back on, in slots.
const SLOTS: usize = 5;
const SLOT: Duration = Duration::from_secs(60);
/// The clients that it takes to conclude anything.
const CLIENTS: u32 = 10;
/// Clients that are told apart in a slot; others count for nothing until it has passed.
const MOST_CLIENTS: usize = 10_000;

/// Counts what was right and wrong of late.
#[derive(Debug)]
pub(super) struct Tightening {
    above_percent: u32,
    samples: u32,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    slots: [(u32, u32); SLOTS],
    /// How much each client was counted in each slot.
    clients: [HashMap<[u8; 8], u32>; SLOTS],
    /// The slot that counts now, and since when.
    current: usize,
    since: Instant,
    divisor: u32,
}

impl Tightening {
    pub(super) fn new(above_percent: u32, samples: u32) -> Self {
        let (slots, clients) = ([(0, 0); SLOTS], std::array::from_fn(|_| HashMap::new()));
        let window = Window { slots, clients, current: 0, since: Instant::now(), divisor: 1 };
        metrics::gauge!(LIMIT_FACTOR).set(1.0);
        Self { above_percent, samples, window: Mutex::new(window) }
    }

    /// Counts a guess or a sign-in, unless as much was counted of this client as may be.
    pub(super) fn observe(&self, client: Option<[u8; 8]>, right: bool) {
        let mut window = self.window();
        window.advance(Instant::now());
        let current = window.current;
        let client = client.unwrap_or_default();
        let counted: u32 = window.clients.iter().filter_map(|slot| slot.get(&client)).sum();
        let known = window.clients[current].len() < MOST_CLIENTS || window.clients[current].contains_key(&client);
        if counted >= self.samples.div_ceil(CLIENTS) || !known {
            return;
        }
        *window.clients[current].entry(client).or_default() += 1;
        let (rights, wrongs) = &mut window.slots[current];
        *(if right { rights } else { wrongs }) += 1;
    }

    /// What limits are divided by now: 1, 2, or 4 where nearly everything is wrong.
    pub(super) fn divisor(&self) -> u32 {
        let mut window = self.window();
        window.advance(Instant::now());
        let divisor = self.of(&window);
        if divisor != window.divisor {
            window.divisor = divisor;
            metrics::gauge!(LIMIT_FACTOR).set(1.0 / f64::from(divisor));
            tracing::warn!(target: "security", event = "limits-changed", divisor, "limits are divided by this from now on");
        }
        divisor
    }

    fn of(&self, window: &Window) -> u32 {
        let (right, wrong) = window
            .slots
            .iter()
            .fold((0u64, 0u64), |(right, wrong), (r, w)| (right + u64::from(*r), wrong + u64::from(*w)));
        let all = right + wrong;
        if all < u64::from(self.samples) || self.above_percent >= 100 {
            return 1;
        }
        let percent = wrong * 100 / all.max(1);
        let (above, far_above) = (u64::from(self.above_percent), u64::from(self.above_percent.midpoint(100)));
        if percent > far_above {
            4
        } else if percent > above {
            2
        } else {
            1
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Leaves the slots behind whose time has passed.
    fn advance(&mut self, now: Instant) {
        let mut passed = 0;
        while now.duration_since(self.since) >= SLOT && passed < SLOTS {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = (0, 0);
            self.clients[self.current].clear();
            self.since += SLOT;
            passed += 1;
        }
        if passed == SLOTS {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is another client's.
    fn observe(tightening: &Tightening, right: u64, wrong: u64) {
        for n in 0..right + wrong {
            let client = Some((wrong << 32 | n).to_be_bytes());
            tightening.observe(client, n < right);
        }
    }

    #[test]
    fn limits_tighten_while_most_is_wrong_and_relax_when_it_has_passed() {
        let tightening = Tightening::new(60, 20);
        observe(&tightening, 0, 19);
        assert_eq!(tightening.divisor(), 1, "too few to conclude from");
        observe(&tightening, 8, 0);
        assert_eq!(tightening.divisor(), 2, "19 of 27");
        observe(&tightening, 0, 100);
        assert_eq!(tightening.divisor(), 4);
        tightening.window().advance(Instant::now() + SLOT * 3);
        assert_eq!(tightening.divisor(), 4, "it is remembered for a while");
        let later = Instant::now() + SLOT * 20;
        tightening.window().advance(later);
        assert_eq!(tightening.of(&tightening.window()), 1);
    }

    #[test]
    fn fewer_than_ten_clients_tighten_nothing_nor_keep_it_from_happening() {
        let tightening = Tightening::new(60, 100);
        for n in 0..9_000u64 {
            tightening.observe(Some((n % 9).to_be_bytes()), false);
        }
        assert_eq!(tightening.divisor(), 1, "nine clients");
        (0..10).for_each(|_| tightening.observe(Some([1; 8]), false));
        assert_eq!(tightening.divisor(), 4, "a tenth");
        (0..9_000).for_each(|_| tightening.observe(Some([2; 8]), true));
        assert_eq!(tightening.divisor(), 4, "one who signs in rightly again and again");
        observe(&tightening, 0, 2 * MOST_CLIENTS as u64);
        assert!(tightening.window().clients.iter().all(|slot| slot.len() <= MOST_CLIENTS));
    }

    #[test]
    fn honest_people_tighten_nothing() {
        let tightening = Tightening::new(60, 20);
        observe(&tightening, 600, 400);
        assert_eq!(tightening.divisor(), 1);
    }
}
