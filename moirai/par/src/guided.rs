//! How many elements each thread of a parallel iterator takes at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use orx_parallel::{ChunkSize, ParRunner, Params, ThreadPool};

/// The number of chunks into which the rest of the input is divided, for each thread.
const SHARES: usize = 4;

/// The largest chunk that is chosen. A larger one would save nothing, and would keep elements from threads that have none.
const MOST: usize = 1 << 16;

/// Runs parallel iterators of `orx-parallel` on a pool, in chunks that shrink: each chunk is a quarter of one thread's share of the
/// elements that are left. The first chunks are large, because every chunk has a cost. The last ones are small, so that all threads
/// finish at about the same time. (Guided self-scheduling: Polychronopoulos and Kuck, 1987.)
#[derive(Clone, Default)]
pub struct Guided<P> {
    pool: P,
    before_chunk: Option<BeforeChunk>,
}

/// What is called before a thread takes a chunk. It may unwind.
type BeforeChunk = Arc<dyn Fn() + Send + Sync>;

impl<P> Guided<P> {
    /// Runs parallel iterators on a pool, and calls `before_chunk` each time that a thread is about to take elements. If it unwinds,
    /// the thread ends as if the user's closure had.
    pub fn new(pool: P, before_chunk: impl Fn() + Send + Sync + 'static) -> Self {
        Self { pool, before_chunk: Some(Arc::new(before_chunk)) }
    }
}

impl<P: fmt::Debug> fmt::Debug for Guided<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guided").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// The number of threads of one computation, the chunk size that the user asked for, and what is called before each chunk.
pub struct Plan {
    threads: usize,
    chunk_size: ChunkSize,
    before_chunk: Option<BeforeChunk>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("threads", &self.threads)
            .field("chunk_size", &self.chunk_size)
            .finish_non_exhaustive()
    }
}

impl<P: ThreadPool + Sync> ParRunner for Guided<P> {
    type Pool = P;
    type State = Plan;
    type ChunkState = ();

    fn pool(&self) -> &P {
        &self.pool
    }

    fn pool_mut(&mut self) -> &mut P {
        &mut self.pool
    }

    fn do_spawn_new(spawned: usize, plan: &Plan) -> Option<usize> {
        (spawned < plan.threads).then_some(spawned)
    }

    fn new_state(&mut self, params: Params, threads: usize, _: (usize, Option<usize>)) -> Plan {
        Plan { threads, chunk_size: params.chunk_size, before_chunk: self.before_chunk.clone() }
    }

    fn configure_for_serialized_input(_: &mut Plan, _: (usize, Option<usize>)) {}

    fn begin_thread(_: &Plan, _: usize) {}

    fn next_chunk_size(plan: &Plan, left: (usize, Option<usize>)) -> usize {
        if let Some(before_chunk) = &plan.before_chunk {
            before_chunk();
        }
        // An input of unknown length is taken one element at a time.
        let guided = left.1.map_or(1, |left| left / (SHARES * plan.threads)).clamp(1, MOST);
        match plan.chunk_size {
            ChunkSize::Auto => guided,
            ChunkSize::Min(least) => guided.max(NonZeroUsize::get(least)),
            ChunkSize::Exact(exact) => exact.get(),
        }
    }

    fn begin_chunk(_: usize, _: usize) {}

    fn complete_chunk(_: &Plan, (): ()) {}

    fn complete_thread(_: &Plan, _: usize) {}

    fn complete_computation(_: Plan) {}
}
