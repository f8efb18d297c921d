//! Decoding by the system's libheif: this program is also the process that decodes.
//!
//! Files are made by `heif-enc`, of Debian's package `libheif-examples`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use likeness_heif::{COMMAND, HeifError, SystemHeif, serve};
use likeness_imaging::{
    EncodedImage, Format, HeifDecoder, Image, ImageLimits, ImagingError, Interrupt, Rotation,
};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};
use samples::{Heif, Item, clap, grid, ispe};

#[path = "../../imaging/tests/samples/heif.rs"]
mod samples;

const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;

/// Gets the path of `heif-enc`.
type Test = fn(&Path) -> Outcome;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [COMMAND, FORGETS] {
        return forgotten();
    }
    if let [COMMAND, rest @ ..] = arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        return serve(&rest.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    let mut suite = Suite::new();
    suite.test("a_program_that_does_not_serve_starts_itself_once", forgetful);
    let tests: [(&str, Test); 12] = [
        ("pixels_are_those_of_the_source", pixels),
        ("an_image_beyond_the_memory_is_reduced", reduced),
        ("ten_bits_become_eight", ten_bits),
        ("alpha_is_laid_over_white", transparency),
        ("turns_mirrors_and_crops_are_applied_once", turns),
        ("a_grid_is_put_together", tiles),
        ("a_size_that_is_a_lie_is_refused", lies),
        ("damaged_files_are_refused_or_decoded", damage),
        ("the_memory_of_the_process_is_limited", memory),
        ("a_process_that_misbehaves_costs_one_image", misbehaviour),
        ("a_shutdown_does_not_end_a_decode", shutdown),
        ("a_deadline_and_a_cancellation_end_the_process", interrupts),
    ];
    for (name, test) in tests {
        suite.with_program(name, "heif-enc", test);
    }
    suite.test("programs_that_cannot_decode_are_named", foreign_programs);
    suite.test("a_missing_library_or_codec_says_what_to_install", missing);
    suite.run()
}

/// Red grows to the right, green downwards, blue stays: no turn leaves it as it is.
fn slope(width: u32, height: u32, channels: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let pixel = [
                (x * 255 / width) as u8,
                (y * 255 / height) as u8,
                40,
                (x * 255 / (width - 1)) as u8,
            ];
            pixels.extend(&pixel[..channels]);
        }
    }
    pixels
}

/// Has `heif-enc` encode samples.
fn encode(
    encoder: &Path,
    (samples, width, height, layout): (&[u8], u32, u32, ExtendedColorType),
    format: Format,
    arguments: &[&str],
) -> Result<Vec<u8>, Failed> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("source.png");
    PngEncoder::new(fs::File::create(&source)?).write_image(samples, width, height, layout)?;
    let target = folder
        .path()
        .join(format!("target.{}", format.to_string().to_lowercase()));
    let status = Command::new(encoder)
        .args(["-q", "95", "-p", "chroma=444"])
        .args(arguments)
        .args((format == Format::Avif).then_some("-A"))
        .arg("-o")
        .args([&target, &source])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "heif-enc: {status}");
    Ok(fs::read(target)?)
}

/// The slope in a file.
fn sloped(encoder: &Path, format: Format) -> Result<Vec<u8>, Failed> {
    let pixels = slope(WIDTH, HEIGHT, 3);
    encode(
        encoder,
        (&pixels, WIDTH, HEIGHT, ExtendedColorType::Rgb8),
        format,
        &[],
    )
}

fn system() -> Result<Arc<dyn HeifDecoder>, Failed> {
    Ok(Arc::new(SystemHeif::start(None)?))
}

fn decode(bytes: &[u8]) -> Result<Image, Failed> {
    decode_with(bytes, &system()?, Interrupt::NEVER)?.map_err(|error| error.to_string().into())
}

fn decode_with(
    bytes: &[u8],
    decoder: &Arc<dyn HeifDecoder>,
    interrupt: Interrupt<'_>,
) -> Result<Result<Image, ImagingError>, Failed> {
    let opened = EncodedImage::open_with(bytes, &ImageLimits::default(), decoder);
    Ok(opened.and_then(|image| image.decode(interrupt)))
}

