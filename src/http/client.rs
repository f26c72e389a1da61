//! Calls over a Unix socket: how the command line asks a running agent.

use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("no agent is running: {0}")]
    Absent(std::io::Error),
    /// The call could not be made.
    #[error("the call is no HTTP request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The agent went away.
    #[error("the agent did not answer: {0}")]
    Broken(#[from] hyper::Error),
}

/// Sends one request with a JSON body and returns status and body.
pub async fn call(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Vec<u8>), CallError> {
    let stream = UnixStream::connect(socket).await.map_err(CallError::Absent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "waybill")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    driving.abort();
    Ok((status, body))
}
