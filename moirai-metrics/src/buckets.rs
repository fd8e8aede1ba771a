//! The buckets of the histograms: log-linear, as in HdrHistogram by Gil Tene.
//!
//! Each power of two is cut into [`STEPS`] buckets of equal width, and what is below `STEPS` has a bucket for each value.
//! So a bucket is at most an eighth as wide as its least value, and its middle is within a sixteenth, 6.25 %, of every
//! value in it. 496 buckets cover all of `u64`: 3,968 bytes.

/// Buckets for each power of two.
const STEPS: usize = 1 << STEP_BITS;

const STEP_BITS: u32 = 3;

/// How many buckets there are.
pub(crate) const BUCKETS: usize = (u64::BITS - STEP_BITS + 1) as usize * STEPS;

/// The bucket that holds `value`.
#[inline]
pub(crate) const fn index_of(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    // How far to shift to be left with the leading one and the bits of the step.
    let shift = value.ilog2() - STEP_BITS;
    // The leading one, still there, adds the `STEPS` buckets of the small values.
    shift as usize * STEPS + (value >> shift) as usize
}

/// The least value in a bucket.
pub(crate) const fn least(index: usize) -> u64 {
    let (shift, step) = parts(index);
    step << shift
}

/// The greatest value in a bucket.
pub(crate) const fn greatest(index: usize) -> u64 {
    let (shift, step) = parts(index);
    (step << shift) + ((1 << shift) - 1)
}

/// The value that stands for all values in a bucket.
pub(crate) const fn middle(index: usize) -> u64 {
    least(index).midpoint(greatest(index))
}

/// How far the values in a bucket are shifted, and what is left of them then.
const fn parts(index: usize) -> (usize, u64) {
    if index < STEPS {
        return (0, index as u64);
    }
    let shift = index / STEPS - 1;
    (shift, (STEPS + index % STEPS) as u64)
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_and_cover_everything() {
        assert_eq!(BUCKETS, 496);
        assert_eq!(least(0), 0);
        for index in 1..BUCKETS {
            assert_eq!(least(index), greatest(index - 1) + 1, "bucket {index}");
        }
        assert_eq!(greatest(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn a_value_is_in_the_bucket_that_it_is_put_in() {
        for index in 0..BUCKETS {
            for value in [least(index), middle(index), greatest(index)] {
                assert_eq!(index_of(value), index, "value {value}");
            }
        }
    }

    #[test]
    fn the_middle_is_within_a_sixteenth_of_every_value() {
        for index in 0..BUCKETS {
            for value in [least(index), greatest(index)] {
                let error = value.abs_diff(middle(index));
                assert!(u128::from(error) * 16 <= u128::from(value), "value {value}");
            }
        }
    }
}
