//! The work: it asks for one resource, once.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use percent_encoding::{AsciiSet, percent_encode};
use ureq::{
    Agent, Body, Error, Proxy, RequestBuilder,
    config::Config,
    http::{HeaderMap, Response, Uri, header},
    tls::{self, PemItem, RootCerts, TlsConfig},
    typestate::WithoutBody,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use url::Url;

use crate::{
    document::{self, MAX_PAGE},
    error::{Broken, Fatal},
    page::{Answer, Format, Page},
    statuses::Statuses,
};

/// The longest that a server may make us wait before a retry.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why a resource has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The fault, and the time after which the server wants to be asked again.
    Broken(Broken, Option<Duration>),
    /// Somebody wants it all to end. Nothing is known of the resource.
    Stopped,
}

impl From<Broken> for NoAnswer {
    fn from(why: Broken) -> Self {
        NoAnswer::Broken(why, None)
    }
}

/// The settings of requests, and the statuses of a good answer.
#[derive(Debug)]
pub(crate) struct Manner {
    pub(crate) timeout: Duration,
    /// How many connections are kept for each host.
    pub(crate) per_host: usize,
    pub(crate) roots: RootCerts,
    pub(crate) use_proxy: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) accept: Statuses,
}

/// Which of the attempts at a resource it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) is_first: bool,
    /// Whatever comes of it, no retry follows.
    pub(crate) is_last: bool,
}

#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    manner: Manner,
    requests: AtomicU64,
}

impl Fetcher {
    pub(crate) fn new(manner: Manner) -> Self {
        let tls = TlsConfig::builder().root_certs(manner.roots.clone());
        let config = Agent::config_builder()
            .timeout_global(Some(manner.timeout))
            .http_status_as_error(false)
            // Each step of a redirect is a resource of its own: asked once, by the feeder, who
            // keeps to the limit of the host that it leads to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(manner.per_host)
            .tls_config(tls.build())
            .proxy(if manner.use_proxy {
                Proxy::try_from_env()
            } else {
                None
            })
            .build();
        Fetcher {
            agent: Agent::with_parts(config, DefaultConnector::default(), Lookup::default()),
            manner,
            requests: AtomicU64::new(0),
        }
    }

