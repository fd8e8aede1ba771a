//! Memory for cells.
//!
//! Most tasks allocate nothing but their cell, so where that memory comes from decides much of what a task costs: an allocator for
//! everything takes as long as the rest of a task, and longer if the cell is freed on another thread than the one that allocated
//! it. Cells are few sizes, short-lived, and freed by threads that allocate the next ones, so a list does:
//!
//! - Each thread has, for each *size class*, two lists of free cells, as in the magazines of Bonwick and Adams. It takes from the
//!   first and puts into the first, without any atomic operation, and fetches the next one ahead. When the first is full, it becomes
//!   the second, and what was the second goes to the depot. When both are empty, cells come from the depot.
//! - The [`depot`] keeps free cells in the *pages* of 4 KiB that they were carved from. So it knows which pages have no cell in
//!   use, and [`trim`], which each sweep of the registry calls, gives the memory of such pages back. A task that lives long keeps
//!   one page, however many short ones were around it.
//!
//! The lists and the depot belong to the process, and not to an executor, because a cell may be freed by any thread, and long after
//! its executor has shut down. A thread that ends gives its lists to the depot.
//!
//! Cells of more than [`MAX_SIZE`](classes::MAX_SIZE) bytes, or with an unusual alignment, come from the global allocator; so do
//! all cells in models, in which loom looks for leaks, and under AddressSanitizer, which looks for uses after free.

mod cell_list;
mod chunk;
mod classes;
mod depot;
mod lists;

#[cfg(all(test, not(any(moirai_loom, moirai_asan))))]
mod tests;

pub(crate) use depot::trim;
pub(super) use lists::{allocate, free};
