//! Data parallelism: slices, and with the feature `par-iter` parallel iterators, on the executor's workers.
//!
//! Everything here runs on the executor that runs the caller, or else on the [`global`](crate::global) one, by
//! [`join`](crate::join) and [`scope`](crate::scope): the calling thread takes part, and waits for nothing but this very work. To sort or
//! map on an executor of your choice, call the functions with that executor: `par::sort_by(&executor, slice, compare)`.

mod fork_join;
#[cfg(feature = "par-iter")]
mod iter;
#[cfg(feature = "par-iter")]
mod pool;
mod slice;

#[cfg(feature = "par-iter")]
pub use iter::{IntoPar, IterIntoPar, ParDrain, ParIterable, ParMut, ParRef};
#[cfg(feature = "par-iter")]
pub use orx_parallel::{
    ChunkSize, IterationOrder, NumThreads, Par, ParExtend, ParOption, ParResult, Sum,
};
#[cfg(feature = "par-iter")]
pub use pool::Here;
pub use slice::ParSlice;

pub use moirai_par::{ForkJoin, for_each_chunk_mut, map, sort_by, sort_unstable_by};
