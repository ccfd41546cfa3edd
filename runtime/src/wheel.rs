//! A hierarchical timer wheel for deadlines and timers: a pure structure over [`Moment`], told when time passes.
//!
//! The node's timer driver owns one, sleeps until [`Wheel::next_due`] and delivers what [`Wheel::expire`] gives.
//! Four levels of 256 lists: the first has one list a tick, each further one a list for 256 of those before it. When its
//! time nears, a list of a coarse level is dealt out over the finer ones. So insert and cancel cost the same whatever the
//! number of entries and however far they lie; see G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
//!
//! # Invariants
//! - No entry fires before its moment, nor more than one [`WHEEL_TICK`] after it when `expire` is called each tick.
//! - A cancelled entry leaves at once, so deadlines of a minute on asks that are answered do not pile up.
//! - Nodes lie in one vector and link to each other by index: nothing is allocated per entry once it has grown.
//! - Keys are never reused.
//!
//! Limits: each entry belongs to an ask, a timer or a sleep, whose owners are bounded; [`WHEEL_IDLE_ENTRIES`].

use crate::{
    clock::Moment,
    limits::{WHEEL_IDLE_ENTRIES, WHEEL_TICK},
};

/// Holds entries until their moments.
#[derive(Debug)]
pub struct Wheel<T> {
    /// First the heads of the circular lists, [`HEADS`] of them, then the entries.
    nodes: Vec<Node<T>>,
    /// The first unused node, linked by `next`.
    unused: u32,
    /// Which lists of a level have entries, a bit each.
    occupied: [Bits; LEVELS as usize],
    /// The tick up to which everything has fired.
    current: u64,
    len: usize,
    last_stamp: u64,
}

/// Names one entry of one wheel, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) index: u32,
    /// Never 0.
    pub(crate) stamp: u64,
}

const LEVELS: u32 = 4;
/// The binary digits of a tick's number that pick the list within a level.
const LIST_BITS: u32 = 8;
const LISTS: u32 = 1 << LIST_BITS;
const HEADS: u32 = LEVELS << LIST_BITS;
const HEAD_COUNT: usize = HEADS as usize;
const NONE: u32 = u32::MAX;
/// One [`WHEEL_TICK`].
#[expect(clippy::cast_possible_truncation, reason = "a tick is milliseconds")]
pub(crate) const TICK_NANOS: u64 = WHEEL_TICK.as_nanos() as u64;

#[derive(Debug)]
struct Node<T> {
    previous: u32,
    next: u32,
    /// The tick at which to fire.
    due: u64,
    /// Unique to this use of the node.
    stamp: u64,
    entry: Option<T>,
}

impl<T> Wheel<T> {
    /// Makes an empty wheel that stands at the start of time.
    pub fn new() -> Self {
        Self {
            nodes: (0..HEADS).map(Node::head).collect(),
            unused: NONE,
            occupied: [Bits::default(); LEVELS as usize],
            current: 0,
            len: 0,
            last_stamp: 0,
        }
    }

    /// Keeps `entry` until `at`. What is due already fires at the next tick.
    pub fn insert(&mut self, at: Moment, entry: T) -> Key {
        let due = at.as_nanos().div_ceil(TICK_NANOS).max(self.current + 1);
        self.len += 1;
        self.last_stamp += 1;
        let stamp = self.last_stamp;
        let node = Node { previous: NONE, next: NONE, due, stamp, entry: Some(entry) };
        let index = self.place(node);
        self.link(index, due);
        Key { index, stamp }
    }

