//! Parallel iterators: those of `orx-parallel`, on our workers.

use std::ops::RangeBounds;

use moirai_par::Guided;
use orx_parallel::{Par, ParRunner};

use super::pool::Here;

fn runner() -> impl ParRunner {
    Guided::<Here>::default()
}

/// A parallel iterator over what a collection, a range, or a concurrent iterator has, by value.
///
/// ```
/// use moirai::par::{IntoPar, Par};
///
/// let squares: Vec<usize> = (0..1_000usize).into_par().map(|n| n * n).filter(|n| n % 3 == 0).collect();
/// assert_eq!(squares[..4], [0, 9, 36, 81]);
/// let longest = vec!["a", "bbb", "cc"].into_par().max_by_key(|word| word.len());
/// assert_eq!(longest, Some("bbb"));
/// ```
pub trait IntoPar: orx_parallel::IntoParIter {
    /// Consumes it.
    fn into_par(self) -> impl Par<Item = Self::Item>
    where
        Self: Sized,
    {
        orx_parallel::IntoParIter::into_par(self).runner(runner())
    }
}

impl<I: orx_parallel::IntoParIter> IntoPar for I {}

/// A parallel iterator over references to the elements of a collection.
///
/// ```
/// use moirai::par::{Par, ParRef};
///
/// let words = vec!["to", "be", "or", "not"];
/// assert_eq!(words.par().map(|word| word.len()).sum::<usize>(), 9);
/// assert_eq!(words.par().find(|word| word.starts_with('o')), Some(&"or"));
/// ```
pub trait ParRef: orx_parallel::ParCollection {
    /// Borrows it.
    fn par(&self) -> impl Par<Item = &Self::Item> {
        orx_parallel::ParCollection::par(self).runner(runner())
    }
}

impl<I: orx_parallel::ParCollection> ParRef for I {}

/// A parallel iterator over what can be iterated over again and again, such as a range.
pub trait ParIterable: orx_parallel::Parallelizable {
    /// Borrows it.
    fn par(&self) -> impl Par<Item = Self::Item> {
        orx_parallel::Parallelizable::par(self).runner(runner())
    }
}

impl<I: orx_parallel::Parallelizable> ParIterable for I {}

/// A parallel iterator over mutable references to the elements of a collection.
pub trait ParMut: orx_parallel::ParCollectionMut {
    /// Borrows it.
    fn par_mut(&mut self) -> impl Par<Item = &mut Self::Item> {
        orx_parallel::ParCollectionMut::par_mut(self).runner(runner())
    }
}

impl<I: orx_parallel::ParCollectionMut> ParMut for I {}

/// A parallel iterator over elements that are taken out of a vector.
pub trait ParDrain: orx_parallel::ParDrain {
    /// Takes the range out.
    fn par_drain<R: RangeBounds<usize>>(&mut self, range: R) -> impl Par<Item = Self::Item> {
        orx_parallel::ParDrain::par_drain(self, range).runner(runner())
    }
}

impl<I: orx_parallel::ParDrain> ParDrain for I {}

/// A parallel iterator over what any iterator gives. It is asked by one thread at a time.
///
/// ```
/// use moirai::par::{IterIntoPar, Par};
///
/// let lines = "one\ntwo\nthree".lines();
/// assert_eq!(lines.iter_into_par().map(str::len).reduce(usize::max), Some(5));
/// ```
pub trait IterIntoPar: Iterator {
    /// Consumes it.
    fn iter_into_par(self) -> impl Par<Item = Self::Item>
    where
        Self: Sized + Send,
        Self::Item: Send + Sync;
}

impl<I: Iterator> IterIntoPar for I {
    fn iter_into_par(self) -> impl Par<Item = Self::Item>
    where
        Self: Sized + Send,
        Self::Item: Send + Sync,
    {
        orx_parallel::IterIntoParIter::iter_into_par(self).runner(runner())
    }
}
