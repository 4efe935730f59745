//! The work: it asks for one resource, once.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use ureq::{
    Agent, Body, Error, Proxy, RequestBuilder,
    config::Config,
    http::{Response, Uri, header},
    tls::{self, PemItem, RootCerts, TlsConfig},
    typestate::WithoutBody,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use url::Url;

use crate::{
    error::{Broken, Fatal},
    page::{Answer, Format, MAX_PAGE, Page},
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

#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    timeout: Duration,
    requests: AtomicU64,
}

impl Fetcher {
    /// `per_host` is how many connections are kept for each host.
    pub(crate) fn new(
        timeout: Duration,
        per_host: usize,
        roots: RootCerts,
        use_proxy: bool,
    ) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Each step of a redirect is a resource of its own: asked once, by the feeder, who
            // keeps to the limit of the host that it leads to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(per_host)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent("linkcheck (example of troupe-pool)")
            .proxy(if use_proxy {
                Proxy::try_from_env()
            } else {
                None
            })
            .build();
        Fetcher {
            agent: Agent::with_parts(config, DefaultConnector::default(), Lookup::default()),
            timeout,
            requests: AtomicU64::new(0),
        }
    }

    /// Asks for a resource; for what is in it too, if it `is_page`.
    pub(crate) fn ask(
        &self,
        url: &Url,
        is_page: bool,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Answer, NoAnswer> {
        if url.scheme() == "file" {
            return Ok(read(url).map(Answer::Here)?);
        }
        let answer = self.ask_host(url, is_page, &is_stopped);
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
        is_stopped: impl Fn() -> bool,
    ) -> Result<Answer, NoAnswer> {
        if !is_page {
            let response = self.send(url, self.agent.head(url.as_str()))?;
            // Some servers have no HEAD, or answer it otherwise than GET.
            if !matches!(response.status().as_u16(), 403 | 404 | 405 | 501) {
                return self.judge(url, response, is_page);
            } else if is_stopped() {
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
        request: RequestBuilder<WithoutBody>,
    ) -> Result<Response<Body>, Broken> {
        self.requests.fetch_add(1, Relaxed);
        request.call().map_err(|error| self.explain(url, error))
    }

    fn judge(
        &self,
        url: &Url,
        response: Response<Body>,
        is_page: bool,
    ) -> Result<Answer, NoAnswer> {
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        match response.status().as_u16() {
            200..=299 if is_page => {
                let format = text(header::CONTENT_TYPE).and_then(Format::of_media_type);
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
                Ok(Answer::Here(format.parse(&bytes)))
            }
            200..=299 => Ok(Answer::Here(Page::default())),
            301 | 302 | 303 | 307 | 308 => {
                let location = text(header::LOCATION).unwrap_or_default();
                let to = url
                    .join(location)
                    .ok()
                    .filter(|to| !location.is_empty() && matches!(to.scheme(), "http" | "https"));
                let mut to = to.ok_or_else(|| Broken::Location(location.to_owned()))?;
                to.set_fragment(None);
                Ok(Answer::Moved(to))
            }
            status => Err(NoAnswer::Broken(
                Broken::Status(status),
                text(header::RETRY_AFTER)
                    .and_then(|seconds| seconds.trim().parse().ok())
                    .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
            )),
        }
    }

    fn explain(&self, url: &Url, error: Error) -> Broken {
        // The reader of a body wraps what the request would have returned.
        let error = match error {
            Error::Io(error) => Error::from(error),
            other => other,
        };
        match error {
            Error::Timeout(_) => Broken::Timeout(self.timeout),
            Error::HostNotFound => Broken::Dns,
            Error::Tls(what) => Broken::Tls(what.to_owned()),
            Error::Rustls(error) => Broken::Tls(error.to_string()),
            Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Broken::Refused,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    Broken::Timeout(self.timeout)
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
        Some(format) if kind.is_file() => Ok(format.parse(&bytes_of(&path)?)),
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
