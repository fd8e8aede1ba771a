//! What a worker owns.

use crate::registry::Books;
use crate::runtime::scheduler::AnyLocal;

/// What a worker owns: its queue, its place in the books, its counts. A worker is a thread in a seat; when the thread is
/// about to block it gives the seat to another, and only the right to use it moves.
///
/// On cache lines of its own: its worker writes to it at every step, and an allocator puts the seats side by side.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) queue: AnyLocal,
    pub(crate) books: Books,
    /// Cells freed by whoever was in the seat; see [`live`](crate::runtime::cell_count).
    pub(crate) freed: u64,
    /// Whether `on_worker_start` was called.
    pub(crate) opened: bool,
}
