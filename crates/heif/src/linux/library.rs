//! The C interface of libheif 1.12 and later, loaded at run time.
//!
//! The one module of this crate that calls C: the functions are declared here as `heif.h` declares them, and every pointer that
//! comes back is checked.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

/// The file, by the name of its interface: the system's search finds it, and no other name is tried.
const NAME: &str = "libheif.so.1";

const HEVC: c_int = 1;
const AV1: c_int = 4;
const COLORSPACE_RGB: c_int = 1;
const CHROMA_RGB: c_int = 10;
const CHROMA_RGBA: c_int = 11;
const CHANNEL_INTERLEAVED: c_int = 10;

/// `struct heif_error`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Status {
    code: c_int,
    subcode: c_int,
    message: *const c_char,
}

/// `struct heif_decoding_options` up to its version 3; the library allocates it and may append to it.
#[repr(C)]
struct Options {
    version: u8,
    ignore_transformations: u8,
    progress: [*const c_void; 4],
    convert_hdr_to_8bit: u8,
    strict_decoding: u8,
}

type Pointer = *mut c_void;

macro_rules! functions {
    ($($name:ident: $type:ty,)+) => {
        /// The functions that every version has.
        struct Functions { $($name: $type,)+ }

        impl Functions {
            fn of(library: &Loaded) -> Result<Self, String> {
                Ok(Self { $(
                    // SAFETY: `heif.h` declares the function with this type.
                    $name: *unsafe { library.get::<$type>(concat!("heif_", stringify!($name), "\0").as_bytes()) }
                        .map_err(|error| error.to_string())?,
                )+ })
            }
        }
    };
}

functions! {
    get_version: unsafe extern "C" fn() -> *const c_char,
    have_decoder_for_format: unsafe extern "C" fn(c_int) -> c_int,
    context_alloc: unsafe extern "C" fn() -> Pointer,
    context_free: unsafe extern "C" fn(Pointer),
    context_set_maximum_image_size_limit: unsafe extern "C" fn(Pointer, c_int),
    context_read_from_memory_without_copy: unsafe extern "C" fn(Pointer, *const u8, usize, *const c_void) -> Status,
    context_get_primary_image_handle: unsafe extern "C" fn(Pointer, *mut Pointer) -> Status,
    image_handle_release: unsafe extern "C" fn(Pointer),
    image_handle_has_alpha_channel: unsafe extern "C" fn(Pointer) -> c_int,
    image_handle_is_premultiplied_alpha: unsafe extern "C" fn(Pointer) -> c_int,
    decoding_options_alloc: unsafe extern "C" fn() -> *mut Options,
    decoding_options_free: unsafe extern "C" fn(*mut Options),
    decode_image: unsafe extern "C" fn(Pointer, *mut Pointer, c_int, c_int, *const Options) -> Status,
    image_get_width: unsafe extern "C" fn(Pointer, c_int) -> c_int,
    image_get_height: unsafe extern "C" fn(Pointer, c_int) -> c_int,
    image_get_plane_readonly: unsafe extern "C" fn(Pointer, c_int, *mut c_int) -> *const u8,
    image_release: unsafe extern "C" fn(Pointer),
}

/// libheif.
pub(crate) struct Library {
    functions: Functions,
    /// The last field: it outlives the functions.
    loaded: Loaded,
}

/// A decoded image: rows of RGB, or of RGBA.
pub(crate) struct Pixels<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) alpha: bool,
    /// Whether alpha was multiplied into the colours already.
    pub(crate) premultiplied: bool,
    stride: usize,
    bytes: &'a [u8],
}

impl Pixels<'_> {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let length = self.width as usize * if self.alpha { 4 } else { 3 };
        self.bytes.chunks(self.stride).map(move |row| &row[..length])
    }
}

impl Library {
    pub(crate) fn load() -> Result<Self, String> {
        // SAFETY: its initialisers run, as for every program that links it.
        let loaded = unsafe { Loaded::open(Some(NAME), RTLD_NOW | RTLD_LOCAL) };
        let loaded = loaded.map_err(|error| error.to_string())?;
        let functions = Functions::of(&loaded)?;
        // Loads plugins, where the codecs are plugins. Before 1.13 there is no such function.
        // SAFETY: `heif.h` declares the function with this type, and a null pointer as a legal argument.
        unsafe {
            if let Ok(init) = loaded.get::<unsafe extern "C" fn(Pointer) -> Status>(b"heif_init\0") {
                checked(init(null_mut()))?;
            }
        }
        Ok(Self { functions, loaded })
    }

    pub(crate) fn version(&self) -> String {
        // SAFETY: it takes nothing and returns a text that stays.
        text(unsafe { (self.functions.get_version)() })
    }

    /// The decoders of HEVC and AV1 by name.
    pub(crate) fn decoders(&self) -> [Option<String>; 2] {
        [HEVC, AV1].map(|format| {
            // SAFETY: it takes any number.
            let found = unsafe { (self.functions.have_decoder_for_format)(format) } != 0;
            found.then(|| {
                self.decoder_name(format)
                    .unwrap_or_else(|| "a decoder".to_owned())
            })
        })
    }

    fn decoder_name(&self, format: c_int) -> Option<String> {
        type List = unsafe extern "C" fn(c_int, *mut *const c_void, c_int) -> c_int;
        type Name = unsafe extern "C" fn(*const c_void) -> *const c_char;
        // SAFETY: `heif.h` of 1.15 and later declares the functions with these types; the first writes at most one pointer,
        // which stays, and says how many it wrote.
        unsafe {
            let list = self.loaded.get::<List>(b"heif_get_decoder_descriptors\0").ok()?;
            let name = self
                .loaded
                .get::<Name>(b"heif_decoder_descriptor_get_name\0")
                .ok()?;
            let mut decoder = null();
            (list(format, &raw mut decoder, 1) > 0 && !decoder.is_null()).then(|| text(name(decoder)))
        }
    }

