//! A connection that asks one question at a time.

use std::{io, net::SocketAddr};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{HOST, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{self, JoinHandle},
};

/// An open connection.
#[derive(Debug)]
pub struct Client {
    host: String,
    sender: SendRequest<Empty<Bytes>>,
    /// Moves the bytes, until it is aborted by the drop.
    connection: JoinHandle<()>,
}

/// The answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When to come again, in seconds.
    pub retry_after: Option<String>,
    /// Its body.
    pub text: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let connection = task::spawn(async {
            connection.await.ok(); // The one who asked is told.
        });
        Ok(Client {
            host: address.to_string(),
            sender,
            connection,
        })
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    ///
    /// If the connection ends before.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        let request = Request::get(path)
            .header(HOST, &self.host)
            .body(Empty::new())
            .map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await;
        let response = response.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let body = response.into_body().collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        Ok(Answer {
            status,
            retry_after,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

impl Drop for Client {
    /// Closes the connection, also in the middle of an answer.
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A figure of `/stats`.
#[must_use]
pub fn figure(stats: &str, name: &str) -> Option<u64> {
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line?.parse().ok()
}
