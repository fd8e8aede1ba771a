use super::*;
use crate::Histogram;

/// A generator that spreads numbers well enough: SplitMix64, by Guy Steele and others.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a time that is as likely to be short as long.
    fn next_time(&mut self) -> u64 {
        let bits = self.next() % 64;
        self.next() >> bits
    }
}

fn histogram_of(times: &[u64]) -> HistogramSnapshot {
    let histogram = Histogram::new();
    for &nanos in times {
        histogram.record_exclusive(Duration::from_nanos(nanos));
    }
    histogram.snapshot()
}

#[test]
fn quantiles_are_within_a_sixteenth_of_those_of_the_sorted_times() {
    const SHARES: [f64; 9] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0];
    let mut numbers = Numbers(1);
    for round in 0..300 {
        let count = 1 + numbers.next() as usize % 700;
        // Every third round is in a narrow range, in which a bucket holds many times.
        let mut next = || match round % 3 {
            0 => 1_000 + numbers.next() % 1_000,
            _ => numbers.next_time(),
        };
        let mut times: Vec<u64> = (0..count).map(|_| next()).collect();
        let snapshot = histogram_of(&times);
        times.sort_unstable();
        for q in SHARES {
            let rank = ((q * count as f64).ceil() as usize).max(1);
            let exact = u128::from(times[rank - 1]);
            let found = snapshot.quantile(q).unwrap().as_nanos();
            assert!(
                found.abs_diff(exact) * 16 <= exact,
                "round {round}, q {q} of {count}: {found} for {exact}"
            );
        }
        let sum: u128 = times.iter().map(|&nanos| u128::from(nanos)).sum();
        assert_eq!(snapshot.count(), count as u64);
        assert_eq!(snapshot.sum().as_nanos(), sum);
        assert_eq!(snapshot.mean().unwrap().as_nanos(), sum / count as u128);
        assert_eq!(snapshot.min().unwrap().as_nanos(), u128::from(times[0]));
        assert_eq!(snapshot.max().unwrap().as_nanos(), u128::from(times[count - 1]));
    }
}

#[test]
fn merging_is_the_same_as_counting_together() {
    let mut numbers = Numbers(2);
    for _ in 0..50 {
        let times: Vec<u64> = (0..200).map(|_| numbers.next_time()).collect();
        let (some, rest) = times.split_at(numbers.next() as usize % 201);
        let mut merged = histogram_of(some);
        merged.merge(&histogram_of(rest));
        assert_eq!(merged, histogram_of(&times));
    }
}

#[test]
fn an_empty_histogram_has_no_times() {
    let mut empty = Histogram::new().snapshot();
    assert_eq!(empty, HistogramSnapshot::default());
    assert_eq!((empty.count(), empty.sum()), (0, Duration::ZERO));
    let figures = [empty.min(), empty.max(), empty.mean(), empty.p50(), empty.quantile(1.0)];
    assert_eq!(figures, [None; 5]);
    assert_eq!(empty.to_string(), "none");

    let times = histogram_of(&[700]);
    empty.merge(&times);
    assert_eq!(empty, times);
    empty.merge(&HistogramSnapshot::default());
    assert_eq!(empty, times);
}

#[test]
fn a_share_outside_of_what_makes_sense_gives_an_extreme() {
    // The two shortest times share a bucket, and neither is in the middle of it.
    let times = histogram_of(&[970, 1_000, 100_000]);
    assert_eq!(times.quantile(-1.0), times.min());
    assert_eq!(times.quantile(f64::NAN), times.min());
    assert_eq!(times.quantile(7.0), times.max());
    assert_eq!(times.quantile(f64::INFINITY), times.max());
}

#[test]
fn a_snapshot_that_is_read_in_the_middle_of_a_write_is_clamped_to_the_counts() {
    // A count without its sum and extremes, as if read between two stores of a writer.
    let counts = [(buckets::index_of(1_000), 2)];
    let early = HistogramSnapshot::new(counts.into_iter(), 0, u64::MAX, 0);
    assert_eq!(early.count(), 2);
    let (min, mean, max) = (early.min().unwrap(), early.mean().unwrap(), early.max().unwrap());
    let bucket = counts[0].0;
    let in_bucket = Duration::from_nanos(buckets::least(bucket))
        ..=Duration::from_nanos(buckets::greatest(bucket));
    for time in [min, mean, max] {
        assert!(in_bucket.contains(&time), "{time:?}");
    }
    assert!(min <= mean && mean <= max, "{min:?} {mean:?} {max:?}");
    // Two buckets, and a sum and extremes of before.
    let counts = [(buckets::index_of(1_000), 2), (buckets::index_of(2_000), 1)];
    for (sum, most) in [(0, 0), (u128::MAX, 0), (0, u64::MAX)] {
        let torn = HistogramSnapshot::new(counts.into_iter(), sum, u64::MAX, most);
        let (min, mean, max) = (torn.min().unwrap(), torn.mean().unwrap(), torn.max().unwrap());
        assert!(min <= mean && mean <= max, "{min:?} {mean:?} {max:?}");
    }
    // A sum that lacks a carry.
    let counts = [(buckets::index_of(u64::MAX), 3)];
    let torn = HistogramSnapshot::new(counts.into_iter(), 17, u64::MAX, u64::MAX);
    assert!(torn.mean().unwrap() >= Duration::from_nanos(u64::MAX / 16 * 15));
    // Extremes without their count.
    let late = HistogramSnapshot::new([].into_iter(), 5, 5, 5);
    assert_eq!(late, HistogramSnapshot::default());
}

#[test]
fn it_prints_in_one_line() {
    let text = histogram_of(&[1_000, 1_000, 2_500_000]).to_string();
    assert!(text.starts_with("3 times: min 1.0µs, mean 834.0µs, p50 "), "{text}");
    assert!(text.ends_with("max 2.5ms"), "{text}");
}

#[cfg(feature = "serde")]
mod serialized {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        for times in [&[][..], &[0], &[3, 5_000, u64::MAX]] {
            let snapshot = histogram_of(times);
            let text = serde_json::to_string(&snapshot).unwrap();
            let back: HistogramSnapshot = serde_json::from_str(&text).unwrap();
            assert_eq!(back, snapshot, "{text}");
        }
    }

    #[test]
    fn a_bucket_that_does_not_exist_is_refused() {
        let text = serde_json::to_string(&histogram_of(&[u64::MAX])).unwrap();
        let wrong = text.replace("\"495\"", "\"496\"");
        let error = serde_json::from_str::<HistogramSnapshot>(&wrong).unwrap_err();
        assert!(error.to_string().contains("no bucket 496"), "{error}");
    }
}