/// Checks that an image is near these RGB pixels.
fn ensure_near(image: &Image, size: (u32, u32), expected: &[u8], what: &str) -> Outcome {
    ensure_eq!((image.width(), image.height()), size, "{what}");
    let differences = image
        .as_rgb8()
        .iter()
        .zip(expected)
        .map(|(a, b)| f64::from(a.abs_diff(*b)));
    let mean = differences.sum::<f64>() / expected.len() as f64;
    ensure!(mean < 3.0, "{what}: a mean difference of {mean:.2}");
    Ok(())
}

const BOTH: [Format; 2] = [Format::Heic, Format::Avif];

fn pixels(encoder: &Path) -> Outcome {
    for format in BOTH {
        let image = decode(&sloped(encoder, format)?)?;
        ensure_near(
            &image,
            (WIDTH, HEIGHT),
            &slope(WIDTH, HEIGHT, 3),
            &format.to_string(),
        )?;
        let grey: Vec<u8> = slope(WIDTH, HEIGHT, 1);
        let file = encode(
            encoder,
            (&grey, WIDTH, HEIGHT, ExtendedColorType::L8),
            format,
            &[],
        )?;
        let expected: Vec<u8> = grey.iter().flat_map(|value| [*value; 3]).collect();
        ensure_near(
            &decode(&file)?,
            (WIDTH, HEIGHT),
            &expected,
            &format!("grey {format}"),
        )?;
    }
    Ok(())
}

fn reduced(encoder: &Path) -> Outcome {
    let decoder = system()?;
    let pixels = slope(1_001, 1_600, 3);
    let file = encode(
        encoder,
        (&pixels, 1_001, 1_600, ExtendedColorType::Rgb8),
        Format::Heic,
        &[],
    )?;
    // Half of it fits, in either direction, and not the whole.
    let needed = EncodedImage::open_with(&file, &ImageLimits::default(), &decoder)?.decode_bytes();
    let limits = ImageLimits::default().with_max_decode_bytes(needed - 1_001 * 1_600);
    let image = EncodedImage::open_with(&file, &limits, &decoder)?;
    let whole = image.decode(Interrupt::NEVER);
    ensure!(
        matches!(whole, Err(ImagingError::DecodeTooLarge { .. })),
        "{whole:?}"
    );
    let reduced = image.decode_reduced(u32::MAX, Interrupt::NEVER)?;
    ensure_eq!(
        (reduced.factor(), reduced.whole_width(), reduced.whole_height()),
        (2, 1_001, 1_600)
    );
    ensure_near(reduced.image(), (501, 800), &slope(501, 800, 3), "half of it")?;
    let turned = image.decode_rotated(u32::MAX, Rotation::Quarter, Interrupt::NEVER)?;
    ensure_eq!((turned.image().width(), turned.image().height()), (800, 501));
    // The first pixel as stored is now the last of the first row, and stands for the same two by two.
    ensure_eq!(turned.to_whole(800.0, 0.0), (1_600.0, 0.0));
    Ok(())
}

fn ten_bits(encoder: &Path) -> Outcome {
    let deep: Vec<u8> = slope(WIDTH, HEIGHT, 3)
        .iter()
        .flat_map(|value| [*value; 2])
        .collect();
    // Chroma that `heif-enc` 1.15 can encode.
    for (format, chroma) in [(Format::Heic, "chroma=444"), (Format::Avif, "chroma=422")] {
        let file = encode(
            encoder,
            (&deep, WIDTH, HEIGHT, ExtendedColorType::Rgb16),
            format,
            &["-b", "10", "-p", chroma],
        )?;
        ensure_near(
            &decode(&file)?,
            (WIDTH, HEIGHT),
            &slope(WIDTH, HEIGHT, 3),
            &format!("10 bits {format}"),
        )?;
    }
    Ok(())
}

