//! Tests of the whole, and the models.

mod bag;

#[cfg(moirai_loom)]
mod loom;

#[cfg(not(moirai_loom))]
mod contract;
#[cfg(not(moirai_loom))]
mod order;
#[cfg(not(moirai_loom))]
mod others;
#[cfg(not(moirai_loom))]
mod sleeping;
