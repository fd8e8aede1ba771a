//! The kit that holds any scheduler to the contract of [`moirai_core::scheduler`].

mod check;
mod concurrent;
mod guarantees;
#[cfg(moirai_loom)]
pub mod models;
mod random;
mod token;

pub use check::{CASES, Violation, assert_case, check};
pub use token::Token;