fn transparency(encoder: &Path) -> Outcome {
    let rgba = slope(WIDTH, HEIGHT, 4);
    let over_white = |[r, g, b, a]: [u8; 4], premultiplied: bool| {
        [r, g, b].map(|value| {
            let (value, alpha) = (u32::from(value), u32::from(a));
            let part = if premultiplied { value } else { value * alpha / 255 };
            (part + 255 - alpha).min(255) as u8
        })
    };
    let pixels = rgba.as_chunks::<4>().0;
    for format in BOTH {
        for premultiplied in [false, true] {
            let expected: Vec<u8> = pixels
                .iter()
                .flat_map(|pixel| over_white(*pixel, premultiplied))
                .collect();
            let arguments: &[&str] = if premultiplied {
                &["--premultiplied-alpha"]
            } else {
                &[]
            };
            let file = encode(
                encoder,
                (&rgba, WIDTH, HEIGHT, ExtendedColorType::Rgba8),
                format,
                arguments,
            )?;
            let what = format!("{format}, premultiplied: {premultiplied}");
            ensure_near(&decode(&file)?, (WIDTH, HEIGHT), &expected, &what)?;
        }
    }
    Ok(())
}

/// Kind and data of a property.
type Property = (&'static [u8; 4], Vec<u8>);

/// Properties that turn or crop an image, its size then, and the pixel of the stored image that appears at a place.
type Turn<'a> = (
    &'a str,
    &'a [Property],
    (u32, u32),
    &'a dyn Fn(u32, u32) -> (u32, u32),
);

/// An item with more properties.
fn with(item: &Item, properties: &[Property]) -> Vec<u8> {
    let mut item = item.clone();
    item.properties
        .extend(properties.iter().map(|(kind, data)| (**kind, data.clone())));
    Heif::of(item).bytes()
}

/// The slope as it appears where `from` names the pixel that each comes from.
fn rearranged(size: (u32, u32), from: impl Fn(u32, u32) -> (u32, u32)) -> Vec<u8> {
    let pixels = slope(WIDTH, HEIGHT, 3);
    let mut found = Vec::new();
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (x, y) = from(x, y);
            let at = (y * WIDTH + x) as usize * 3;
            found.extend(&pixels[at..at + 3]);
        }
    }
    found
}

fn turns(encoder: &Path) -> Outcome {
    let (right, bottom) = (WIDTH - 1, HEIGHT - 1);
    for format in BOTH {
        let item = Heif::item_of(&sloped(encoder, format)?);
        let (whole, side) = ((WIDTH, HEIGHT), (HEIGHT, WIDTH));
        let cases: [Turn<'_>; 8] = [
            ("as stored", &[], whole, &|x, y| (x, y)),
            // Quarter turns counter-clockwise.
            ("irot 1", &[(b"irot", vec![1])], side, &|x, y| (right - y, x)),
            ("irot 2", &[(b"irot", vec![2])], whole, &|x, y| {
                (right - x, bottom - y)
            }),
            ("irot 3", &[(b"irot", vec![3])], side, &|x, y| (y, bottom - x)),
            ("imir 0", &[(b"imir", vec![0])], whole, &|x, y| (x, bottom - y)),
            ("imir 1", &[(b"imir", vec![1])], whole, &|x, y| (right - x, y)),
            (
                "irot 1, imir 1",
                &[(b"irot", vec![1]), (b"imir", vec![1])],
                side,
                &|x, y| (right - y, bottom - x),
            ),
            ("clap", &[(b"clap", clap(40, 20, 10, -4).1)], (40, 20), &|x, y| {
                (x + 38, y + 18)
            }),
        ];
        for (name, properties, size, from) in cases {
            let image = decode(&with(&item, properties))?;
            ensure_near(
                &image,
                size,
                &rearranged(size, from),
                &format!("{format}: {name}"),
            )?;
        }
        // The same turn by EXIF, which these formats do not turn by.
        let mut file = Heif::of(item.clone());
        file.items[0].properties.push((*b"irot", vec![3]));
        let exif = b"\0\0\0\x06Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        file.items.push(Item {
            kind: *b"Exif",
            data: exif.to_vec(),
            properties: vec![],
        });
        file.references.push((*b"cdsc", 2, vec![1]));
        let image = decode(&file.bytes())?;
        ensure_near(
            &image,
            side,
            &rearranged(side, |x, y| (y, bottom - x)),
            &format!("{format}: EXIF"),
        )?;
    }
    Ok(())
}

