//! Counting with one writer, or with many.
//!
//! The counts are statistics: each is right by itself, nothing else is read on the strength of one, and so every access is
//! `Relaxed`. With nothing to order there is nothing for a model to check, which is why these are the standard library's
//! atomics and not the workspace's shim.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a number is changed.
pub(crate) trait Access {
    /// Adds to a number, and returns what it was. Wraps.
    fn add(number: &AtomicU64, amount: u64) -> u64;

    /// Makes a number no more than `value`.
    fn lower(number: &AtomicU64, value: u64);

    /// Makes a number no less than `value`.
    fn raise(number: &AtomicU64, value: u64);
}

/// There is one writer at a time: a plain load and a plain store do. Were there two, counts would be lost, and no more.
pub(crate) struct Exclusive;

/// There may be several writers.
pub(crate) struct SharedAccess;

impl Access for Exclusive {
    #[inline]
    fn add(number: &AtomicU64, amount: u64) -> u64 {
        // Ordering: Relaxed, as all here. Two writers in turn are ordered by what passed the turn on.
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

/// Reads a number.
pub(crate) fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// A sum of nanoseconds in two words: 512 blocking threads that are always busy would fill one in fourteen months.
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

    /// The sum; too small by 2⁶⁴ for the instant between the two stores of a carry.
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
