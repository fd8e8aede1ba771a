//! Limits on how often something is done, and on how many do it at the same time for one key.
//!
//! For a limit on how many do something at the same time without keys, there is [`sync::Semaphore`](crate::sync::Semaphore).

mod keyed;
mod rate;

pub use governor::Quota;

pub use self::keyed::{KeyedLimit, KeyedPermit};
pub use self::rate::RateLimit;
