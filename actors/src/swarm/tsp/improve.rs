//! Local search on a tour: 2-opt and 3-opt over near neighbours, by the first improvement, with don't-look bits (Bentley 1992).
//!
//! # Invariants
//! - A tour stays a tour, and gets shorter with each move.

use std::collections::VecDeque;

use super::super::nth;
use super::Instance;

/// Near cities that the second road of a 3-opt move is tried with.
const SECOND_TRIED: usize = 6;

/// A tour that is being improved; kept from tour to tour, so that none of it is made anew.
#[derive(Debug, Default)]
pub(super) struct Improver {
    order: Vec<u32>,
    /// By city, where it stands in the order.
    place: Vec<u32>,
    /// Cities to be looked at, and which they are.
    queue: VecDeque<u32>,
    queued: Vec<bool>,
}

/// The neighbours that moves are tried with.
#[derive(Clone, Copy)]
pub(super) struct Near<'a> {
    pub(super) instance: &'a Instance,
    /// By city, its nearest; so many each, of which so many are looked at.
    pub(super) lists: &'a [u32],
    pub(super) each: usize,
    pub(super) looked_at: usize,
}

impl<'a> Near<'a> {
    #[inline]
    fn of(self, city: u32) -> &'a [u32] {
        let from = city as usize * self.each;
        self.lists.get(from..from + self.looked_at).unwrap_or_default()
    }

    #[inline]
    fn distance(self, one: u32, other: u32) -> i64 {
        i64::from(self.instance.distance(one, other))
    }
}

/// What is taken out and put in so far: the roads `t1`–`t2` and `t3`–`t4` are gone, `t2`–`t3` is there.
#[derive(Clone, Copy)]
struct Opened {
    t1: u32,
    t2: u32,
    t3: u32,
    t4: u32,
    /// The direction in which `t2` is next to `t1`.
    forward: bool,
    gain: i64,
}

impl Improver {
    /// Improves `tour` until no move makes it shorter, looking first at the cities `at`.
    pub(super) fn improve(
        &mut self,
        tour: &mut Vec<u32>,
        near: Near<'_>,
        at: impl Iterator<Item = u32>,
    ) {
        std::mem::swap(&mut self.order, tour);
        self.place.resize(self.order.len(), 0);
        for (city, place) in self.order.iter().zip(0..) {
            if let Some(own) = self.place.get_mut(*city as usize) {
                *own = place;
            }
        }
        self.queued.clear();
        self.queued.resize(self.order.len(), false);
        at.for_each(|city| self.look_at(city));
        while let Some(city) = self.queue.pop_front() {
            if let Some(queued) = self.queued.get_mut(city as usize) {
                *queued = false;
            }
            while self.improve_at(city, near) {}
        }
        std::mem::swap(&mut self.order, tour);
    }

    #[inline]
    fn look_at(&mut self, city: u32) {
        if let Some(queued) = self.queued.get_mut(city as usize).filter(|queued| !**queued) {
            *queued = true;
            self.queue.push_back(city);
        }
    }

    fn cities(&self) -> u32 {
        super::super::number(self.order.len())
    }

    #[inline]
    fn place(&self, city: u32) -> u32 {
        nth(&self.place, city as usize)
    }

    #[inline]
    fn city(&self, place: u32) -> u32 {
        nth(&self.order, place as usize)
    }

    #[inline]
    fn next(&self, city: u32) -> u32 {
        let place = self.place(city) + 1;
        self.city(if place == self.cities() { 0 } else { place })
    }

    #[inline]
    fn before(&self, city: u32) -> u32 {
        let place = self.place(city);
        self.city(if place == 0 { self.cities() - 1 } else { place - 1 })
    }

    #[inline]
    fn beside(&self, city: u32, forward: bool) -> u32 {
        if forward { self.next(city) } else { self.before(city) }
    }

