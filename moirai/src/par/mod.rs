//! Data parallelism on the executor's workers: algorithms on slices and, with the feature `par-iter`, parallel iterators.
//!
//! Everything here calls [`join`](crate::join) or [`scope`](crate::scope) on the executor that runs the calling thread, or else on
//! the [`global`](crate::global()) one. So the calling thread takes part in the work, and while it waits it runs nothing but parts
//! of that same work. To choose the executor, call the functions of this module with it:
//!
//! ```
//! use moirai::prelude::*;
//!
//! let executor = Moirai::new()?;
//! let words = ["one", "three", "five"];
//! let mut lengths = moirai::par::map(&executor, &words, |word| word.len());
//! moirai::par::sort_by(&executor, &mut lengths, |a, b| b.cmp(a));
//! assert_eq!(lengths, [5, 4, 3]);
//! # Ok::<(), BuildError>(())
//! ```

mod fork_join;
#[cfg(feature = "par-iter")]
mod iter;
#[cfg(feature = "par-iter")]
mod pool;
pub mod prelude;
mod slice;
#[cfg(feature = "par-iter")]
mod stop;

#[cfg(feature = "par-iter")]
pub use iter::{IntoPar, IterIntoPar, ParDrain, ParIterable, ParMut, ParRef};
#[cfg(feature = "par-iter")]
pub use orx_parallel::{
    ChunkSize, IterationOrder, NumThreads, Par, ParExtend, ParOption, ParResult, ParUse, Sum,
};
#[cfg(feature = "par-iter")]
pub use pool::Here;
pub use slice::ParSlice;

pub use moirai_par::{ForkJoin, for_each_chunk_mut, map, sort_by, sort_unstable_by};
