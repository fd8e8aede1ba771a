//! Tests of durable jobs in one process, on each storage that there is.

mod attempts;
mod harness;
mod operations;
mod pushes;
mod settings;
mod shutdown;
