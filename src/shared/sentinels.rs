//! The Sentinels: what most of them say, asked on connections that stay. They are asked often, and one that does not answer
//! must not hold up what the others have decided.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crate::metrics::SharedError;
use crate::shared::Error;
use crate::shared::config::Address;
use crate::shared::config::Endpoint;
use crate::shared::config::Topology;
use crate::shared::connect;
use crate::shared::connect::Known;

/// All of them; none where the store has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Sentinels(Arc<[Sentinel]>);

#[derive(Clone, Debug)]
struct Sentinel {
    address: Address,
    /// Locked while a connection is made.
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl Sentinels {
    /// Those of this store; connects to nothing yet.
    pub(super) fn of(endpoint: &Endpoint) -> Sentinels {
        let Topology::Sentinel { sentinels, .. } = &endpoint.topology else {
            return Sentinels::default();
        };
        let each = sentinels.iter().map(|address| Sentinel {
            address: address.clone(),
            connection: Arc::default(),
        });
        Sentinels(each.collect())
    }

    /// The primary that more than half of them name: a few that are cut off may not know who it is by now.
    pub(super) async fn primary(
        &self,
        endpoint: &Endpoint,
        service: &str,
        known: Known<'_>,
    ) -> Result<Address, Error> {
        let each = self.0.iter();
        let mut answers: FuturesUnordered<_> = each
            .map(|one| one.names(endpoint, service, known))
            .collect();
        let mut named: Vec<(Address, usize)> = Vec::new();
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            let address = match answer {
                Ok(address) => address,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let before = named.iter().position(|(other, _)| *other == address);
            let votes = match before.and_then(|at| named.get_mut(at)) {
                Some((_, votes)) => {
                    *votes += 1;
                    *votes
                }
                None => {
                    named.push((address.clone(), 1));
                    1
                }
            };
            if votes * 2 > self.0.len() {
                return Ok(address);
            }
        }
        let why = failure.map_or_else(|| "they disagree".to_owned(), |error| error.to_string());
        let text = format!("fewer than half of the Sentinels name the same primary: {why}");
        Err(Error::new(SharedError::Connection, text))
    }
}

impl Sentinel {
    async fn names(
        &self,
        endpoint: &Endpoint,
        service: &str,
        known: Known<'_>,
    ) -> Result<Address, Error> {
        let mut connection = self.connect(endpoint, known).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(service);
        let answer: Result<Option<(String, u16)>, _> = question.query_async(&mut connection).await;
        let Ok(named) = answer.inspect_err(|error| tracing::debug!(%error, "a Sentinel fails"))
        else {
            *self.connection.lock().await = None;
            return Err(Error::new(
                SharedError::Connection,
                "a Sentinel does not answer",
            ));
        };
        let (host, port) = named.ok_or_else(|| {
            let text = format!("a Sentinel knows no service `{service}`");
            Error::new(SharedError::Connection, text)
        })?;
        Ok(Address::Tcp { host, port })
    }

    /// The connection to it. One that must be made is made to its end, whether or not that is waited for.
    async fn connect(
        &self,
        endpoint: &Endpoint,
        known: Known<'_>,
    ) -> Result<MultiplexedConnection, Error> {
        let Ok(mut kept) = Arc::clone(&self.connection).try_lock_owned() else {
            let made = self.connection.lock().await.clone();
            let text = "a Sentinel cannot be reached";
            return made.ok_or_else(|| Error::new(SharedError::Connection, text));
        };
        if let Some(connection) = kept.as_ref() {
            return Ok(connection.clone());
        }
        let client = connect::client(endpoint, &self.address, known, 0)?;
        let made = tokio::spawn(async move {
            let made = connect::open(&client, connect::CONNECT).await;
            if let Ok(connection) = &made {
                *kept = Some(connection.clone());
            }
            made
        });
        made.await
            .map_err(|error| Error::new(SharedError::Connection, error.to_string()))?
    }
}
