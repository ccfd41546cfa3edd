//! Phi accrual: how sure it is that somebody who has not been heard of is gone.
//!
//! It learns from the heartbeats how regular they are; phi is then −log₁₀ of the chance that the next one still comes. At phi 1
//! one suspicion in ten is wrong, at 8 one in a hundred million. (Hayashibara, Défago, Yared, Katayama, *The φ Accrual Failure
//! Detector*, SRDS 2004.) The defaults and the logistic approximation of the normal distribution are those of Akka's detector.
//!
//! A pure value: time is an argument. Agents and nodes keep one for each whom they listen to.
//!
//! # Invariants
//! - Without a heartbeat phi never falls.
//! - A pause after which the other was suspected teaches nothing: it does not make the next one look usual.

use std::{collections::VecDeque, time::Duration};

use crate::{
    clock::Moment,
    limits::{PHI_DEVIATION_MIN, PHI_FIRST_INTERVAL, PHI_PAUSE, PHI_SAMPLES_MAX},
};

/// What a detector takes for usual; the defaults are Akka's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// From which phi on the other is suspected.
    pub threshold: f64,
    /// The least deviation of the intervals, however regular they are.
    pub deviation_min: Duration,
    /// A pause beyond the usual interval that is no ground for suspicion: a garbage collection, a busy network.
    pub pause: Duration,
    /// The interval that is expected before any was seen.
    pub first_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threshold: 8.0,
            deviation_min: PHI_DEVIATION_MIN,
            pause: PHI_PAUSE,
            first_interval: PHI_FIRST_INTERVAL,
        }
    }
}

/// Listens to one other.
///
/// ```
/// use std::time::Duration;
/// use synod_runtime::{clock::Moment, phi::{Options, Phi}};
/// let second = Duration::from_secs(1);
/// let mut phi = Phi::new(Options::default());
/// let last = (0..10).map(|n| Moment::START + n * second).inspect(|at| phi.heartbeat(*at)).last();
/// let last = last.unwrap_or(Moment::START);
/// assert!(phi.is_alive(last + 3 * second));
/// assert!(!phi.is_alive(last + 10 * second));
/// ```
#[derive(Clone, Debug)]
pub struct Phi {
    options: Options,
    last: Option<Moment>,
    /// The latest intervals, in microseconds, their sum and the sum of their squares: whole numbers, so that nothing drifts.
    intervals: VecDeque<u64>,
    sum: u128,
    squares: u128,
}

impl Phi {
    /// A detector that has heard nothing: it suspects nobody.
    pub fn new(options: Options) -> Self {
        Self { options, last: None, intervals: VecDeque::new(), sum: 0, squares: 0 }
    }

    /// Takes a heartbeat.
    pub fn heartbeat(&mut self, now: Moment) {
        match self.last {
            None => {
                // Akka's guess: the first interval, give or take a quarter.
                let first = micros(self.options.first_interval);
                self.learn(first - first / 4);
                self.learn(first.saturating_add(first / 4));
            }
            Some(last) if self.is_alive(now) => self.learn(micros(now.since(last))),
            Some(_) => {}
        }
        self.last = Some(now);
    }

    /// How sure it is that the other is gone; 0 before the first heartbeat.
    pub fn phi(&self, now: Moment) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let (mean, deviation) = self.distribution();
        let elapsed = now.since(last).as_secs_f64() * 1e6;
        suspicion(elapsed, mean + seconds(self.options.pause) * 1e6, deviation)
    }

    /// Whether the other is not suspected.
    pub fn is_alive(&self, now: Moment) -> bool {
        self.phi(now) < self.options.threshold
    }

    /// When it will be suspected if nothing more is heard; `None` before the first heartbeat.
    pub fn deadline(&self) -> Option<Moment> {
        let last = self.last?;
        let (mean, deviation) = self.distribution();
        let silence = mean + seconds(self.options.pause) * 1e6;
        let silence = silence + deviations(self.options.threshold) * deviation;
        let silence = Duration::try_from_secs_f64(silence.max(0.0) / 1e6).unwrap_or(Duration::MAX);
        // Whatever is lost in rounding is less than a microsecond.
        Some(last + silence.saturating_add(Duration::from_micros(1)))
    }

    /// When the last heartbeat came.
    pub fn last(&self) -> Option<Moment> {
        self.last
    }

    fn learn(&mut self, interval: u64) {
        let square = |interval: u64| u128::from(interval) * u128::from(interval);
        if self.intervals.len() >= PHI_SAMPLES_MAX
            && let Some(oldest) = self.intervals.pop_front()
        {
            self.sum -= u128::from(oldest);
            self.squares -= square(oldest);
        }
        self.intervals.push_back(interval);
        self.sum += u128::from(interval);
        self.squares += square(interval);
    }

    /// Mean and deviation of the intervals, in microseconds.
    fn distribution(&self) -> (f64, f64) {
        let count = self.intervals.len().max(1) as u128;
        // n·Σx² − (Σx)² is never negative in whole numbers.
        let spread = (count * self.squares).saturating_sub(self.sum * self.sum);
        let (mean, deviation) =
            (self.sum as f64 / count as f64, (spread as f64).sqrt() / count as f64);
        (mean, deviation.max(seconds(self.options.deviation_min) * 1e6).max(1.0))
    }
}