/// Two by two tiles of 64 pixels, of which 120 by 100 are shown.
fn tiled(encoder: &Path, format: Format) -> Result<Heif, Failed> {
    let whole = slope(128, 128, 3);
    let mut items = vec![Item {
        kind: *b"grid",
        data: grid(2, 2, 120, 100),
        properties: vec![ispe(120, 100)],
    }];
    for (left, top) in [(0, 0), (64, 0), (0, 64), (64, 64)] {
        let rows = (top..top + 64).map(|y| &whole[(y * 128 + left) * 3..][..64 * 3]);
        let tile = rows.collect::<Vec<_>>().concat();
        let file = encode(encoder, (&tile, 64, 64, ExtendedColorType::Rgb8), format, &[])?;
        items.push(Heif::item_of(&file));
    }
    Ok(Heif {
        references: vec![(*b"dimg", 1, vec![2, 3, 4, 5])],
        ..Heif {
            items,
            ..Heif::of(Heif::item_of(&sloped(encoder, format)?))
        }
    })
}

fn tiles(encoder: &Path) -> Outcome {
    let whole = slope(128, 128, 3);
    let shown = (0..100)
        .map(|y| &whole[y * 128 * 3..][..120 * 3])
        .collect::<Vec<_>>()
        .concat();
    for format in BOTH {
        let file = tiled(encoder, format)?;
        ensure_near(
            &decode(&file.bytes())?,
            (120, 100),
            &shown,
            &format!("{format} grid"),
        )?;
        // As a phone writes a photo that was taken upright.
        let mut turned = file.clone();
        turned.items[0].properties.push((*b"irot", vec![3]));
        let image = decode(&turned.bytes())?;
        ensure_eq!((image.width(), image.height()), (100, 120));
    }
    Ok(())
}

fn lies(encoder: &Path) -> Outcome {
    let decoder = system()?;
    for format in BOTH {
        let mut item = Heif::item_of(&sloped(encoder, format)?);
        item.properties.retain(|(kind, _)| kind != b"ispe");
        for (width, height) in [
            (WIDTH / 2, HEIGHT / 2),
            (WIDTH + 8, HEIGHT),
            (1, 1),
            (2_000, 2_000),
        ] {
            let mut liar = item.clone();
            liar.properties.push(ispe(width, height));
            let decoded = decode_with(&Heif::of(liar).bytes(), &decoder, Interrupt::NEVER)?;
            ensure!(
                matches!(decoded, Err(ImagingError::Corrupt { .. })),
                "{format} that declares {width}x{height}: {decoded:?}"
            );
        }
    }
    Ok(())
}

fn damage(encoder: &Path) -> Outcome {
    let decoder = system()?;
    let fault = |decoded: &Result<Image, ImagingError>| match decoded {
        Ok(image) => (image.width(), image.height()) != (WIDTH, HEIGHT),
        Err(error) => matches!(error, ImagingError::Decoder { .. } | ImagingError::Interrupted),
    };
    for format in BOTH {
        let whole = Heif::of(Heif::item_of(&sloped(encoder, format)?)).bytes();
        let coded = whole.len() / 2..whole.len();
        for length in (0..whole.len()).step_by(whole.len().div_ceil(25)) {
            let decoded = decode_with(&whole[..length], &decoder, Interrupt::NEVER)?;
            ensure!(decoded.is_err(), "{format} cut at {length}: {decoded:?}");
        }
        for flip in 0..40 {
            let mut bytes = whole.clone();
            let at = coded.start + flip * 7919 % coded.len();
            bytes[at] ^= 1 << (flip % 8);
            let decoded = decode_with(&bytes, &decoder, Interrupt::NEVER)?;
            ensure!(
                !fault(&decoded),
                "{format} with another bit in byte {at}: {decoded:?}"
            );
        }
    }
    Ok(())
}

fn memory(encoder: &Path) -> Outcome {
    // What is coded is far larger than declared: the process is out of memory before it finds another size.
    let samples = vec![90; 4_000 * 3_000];
    let layout = (samples.as_slice(), 4_000, 3_000, ExtendedColorType::L8);
    let file = encode(encoder, layout, Format::Heic, &["-p", "preset=ultrafast"])?;
    let mut item = Heif::item_of(&file);
    item.properties.retain(|(kind, _)| kind != b"ispe");
    item.properties.push(ispe(8, 8));
    let decoded = decode_with(&Heif::of(item).bytes(), &system()?, Interrupt::NEVER)?;
    ensure!(
        matches!(decoded, Err(ImagingError::Corrupt { .. })),
        "{decoded:?}"
    );
    ensure!(!format!("{decoded:?}").contains("4000x3000"), "{decoded:?}");
    Ok(())
}

