//! The scripts.

use redis::Script;

macro_rules! scripts {
    ($($name:ident),*) => {
        /// One script for each request.
        pub(super) struct Scripts {
            $(pub(super) $name: Script),*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                let shared = include_str!("shared.lua");
                Self {
                    $($name: Script::new(&format!("{shared}{}", include_str!(concat!(stringify!($name), ".lua"))))),*
                }
            }
        }
    };
}

scripts! { push, exchange, heartbeat, leave, find, promote, list, queues, cancel, retry, move_dead, purge }