/// The factors of the logistic approximation of the cumulative normal distribution (Bowling et al., 2009), as Akka has it.
const LINEAR: f64 = 1.5976;
const CUBIC: f64 = 0.070_566;

/// −log₁₀ of the chance that a heartbeat comes later than `elapsed`, the intervals being normally distributed.
fn suspicion(elapsed: f64, mean: f64, deviation: f64) -> f64 {
    let y = (elapsed - mean) / deviation;
    let exponent = y * (LINEAR + CUBIC * y * y);
    // −log₁₀ of e⁻ˣ ÷ (1 + e⁻ˣ), which is log₁₀ of 1 + eˣ, in a form that does not overflow.
    (exponent.max(0.0) + (-exponent.abs()).exp().ln_1p()) / std::f64::consts::LN_10
}

/// At how many deviations from the mean the suspicion is `phi`: the inverse of [`suspicion`].
fn deviations(phi: f64) -> f64 {
    // log₁₀ of 1 + eˣ is phi at this x, in a form that does not overflow.
    let exponent =
        phi * std::f64::consts::LN_10 + (-(-phi * std::f64::consts::LN_10).exp()).ln_1p();
    // The one real root of y³ + 3ty = 2u, whose left side only rises.
    let (t, u) = (LINEAR / CUBIC / 3.0, exponent / CUBIC / 2.0);
    2.0 * t.sqrt() * ((u / (t * t.sqrt())).asinh() / 3.0).sinh()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::START + Duration::from_millis(millis)
    }

    fn without_pause() -> Options {
        Options { pause: Duration::ZERO, ..Options::default() }
    }

    /// A detector that has heard a beat each second up to the moment that is returned.
    fn steady(options: Options) -> (Phi, u64) {
        let mut phi = Phi::new(options);
        (0..100).for_each(|n| phi.heartbeat(at(n * 1_000)));
        (phi, 99_000)
    }

    #[test]
    fn phi_is_that_of_the_normal_distribution() {
        // Φ at 0, 1, 2, 3 and 4 deviations, from tables; the approximation is a little off up there.
        for (deviations, chance) in [(0.0, 0.5), (1.0, 0.158_655), (2.0, 0.022_75), (3.0, 0.001_35)]
        {
            let phi = suspicion(1_000.0 + deviations * 100.0, 1_000.0, 100.0);
            assert!((phi + f64::log10(chance)).abs() < 0.05, "{deviations}: {phi}");
        }
        assert!(suspicion(1e12, 0.0, 1.0).is_finite());
        assert!(suspicion(-1e9, 0.0, 1.0) < 1e-9);
        for phi in [0.1, 0.301, 1.0, 8.0, 400.0] {
            assert!((suspicion(deviations(phi), 0.0, 1.0) - phi).abs() < 1e-6, "{phi}");
        }
    }

    #[test]
    fn a_steady_beat_is_trusted_through_the_pause_and_not_far_beyond() {
        let (phi, last) = steady(Options::default());
        assert!(phi.is_alive(at(last + 1_000)) && phi.is_alive(at(last + 4_000)));
        assert!(!phi.is_alive(at(last + 6_000)), "{}", phi.phi(at(last + 6_000)));
        assert!(Phi::new(Options::default()).phi(at(1 << 40)) < f64::EPSILON);
    }

    #[test]
    fn an_irregular_beat_is_waited_for_longer() {
        let (regular, last) = steady(without_pause());
        let mut irregular = Phi::new(without_pause());
        let mut now = 0;
        for n in 0..100_u64 {
            irregular.heartbeat(at(now));
            now += 200 + (n * 7_919) % 1_600;
        }
        let last_irregular = irregular.last().unwrap();
        let later = Duration::from_millis(2_500);
        assert!(irregular.phi(last_irregular + later) < regular.phi(at(last) + later));
    }

    #[test]
    fn a_silence_that_was_suspected_teaches_nothing() {
        let (mut phi, last) = steady(without_pause());
        let before = phi.distribution();
        phi.heartbeat(at(last + 60_000));
        assert_eq!((phi.distribution(), phi.last()), (before, Some(at(last + 60_000))));
    }

    proptest! {
        #[test]
        fn phi_never_falls_in_silence(
            beats in proptest::collection::vec(1..10_000_u64, 1..300),
            silence in proptest::collection::vec(1..5_000_u64, 1..50),
        ) {
            let mut phi = Phi::new(without_pause());
            let mut now = 0;
            for pause in beats {
                now += pause;
                phi.heartbeat(at(now));
            }
            prop_assert!(phi.intervals.len() <= PHI_SAMPLES_MAX);
            let due = phi.deadline().unwrap();
            prop_assert!(!phi.is_alive(due) && phi.is_alive(Moment::from_nanos(due.as_nanos() - 1_000_000)));
            let mut before = phi.phi(at(now));
            for pause in silence {
                now += pause;
                let next = phi.phi(at(now));
                prop_assert!(next >= before && next.is_finite(), "{next} < {before}");
                before = next;
            }
        }
    }
}
