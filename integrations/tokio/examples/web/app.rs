//! The service.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

/// The number of rows in the table of users.
pub(crate) const USERS: u32 = 1_000;

/// Returns the routes, and creates the database that one of them reads.
pub(crate) async fn router() -> Result<Router, sqlx::Error> {
    // Each connection to a database in memory has a database of its own, so there is one.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    for id in 0..USERS {
        sqlx::query("INSERT INTO users VALUES (?, ?)")
            .bind(id)
            .bind(format!("user {id}"))
            .execute(&pool)
            .await?;
    }
    Ok(Router::new()
        .route("/wait", get(wait))
        .route("/users/{id}", get(user))
        .route("/primes/{limit}", get(primes))
        .route("/panic", get(fail))
        .with_state(pool))
}

async fn wait() -> &'static str {
    tokio::time::sleep(Duration::from_millis(5)).await;
    "waited for 5 ms"
}

async fn user(State(pool): State<SqlitePool>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    sqlx::query_scalar("SELECT name FROM users WHERE id = ?")
        .bind(id)
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        .ok_or(StatusCode::NOT_FOUND)
}

async fn primes(Path(limit): Path<u32>) -> Result<String, StatusCode> {
    /// The largest limit that is not refused.
    const LARGEST: u32 = 10_000_000;
    if limit > LARGEST {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(count_primes(2, limit).to_string())
}

/// Returns the number of primes from `low` to below `high`, both halves in parallel.
fn count_primes(low: u32, high: u32) -> usize {
    if high.saturating_sub(low) <= 256 {
        let is_prime = |&n: &u32| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        return (low..high).filter(is_prime).count();
    }
    let middle = low + (high - low) / 2;
    let (lower, upper) = moirai::join(|| count_primes(low, middle), || count_primes(middle, high));
    lower + upper
}

async fn fail() -> StatusCode {
    std::panic::resume_unwind(Box::new("this route panics"))
}