    /// Decodes the primary image of a file, turned and cropped as the file orders.
    pub(crate) fn decode<T>(
        &self,
        file: &[u8],
        longest_side: u32,
        use_pixels: impl FnOnce(Pixels<'_>) -> T,
    ) -> Result<T, String> {
        let all = &self.functions;
        // The limit is the first side that is refused.
        let side = c_int::try_from(longest_side).map_or(c_int::MAX, |side| side.saturating_add(1));
        // SAFETY: all pointers are the library's own, checked, and freed once, in the reverse order; the file's bytes, which
        // the context keeps a pointer to, outlive it.
        unsafe {
            let context = Owned::new((all.context_alloc)(), all.context_free)?;
            (all.context_set_maximum_image_size_limit)(context.pointer(), side);
            self.without_threads(&context);
            let read = all.context_read_from_memory_without_copy;
            checked(read(context.pointer(), file.as_ptr(), file.len(), null()))?;
            let mut handle = null_mut();
            checked((all.context_get_primary_image_handle)(
                context.pointer(),
                &raw mut handle,
            ))?;
            let handle = Owned::new(handle, all.image_handle_release)?;
            let alpha = (all.image_handle_has_alpha_channel)(handle.pointer()) != 0;
            let premultiplied = alpha && (all.image_handle_is_premultiplied_alpha)(handle.pointer()) != 0;
            let options = Owned::new((all.decoding_options_alloc)(), all.decoding_options_free)?;
            let chosen = options.pointer();
            if (*chosen).version >= 2 {
                (*chosen).convert_hdr_to_8bit = 1;
            }
            if (*chosen).version >= 3 {
                (*chosen).strict_decoding = 1;
            }
            let chroma = if alpha { CHROMA_RGBA } else { CHROMA_RGB };
            let mut image = null_mut();
            let decode = all.decode_image;
            checked(decode(
                handle.pointer(),
                &raw mut image,
                COLORSPACE_RGB,
                chroma,
                chosen,
            ))?;
            let image = Owned::new(image, all.image_release)?;
            self.pixels(&image, alpha, premultiplied).map(use_pixels)
        }
    }

    /// Has the library start no threads of its own for tiles.
    ///
    /// # Safety
    /// The context must be the library's.
    unsafe fn without_threads(&self, context: &Owned<c_void>) {
        const NAME: &[u8] = b"heif_context_set_max_decoding_threads\0";
        // SAFETY: `heif.h` of 1.13 and later declares the function with this type.
        unsafe {
            if let Ok(set) = self.loaded.get::<unsafe extern "C" fn(Pointer, c_int)>(NAME) {
                set(context.pointer(), 0);
            }
        }
    }

    /// # Safety
    /// The image must be the library's, decoded to this layout.
    unsafe fn pixels<'a>(
        &self,
        image: &'a Owned<c_void>,
        alpha: bool,
        premultiplied: bool,
    ) -> Result<Pixels<'a>, String> {
        let all = &self.functions;
        let mut stride = 0;
        // SAFETY: the functions read what the image has, and return -1 or null for what it has not.
        let (width, height, plane) = unsafe {
            (
                (all.image_get_width)(image.pointer(), CHANNEL_INTERLEAVED),
                (all.image_get_height)(image.pointer(), CHANNEL_INTERLEAVED),
                (all.image_get_plane_readonly)(image.pointer(), CHANNEL_INTERLEAVED, &raw mut stride),
            )
        };
        let other = || "libheif returned another layout than was asked for".to_owned();
        let positive = |number: c_int| u32::try_from(number).ok().filter(|number| *number > 0);
        let (width, height) = positive(width).zip(positive(height)).ok_or_else(other)?;
        let stride = usize::try_from(stride).map_err(|_| other())?;
        let row = width as usize * if alpha { 4 } else { 3 };
        if plane.is_null() || stride < row {
            return Err(other());
        }
        let length = stride
            .checked_mul(height as usize - 1)
            .and_then(|rows| rows.checked_add(row));
        // SAFETY: the plane has `height` rows that lie `stride` bytes apart, of which the last has at least its pixels; it
        // stays as long as the image, which is borrowed.
        let bytes = unsafe { std::slice::from_raw_parts(plane, length.ok_or_else(other)?) };
        Ok(Pixels {
            width,
            height,
            alpha,
            premultiplied,
            stride,
            bytes,
        })
    }
}

/// Something of the library that is freed with it.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
    _owns: PhantomData<T>,
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Result<Self, String> {
        let pointer = NonNull::new(pointer).ok_or("libheif has no memory left")?;
        Ok(Self {
            pointer,
            free,
            _owns: PhantomData,
        })
    }

    fn pointer(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the library has returned the pointer for this function to free, and it is freed nowhere else.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

fn checked(status: Status) -> Result<(), String> {
    if status.code == 0 {
        return Ok(());
    }
    Err(format!(
        "{} ({}.{})",
        text(status.message),
        status.code,
        status.subcode
    ))
}

/// A text of the library; none where the pointer is null.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the library's texts end with a zero.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Has the C library serve all threads from one heap: a heap of its own for each would take 64 MiB of addresses.
pub(crate) fn use_one_heap() {
    // SAFETY: it takes any two numbers, and refuses what it cannot use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Leaves it to the parent to end this process: a shutdown, which signals a whole group of processes, finishes in-flight
/// requests.
pub(crate) fn ignore_shutdown_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no handler is set that could run.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes what the parent may have left open besides standard input, output and error.
pub(crate) fn close_other_files() {
    // SAFETY: this process has opened no file; those that it has inherited nothing of it uses.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}
