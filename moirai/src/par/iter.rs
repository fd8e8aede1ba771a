//! Parallel iterators: those of `orx-parallel`, on our workers.

use std::num::NonZeroUsize;
use std::ops::RangeBounds;

use orx_parallel::{Par, ParRunner, ThreadPool};

use super::guided::Guided;

use crate::{Moirai, scope};

/// The workers of the executor that runs the caller, else of the [`global`](crate::global) one, as a pool for `orx-parallel`.
///
/// The traits of this module use it. With it, whatever else `orx-parallel` offers can be told to run on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

/// Where a parallel iterator spawns its threads' work.
#[derive(Clone, Copy)]
pub struct Spawner<'s, 'scope>(&'s dyn Fn(Box<dyn FnOnce() + Send + 'scope>));

impl std::fmt::Debug for Spawner<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

impl<'s, 'env, 'scope> orx_parallel::Scope<'s, 'env, 'scope> for Spawner<'s, 'scope> {
    fn run<W>(self, work: W)
    where
        'scope: 's,
        'env: 'scope + 's,
        W: FnOnce() + Send + 'scope + 'env,
    {
        (self.0)(Box::new(work));
    }
}

impl ThreadPool for Here {
    type ScopeRef<'s, 'env, 'scope>
        = Spawner<'s, 'scope>
    where
        'scope: 's,
        'env: 'scope + 's;

    fn scope<'env, 'scope, F>(&'env self, f: F)
    where
        'env: 'scope,
        for<'s> F: FnOnce(Spawner<'s, 'scope>) + Send,
    {
        scope(|s| f(Spawner(&|work| s.spawn(move |_| work()))));
    }

    fn max_num_threads(&self) -> NonZeroUsize {
        let workers = super::here().worker_count();
        NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN)
    }
}

impl ThreadPool for Moirai {
    type ScopeRef<'s, 'env, 'scope>
        = Spawner<'s, 'scope>
    where
        'scope: 's,
        'env: 'scope + 's;

    fn scope<'env, 'scope, F>(&'env self, f: F)
    where
        'env: 'scope,
        for<'s> F: FnOnce(Spawner<'s, 'scope>) + Send,
    {
        Self::scope(self, |s| f(Spawner(&|work| s.spawn(move |_| work()))));
    }

    fn max_num_threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.worker_count()).unwrap_or(NonZeroUsize::MIN)
    }
}

fn runner() -> impl ParRunner {
    Guided::default()
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
