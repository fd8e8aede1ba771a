//! How many elements each thread of a parallel iterator takes at a time.

use std::num::NonZeroUsize;

use orx_parallel::{ChunkSize, ParRunner, Params, ThreadPool};

/// The number of chunks into which the rest of the input is divided, for each thread.
const SHARES: usize = 4;

/// The largest chunk that is chosen. A larger one would save nothing, and would keep elements from threads that have none.
const MOST: usize = 1 << 16;

/// Runs parallel iterators of `orx-parallel` on a pool, in chunks that shrink: each chunk is a quarter of one thread's share of the
/// elements that are left. The first chunks are large, because every chunk has a cost. The last ones are small, so that all threads
/// finish at about the same time. (Guided self-scheduling: Polychronopoulos and Kuck, 1987.)
#[derive(Clone, Copy, Debug, Default)]
pub struct Guided<P>(P);

/// The number of threads of one computation, and the chunk size that the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    threads: usize,
    chunk_size: ChunkSize,
}

impl<P: ThreadPool + Sync> ParRunner for Guided<P> {
    type Pool = P;
    type State = Plan;
    type ChunkState = ();

    fn pool(&self) -> &P {
        &self.0
    }

    fn pool_mut(&mut self) -> &mut P {
        &mut self.0
    }

    fn do_spawn_new(spawned: usize, plan: &Plan) -> Option<usize> {
        (spawned < plan.threads).then_some(spawned)
    }

    fn new_state(&mut self, params: Params, threads: usize, _: (usize, Option<usize>)) -> Plan {
        Plan { threads, chunk_size: params.chunk_size }
    }

    fn configure_for_serialized_input(_: &mut Plan, _: (usize, Option<usize>)) {}

    fn begin_thread(_: &Plan, _: usize) {}

    fn next_chunk_size(plan: &Plan, left: (usize, Option<usize>)) -> usize {
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
