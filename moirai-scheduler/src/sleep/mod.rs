//! How workers sleep and wake.

mod counts;
mod roles;
mod sleepers;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use sleepers::Sleepers;
