//! How much of its input a thread takes at a time.

use std::num::NonZeroUsize;

use orx_parallel::{ChunkSize, ParRunner, Params};

use super::Here;

/// How many chunks what is left is divided into for each thread.
const SHARES: usize = 4;

/// The largest chunk that is chosen: larger ones save nothing, and keep what others could have.
const MOST: usize = 1 << 16;

/// Chunks as large as a quarter of each thread's share of what is left: large ones first, because each costs something, and
/// small ones in the end, so that all are done at the same time. (Guided self-scheduling: Polychronopoulos and Kuck, 1987.)
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guided(Here);

/// What the threads of one computation know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    threads: usize,
    chunk_size: ChunkSize,
}

impl ParRunner for Guided {
    type Pool = Here;
    type State = Plan;
    type ChunkState = ();

    fn pool(&self) -> &Here {
        &self.0
    }

    fn pool_mut(&mut self) -> &mut Here {
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
        // Of an input whose length nobody knows, one at a time.
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
