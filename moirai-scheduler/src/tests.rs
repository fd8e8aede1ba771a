//! Tests of whole schedulers, and the parts that models share.

pub(crate) mod bag;

#[cfg(moirai_loom)]
pub(crate) mod models;

#[cfg(not(moirai_loom))]
mod contract;
#[cfg(not(moirai_loom))]
mod order;
#[cfg(not(moirai_loom))]
mod others;
#[cfg(not(moirai_loom))]
mod sleeping;
