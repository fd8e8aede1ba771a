//! Closures in parallel: `join` and `scope`.

mod join;
mod scope;

pub use join::join_or;
pub use scope::{Scope, scope_or};