    /// Asks for a resource; for what is in it too, if it `is_page`.
    pub(crate) fn ask(
        &self,
        url: &Url,
        is_page: bool,
        attempt: Attempt,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Answer, NoAnswer> {
        if url.scheme() == "file" {
            return Ok(read(url).map(Answer::Here)?);
        }
        let answer = self.ask_host(url, is_page, attempt, &is_stopped);
        // A page that was cut off may look like an answer: without a length it just ends.
        if is_stopped() {
            return Err(NoAnswer::Stopped);
        }
        answer
    }

    fn ask_host(
        &self,
        url: &Url,
        is_page: bool,
        attempt: Attempt,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Answer, NoAnswer> {
        if !is_page && attempt.is_first {
            // If the server names a time, the retry asks with GET.
            let awaits_retry = |why: &Broken, after: Option<Duration>| {
                after.is_some() && !attempt.is_last && why.is_transient()
            };
            let head = self.send(url, self.agent.head(url.as_str()));
            match head
                .map_err(NoAnswer::from)
                .and_then(|response| self.judge(url, response, is_page))
            {
                Err(NoAnswer::Broken(why, after))
                    if is_about_head(&why) && !awaits_retry(&why, after) => {}
                verdict => return verdict,
            }
            if is_stopped() {
                return Err(NoAnswer::Stopped);
            }
        }
        let response = self.send(url, self.agent.get(url.as_str()))?;
        self.judge(url, response, is_page)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Cuts off what is being asked, and refuses the rest. Only a lookup of a name, or a connect,
    /// goes on until its timeout.
    pub(crate) fn stop(&self) {
        self.agent.clone().shutdown();
    }

    fn send(
        &self,
        url: &Url,
        mut request: RequestBuilder<WithoutBody>,
    ) -> Result<Response<Body>, Broken> {
        self.requests.fetch_add(1, Relaxed);
        for (name, value) in &self.manner.headers {
            request = request.header(name, value);
        }
        request.call().map_err(|error| self.explain(url, error))
    }

    fn judge(
        &self,
        url: &Url,
        response: Response<Body>,
        is_page: bool,
    ) -> Result<Answer, NoAnswer> {
        let headers = response.headers();
        let status = response.status().as_u16();
        let location = headers.get(header::LOCATION);
        let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        let is_good = self.manner.accept.contain(status);
        match location {
            Some(location) if is_redirect => {
                let location = location_of(location.as_bytes());
                let to = url.join(&location).ok();
                let to =
                    to.filter(|to| !location.is_empty() && matches!(to.scheme(), "http" | "https"));
                let mut to = to.ok_or(Broken::Location(location))?;
                to.set_fragment(None);
                Ok(Answer::Moved(to))
            }
            None if is_redirect && !is_good => Err(Broken::Location(String::new()).into()),
            _ if is_good && is_page => {
                let media_type = headers.get(header::CONTENT_TYPE);
                let media_type = media_type.and_then(|value| value.to_str().ok());
                let format = media_type.and_then(Format::of_media_type);
                let Some(format) = format else {
                    return Ok(Answer::Here(Page::default()));
                };
                let mut bytes = Vec::new();
                let read = response
                    .into_body()
                    .into_reader()
                    .take(MAX_PAGE as u64 + 1)
                    .read_to_end(&mut bytes);
                read.map_err(|error| self.explain(url, error.into()))?;
                Ok(Answer::Here(document::parse(format, &bytes)))
            }
            _ if is_good => Ok(Answer::Here(Page::default())),
            _ => {
                let after = headers.get(header::RETRY_AFTER);
                let after = after.and_then(|value| value.to_str().ok());
                let after = after.and_then(|value| retry_after(value, SystemTime::now()));
                Err(NoAnswer::Broken(Broken::Status(status), after))
            }
        }
    }

    fn explain(&self, url: &Url, error: Error) -> Broken {
        // The reader of a body wraps what the request would have returned.
        let error = match error {
            Error::Io(error) => Error::from(error),
            other => other,
        };
        match error {
            Error::Timeout(_) => Broken::Timeout(self.manner.timeout),
            Error::HostNotFound => Broken::Dns,
            Error::Tls(what) => Broken::Tls(what.to_owned()),
            Error::Rustls(error) => Broken::Tls(error.to_string()),
            Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Broken::Refused,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    Broken::Timeout(self.manner.timeout)
                }
                // Errors of rustls have this kind.
                io::ErrorKind::InvalidData if url.scheme() == "https" => {
                    Broken::Tls(error.to_string())
                }
                _ => Broken::Connection(error.to_string()),
            },
            Error::BadUri(_) | Error::Http(_) => Broken::Malformed(error.to_string()),
            other => Broken::Connection(other.to_string()),
        }
    }
}

/// Whether GET may get a better answer than HEAD got: some servers have no HEAD, and refuse it in
/// their own way, drop the connection or keep silent.
fn is_about_head(why: &Broken) -> bool {
    matches!(
        why,
        Broken::Status(_) | Broken::Timeout(_) | Broken::Connection(_)
    )
}

/// Returns the address in a `Location`. Some servers send bytes outside ASCII, although they should
/// not. Browsers percent-encode each of these bytes.
fn location_of(bytes: &[u8]) -> String {
    percent_encode(bytes, &AsciiSet::EMPTY).to_string()
}

/// The time until a server wants to be asked again, which it names in seconds or by the date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// `--ca FILE`: whom to trust. Mozilla's list, if nobody says otherwise.
pub(crate) fn roots(file: Option<&Path>) -> Result<RootCerts, Fatal> {
    let Some(file) = file else {
        return Ok(RootCerts::WebPki);
    };
    let pem = fs::read(file).map_err(|error| Fatal::File {
        option: "--ca: ",
        path: file.to_owned(),
        error,
    })?;
    let mut certificates = Vec::new();
    for item in tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Fatal::Usage(format!("--ca: {file:?}: {error}").into())),
        }
    }
    if certificates.is_empty() {
        let message = format!("--ca: no certificate in {file:?}");
        return Err(Fatal::Usage(message.into()));
    }
    Ok(RootCerts::from(certificates))
}

/// The system's resolver. Whatever it finds wrong is the name's fault, where ureq would pass on an
/// error like that of any connection.
#[derive(Debug, Default)]
struct Lookup(DefaultResolver);

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0
            .resolve(uri, config, timeout)
            .map_err(|error| match error {
                Error::Io(_) => Error::HostNotFound,
                other => other,
            })
    }
}

/// Reads a local document; of any other file or folder, whether it is there.
fn read(url: &Url) -> Result<Page, Broken> {
    let mut path = url
        .to_file_path()
        .map_err(|()| Broken::Malformed("not a local file".to_owned()))?;
    let mut kind = fs::metadata(&path).map_err(explain_file)?;
    if kind.is_dir() {
        // Shown in its place.
        match ["README.md", "index.html"]
            .map(|name| path.join(name))
            .into_iter()
            .find_map(|path| Some((fs::metadata(&path).ok()?, path)))
        {
            Some((of_index, index)) => (kind, path) = (of_index, index),
            None => return Ok(Page::default()),
        }
    }
    match Format::of_path(&path) {
        Some(format) if kind.is_file() => Ok(document::parse(format, &bytes_of(&path)?)),
        _ => Ok(Page::default()),
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(explain_file)?;
    let read = file.take(MAX_PAGE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(explain_file)?;
    Ok(bytes)
}

fn explain_file(error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Broken::Missing,
        _ => Broken::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{location_of, retry_after};

    #[test]
    fn a_location_may_have_bytes_that_are_no_ascii() {
        assert_eq!(
            location_of("/caf\u{e9}?a=%20#b".as_bytes()),
            "/caf%C3%A9?a=%20#b"
        );
        assert_eq!(location_of(b"/caf\xe9"), "/caf%E9");
    }

    #[test]
    fn a_retry_comes_after_seconds_or_at_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            (" 7 ", Some(7)),
            ("61", Some(60)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 09:49:47 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        }
    }
}
