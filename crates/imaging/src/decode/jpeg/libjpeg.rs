//! libjpeg's decompressor, with a bound on its memory and a deadline.
//!
//! The crate `mozjpeg` gives access to neither: both are set in libjpeg's structures, which it keeps private.

#![allow(unsafe_code)]

use std::ffi::c_long;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::ptr;

use mozjpeg_sys::{
    self as libjpeg, J_COLOR_SPACE, jpeg_common_struct, jpeg_decompress_struct, jpeg_error_mgr,
    jpeg_progress_mgr,
};

use super::errors;
use crate::{ImagingError, Interrupt};

/// A decompressor over a file in memory.
///
/// Every method may unwind with an [`ImagingError`]: after that only dropping is of use.
pub(super) struct Decompressor<'a> {
    state: Pin<Box<State<'a>>>,
}

/// What libjpeg has pointers to: it stays where it is.
struct State<'a> {
    info: jpeg_decompress_struct,
    errors: jpeg_error_mgr,
    progress: Progress<'a>,
    file: PhantomData<&'a [u8]>,
    _pinned: PhantomPinned,
}

/// What libjpeg calls at every row of blocks of every scan, and at every call for rows of pixels.
#[repr(C)]
struct Progress<'a> {
    /// The first field: libjpeg's pointer to it is one to all of this.
    manager: jpeg_progress_mgr,
    interrupt: Interrupt<'a>,
}

impl<'a> Decompressor<'a> {
    /// Reads the header. `max_bytes` bounds the coefficients that are kept of several scans.
    pub(super) fn open(bytes: &'a [u8], max_bytes: u64, interrupt: Interrupt<'a>) -> Self {
        let progress = Progress {
            manager: jpeg_progress_mgr {
                progress_monitor: Some(watch),
                pass_counter: 0,
                pass_limit: 0,
                completed_passes: 0,
                total_passes: 0,
            },
            interrupt,
        };
        // SAFETY: a structure of C of numbers and pointers, for which zeros are values: that is how libjpeg's own
        // `jpeg_CreateDecompress` fills it. Every reference in it is behind an `Option` or a raw pointer.
        let info = unsafe { MaybeUninit::<jpeg_decompress_struct>::zeroed().assume_init() };
        let mut this = Self {
            state: Box::pin(State {
                info,
                errors: errors::manager(),
                progress,
                file: PhantomData,
                _pinned: PhantomPinned,
            }),
        };
        let state = this.state();
        state.info.common.err = &raw mut state.errors;
        // SAFETY: the structure is zeroed and has an error manager, as its documentation asks. If it unwinds for want of
        // memory, it has freed what it had.
        unsafe { libjpeg::jpeg_create_decompress(&raw mut state.info) };
        state.info.common.progress = (&raw mut state.progress).cast();
        // SAFETY: a decompressor has a memory manager, which is its own.
        if let Some(memory) = unsafe { state.info.common.mem.as_mut() } {
            memory.max_memory_to_use = c_long::try_from(max_bytes).unwrap_or(c_long::MAX);
        }
        // SAFETY: the bytes outlive `'a`, and with it this. libjpeg reads them and writes nothing.
        unsafe {
            libjpeg::jpeg_mem_src(
                &mut state.info,
                bytes.as_ptr(),
                bytes.len().try_into().unwrap_or(std::ffi::c_ulong::MAX),
            );
            libjpeg::jpeg_read_header(&mut state.info, 1);
        }
        this
    }

    /// The sides that the header declares.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.state.info.image_width, self.state.info.image_height)
    }

    /// Reads what precedes the first row, of several scans all but the rows, for so many eighths of the size in either
    /// direction and these colours. The sides that rows then have.
    pub(super) fn start(&mut self, eighths: u32, colours: J_COLOR_SPACE) -> (u32, u32) {
        let info = &mut self.state().info;
        info.scale_num = eighths;
        info.scale_denom = 8;
        info.out_color_space = colours;
        // SAFETY: the header was read.
        unsafe { libjpeg::jpeg_start_decompress(info) };
        (info.output_width, info.output_height)
    }

    /// Reads the next row: `false` where there is none, or its length is another.
    pub(super) fn read_row(&mut self, row: &mut [u8]) -> bool {
        let info = &mut self.state().info;
        let length = info.output_width as usize * usize::try_from(info.output_components).unwrap_or(0);
        if row.len() != length || info.output_scanline >= info.output_height {
            return false;
        }
        let mut rows = [row.as_mut_ptr()];
        // SAFETY: decompression was started, or `output_height` were zero; one row is asked for, and it is as long as
        // libjpeg's own numbers say.
        unsafe { libjpeg::jpeg_read_scanlines(info, rows.as_mut_ptr(), 1) == 1 }
    }

    fn state(&mut self) -> &mut State<'a> {
        // SAFETY: nothing here moves the state out of its box.
        unsafe { self.state.as_mut().get_unchecked_mut() }
    }
}

impl Drop for Decompressor<'_> {
    fn drop(&mut self) {
        let info = &mut self.state().info;
        info.common.progress = ptr::null_mut();
        // SAFETY: created above, and not yet destroyed. It frees memory, and calls nothing that unwinds.
        unsafe { libjpeg::jpeg_destroy_decompress(info) };
    }
}

/// Ends the decode once its interrupt is due.
extern "C-unwind" fn watch(shared: &mut jpeg_common_struct) {
    // SAFETY: `open` has pointed `progress` at one, which lives and lies where it did for as long as libjpeg is called.
    let progress = unsafe { shared.progress.cast::<Progress<'_>>().as_ref() };
    if progress.is_some_and(|progress| progress.interrupt.is_due()) {
        // Not `panic!`: the hook would print it, and a passed deadline is no bug.
        resume_unwind(Box::new(ImagingError::Interrupted));
    }
}