/// A program that reports the library as this one does, and does something else where it is to decode.
fn impostor(folder: &Path, does: &str) -> Result<PathBuf, Failed> {
    use std::os::unix::fs::PermissionsExt;
    let this = std::env::current_exe()?;
    let program = folder.join("impostor");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = --report ] && exec {} {COMMAND} --report\n{does}\n",
        this.display()
    );
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// The children of this process whose program has this name, zombies among them.
fn children(name: &str) -> Result<usize, Failed> {
    let me = std::process::id().to_string();
    let mut found = 0;
    for entry in fs::read_dir("/proc")? {
        let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let Some((command, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let parent = rest.split_whitespace().nth(1);
        found += usize::from(command.ends_with(&format!("({name}")) && parent == Some(me.as_str()));
    }
    Ok(found)
}

fn misbehaviour(encoder: &Path) -> Outcome {
    let file = sloped(encoder, Format::Heic)?;
    for (does, expected) in [
        ("kill -SEGV $$", "its decoder crashed with signal 11"),
        ("kill -ABRT $$", "its decoder crashed with signal 6"),
        ("exit 3", "its decoder ended with exit status: 3"),
        (
            "exec /bin/cat",
            "its decoder returned what the file does not declare",
        ),
        (
            "exec /bin/cat /dev/zero",
            "its decoder returned what the file does not declare",
        ),
        (
            "echo hello, this is not a reply",
            "its decoder returned what the file does not declare",
        ),
        // The right head, and then the end.
        (
            "printf '\\000\\140\\000\\000\\000\\100\\000\\000\\000abc'",
            "its decoder ended with exit status: 0",
        ),
        ("exec 1>&-; exit 0", "its decoder ended with exit status: 0"),
    ] {
        let folder = tempfile::tempdir()?;
        let decoder: Arc<dyn HeifDecoder> =
            Arc::new(SystemHeif::start(Some(impostor(folder.path(), does)?))?);
        let decoded = decode_with(&file, &decoder, Interrupt::NEVER)?;
        let expected = format!("the HEIC file is damaged: {expected}");
        ensure_eq!(
            decoded.map_err(|error| error.to_string()),
            Err(expected),
            "{does}"
        );
    }
    ensure_eq!(children("impostor")?, 0);
    // The next image is decoded.
    decode(&file).map(drop)
}

fn interrupts(encoder: &Path) -> Outcome {
    let file = sloped(encoder, Format::Avif)?;
    let folder = tempfile::tempdir()?;
    let hanging = folder.path().join("hanging");
    std::os::unix::fs::symlink("/bin/sleep", &hanging)?;
    let program = impostor(folder.path(), &format!("exec {} 1000", hanging.display()))?;
    let decoder: Arc<dyn HeifDecoder> = Arc::new(SystemHeif::start(Some(program))?);
    let interrupted = |interrupt| -> Outcome {
        let decoded = decode_with(&file, &decoder, interrupt)?;
        ensure_eq!(decoded.map(drop), Err(ImagingError::Interrupted));
        Ok(())
    };
    interrupted(Interrupt::NEVER.with_deadline(Instant::now() + Duration::from_millis(300)))?;
    let cancelled = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| interrupted(Interrupt::NEVER.with_cancel_flag(&cancelled)));
        while children("hanging")? == 0 {
            std::thread::yield_now();
        }
        cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        waiting.join().map_err(|_| "it panicked")?
    })?;
    ensure_eq!(children("hanging")?, 0);
    Ok(())
}

