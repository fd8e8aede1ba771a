//! Access to counts that one thread writes, or several.
//!
//! The counts are statistics: each is right by itself, and no thread concludes from one what another is. So every access is
//! `Relaxed`. Because nothing is ordered there is nothing for a model to check, and these are the standard library's atomics
//! instead of those of the workspace's shim.

use std::sync::atomic::{AtomicU64, Ordering};

/// A way to change a number that other threads read.
pub(crate) trait Access {
    /// Adds `amount` to a number, and returns what it was before. Wraps on overflow.
    fn add(number: &AtomicU64, amount: u64) -> u64;

    /// Lowers a number to `value` if it is greater.
    fn lower(number: &AtomicU64, value: u64);

    /// Raises a number to `value` if it is less.
    fn raise(number: &AtomicU64, value: u64);
}

/// For numbers that one thread at a time writes: a plain load and a plain store are enough. If two threads write at the same time,
/// counts are lost, and nothing worse happens.
pub(crate) struct Exclusive;

/// For numbers that several threads may write.
pub(crate) struct SharedAccess;

impl Access for Exclusive {
    #[inline]
    fn add(number: &AtomicU64, amount: u64) -> u64 {
        // Ordering: Relaxed, like all here. When another thread becomes the writer, it is ordered after the one before by whatever
        // made it the writer.
        let old = number.load(Ordering::Relaxed);
        number.store(old.wrapping_add(amount), Ordering::Relaxed);
        old
    }

    #[inline]
    fn lower(number: &AtomicU64, value: u64) {
        if value < number.load(Ordering::Relaxed) {
            number.store(value, Ordering::Relaxed);
        }
    }

    #[inline]
    fn raise(number: &AtomicU64, value: u64) {
        if value > number.load(Ordering::Relaxed) {
            number.store(value, Ordering::Relaxed);
        }
    }
}

impl Access for SharedAccess {
    #[inline]
    fn add(number: &AtomicU64, amount: u64) -> u64 {
        number.fetch_add(amount, Ordering::Relaxed)
    }

    #[inline]
    fn lower(number: &AtomicU64, value: u64) {
        number.fetch_min(value, Ordering::Relaxed);
    }

    #[inline]
    fn raise(number: &AtomicU64, value: u64) {
        number.fetch_max(value, Ordering::Relaxed);
    }
}

/// Returns the value of a number.
pub(crate) fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// A sum of nanoseconds in two words, because 512 blocking threads that are always busy would fill one word in fourteen months.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    low: AtomicU64,
    high: AtomicU64,
}

impl Sum {
    #[inline]
    pub(crate) fn add<A: Access>(&self, nanos: u64) {
        let old = A::add(&self.low, nanos);
        if old.checked_add(nanos).is_none() {
            A::add(&self.high, 1);
        }
    }

    /// Returns the sum. Between the two stores of an addition that carries, it is too small by 2⁶⁴.
    pub(crate) fn read(&self) -> u128 {
        (u128::from(read(&self.high)) << 64) | u128::from(read(&self.low))
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    fn a_sum_carries<A: Access>() {
        let sum = Sum::default();
        for nanos in [u64::MAX, 1, u64::MAX, u64::MAX, 7] {
            sum.add::<A>(nanos);
        }
        assert_eq!(sum.read(), 3 * u128::from(u64::MAX) + 8);
    }

    #[test]
    fn a_sum_outgrows_one_word() {
        a_sum_carries::<Exclusive>();
        a_sum_carries::<SharedAccess>();
    }

    fn extremes_are_kept<A: Access>() {
        let (least, most) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        for value in [5, 3, 9, 4] {
            A::lower(&least, value);
            A::raise(&most, value);
        }
        assert_eq!((read(&least), read(&most)), (3, 9));
    }

    #[test]
    fn the_least_and_the_most_are_kept() {
        extremes_are_kept::<Exclusive>();
        extremes_are_kept::<SharedAccess>();
    }
}
