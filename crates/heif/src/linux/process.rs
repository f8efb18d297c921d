//! The process from outside: its start, its input and output, and its end.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use likeness_imaging::{HeifFile, ImagingError, Interrupt, Interrupted};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::fcntl_setpipe_size;

use crate::protocol::{COMMAND, HEAD, Head, Order, REPORT};
use crate::report::{HeifError, Library};

/// How often the interrupt is checked while the process works.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// The longest that an image may take where no deadline is given.
const LONGEST: Duration = Duration::from_secs(60);

/// Bytes that a pipe holds: the most that the system gives everyone.
const PIPE: usize = 1024 * 1024;

/// Why there is no reply.
#[derive(Debug)]
enum Fault {
    Interrupted,
    /// It took longer than [`LONGEST`].
    Slow,
    /// The process cannot be started or reached.
    Start(std::io::Error),
    /// It closed its output before its reply was whole.
    Closed,
    /// The same, and it ended so.
    Ended(ExitStatus),
    /// It sent what no process of this version sends.
    Nonsense,
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Start(error)
    }
}

impl From<Interrupted> for Fault {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Returns the library that the process reports.
pub(crate) fn report(program: &Path) -> Result<Library, HeifError> {
    let named = |reason: String| HeifError::Process(format!("{}: {reason}", program.display()));
    let mut process =
        Process::start(program, &[COMMAND, REPORT]).map_err(|error| named(error.to_string()))?;
    let reply = process.exchange(&[], |_| None, Interrupt::NEVER);
    let (head, message) = reply.map_err(|fault| {
        named(match fault {
            Fault::Start(error) => error.to_string(),
            Fault::Ended(status) => format!("it ended with {status}"),
            _ => "it does not decode HEIC and AVIF".to_owned(),
        })
    })?;
    match head {
        Head::Library(_) => {
            let mut lines = message.split(|byte| *byte == b'\n').map(printable);
            let mut line = || lines.next().filter(|line| !line.is_empty());
            Ok(Library {
                version: line().unwrap_or_default(),
                hevc: line(),
                av1: line(),
            })
        }
        Head::NoLibrary(_) => Err(HeifError::Library(printable(&message))),
        _ => {
            let reason = printable(&message);
            Err(named(format!("it cannot confine itself: {reason}")))
        }
    }
}

/// Decodes a file in a process.
pub(crate) fn decode(
    program: &Path,
    file: &HeifFile<'_>,
    order: &Order,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let format = file.format;
    let unable = |reason: String| ImagingError::Decoder { format, reason };
    let is_declared = |head| match head {
        Head::Pixels(width, height) if (width, height) == (file.width, file.height) => {
            usize::try_from(file.pixel_bytes(order.factor)).ok()
        }
        _ => None,
    };
    interrupt.check()?;
    let mut process = Process::start(program, &[COMMAND]).map_err(|error| unable(error.to_string()))?;
    let reply = process.exchange(&[&order.to_bytes(), file.bytes], is_declared, interrupt);
    let (head, body) = reply.map_err(|fault| match fault {
        Fault::Interrupted => ImagingError::Interrupted,
        Fault::Slow => format.corrupt("decoding it takes too long"),
        Fault::Start(error) => unable(error.to_string()),
        Fault::Ended(status) => match status.signal() {
            Some(signal) => format.corrupt(format!("its decoder crashed with signal {signal}")),
            None => format.corrupt(format!("its decoder ended with {status}")),
        },
        Fault::Nonsense | Fault::Closed => {
            format.corrupt("its decoder returned what the file does not declare")
        }
    })?;
    let message = || printable(&body);
    match head {
        Head::Pixels(..) => Ok(body),
        Head::Damaged(_) => Err(format.corrupt(message())),
        Head::NoLibrary(_) => Err(unable(HeifError::Library(message()).to_string())),
        Head::Library(_) | Head::Unconfined(_) => Err(unable(message())),
    }
}

/// A message on one line: what it repeats of a hostile file must not reach a terminal.
fn printable(message: &[u8]) -> String {
    let message = String::from_utf8_lossy(message);
    message.replace(char::is_control, " ").trim().to_owned()
}

/// A running process, ended when it is dropped.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; waiting leaves no zombie either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(program: &Path, arguments: &[&str]) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .arg0("likeness")
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or(ErrorKind::BrokenPipe)?;
        let process = Self { child, input, output };
        let input = process.input.iter().map(AsFd::as_fd);
        for pipe in input.chain([process.output.as_fd()]) {
            fcntl_setfl(pipe, OFlags::NONBLOCK)?;
            // Only faster.
            let _ = fcntl_setpipe_size(pipe, PIPE);
        }
        Ok(process)
    }

    /// Sends all parts, and returns the reply. `pixels` returns how many bytes follow a head that announces pixels.
    fn exchange(
        &mut self,
        parts: &[&[u8]],
        pixels: impl Fn(Head) -> Option<usize>,
        interrupt: Interrupt<'_>,
    ) -> Result<(Head, Vec<u8>), Fault> {
        let end = Instant::now() + LONGEST;
        let mut parts = parts.iter().copied().filter(|part| !part.is_empty());
        let mut part = parts.next().unwrap_or_default();
        let mut reply = Reply::default();
        loop {
            interrupt.check()?;
            if Instant::now() > end {
                return Err(Fault::Slow);
            }
            if part.is_empty() {
                // The end of the file.
                self.input = None;
            }
            self.wait_for_pipes()?;
            if let Some(input) = &mut self.input {
                match input.write(part) {
                    Ok(written) => part = part.get(written..).unwrap_or_default(),
                    Err(error) if is_later(error.kind()) => {}
                    // It ends without having read all: its reply, or its end, says why.
                    Err(_) => (part, self.input) = (&[], None),
                }
                if part.is_empty() && self.input.is_some() {
                    part = parts.next().unwrap_or_default();
                }
            }
            match reply.read(&mut self.output, &pixels) {
                Ok(Some(head)) => return Ok((head, reply.body)),
                Ok(None) => {}
                Err(Fault::Closed) => return Err(Fault::Ended(self.wait(interrupt, end)?)),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Waits for the end of a process that has closed its output.
    fn wait(&mut self, interrupt: Interrupt<'_>, end: Instant) -> Result<ExitStatus, Fault> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            interrupt.check()?;
            if Instant::now() > end {
                return Err(Fault::Slow);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_for_pipes(&self) -> Result<(), Fault> {
        let output = PollFd::new(&self.output, PollFlags::IN);
        let result = match &self.input {
            Some(input) => poll(&mut [output, PollFd::new(input, PollFlags::OUT)], Some(&PAUSE)),
            None => poll(&mut [output], Some(&PAUSE)),
        };
        match result {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Fault::Start(error.into())),
        }
    }
}

fn is_later(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What was read of a reply.
#[derive(Default)]
struct Reply {
    head: [u8; HEAD],
    announced: Option<Head>,
    body: Vec<u8>,
    /// Bytes that were read of the head, or of the body once the head is known.
    filled: usize,
}

impl Reply {
    /// Reads what is there, and nothing beyond what the head announces. Returns the head once all is read.
    fn read(
        &mut self,
        from: &mut impl Read,
        pixels: impl Fn(Head) -> Option<usize>,
    ) -> Result<Option<Head>, Fault> {
        let target = match self.announced {
            None => &mut self.head[self.filled..],
            Some(_) => &mut self.body[self.filled..],
        };
        match from.read(target) {
            Ok(0) => return Err(Fault::Closed),
            Ok(read) => self.filled += read,
            Err(error) if is_later(error.kind()) => return Ok(None),
            Err(error) => return Err(Fault::Start(error)),
        }
        if self.announced.is_none() && self.filled == HEAD {
            let head = Head::from_bytes(self.head).ok_or(Fault::Nonsense)?;
            let length = match head {
                Head::Pixels(..) => pixels(head).ok_or(Fault::Nonsense)?,
                Head::Library(length)
                | Head::Damaged(length)
                | Head::NoLibrary(length)
                | Head::Unconfined(length) => length,
            };
            (self.announced, self.body, self.filled) = (Some(head), vec![0; length], 0);
        }
        Ok(self.announced.filter(|_| self.filled == self.body.len()))
    }
}
