//! Size classes.
//!
//! Cells are multiples of a cache line, so that no two of them share one: different workers run the tasks of neighbouring cells, and
//! every poll writes to its cell. With cells in steps of 16 bytes, tasks that yield on two workers took 1.3 times as long. The least
//! cells are the exception, of which two share three lines: with two lines each, a queued task would take a fifth more memory.

/// The size in bytes of the greatest class.
pub(super) const MAX_SIZE: usize = 512;
/// The size of a cache line, and the step between the sizes of two classes.
pub(super) const LINE: usize = 64;
/// The size of the cells of the first class. The second has two lines.
const LEAST: usize = 96;
/// The alignment of all cells.
pub(super) const ALIGN: usize = 32;
/// The number of classes.
pub(super) const CLASSES: usize = MAX_SIZE / LINE;
/// Whether cells come from the lists.
const IS_POOLED: bool = !cfg!(any(moirai_loom, moirai_asan, miri));

/// Returns the class of a type, or `None` if values of the type come from the global allocator.
pub(super) const fn class_of<T>() -> Option<usize> {
    let (size, align) = (size_of::<T>(), align_of::<T>());
    if !IS_POOLED || size == 0 || size > MAX_SIZE || align > ALIGN {
        None
    } else if size <= LEAST {
        Some(0)
    } else {
        Some(size.div_ceil(LINE) - 1)
    }
}

/// Returns the size of the cells of a class.
pub(super) const fn size_of_class(class: usize) -> usize {
    if class == 0 { LEAST } else { (class + 1) * LINE }
}
