//! HTTP requests: TLS with the certificates that the system trusts, proxies from the environment (`HTTPS_PROXY`,
//! `NO_PROXY`), and a limited number of redirects, none of which leaves TLS.

use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// The timeout for establishing a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// The timeout without any data.
const SILENCE: Duration = Duration::from_secs(60);
/// The maximum number of consecutive redirects.
const REDIRECTS: u32 = 5;

/// The missing part of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rest<'a> {
    /// The number of bytes already downloaded.
    pub from: u64,
    /// The `ETag` or `Last-Modified` header of these bytes. If it has changed, the complete file is requested.
    pub of: Option<&'a str>,
}

/// The response to a request for `address`, or for the `rest` of it, after redirects.
pub fn get(address: &str, rest: Rest) -> Result<Response<Body>, String> {
    if address.starts_with("https://") {
        return send(&agent(true), address, rest);
    }
    let response = send(&agent(false), address, rest)?;
    if !response.status().is_redirection() {
        return Ok(response);
    }
    // Networks redirect unencrypted requests to a login page.
    match header(response.headers(), "location") {
        Some(other) if other.starts_with("https://") => send(&agent(true), other, rest),
        other => Err(format!("redirects to {}, which is not https", other.unwrap_or("nowhere"))),
    }
}

/// The value of the header `name`, if it is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn send(agent: &Agent, address: &str, rest: Rest) -> Result<Response<Body>, String> {
    let mut request = agent.get(address);
    if rest.from > 0 {
        request = request.header("Range", format!("bytes={}-", rest.from));
        if let Some(of) = rest.of {
            request = request.header("If-Range", of);
        }
    }
    let response = request.call().map_err(|error| error.to_string())?;
    let status = response.status();
    let is_answer =
        status.is_success() || status.is_redirection() || status == StatusCode::RANGE_NOT_SATISFIABLE;
    if is_answer { Ok(response) } else { Err(format!("the server answers {status}")) }
}

/// A client that follows redirects from TLS to TLS. If not `is_encrypted`, it follows none.
fn agent(is_encrypted: bool) -> Agent {
    let certificates = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let redirects = if is_encrypted { REDIRECTS } else { 0 };
    let config = Agent::config_builder()
        .https_only(is_encrypted)
        .tls_config(certificates)
        .max_redirects(redirects)
        .max_redirects_will_error(is_encrypted)
        .http_status_as_error(false)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("ternflock/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity");
    config.build().into()
}

#[cfg(test)]
mod tests {
    use super::super::test_site::Server;
    use super::*;

    #[test]
    fn no_redirect_leads_to_an_unencrypted_address() {
        for (location, reason) in [
            ("http://127.0.0.1:1/log-in", "redirects to http://127.0.0.1:1/log-in, which is not https"),
            ("/log-in", "redirects to /log-in, which is not https"),
            // Nothing answers at this address, but the request is sent.
            ("https://127.0.0.1:1/", "refused"),
        ] {
            let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let server = Server::answering(vec![answer.into_bytes()]);
            let error = get(&server.address(), Rest::default()).map(drop).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        // The TLS client refuses any other address, including redirect targets.
        let error = send(&agent(true), "http://127.0.0.1:1/", Rest::default()).map(drop).unwrap_err();
        assert!(error.contains("https"), "{error}");
    }

    #[test]
    fn failures_are_told_with_their_status() {
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let server = Server::answering(vec![answer.into()]);
        let error = get(&server.address(), Rest::default()).map(drop).unwrap_err();
        assert_eq!(error, "the server answers 404 Not Found");
    }
}
