//! The part of HTTP/1.1 that the operations port needs: one request on each connection, of which
//! only the head matters.
//!
//! The parser is that of hyper. A server crate would need less code here, but every small one lets a
//! slow client starve the others, or misreads requests. tiny_http, and rouille on top of it, read a
//! head of any length for any time. touche does the same, and sends no answer to a request that it
//! cannot parse. oxhttp bounds the length but not the time, and serves nobody else while its last
//! thread waits. khttp leaves the stream to its caller, but skips header lines that end in a bare LF.
//! hyper lacks only the check of `Host`, but brings half a dozen crates and a runtime.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use httparse::{Error, Header, Status};
use serde::Serialize;

/// More than browsers send.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// A page loads nothing from anywhere, and asks nobody but this server.
const POLICY: &str = "default-src 'none'; img-src data:; connect-src 'self'; \
                      style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A stream with a time for all that is read and written by this value, however small the pieces.
#[derive(Debug)]
pub(crate) struct Timed<'s> {
    stream: &'s TcpStream,
    deadline: Instant,
}

impl<'s> Timed<'s> {
    pub(crate) fn new(stream: &'s TcpStream, patience: Duration) -> Self {
        Timed {
            stream,
            deadline: Instant::now() + patience,
        }
    }

    fn rest(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            rest => Ok(Some(rest)),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.rest()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.rest()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A GET or HEAD.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) is_head: bool,
    /// Without the query.
    pub(crate) path: String,
}

/// Reads the head of a request; or says what is wrong with it. An error means that the client has
/// gone, or has not even begun in time.
pub(crate) fn read_request(stream: &mut impl Read) -> io::Result<Result<Request, Response>> {
    let mut head = [0; LONGEST_HEAD];
    let mut length = 0;
    let request = loop {
        match stream.read(&mut head[length..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => length += read,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => continue,
                ErrorKind::WouldBlock | ErrorKind::TimedOut if length > 0 => {
                    break Err(Response::text(408, "a faster request, please\n"));
                }
                _ => return Err(error),
            },
        }
        let head = &head[..length];
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        break match request.parse(head) {
            Ok(Status::Complete(_)) => understand(&request),
            Ok(Status::Partial) if length < LONGEST_HEAD => continue,
            Ok(Status::Partial) if !head.contains(&b'\n') => {
                Err(Response::text(414, "a shorter address, please\n"))
            }
            Ok(Status::Partial) => Err(Response::text(431, "a shorter request, please\n")),
            Err(Error::TooManyHeaders) => Err(Response::text(431, "fewer headers, please\n")),
            Err(Error::Version) => Err(Response::text(505, "HTTP/1.1, please\n")),
            Err(error) => Err(Response::bad_request(error)),
        };
    };
    // An answer to HEAD has no body, whatever it says (RFC 9110, section 9.3.2).
    let is_head = head[..length].trim_ascii_start().starts_with(b"HEAD ");
    Ok(request.map_err(|refusal| match is_head {
        true => refusal.without_body(),
        false => refusal,
    }))
}

fn understand(request: &httparse::Request<'_, '_>) -> Result<Request, Response> {
    if !has_proper_host(request) {
        return Err(Response::bad_request("it must have one Host"));
    }
    let is_head = request.method == Some("HEAD");
    if !is_head && request.method != Some("GET") {
        return Err(Response::text(405, "GET or HEAD, please\n"));
    }
    match request.path.and_then(path) {
        Some(path) => Ok(Request {
            is_head,
            path: path.to_owned(),
        }),
        None => Err(Response::bad_request(
            "the address is neither a path nor http",
        )),
    }
}

/// RFC 9112, section 3.2: one, which HTTP/1.0 may lack.
fn has_proper_host(request: &httparse::Request<'_, '_>) -> bool {
    let is_host = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("host");
    let mut hosts = request.headers.iter().filter(is_host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let is_fine =
                |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
            host.value.iter().all(is_fine)
        }
        (None, _) => request.version == Some(0),
        (Some(_), Some(_)) => false,
    }
}

/// The path of a target in the origin form, `/stats?x`, or in the absolute form,
/// `http://host/stats?x`, which every server has to accept.
fn path(target: &str) -> Option<&str> {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            let authority = rest.find(['/', '?']).unwrap_or(rest.len());
            match &rest[authority..] {
                _ if authority == 0 => return None,
                after if after.starts_with('/') => after,
                _ => "/",
            }
        }
        _ => target,
    };
    let path = target.split('?').next()?;
    path.starts_with('/').then_some(path)
}

/// A response, as it is sent. It has no `Date`, which caches would need: nothing here may be cached.
#[derive(Debug)]
pub(crate) struct Response(String);

impl Response {
    pub(crate) fn new(status: u16, kind: &str, body: &str) -> Self {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            414 => "URI Too Long",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Internal Server Error",
        };
        let allow = match status {
            405 => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let length = body.len();
        Response(format!(
            "HTTP/1.1 {status} {reason}\r\n\
             {allow}\
             Content-Type: {kind}\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: {POLICY}\r\n\
             Cache-Control: no-store\r\n\
             Connection: close\r\n\
             \r\n\
             {body}"
        ))
    }

    pub(crate) fn text(status: u16, body: impl AsRef<str>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_ref())
    }

    fn bad_request(reason: impl Display) -> Self {
        Self::text(400, format!("bad request: {reason}\n"))
    }

    pub(crate) fn json(figures: &impl Serialize) -> Self {
        Self::rendered("application/json", serde_json::to_string(figures))
    }

    pub(crate) fn rendered(kind: &str, body: Result<String, impl Display>) -> Self {
        match body {
            Ok(body) => Self::new(200, kind, &body),
            Err(error) => Self::text(500, error.to_string()),
        }
    }

    pub(crate) fn without_body(mut self) -> Self {
        const END: &str = "\r\n\r\n";
        let end = self.0.find(END).map_or(self.0.len(), |end| end + END.len());
        self.0.truncate(end);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
