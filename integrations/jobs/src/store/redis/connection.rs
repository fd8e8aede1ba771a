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
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause between attempts to connect again.
const PAUSE: Duration = Duration::from_millis(500);
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
        // The library's error may repeat parts of the URL, which has the password.
        let client = Client::open(url).map_err(|_| {
            let text = "the URL is none such as redis://user:password@host:6379/0";
            Error::open("Redis", text)
        })?;
        let info = client.get_connection_info().clone();
        let tcp = TcpSettings::default().set_nodelay(true);
        // What the other end has not confirmed for so long never arrives: the connection is lost.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(PATIENCE);
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
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_min_delay(PAUSE / 10)
            .set_max_delay(PAUSE)
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
        let value = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let version = value("redis_version").unwrap_or_default();
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        if let (Some(major), Some(minor)) = (parts.next(), parts.next())
            && (major, minor) < OLDEST
        {
            let text = format!("the server has version {version}; 6.2 or later is needed");
            return Err(Error::storage(text));
        }
        if value("cluster_enabled") == Some("1") {
            return Err(Error::storage(
                "the server is part of a Redis Cluster, and jobs need one server",
            ));
        }
        if value("aof_enabled") == Some("0") {
            tracing::warn!(
                storage,
                "the server does not append to a file what it is given (`appendonly`): a crash loses jobs"
            );
        }
        let evicts = value("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
        if evicts && value("maxmemory").is_some_and(|limit| limit != "0") {
            tracing::warn!(
                storage,
                "the server deletes keys when its memory is full (`maxmemory-policy`), which loses jobs"
            );
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

/// Waits for an answer, which may be an error of the server.
async fn answer_or_refusal<T>(
    request: impl Future<Output = Result<T, RedisError>>,
) -> Result<Result<T, RedisError>, Error> {
    match timeout(PATIENCE, request).await {
        Ok(Err(error)) if !error.is_timeout() => match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => Ok(Err(error)),
            _ => Err(Error::storage(error)),
        },
        Ok(Ok(answer)) => Ok(Ok(answer)),
        Ok(Err(_)) | Err(_) => Err(Error::storage(format!(
            "the server has not answered within {PATIENCE:?}; is it running, and is the address right?"
        ))),
    }
}

/// Waits for an answer.
async fn answer<T>(request: impl Future<Output = Result<T, RedisError>>) -> Result<T, Error> {
    answer_or_refusal(request).await?.map_err(Error::storage)
}
