//! The connections to a server.

use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Error;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause between attempts to connect again.
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// The first version that has all commands of the scripts.
const OLDEST: (u32, u32) = (6, 2);

/// A connection, which is made again when it is lost.
pub(super) struct Connection {
    manager: ConnectionManager,
    client: Client,
}

impl Connection {
    /// Connects. Returns what to call the storage, too, without a password.
    pub(super) async fn open(url: &str) -> Result<(Self, String), Error> {
        if url.starts_with("rediss:") {
            prepare_tls()?;
        }
        // The library's error may repeat parts of the URL, which has the password.
        let client = Client::open(url).map_err(|_| {
            let text = "the URL is none such as redis://user:password@host:6379/0";
            Error::open("Redis", text)
        })?;
        let info = client.get_connection_info().clone();
        let tcp = TcpSettings::default().set_nodelay(true);
        // What the other end has not confirmed for so long never arrives: the connection is lost.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(REQUEST_TIMEOUT);
        let info = info.set_tcp_settings(tcp);
        let database = info.redis_settings().db();
        let storage = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}/{database}"),
            ConnectionAddr::TcpTls { host, port, .. } => {
                format!("rediss://{host}:{port}/{database}")
            }
            other => format!("redis+unix://{other}?db={database}"),
        };
        let fails = |error: Error| match error {
            Error::Storage(source) => Error::open(storage.clone(), source),
            other => other,
        };
        let client = Client::open(info).map_err(|error| Error::open(storage.clone(), error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REQUEST_TIMEOUT))
            .set_response_timeout(Some(REQUEST_TIMEOUT))
            .set_min_delay(MAX_BACKOFF / 10)
            .set_max_delay(MAX_BACKOFF)
            .set_number_of_retries(3);
        let connecting = ConnectionManager::new_with_config(client.clone(), config);
        let manager = answer(connecting).await.map_err(fails)?;
        let connection = Self { manager, client };
        connection.check(&storage).await.map_err(fails)?;
        Ok((connection, storage))
    }

    /// Sees whether the server can be used, and keeps what it is given.
    async fn check(&self, storage: &str) -> Result<(), Error> {
        let mut manager = self.manager.clone();
        let command = redis::cmd("INFO");
        let info: String = match answer_or_refusal(command.query_async(&mut manager)).await? {
            Ok(info) => info,
            // It need not be allowed.
            Err(error) if error.code() == Some("NOPERM") => return Ok(()),
            Err(error) => return Err(Error::storage(error)),
        };
        for warning in judge(&info).map_err(Error::storage)? {
            tracing::warn!(storage, "{warning}");
        }
        Ok(())
    }

    /// Has the server run a script.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        let mut manager = self.manager.clone();
        answer(script.invoke_async(&mut manager)).await
    }

    /// Tells of each message on a channel, until the connection is lost.
    pub(super) async fn listen(
        &self,
        channel: &str,
        messages: mpsc::Sender<()>,
    ) -> Result<(), Error> {
        let mut subscriber = answer(self.client.get_async_pubsub()).await?;
        answer(subscriber.subscribe(channel)).await?;
        let mut stream = subscriber.into_on_message();
        while stream.next().await.is_some() {
            // One message is enough.
            let _ = messages.try_send(());
        }
        Err(Error::storage("the connection was lost"))
    }
}

/// What of a server's facts is to be warned of, or the reason why it cannot be used.
fn judge(info: &str) -> Result<Vec<&'static str>, String> {
    let value = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let version = value("redis_version").unwrap_or_default();
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    if let (Some(major), Some(minor)) = (parts.next(), parts.next())
        && (major, minor) < OLDEST
    {
        return Err(format!("the server has version {version}, and 6.2 or later is needed"));
    }
    if value("cluster_enabled") == Some("1") {
        return Err("the server is part of a Redis Cluster, and jobs need a single one".to_owned());
    }
    let mut warnings = Vec::new();
    if value("aof_enabled") == Some("0") {
        warnings.push("a crash of the server loses jobs, since it has no `appendonly yes`");
    }
    let evicts = value("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
    if evicts && value("maxmemory").is_some_and(|limit| limit != "0") {
        warnings.push(
            "the server deletes jobs when its memory is full, since its `maxmemory-policy` is not `noeviction`",
        );
    }
    Ok(warnings)
}

/// Chooses the cryptography of encrypted connections, unless the process has done so.
#[cfg(feature = "tls")]
#[allow(clippy::unnecessary_wraps, reason = "it fails without the feature")]
fn prepare_tls() -> Result<(), Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may be faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn prepare_tls() -> Result<(), Error> {
    Err(Error::Setting("a rediss:// address needs the feature `tls` of moirai-jobs".to_owned()))
}

/// Waits for an answer, which may be an error of the server.
async fn answer_or_refusal<T>(
    request: impl Future<Output = Result<T, RedisError>>,
) -> Result<Result<T, RedisError>, Error> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(Err(error)) if !error.is_timeout() => match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => Ok(Err(error)),
            _ => Err(Error::storage(error)),
        },
        Ok(Ok(answer)) => Ok(Ok(answer)),
        Ok(Err(_)) | Err(_) => Err(Error::storage(format!(
            "the server has not answered within {REQUEST_TIMEOUT:?}; is it running, and is the address right?"
        ))),
    }
}

/// Waits for an answer.
async fn answer<T>(request: impl Future<Output = Result<T, RedisError>>) -> Result<T, Error> {
    answer_or_refusal(request).await?.map_err(Error::storage)
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn what_is_too_old_or_in_a_cluster_is_refused() {
        for version in ["5.0.14", "6.0.20"] {
            let refusal = judge(&format!("# Server\r\nredis_version:{version}\r\n")).unwrap_err();
            assert!(refusal.contains(version), "{refusal}");
        }
        assert!(judge("redis_version:7.0.15\r\ncluster_enabled:1\r\n").is_err());
        assert_eq!(
            judge("redis_version:6.2.0\r\ncluster_enabled:0\r\naof_enabled:1\r\n"),
            Ok(vec![])
        );
        // What says nothing of itself may do.
        assert_eq!(judge(""), Ok(vec![]));
    }

    #[test]
    fn what_may_lose_jobs_is_warned_of() {
        let warnings =
            judge("aof_enabled:0\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n").unwrap();
        assert_eq!(warnings.len(), 1);
        let warnings =
            judge("aof_enabled:1\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n").unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("maxmemory-policy"), "{warnings:?}");
    }
}
