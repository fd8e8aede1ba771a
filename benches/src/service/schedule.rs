//! When requests and pings arrive.

use std::time::Duration;

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request, which waits, computes and waits.
    Request,
    /// A ping, which does next to nothing.
    Ping,
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrives, counted from the start of the run.
    pub at: Duration,
    /// What arrives.
    pub kind: Kind,
    /// How many of its kind have arrived before.
    pub number: usize,
}

/// What a schedule is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The mean time between two requests.
    pub mean_gap: Duration,
    /// The time between two pings.
    pub ping_every: Duration,
    /// How long requests and pings arrive.
    pub length: Duration,
    /// The seed: equal seeds make equal schedules.
    pub seed: u64,
}

impl Plan {
    /// Draws the arrivals, earliest first. The times between requests are distributed exponentially.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        let mut random = SplitMix(self.seed);
        let mut arrivals = Vec::new();
        let mut at = Duration::ZERO;
        for number in 0.. {
            at += self.mean_gap.mul_f64(-random.unit().ln());
            if at >= self.length {
                break;
            }
            arrivals.push(Arrival { at, kind: Kind::Request, number });
        }
        let pings = self.length.as_nanos() / self.ping_every.as_nanos().max(1);
        let every = self.ping_every.as_secs_f64();
        arrivals.extend((0..pings as usize).map(|number| Arrival {
            at: Duration::from_secs_f64(every * (number as f64 + 0.5)),
            kind: Kind::Ping,
            number,
        }));
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }
}

/// Steele, Lea and Flood's SplitMix (2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number above 0, and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        mean_gap: Duration::from_micros(500),
        ping_every: Duration::from_millis(2),
        length: Duration::from_secs(20),
        seed: 7,
    };

    fn of(kind: Kind) -> Vec<Arrival> {
        PLAN.arrivals().into_iter().filter(|arrival| arrival.kind == kind).collect()
    }

    #[test]
    fn a_seed_makes_one_schedule_in_order_of_time() {
        let arrivals = PLAN.arrivals();
        assert_eq!(arrivals, PLAN.arrivals());
        assert_ne!(arrivals, Plan { seed: 8, ..PLAN }.arrivals());
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        assert!(arrivals.iter().all(|arrival| arrival.at < PLAN.length));
    }

    #[test]
    fn requests_arrive_at_random_with_the_mean_that_was_asked_for() {
        let requests = of(Kind::Request);
        let expected = 40_000.0;
        assert!((requests.len() as f64 - expected).abs() < 0.03 * expected, "{}", requests.len());
        // Of exponential gaps, the share above the mean is 1/e.
        let long = requests.windows(2).filter(|pair| pair[1].at - pair[0].at > PLAN.mean_gap);
        let share = long.count() as f64 / requests.len() as f64;
        assert!((share - (-1.0_f64).exp()).abs() < 0.02, "{share}");
    }

    #[test]
    fn arrivals_of_a_kind_are_numbered_in_order() {
        for kind in [Kind::Request, Kind::Ping] {
            assert!(of(kind).iter().enumerate().all(|(index, arrival)| arrival.number == index));
        }
        assert_eq!(of(Kind::Ping).len(), 10_000);
    }
}