    /// Takes an entry out before it fires; `None` when it has fired or was cancelled.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        let node = self.nodes.get_mut(key.index as usize).filter(|node| node.stamp == key.stamp)?;
        let entry = node.entry.take()?;
        self.unlink(key.index);
        self.release(key.index);
        Some(entry)
    }

    /// Moves on to `now` and appends what has become due to `fired`, by ascending tick.
    pub fn expire(&mut self, now: Moment, fired: &mut Vec<T>) {
        let target = now.as_nanos() / TICK_NANOS;
        while self.current < target {
            self.current = self.next_busy_tick().map_or(target, |tick| tick.min(target));
            self.turn(fired);
        }
        if self.len == 0 && self.nodes.capacity() > HEAD_COUNT + WHEEL_IDLE_ENTRIES {
            self.nodes.truncate(HEAD_COUNT);
            self.nodes.shrink_to(HEAD_COUNT + WHEEL_IDLE_ENTRIES);
            self.unused = NONE;
        }
    }

    /// Tells when to call [`expire`](Self::expire) next: not after the first entry is due, perhaps before. `None` when empty.
    pub fn next_due(&self) -> Option<Moment> {
        self.next_busy_tick().map(|tick| Moment::from_nanos(tick.saturating_mul(TICK_NANOS)))
    }

    /// The number of entries that wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next tick at which an entry fires or a list is dealt out.
    fn next_busy_tick(&self) -> Option<u64> {
        let levels = (0..).map(|level| level * LIST_BITS).zip(&self.occupied);
        let ticks = levels.filter_map(|(shift, occupied)| {
            let list = self.current >> shift;
            let distance = occupied.distance_behind(list_of(list))?;
            Some((list + u64::from(distance)) << shift)
        });
        ticks.min()
    }

    /// Does what the current tick asks for: deals out coarse lists whose time has come, then fires the finest.
    fn turn(&mut self, fired: &mut Vec<T>) {
        for level in (1..LEVELS).rev() {
            if self.current.trailing_zeros() >= level * LIST_BITS {
                self.deal_out(head_of(level, self.current));
            }
        }
        let head = head_of(0, self.current);
        while let Some(index) = self.first_of(head) {
            self.unlink(index);
            fired.extend(self.node(index).entry.take());
            self.release(index);
        }
    }

    fn deal_out(&mut self, head: u32) {
        while let Some(index) = self.first_of(head) {
            self.unlink(index);
            let due = self.node(index).due;
            self.link(index, due);
        }
    }

    /// Appends a node to the list in which it waits for `due`.
    fn link(&mut self, index: u32, due: u64) {
        // What lies beyond the last level waits in its farthest list and is dealt again from there.
        let distance = (due - self.current).min((1 << (LEVELS * LIST_BITS)) - 1);
        let level = distance.checked_ilog2().unwrap_or(0) / LIST_BITS;
        let head = head_of(level, self.current + distance);
        let last = self.node(head).previous;
        let node = self.node(index);
        (node.previous, node.next) = (last, head);
        self.node(last).next = index;
        self.node(head).previous = index;
        self.mark(head, true);
    }

    fn unlink(&mut self, index: u32) {
        let Node { previous, next, .. } = *self.node(index);
        self.node(previous).next = next;
        self.node(next).previous = previous;
        if previous == next {
            // Only a head is its own neighbour on both sides.
            self.mark(next, false);
        }
    }

    /// Puts a node where there is room.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "four thousand million nodes fit in no memory"
    )]
    fn place(&mut self, node: Node<T>) -> u32 {
        let index = self.unused;
        if index == NONE {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            self.unused = std::mem::replace(self.node(index), node).next;
            index
        }
    }

    fn release(&mut self, index: u32) {
        let unused = std::mem::replace(&mut self.unused, index);
        self.node(index).next = unused;
        self.len -= 1;
    }

    fn first_of(&mut self, head: u32) -> Option<u32> {
        let first = self.node(head).next;
        (first != head).then_some(first)
    }

    fn mark(&mut self, head: u32, occupied: bool) {
        if let Some(level) = self.occupied.get_mut((head >> LIST_BITS) as usize) {
            level.set(head % LISTS, occupied);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "indices come from the lists themselves")]
    fn node(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Node<T> {
    fn head(index: u32) -> Self {
        Self { previous: index, next: index, due: 0, stamp: 0, entry: None }
    }
}

/// The head of the list of a level in which `tick` lies.
fn head_of(level: u32, tick: u64) -> u32 {
    (level << LIST_BITS) | list_of(tick >> (level * LIST_BITS))
}

/// The list of a level that has this number when counted on for ever.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is below 256")]
fn list_of(number: u64) -> u32 {
    (number % u64::from(LISTS)) as u32
}

/// One bit for each list of a level.
#[derive(Clone, Copy, Debug, Default)]
struct Bits([u64; WORDS as usize]);

const WORD_BITS: u32 = u64::BITS;
const WORDS: u32 = LISTS / WORD_BITS;

impl Bits {
    fn set(&mut self, list: u32, value: bool) {
        if let Some(word) = self.0.get_mut((list / WORD_BITS) as usize) {
            let bit = 1 << (list % WORD_BITS);
            *word = if value { *word | bit } else { *word & !bit };
        }
    }

    /// How far behind `list` the next set bit lies, going round: 1 to 256.
    fn distance_behind(&self, list: u32) -> Option<u32> {
        let start = (list + 1) % LISTS;
        // The word of the start comes twice: first its upper part, at last its lower.
        (0..=WORDS).find_map(|turn| {
            let word_index = (start / WORD_BITS + turn) % WORDS;
            let from = if turn == 0 { start % WORD_BITS } else { 0 };
            let word = *self.0.get(word_index as usize)? & (u64::MAX << from);
            let found = word_index * WORD_BITS + word.trailing_zeros();
            (word != 0).then(|| (found + LISTS - start) % LISTS + 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = WHEEL_TICK;

    fn at(ticks: u64) -> Moment {
        Moment::from_nanos(ticks * TICK_NANOS)
    }

    fn standing_at<T>(ticks: u64) -> Wheel<T> {
        let mut wheel = Wheel::new();
        wheel.expire(at(ticks), &mut Vec::new());
        wheel
    }

    fn fired_at(wheel: &mut Wheel<u64>, moment: Moment) -> Vec<u64> {
        let mut fired = Vec::new();
        wheel.expire(moment, &mut fired);
        fired
    }

    #[test]
    fn nothing_fires_early_and_nothing_more_than_a_tick_late() {
        for start in [0, 1, 255, 256, 65_535, 16_777_216] {
            for delay in [1, 2, 255, 256, 257, 12_000, 65_535, 65_536, 70_000, 16_777_217] {
                let mut wheel = standing_at(start);
                let due = at(start + delay - 1) + Duration::from_nanos(1);
                wheel.insert(due, delay);
                assert_eq!(
                    fired_at(&mut wheel, at(start + delay - 1)),
                    [0; 0],
                    "{start} + {delay}"
                );
                assert_eq!(fired_at(&mut wheel, at(start + delay)), [delay], "{start} + {delay}");
                assert!(wheel.is_empty());
            }
        }
    }

    #[test]
    fn an_entry_beyond_the_last_level_waits_its_whole_time() {
        let mut wheel = Wheel::new();
        let far = 3_u64 << 33;
        wheel.insert(at(far), 1);
        wheel.insert(Moment::NEVER, 2);
        assert_eq!(fired_at(&mut wheel, at(far - 1)), [0; 0]);
        assert_eq!(fired_at(&mut wheel, at(far)), [1]);
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn what_is_due_already_fires_at_the_next_tick() {
        let mut wheel = standing_at(9);
        wheel.insert(Moment::START, 1);
        assert_eq!(wheel.next_due(), Some(at(10)));
        assert_eq!(fired_at(&mut wheel, at(9)), [0; 0]);
        assert_eq!(fired_at(&mut wheel, at(10)), [1]);
    }

    #[test]
    fn a_key_reaches_only_its_own_entry_and_only_once() {
        let mut wheel = Wheel::new();
        let first = wheel.insert(at(5), 1);
        assert_eq!(wheel.cancel(first), Some(1));
        let second = wheel.insert(at(5), 2);
        assert_eq!(second.index, first.index, "the node is used again");
        assert_eq!(wheel.cancel(first), None);
        assert_eq!(fired_at(&mut wheel, at(5)), [2]);
        assert_eq!(wheel.cancel(second), None);
        assert_eq!(wheel.cancel(Key { index: 0, stamp: 0 }), None, "a head is no entry");
    }

    #[test]
    fn deadlines_of_answered_asks_do_not_pile_up() {
        let mut wheel = Wheel::new();
        let mut in_flight = std::collections::VecDeque::new();
        for ask in 0..100_000 {
            in_flight.push_back(wheel.insert(at(12_000), ask));
            if in_flight.len() > 64 {
                assert!(wheel.cancel(in_flight.pop_front().unwrap()).is_some());
            }
        }
        assert_eq!((wheel.len(), wheel.nodes.len()), (64, HEAD_COUNT + 65));
    }

    #[test]
    fn an_emptied_wheel_gives_back_what_a_burst_took() {
        let mut wheel = Wheel::new();
        let keys: Vec<_> = (0..100_000).map(|entry| wheel.insert(at(entry % 999), entry)).collect();
        assert_eq!(fired_at(&mut wheel, at(1_000)).len(), 100_000);
        assert!(wheel.nodes.capacity() <= HEAD_COUNT + WHEEL_IDLE_ENTRIES);
        let fresh = wheel.insert(at(2_000), 7);
        assert!(keys.into_iter().all(|key| wheel.cancel(key).is_none()));
        assert_eq!(wheel.cancel(fresh), Some(7));
    }

    #[test]
    fn next_due_leads_to_the_first_entry_in_few_steps() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next_due(), None);
        wheel.insert(at(10_000_000), 1);
        let mut steps = 0;
        let mut fired = Vec::new();
        while let Some(due) = wheel.next_due() {
            assert!(due <= at(10_000_000));
            wheel.expire(due, &mut fired);
            steps += 1;
        }
        assert_eq!((fired, steps), (vec![1], 3));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Cancel(prop::sample::Index),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let span = || prop_oneof![0..20_u64, 0..2_000_u64, 0..200_000_u64, 0..5_000_000_000_u64];
        let step = prop_oneof![
            4 => span().prop_map(Step::Insert),
            2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
            3 => span().prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_map_of_ticks(start in 0..1_000_000_u64, steps in steps()) {
            let mut now = start;
            let mut wheel = standing_at(now);
            let mut model = BTreeMap::new();
            let mut keys = Vec::new();
            for (id, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(delay) => {
                        let key = wheel.insert(at(now + delay), id);
                        model.insert(((now + delay).max(now + 1), id), ());
                        keys.push((key, ((now + delay).max(now + 1), id)));
                    }
                    Step::Cancel(index) => {
                        if let Some((key, place)) = keys.get(index.index(keys.len().max(1))) {
                            let expected = model.remove(place).map(|()| place.1);
                            prop_assert_eq!(wheel.cancel(*key), expected);
                        }
                    }
                    Step::Pass(ticks) => {
                        now += ticks;
                        let later = model.split_off(&(now + 1, 0));
                        let mut fired = Vec::new();
                        wheel.expire(at(now), &mut fired);
                        let due_of = |id: &usize| keys.iter().find(|key| key.1.1 == *id).unwrap().1.0;
                        prop_assert!(fired.is_sorted_by_key(due_of));
                        fired.sort_unstable();
                        let mut expected: Vec<_> = model.into_keys().map(|place| place.1).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(fired, expected);
                        model = later;
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                let first = model.first_key_value().map(|((due, _), ())| at(*due));
                prop_assert_eq!(wheel.next_due().is_some(), first.is_some());
                prop_assert!(wheel.next_due() <= first);
                prop_assert!(wheel.next_due().is_none_or(|due| due > at(now)));
            }
        }
    }

    #[test]
    fn a_tick_is_the_named_length() {
        assert_eq!(Moment::START + TICK, at(1));
    }
}
