//! Large work is moved to the heap before anything else, by the function that a user calls.
//!
//! Each function that takes a future or a closure by value and passes it on may need as much stack as the work is large; without
//! optimization it always does. So each function that users call looks at the size first, and passes on a box if the work is too
//! large. tokio does the same, with the same limits.

use std::marker::PhantomData;
use std::mem;

/// The size in bytes up to which work is passed on as it is. It is moved more often in a debug build.
const MAX_SIZE: usize = if cfg!(debug_assertions) { 2 << 10 } else { 16 << 10 };

/// Tells whether values of a type are large. Not part of the API: [`box_if_large!`](crate::box_if_large) uses it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Size<W>(PhantomData<W>);

impl<W> Size<W> {
    /// A constant, and no function, because the compiler leaves out a branch that a constant excludes, even in a debug build. The
    /// stack frame of the branch that is taken then has no place for what the other one would have moved.
    pub const IS_LARGE: bool = mem::size_of::<W>() > MAX_SIZE;
}

/// Starts the work in a variable; if its type is large, the work is replaced by `$boxed` before. Not part of the API: it is for the
/// facade.
#[doc(hidden)]
#[macro_export]
macro_rules! box_if_large {
    ($work:ident: $Work:ty = $boxed:expr, $start:expr) => {
        if $crate::Size::<$Work>::IS_LARGE {
            let $work = $boxed;
            $start
        } else {
            $start
        }
    };
}