/// A signal to all processes of the service, as systemd and a terminal send it.
fn shutdown(encoder: &Path) -> Outcome {
    use std::io::{Read, Write};
    let file = sloped(encoder, Format::Heic)?;
    let mut process = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // It ignores them before it reads its order: SIGHUP is 1, SIGINT 2, SIGTERM 15.
    const ALL: u64 = 1 | 1 << 1 | 1 << 14;
    let status = format!("/proc/{}/status", process.id());
    let ignores_all = || -> Result<bool, Failed> {
        let status = fs::read_to_string(&status)?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
        Ok(u64::from_str_radix(mask.ok_or("no mask")?, 16)? & ALL == ALL)
    };
    while !ignores_all()? {
        ensure!(process.try_wait()?.is_none(), "it ended");
        std::thread::yield_now();
    }
    let id = process.id().to_string();
    for signal in ["-HUP", "-INT", "-TERM"] {
        let sent = Command::new("/bin/kill").args([signal, &id]).status()?;
        ensure!(sent.success(), "{signal}: {sent}");
    }
    let sides = [WIDTH, HEIGHT, WIDTH, 1].map(u32::to_le_bytes);
    let numbers = [64 << 20, file.len() as u64].map(u64::to_le_bytes);
    let order = [sides.as_flattened(), numbers.as_flattened(), &file].concat();
    process.stdin.take().ok_or("no input")?.write_all(&order)?;
    let mut reply = Vec::new();
    process
        .stdout
        .take()
        .ok_or("no output")?
        .read_to_end(&mut reply)?;
    ensure_eq!(reply.len(), 9 + (WIDTH * HEIGHT * 3) as usize);
    let status = process.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// The argument with which this program does not serve.
const FORGETS: &str = "--forget";

fn forgotten() -> ExitCode {
    let said = SystemHeif::start(None).err().map(|error| error.to_string());
    ExitCode::from(u8::from(
        !said.is_some_and(|said| said.contains("does not call `serve`")),
    ))
}

fn forgetful() -> Outcome {
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args([COMMAND, FORGETS]).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

fn foreign_programs() -> Outcome {
    for (program, expected) in [
        ("/nonexistent/likeness", "No such file or directory"),
        ("/bin/true", "it ended with exit status: 0"),
        ("/bin/echo", "it does not decode HEIC and AVIF"),
    ] {
        match SystemHeif::start(Some(program.into())) {
            Err(error @ HeifError::Process(_)) => {
                ensure!(error.to_string().contains(expected), "{program}: {error}");
            }
            other => return Err(format!("{program}: {other:?}").into()),
        }
    }
    Ok(())
}

/// A program that replies with this message, of this kind.
fn replying(folder: &Path, kind: u8, message: &str) -> Result<PathBuf, Failed> {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("replying");
    let reply = folder.join("reply");
    let head = [kind, message.len() as u8, 0, 0, 0, 0, 0, 0, 0];
    fs::write(&reply, [&head, message.as_bytes()].concat())?;
    fs::write(
        &program,
        format!("#!/bin/sh\nexec /bin/cat {}\n", reply.display()),
    )?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

fn missing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let started = |kind, message| {
        SystemHeif::start(Some(replying(folder.path(), kind, message)?)).map_err(Failed::from)
    };
    let error = |kind, message| match started(kind, message) {
        Ok(system) => Failed::from(format!("{system:?}")),
        Err(error) => error,
    };
    let said = |kind, message| error(kind, message).message().unwrap_or_default().to_owned();
    ensure_eq!(
        said(3, "libheif.so.1: cannot open shared object file"),
        "cannot load libheif.so.1: libheif.so.1: cannot open shared object file; install it (Debian and Ubuntu: `apt-get \
         install libheif1`)"
    );
    let no_codec = said(1, "1.19.7\n\n");
    ensure!(
        no_codec.starts_with("libheif 1.19.7 has no decoder: install its plugins"),
        "{no_codec}"
    );
    let unconfined = said(4, "seccomp is not available");
    ensure!(
        unconfined.contains("it cannot confine itself: seccomp is not available"),
        "{unconfined}"
    );
    // Of two codecs one is there: images of the other are refused by name.
    let decoder: Arc<dyn HeifDecoder> = Arc::new(started(1, "1.19.7\n\ndav1d")?);
    let heic = Heif::of(Item {
        kind: *b"hvc1",
        data: vec![0; 9],
        properties: vec![ispe(8, 8)],
    });
    ensure_eq!(
        decode_with(&heic.bytes(), &decoder, Interrupt::NEVER)?.map_err(|error| error.to_string()),
        Err("HEIC is not supported: libheif 1.19.7 has no HEVC decoder, libheif-plugin-libde265".to_owned())
    );
    Ok(())
}
