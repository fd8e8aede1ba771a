//! Memory that is given back to the system while it stays allocated.
//!
//! An allocator keeps most of what is freed, the more so the more small things lie in between. What is large enough is told to the
//! system first, which takes the memory behind it away, and gives other memory when it is next written.

use std::ptr::NonNull;

/// The size of the pages in which memory is given back, in bytes, where the system's own are not greater.
pub(crate) const PAGE: usize = 4096;

/// Gives the pages behind the memory back to the system. What the memory holds is lost, but it can be written again.
///
/// # Safety
///
/// The memory must be the caller's alone.
pub(crate) unsafe fn decommit(memory: NonNull<u8>, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        // The system's pages may be greater than ours. It would round the end up, so only those are named that are wholly inside.
        let system_page = system_page();
        let start = memory.as_ptr().addr();
        let skipped =
            start.checked_next_multiple_of(system_page).map_or(bytes, |next| next - start);
        let inside = bytes.saturating_sub(skipped) / system_page * system_page;
        if inside > 0 {
            let from = memory.as_ptr().wrapping_add(skipped).cast();
            // A failure means that the memory stays resident, which is no error.
            // SAFETY: the range is inside of the memory, which is the caller's. It stays mapped; what is read there before the next
            // write is zero, or what was there before.
            let _ = unsafe { libc::madvise(from, inside, libc::MADV_DONTNEED) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, bytes);
}

/// Returns the size of the system's pages in bytes.
#[cfg(target_os = "linux")]
fn system_page() -> usize {
    // SAFETY: it reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It does not fail. If it did, no page would be wholly inside of anything.
    usize::try_from(size).unwrap_or(usize::MAX / 2 + 1).max(PAGE)
}
