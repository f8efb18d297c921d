//! A server on loopback that does, for each path, what its script says, one step a request. It sleeps nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What to answer to a request.
pub(crate) enum Step {
    /// The file, from where it is asked for.
    File(Vec<u8>),
    /// The file, all of it, whatever is asked for.
    Whole(Vec<u8>),
    /// A part of the file that begins elsewhere than was asked for.
    OtherPart(Vec<u8>),
    /// The file from where it is asked for, and the connection cut after so many bytes.
    Cut(Vec<u8>, usize),
    /// The file without saying its size, in so many bytes; then the connection is closed properly.
    Unsized(Vec<u8>, usize),
    /// A size in the header that is not that of the body.
    Lie(Vec<u8>, usize),
    /// Bytes without end.
    Endless,
    /// The file until so many bytes; then nothing more until the publisher is dropped.
    Silent(Vec<u8>, usize),
    /// The first half; the rest when the gate opens. `Sender` is told when the half is out.
    Gate(Vec<u8>, Sender<()>, Receiver<()>),
    /// A status and no body.
    Status(u16),
    /// A status and where to go.
    Redirect(u16, String),
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
}

type Scripts = Arc<Mutex<BTreeMap<String, VecDeque<Step>>>>;

pub(crate) struct Publisher {
    address: SocketAddr,
    scripts: Scripts,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Connections that are kept open; closed when this is dropped.
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Publisher {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let publisher = Self {
            address: listener.local_addr().unwrap(),
            scripts: Scripts::default(),
            requests: Arc::default(),
            held: Arc::default(),
        };
        let (scripts, requests, held) = (
            Arc::clone(&publisher.scripts),
            Arc::clone(&publisher.requests),
            Arc::clone(&publisher.held),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (scripts, requests, held) =
                    (Arc::clone(&scripts), Arc::clone(&requests), Arc::clone(&held));
                std::thread::spawn(move || {
                    // A client that hangs up is no failure of the server's.
                    let _ = serve(stream, &scripts, &requests, &held);
                });
            }
        });
        publisher
    }

    /// Answers requests for a path by these steps, in order; one more is answered 404.
    pub(crate) fn script(&self, path: &str, steps: impl IntoIterator<Item = Step>) -> &Self {
        let mut scripts = self.scripts.lock().unwrap();
        scripts.entry(path.to_owned()).or_default().extend(steps);
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far: path and range.
    pub(crate) fn requests(&self) -> Vec<(String, Option<String>)> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| (request.path.clone(), request.range.clone()))
            .collect()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.held.lock().unwrap().clear();
    }
}

fn serve(
    mut stream: TcpStream,
    scripts: &Scripts,
    requests: &Mutex<Vec<Request>>,
    held: &Mutex<Vec<TcpStream>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.to_owned());
        }
    }
    let step = scripts
        .lock()
        .unwrap()
        .get_mut(&path)
        .and_then(VecDeque::pop_front);
    requests.lock().unwrap().push(Request {
        path,
        range: range.clone(),
    });
    let asked: usize = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .unwrap_or(0);
    match step.unwrap_or(Step::Status(404)) {
        Step::File(file) => {
            if asked > 0 && asked >= file.len() {
                return status(&mut stream, 416);
            }
            head(&mut stream, &file, asked)?;
            stream.write_all(&file[asked..])
        }
        Step::Whole(file) => {
            head(&mut stream, &file, 0)?;
            stream.write_all(&file)
        }
        Step::OtherPart(file) => {
            head(&mut stream, &file, asked + 1)?;
            stream.write_all(&file[asked + 1..])
        }
        Step::Cut(file, after) => {
            head(&mut stream, &file, asked)?;
            stream.write_all(&file[asked..asked + after])
        }
        Step::Unsized(file, length) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&file[..length])
        }
        Step::Lie(file, length) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            )?;
            stream.write_all(&file)
        }
        Step::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 4096])?;
            }
        }
        Step::Silent(file, after) => {
            head(&mut stream, &file, asked)?;
            stream.write_all(&file[asked..asked + after])?;
            held.lock().unwrap().push(stream);
            Ok(())
        }
        Step::Gate(file, half_is_out, gate) => {
            let half = asked.max(file.len() / 2);
            head(&mut stream, &file, asked)?;
            stream.write_all(&file[asked..half])?;
            let _ = half_is_out.send(());
            // A gate that is dropped never opens, and the connection breaks.
            if gate.recv().is_ok() {
                stream.write_all(&file[half..])?;
            }
            Ok(())
        }
        Step::Status(number) => status(&mut stream, number),
        Step::Redirect(number, location) => {
            write!(
                stream,
                "HTTP/1.1 {number} Moved\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
        }
    }
}

fn head(stream: &mut TcpStream, file: &[u8], start: usize) -> std::io::Result<()> {
    let length = file.len() - start;
    if start == 0 {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    } else {
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Range: bytes {start}-{}/{}\r\n\r\n",
            file.len() - 1,
            file.len()
        )
    }
}

fn status(stream: &mut TcpStream, number: u16) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {number} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A gate, and who opens it.
pub(crate) fn gate(file: &[u8]) -> (Step, Receiver<()>, Sender<()>) {
    let (half, half_is_out) = channel();
    let (open, gate) = channel();
    (Step::Gate(file.to_vec(), half, gate), half_is_out, open)
}
