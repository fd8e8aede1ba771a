//! Closures in parallel: `join` and `scope`.

mod broadcast;
mod install;
mod jobs_ended;
mod join;
mod scope;

pub use join::join_or;
pub use scope::{Scope, scope_or};
