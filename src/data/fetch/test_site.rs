//! Servers for tests. Each runs until its value is dropped.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// The parts of a request that tests check.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path without the leading slash.
    pub path: String,
    /// The header `Range`.
    pub range: Option<String>,
    /// The header `If-Range`.
    pub if_range: Option<String>,
}

/// A server on this machine.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers one request with each of `answers`, in order.
    pub fn answering(answers: Vec<Vec<u8>>) -> Server {
        let mut answers = answers.into_iter();
        Server::with(move |_| answers.next())
    }

    /// Serves the files of `directory`, and ranges to the end of a file.
    pub fn of(directory: PathBuf) -> Server {
        Server::with(move |request| {
            let Ok(body) = fs::read(directory.join(&request.path)) else {
                return Some(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
                );
            };
            let start = request
                .range
                .as_ref()
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
            let total = body.len();
            let (status, body) = match start {
                Some(start) if start >= total => {
                    (format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{total}"), &b"no"[..])
                }
                Some(start) => {
                    let range = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
                    (format!("206 Partial Content\r\n{range}"), &body[start..])
                }
                None => ("200 OK".to_owned(), &body[..]),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            Some([head.as_bytes(), body].concat())
        })
    }

    /// Answers requests with the result of `answer`, until that is `None`.
    fn with(mut answer: impl FnMut(&Request) -> Option<Vec<u8>> + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let request = read(&stream);
                // Dropping the server sends this request.
                if request.path == STOP {
                    return;
                }
                let answered = answer(&request);
                noted.lock().unwrap().push(request);
                let Some(answered) = answered else { return };
                // A client may disconnect early.
                let _ = stream.write_all(&answered);
            }
        });
        Server { port, requests }
    }

    /// The address of the server, or of its only file.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

const STOP: &str = "stop-serving";

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = write!(stream, "GET /{STOP} HTTP/1.1\r\n\r\n");
        }
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut request = Request::default();
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    for line in lines {
        if let Some(path) = line.strip_prefix("GET /") {
            request.path = path.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "range" => request.range = Some(value.to_owned()),
                "if-range" => request.if_range = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    request
}

/// Writes a tar archive of `files`, each a path and its content, to `path`.
pub fn pack(files: &[(&str, &str)], path: &Path) {
    let encoder = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}
