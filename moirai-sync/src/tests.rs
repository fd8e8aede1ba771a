//! What the tests and models of several modules share.

#[cfg(moirai_loom)]
mod models;
#[cfg(moirai_loom)]
pub(crate) use models::*;

#[cfg(not(moirai_loom))]
mod fixtures;
#[cfg(not(moirai_loom))]
pub(crate) use fixtures::*;
