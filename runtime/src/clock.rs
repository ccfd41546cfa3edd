//! Time and dice of one node: the only file that asks the machine for either.
//!
//! Everything above takes a [`Clock`] and a [`Random`] as arguments, so a simulation or a test owns both.
//! The node hands them to admission, the timer driver, the event bus and every actor's context.
//!
//! # Invariants
//! - A [`Moment`] never goes back and means nothing outside the clock that made it.
//! - Unix time is for people and for the wire; no order and no deadline is ever derived from it.
//! - The dice are fast and well spread, not secret: tokens and keys come from elsewhere.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// A point in one node's monotonic time: nanoseconds since its clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment at which the clock was made.
    pub const START: Self = Self(0);
    /// A moment that is never reached: 584 years after the start.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment this many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero when `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time left from this moment until `later`; zero when it has passed.
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at [`Moment::NEVER`].
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturated_nanos(duration)))
    }
}

/// Tells the time; monotonic for the program, Unix for people.
pub trait Clock: Send + Sync + 'static {
    /// The present moment; never earlier than one given before.
    fn now(&self) -> Moment;

    /// Nanoseconds since the Unix epoch by the wall clock, which may jump either way.
    fn unix_nanos(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts a clock at [`Moment::START`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's monotonic clock"
    )]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(saturated_nanos(self.start.elapsed()))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's wall clock"
    )]
    fn unix_nanos(&self) -> i64 {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, i64::wrapping_neg)
            }
        }
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    elapsed_nanos: AtomicU64,
    unix_start_nanos: i64,
}

impl ManualClock {
    /// The Unix time of a new manual clock's start: 14 November 2023, 22:13:20 UTC.
    pub const UNIX_START_NANOS: i64 = 1_700_000_000_000_000_000;

    /// Makes a clock that stands at [`Moment::START`].
    pub const fn new() -> Self {
        Self { elapsed_nanos: AtomicU64::new(0), unix_start_nanos: Self::UNIX_START_NANOS }
    }

    /// Moves both times forward and returns the new moment.
    pub fn advance(&self, by: Duration) -> Moment {
        let before = self.elapsed_nanos.fetch_add(saturated_nanos(by), Ordering::AcqRel);
        Moment(before) + by
    }

    /// Moves forward to `moment`; does nothing when that has passed.
    pub fn advance_to(&self, moment: Moment) {
        self.elapsed_nanos.fetch_max(moment.0, Ordering::AcqRel);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.elapsed_nanos.load(Ordering::Acquire))
    }

    fn unix_nanos(&self) -> i64 {
        self.unix_start_nanos.saturating_add_unsigned(self.now().0)
    }
}

/// Throws dice.
pub trait Random: Send + Sync + 'static {
    /// A number from the whole range of `u64`, each as likely as any other.
    fn next_u64(&self) -> u64;

    /// A number from the whole range of `u128`.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }

    /// A number in `0..bound`, without bias; 0 for a bound of 0.
    fn below(&self, bound: u64) -> u64 {
        // Lemire, "Fast Random Integer Generation in an Interval", 2019: multiply, reject the uneven rest.
        let uneven = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let number = self.next_u64();
            if number.wrapping_mul(bound) >= uneven {
                return ((u128::from(number) * u128::from(bound)) >> 64) as u64;
            }
        }
    }

    /// A number in `[0, 1)` with 53 random bits.
    fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Dice that differ in every process, seeded once by the machine.
#[derive(Debug)]
pub struct SystemRandom(SeededRandom);

impl SystemRandom {
    /// Takes a seed from the machine.
    pub fn new() -> Self {
        // `RandomState` is keyed by the operating system's generator, once a thread; the counter in it makes each new one differ.
        Self(SeededRandom::new(RandomState::new().hash_one(0_u64)))
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }
}

/// Dice that repeat: one seed gives one sequence, as long as one thread throws them.
#[derive(Debug)]
pub struct SeededRandom {
    state: AtomicU64,
}

impl SeededRandom {
    /// Starts the sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014): its state is a counter, so one atomic addition is a throw.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn saturated_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(Moment::NEVER + second, Moment::NEVER);
        assert_eq!(Moment::START + Duration::MAX, Moment::NEVER);
        assert_eq!(Moment::START.since(Moment::START + second), Duration::ZERO);
        assert_eq!((Moment::START + second).since(Moment::START), second);
        assert_eq!(Moment::START.until(Moment::START + second), second);
    }

    #[test]
    fn the_system_clock_does_not_go_back_and_knows_this_century() {
        let clock = SystemClock::new();
        let moments: Vec<Moment> = (0..1_000).map(|_| clock.now()).collect();
        assert!(moments.is_sorted());
        assert!(clock.unix_nanos() > ManualClock::UNIX_START_NANOS);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new();
        assert_eq!(
            (clock.now(), clock.unix_nanos()),
            (Moment::START, ManualClock::UNIX_START_NANOS)
        );
        let later = clock.advance(Duration::from_millis(5));
        assert_eq!(
            (later, clock.now()),
            (Moment::from_nanos(5_000_000), Moment::from_nanos(5_000_000))
        );
        assert_eq!(clock.unix_nanos(), ManualClock::UNIX_START_NANOS + 5_000_000);
        clock.advance_to(Moment::START);
        assert_eq!(clock.now(), later);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let throw = |seed| -> Vec<u64> {
            let dice = SeededRandom::new(seed);
            (0..100).map(|_| dice.next_u64()).collect()
        };
        assert_eq!(throw(7), throw(7));
        assert_ne!(throw(7), throw(8));
        assert_ne!(SystemRandom::new().next_u64(), SystemRandom::new().next_u64());
    }

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let dice = SeededRandom::new(1_234_567);
        assert_eq!(dice.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let dice = SeededRandom::new(1);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[usize::try_from(dice.below(6)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
        assert!(dice.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn unit_numbers_lie_in_the_half_open_interval() {
        let dice = SeededRandom::new(2);
        let sum: f64 = (0..10_000)
            .map(|_| dice.unit())
            .inspect(|unit| assert!((0.0..1.0).contains(unit)))
            .sum();
        assert!((4_850.0..5_150.0).contains(&sum));
    }
}
