//! Closures in parallel: `join`, `scope`, and what is built on them for slices.

mod chunks;
mod join;
mod map;
mod merge;
mod quick;
mod scope;
mod slice;

pub use join::join_or;
pub use scope::{Scope, scope_or};
