//! A connection that is not trusted after a failure.

use std::ops::{Deref, DerefMut};

use sqlx::Database;
use sqlx::pool::PoolConnection;

/// A connection of a pool. If this is dropped before it is [given back](Self::give_back), the connection is closed: nobody knows then what
/// the other end is about. A request may be under way that is never answered; and after an error such as a full disk, SQLite may have
/// ended a transaction that the library takes for open for ever.
pub(super) struct Held<D: Database>(Option<PoolConnection<D>>);

impl<D: Database> Held<D> {
    pub(super) const fn new(connection: PoolConnection<D>) -> Self {
        Self(Some(connection))
    }

    /// Gives it back to the pool: the last request has been answered.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<D: Database> Deref for Held<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        self.0.as_ref().expect("it is there until it is given back")
    }
}

impl<D: Database> DerefMut for Held<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.0.as_mut().expect("it is there until it is given back")
    }
}

impl<D: Database> Drop for Held<D> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
