//! The buckets of the histograms. They are log-linear, as in HdrHistogram by Gil Tene.
//!
//! Each power of two is divided into [`STEPS`] buckets of equal width, and each value below `STEPS` has a bucket of its own. So a
//! bucket is at most an eighth as wide as its least value, and its middle is within a sixteenth, 6.25 %, of every value in it. 496
//! buckets, of 3,968 bytes together, cover all of `u64`.

/// The number of buckets for each power of two.
const STEPS: usize = 1 << STEP_BITS;

const STEP_BITS: u32 = 3;

/// The number of buckets.
pub(crate) const BUCKETS: usize = (u64::BITS - STEP_BITS + 1) as usize * STEPS;

/// Returns the index of the bucket that holds `value`.
#[inline]
pub(crate) const fn index_of(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    // By shifting this far, only the leading one and the bits of the step remain.
    let shift = value.ilog2() - STEP_BITS;
    // The leading one, which is still there, adds the `STEPS` buckets of the small values.
    shift as usize * STEPS + (value >> shift) as usize
}

/// Returns the least value of a bucket.
pub(crate) const fn least(index: usize) -> u64 {
    let (shift, step) = parts(index);
    step << shift
}

/// Returns the greatest value of a bucket.
pub(crate) const fn greatest(index: usize) -> u64 {
    let (shift, step) = parts(index);
    (step << shift) + ((1 << shift) - 1)
}

/// Returns the value that stands for all values of a bucket.
pub(crate) const fn middle(index: usize) -> u64 {
    least(index).midpoint(greatest(index))
}

/// Returns how far the values of a bucket are shifted, and what remains of them.
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
