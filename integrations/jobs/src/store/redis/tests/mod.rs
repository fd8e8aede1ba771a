//! What the scripts promise, with a server for each test. They are asked as a consumer asks them, so that a consumer can fall silent
//! without a process that does.

mod harness;
mod keys;
mod ownership;
mod sizes;
mod tools;
