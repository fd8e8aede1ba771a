//! The facade as an executor for `moirai-par`.

use moirai_par::ForkJoin;

use crate::Moirai;

impl ForkJoin for Moirai {
    #[inline]
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        Self::join(self, a, b)
    }

    fn threads(&self) -> usize {
        self.worker_count()
    }
}
