//! moirai-sync
