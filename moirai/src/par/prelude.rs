//! All traits of [`par`](super), with one line:
//!
//! ```
//! use moirai::par::prelude::*;
//!
//! let mut numbers = vec![3, 1, 2];
//! numbers.par_sort();
//! assert_eq!(numbers.par_map(|n| n * n), [1, 4, 9]);
//! # #[cfg(feature = "par-iter")]
//! assert_eq!(numbers.par().map(|n| n + 1).sum::<i32>(), 9);
//! ```

pub use super::ParSlice;
#[cfg(feature = "par-iter")]
pub use super::{
    IntoPar, IterIntoPar, Par, ParDrain, ParExtend, ParIterable, ParMut, ParOption, ParRef,
    ParResult, ParUse,
};
