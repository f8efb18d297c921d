//! What a confined process cannot do.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getppid, setrlimit, test_kill_process};

use super::confine::confine;

/// Runs the test of this name in a process of its own: what it gives up is not given back.
fn alone(name: &str) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", name, "--ignored", "--test-threads=1"];
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn a_confined_process_has_neither_files_nor_network_nor_other_processes() {
    let output = alone("linux::tests::confined");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn assert_denied<T>(result: io::Result<T>, what: &str) {
    let error = result.err().unwrap_or_else(|| panic!("{what} was possible"));
    assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{what}: {error}");
}

#[test]
#[ignore = "in a process of its own"]
fn confined() {
    let mine = getppid().unwrap();
    assert!(test_kill_process(mine).is_ok());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    confine(32 << 20).unwrap();

    assert_denied(File::open("/proc/self/status"), "reading a file");
    assert_denied(File::create("/tmp/likeness-confined"), "writing a file");
    assert_denied(std::fs::remove_file("/tmp/likeness-confined"), "removing a file");
    assert_denied(std::fs::read_dir("/"), "listing a folder");
    assert_denied(TcpStream::connect(address), "connecting");
    assert_denied(TcpListener::bind("127.0.0.1:0"), "listening");
    assert_denied(listener.accept(), "accepting");
    assert_denied(UdpSocket::bind("127.0.0.1:0"), "a datagram");
    assert_denied(UnixStream::connect("/tmp/none"), "a local socket");
    assert!(Command::new("/bin/true").status().is_err(), "a program was run");
    assert_denied(test_kill_process(mine).map_err(io::Error::from), "a signal");
    let (current, maximum) = (Some(0), Some(0));
    let limited = setrlimit(Resource::Cpu, Rlimit { current, maximum });
    assert_denied(limited.map_err(io::Error::from), "other limits");

    // It goes on computing: threads, and memory up to the limit.
    let sum = std::thread::spawn(|| (1..=10).sum::<i32>());
    assert_eq!(sum.join().unwrap(), 55);
    assert!(Vec::<u8>::new().try_reserve_exact(16 << 20).is_ok());
    assert!(Vec::<u8>::new().try_reserve_exact(1 << 30).is_err());
}