    /// Takes out the road of `t2` to either side, puts in one to a near city, and closes the tour by 2-opt or 3-opt.
    fn improve_at(&mut self, t2: u32, near: Near<'_>) -> bool {
        for forward in [true, false] {
            let (t1, behind) = (self.beside(t2, !forward), self.beside(t2, forward));
            let road = near.distance(t1, t2);
            for t3 in near.of(t2) {
                let gain = road - near.distance(t2, *t3);
                if gain <= 0 {
                    break;
                }
                if *t3 == behind || *t3 == t1 {
                    continue;
                }
                for ahead in [false, true] {
                    let t4 = self.beside(*t3, ahead == forward);
                    let gain = gain + near.distance(*t3, t4);
                    let opened = Opened { t1, t2, t3: *t3, t4, forward, gain };
                    let is_better =
                        if ahead { self.join(opened, near) } else { self.close(opened, near) };
                    if is_better {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Where `t4` comes before `t3`: closes the tour at once, or by another road from `t4`.
    fn close(&mut self, opened: Opened, near: Near<'_>) -> bool {
        let Opened { t1, t2, t3, t4, forward, gain } = opened;
        if gain > near.distance(t4, t1) {
            self.turn((t2, t4), t1);
            self.look_at_all([t1, t2, t3, t4]);
            return true;
        }
        let length = self.away(t2, t4, forward);
        for t5 in near.of(t4).iter().take(SECOND_TRIED) {
            let gain = gain - near.distance(t4, *t5);
            if gain <= 0 {
                break;
            }
            let is_within = self.away(t2, *t5, forward) <= length;
            let t6 = self.beside(*t5, is_within == forward);
            if *t5 == t3 || *t5 == t1 || t6 == t4 {
                continue;
            }
            if gain + near.distance(*t5, t6) > near.distance(t6, t1) {
                self.turn((t2, t4), t1);
                self.turn((t4, t6), t1);
                self.look_at_all([t1, t2, t3, t4, *t5, t6]);
                return true;
            }
        }
        false
    }

    /// Where `t4` comes behind `t3`: `t2` to `t3` is a round of its own, which another road from `t4` joins with the rest.
    fn join(&mut self, opened: Opened, near: Near<'_>) -> bool {
        let Opened { t1, t2, t3, t4, forward, gain } = opened;
        let length = self.away(t2, t3, forward);
        for t5 in near.of(t4).iter().take(SECOND_TRIED) {
            let gain = gain - near.distance(t4, *t5);
            if gain <= 0 {
                break;
            }
            if *t5 == t3 || self.away(t2, *t5, forward) > length {
                continue;
            }
            for ahead in [true, false] {
                let t6 = self.beside(*t5, ahead == forward);
                if (!ahead && *t5 == t2) || gain + near.distance(*t5, t6) <= near.distance(t6, t1) {
                    continue;
                }
                if ahead {
                    self.turn((t2, t3), t1);
                    self.turn((t3, t6), t1);
                    self.turn((*t5, t2), t3);
                } else {
                    self.turn((t2, t6), t1);
                    self.turn((*t5, t3), t2);
                }
                self.look_at_all([t1, t2, t3, t4, *t5, t6]);
                return true;
            }
        }
        false
    }

    fn look_at_all<const N: usize>(&mut self, cities: [u32; N]) {
        cities.into_iter().for_each(|city| self.look_at(city));
    }

    /// How many steps a city is away from another one in this direction.
    #[inline]
    fn away(&self, from: u32, to: u32, forward: bool) -> u32 {
        let (from, to) = (self.place(from), self.place(to));
        let (from, to) = if forward { (from, to) } else { (to, from) };
        if to >= from { to - from } else { to + self.cities() - from }
    }

    /// Turns a path around, given by its ends and the city outside that is next to its first end.
    fn turn(&mut self, (first, last): (u32, u32), outside: u32) {
        if self.next(outside) == first {
            self.reverse(first, last);
        } else {
            self.reverse(last, first);
        }
    }

    /// Turns the cities from `first` on to `last` around, or all others, whichever are fewer.
    fn reverse(&mut self, first: u32, last: u32) {
        let cities = self.cities();
        let (mut from, mut to) = (self.place(first), self.place(last));
        let mut inside = if to >= from { to - from + 1 } else { to + cities - from + 1 };
        if inside * 2 > cities {
            inside = cities - inside;
            (from, to) = (to + 1, from + cities - 1);
            from = if from >= cities { from - cities } else { from };
            to = if to >= cities { to - cities } else { to };
        }
        for _ in 0..inside / 2 {
            let (one, other) = (self.city(from), self.city(to));
            self.put(other, from);
            self.put(one, to);
            from = if from + 1 == cities { 0 } else { from + 1 };
            to = if to == 0 { cities - 1 } else { to - 1 };
        }
    }

    #[inline]
    fn put(&mut self, city: u32, place: u32) {
        if let Some(own) = self.order.get_mut(place as usize) {
            *own = city;
        }
        if let Some(own) = self.place.get_mut(city as usize) {
            *own = place;
        }
    }
}
