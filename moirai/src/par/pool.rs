//! Executors as pools for `orx-parallel`.

use std::num::NonZeroUsize;

use orx_parallel::ThreadPool;

use crate::{Moirai, global, scope};

/// The workers of the executor that runs the calling thread, or else of the [`global`](crate::global()) one, as a pool for
/// `orx-parallel`.
///
/// The traits of this module use it. Pass it to the other parts of `orx-parallel`, to run them on the same workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

/// The scope of one parallel iterator, in which `orx-parallel` spawns the work of its threads.
#[derive(Clone, Copy)]
pub struct Spawner<'s, 'scope>(pub(super) &'s dyn Fn(Box<dyn FnOnce() + Send + 'scope>));

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
        let workers = moirai_executor::worker_count_or(|| global().executor());
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
