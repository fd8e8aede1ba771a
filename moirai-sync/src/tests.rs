//! What the tests of the modules share, and the models.

#[cfg(moirai_loom)]
mod models;
#[cfg(moirai_loom)]
pub(crate) use models::*;

#[cfg(not(moirai_loom))]
mod fixtures;
#[cfg(not(moirai_loom))]
pub(crate) use fixtures::*;
