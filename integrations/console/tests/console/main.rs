//! Tests of the console with a real client of its protocol.

mod client;
mod details;
mod serving;
mod states;
mod updates;
