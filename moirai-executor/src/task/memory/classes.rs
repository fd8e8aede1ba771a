//! Size classes.

/// The size in bytes of the greatest class.
pub(super) const MAX_SIZE: usize = 512;
/// The step between the sizes of two classes, and the alignment of all cells.
pub(super) const STEP: usize = 16;
/// The number of classes.
pub(super) const CLASSES: usize = MAX_SIZE / STEP;
/// Whether cells come from the lists.
const IS_POOLED: bool = !cfg!(any(moirai_loom, moirai_asan, miri));

/// Returns the class of a type, or `None` if values of the type come from the global allocator.
pub(super) const fn class_of<T>() -> Option<usize> {
    let (size, align) = (size_of::<T>(), align_of::<T>());
    if IS_POOLED && size != 0 && size <= MAX_SIZE && align <= STEP {
        Some(size.div_ceil(STEP) - 1)
    } else {
        None
    }
}

/// Returns the size of the cells of a class.
pub(super) const fn size_of_class(class: usize) -> usize {
    (class + 1) * STEP
}
