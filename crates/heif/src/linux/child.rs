//! The process: one image from standard input to standard output.

use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;

use likeness_imaging::rgba_over_white;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::confine::confine;
use super::library::{Library, Pixels, close_other_files, ignore_shutdown_signals, use_one_heap};
use crate::protocol::{Head, MAX_MESSAGE, Order, REPORT};

/// Rows are written in blocks of this many bytes.
const BLOCK: usize = 256 * 1024;

/// What a message is, given its length.
type Kind = fn(usize) -> Head;

/// See [`serve`](crate::serve).
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    ignore_shutdown_signals();
    let result = match arguments {
        [] => decode(),
        [only] if only == REPORT => report(),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    // The program on the other end has gone, or is not one that speaks this protocol.
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Reports the library, and that the process can be confined.
fn report() -> io::Result<()> {
    let library = match prepare() {
        Ok(library) => library,
        Err((head, message)) => return say(head, &message),
    };
    let [hevc, av1] = library.decoders().map(Option::unwrap_or_default);
    let text = [library.version(), hevc, av1].join("\n");
    match confine(0) {
        Ok(()) => say(Head::Library, &text),
        Err(error) => say(Head::Unconfined, &error.to_string()),
    }
}

fn decode() -> io::Result<()> {
    let mut order = [0; Order::BYTES];
    io::stdin().read_exact(&mut order)?;
    let order = Order::from_bytes(order);
    let library = match prepare() {
        Ok(library) => library,
        Err((head, message)) => return say(head, &message),
    };
    if let Err(error) = confine(order.memory) {
        return say(Head::Unconfined, &error.to_string());
    }
    let mut file = Vec::new();
    file.try_reserve_exact(usize::try_from(order.length).unwrap_or(usize::MAX))
        .map_err(io::Error::other)?;
    io::stdin().take(order.length).read_to_end(&mut file)?;
    if file.len() as u64 != order.length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let size = (order.width, order.height);
    let factor = (order.factor as usize).max(1);
    let sent = library.decode(&file, order.longest_side, |pixels| {
        if (pixels.width, pixels.height) == size {
            send(&pixels, factor)
        } else {
            let (width, height) = (pixels.width, pixels.height);
            say(
                Head::Damaged,
                &format!(
                    "it declares {}x{} pixels and has {width}x{height}",
                    size.0, size.1
                ),
            )
        }
    });
    sent.unwrap_or_else(|reason| say(Head::Damaged, &reason))
}

/// Loads the library, before files are out of reach.
fn prepare() -> Result<Library, (Kind, String)> {
    // No process is to outlive the one that waits for it.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| (Head::Unconfined as Kind, error.to_string()))?;
    close_other_files();
    use_one_heap();
    Library::load().map_err(|reason| (Head::NoLibrary as Kind, reason))
}

fn say(head: Kind, message: &str) -> io::Result<()> {
    let message = &message.as_bytes()[..message.floor_char_boundary(MAX_MESSAGE)];
    let mut output = io::stdout().lock();
    output.write_all(&head(message.len()).to_bytes())?;
    output.write_all(message)?;
    output.flush()
}

/// Sends an image, each pixel the mean of `factor` in either direction.
fn send(pixels: &Pixels<'_>, factor: usize) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(BLOCK, io::stdout().lock());
    output.write_all(&Head::Pixels(pixels.width, pixels.height).to_bytes())?;
    let mut rgb = vec![0; pixels.width as usize * 3];
    let mut sums = vec![0_u32; (pixels.width as usize).div_ceil(factor) * 3];
    let mut rows = pixels.rows();
    loop {
        let mut summed = 0;
        for row in rows.by_ref().take(factor) {
            to_rgb(pixels, row, &mut rgb);
            if factor == 1 {
                output.write_all(&rgb)?;
            } else {
                add(&rgb, factor, &mut sums);
            }
            summed += 1;
        }
        if summed == 0 {
            return output.flush();
        }
        if factor > 1 {
            let blocks = rgb.chunks(3 * factor).zip(sums.chunks_mut(3));
            for (block, sums) in blocks {
                let count = (block.len() / 3 * summed) as u32;
                for sum in sums {
                    output.write_all(&[((*sum + count / 2) / count) as u8])?;
                    *sum = 0;
                }
            }
        }
    }
}

/// Adds the pixels of a row to the sums of their blocks.
fn add(rgb: &[u8], factor: usize, sums: &mut [u32]) {
    for (block, sums) in rgb.chunks(3 * factor).zip(sums.as_chunks_mut::<3>().0) {
        for pixel in block.as_chunks::<3>().0 {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += u32::from(*value);
            }
        }
    }
}

/// Lays a row over white, if it has alpha.
fn to_rgb(pixels: &Pixels<'_>, row: &[u8], rgb: &mut [u8]) {
    match (pixels.alpha, pixels.premultiplied) {
        (false, _) => rgb.copy_from_slice(row),
        (true, false) => rgba_over_white(row, rgb),
        (true, true) => {
            let both = row.as_chunks().0.iter().zip(rgb.as_chunks_mut().0);
            for ([red, green, blue, alpha], rgb) in both {
                *rgb = [red, green, blue].map(|colour| colour.saturating_add(255 - alpha));
            }
        }
    }
}
