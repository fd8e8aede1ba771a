//! Parallel iterators: those of `orx-parallel`, on the executor's workers.

use std::ops::RangeBounds;

use moirai_par::Guided;
use orx_parallel::{Par, ParRunner};

use super::stop::StoppingPool;

/// Returns what runs one parallel iterator of this module: guided chunks on the pool [`Here`](super::Here), which stop between two
/// chunks.
fn runner() -> impl ParRunner {
    let pool = StoppingPool::default();
    let stop = pool.stop();
    Guided::new(pool, move || stop.check())
}

/// Makes a parallel iterator over the elements of a collection, a range or a concurrent iterator, by value.
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
    /// Consumes the collection, and returns the parallel iterator.
    fn into_par(self) -> impl Par<Item = Self::Item>
    where
        Self: Sized,
    {
        orx_parallel::IntoParIter::into_par(self).runner(runner())
    }
}

impl<I: orx_parallel::IntoParIter> IntoPar for I {}

/// Makes a parallel iterator over references to the elements of a collection.
///
/// ```
/// use moirai::par::{Par, ParRef};
///
/// let words = vec!["to", "be", "or", "not"];
/// assert_eq!(words.par().map(|word| word.len()).sum::<usize>(), 9);
/// assert_eq!(words.par().find(|word| word.starts_with('o')), Some(&"or"));
/// ```
pub trait ParRef: orx_parallel::ParCollection {
    /// Borrows the collection, and returns the parallel iterator.
    fn par(&self) -> impl Par<Item = &Self::Item> {
        orx_parallel::ParCollection::par(self).runner(runner())
    }
}

impl<I: orx_parallel::ParCollection> ParRef for I {}

/// Makes a parallel iterator over something that can be iterated over any number of times, such as a range.
///
/// ```
/// use moirai::par::{Par, ParIterable};
///
/// let days = 1..366usize;
/// assert_eq!(days.par().sum::<usize>(), 66_795);
/// assert_eq!(days.par().filter(|day| day % 7 == 0).count(), 52);
/// ```
pub trait ParIterable: orx_parallel::Parallelizable {
    /// Returns a parallel iterator. The range, or whatever it is, can be iterated over again.
    fn par(&self) -> impl Par<Item = Self::Item> {
        orx_parallel::Parallelizable::par(self).runner(runner())
    }
}

impl<I: orx_parallel::Parallelizable> ParIterable for I {}

/// Makes a parallel iterator over mutable references to the elements of a collection.
///
/// ```
/// use moirai::par::{Par, ParMut};
///
/// let mut prices = vec![100, 250, 40];
/// prices.par_mut().for_each(|price| *price -= *price / 10);
/// assert_eq!(prices, [90, 225, 36]);
/// ```
pub trait ParMut: orx_parallel::ParCollectionMut {
    /// Borrows the collection mutably, and returns the parallel iterator.
    fn par_mut(&mut self) -> impl Par<Item = &mut Self::Item> {
        orx_parallel::ParCollectionMut::par_mut(self).runner(runner())
    }
}

impl<I: orx_parallel::ParCollectionMut> ParMut for I {}

/// Makes a parallel iterator over elements that it takes out of a vector.
///
/// ```
/// use moirai::par::{Par, ParDrain};
///
/// let mut numbers = vec![1, 2, 3, 4, 5];
/// assert_eq!(numbers.par_drain(1..3).sum::<i32>(), 5);
/// assert_eq!(numbers, [1, 4, 5]);
/// ```
pub trait ParDrain: orx_parallel::ParDrain {
    /// Takes the elements of the range out, and returns a parallel iterator over them.
    fn par_drain<R: RangeBounds<usize>>(&mut self, range: R) -> impl Par<Item = Self::Item> {
        orx_parallel::ParDrain::par_drain(self, range).runner(runner())
    }
}

impl<I: orx_parallel::ParDrain> ParDrain for I {}

/// Makes a parallel iterator over the items of any iterator. The iterator is advanced by one thread at a time; what follows runs in
/// parallel.
///
/// ```
/// use moirai::par::{IterIntoPar, Par};
///
/// let lines = "one\ntwo\nthree".lines();
/// assert_eq!(lines.iter_into_par().map(str::len).reduce(usize::max), Some(5));
/// ```
pub trait IterIntoPar: Iterator {
    /// Consumes the iterator, and returns the parallel one.
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
