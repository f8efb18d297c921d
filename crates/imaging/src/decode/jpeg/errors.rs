//! What libjpeg complains of, and what is made of it.
//!
//! libjpeg calls back, with a number. From an error there is no return, so it unwinds, through C that was compiled for
//! it. After a warning it would go on and make up what is missing. Here a warning unwinds too, unless the pixels are
//! known to be right in spite of it.

use std::os::raw::c_int;
use std::panic::resume_unwind;
use std::ptr;

use mozjpeg_sys::{self as libjpeg, jpeg_common_struct, jpeg_error_mgr};

use crate::{Format, ImagingError};

// Another setting of libjpeg's numbers some messages differently.
const _: () = assert!(libjpeg::JPEG_LIB_VERSION == 62);

#[cfg(panic = "abort")]
compile_error!("a damaged JPEG would end the process: likeness-imaging needs `panic = \"unwind\"`");

/// The error that a number of libjpeg's stands for.
fn error(code: c_int) -> ImagingError {
    let reason = match code {
        libjpeg::JWRN_HIT_MARKER | libjpeg::JERR_FILE_READ => "it was cut short",
        libjpeg::JWRN_HUFF_BAD_CODE => "its pixels are in no code that it defines",
        libjpeg::JWRN_MUST_RESYNC => "a restart marker is missing",
        libjpeg::JWRN_BOGUS_PROGRESSION | libjpeg::JERR_BAD_PROGRESSION => "its scans contradict each other",
        libjpeg::JERR_BAD_COMPONENT_ID => "a scan of a component that it does not have",
        libjpeg::JERR_BAD_HUFF_TABLE | libjpeg::JERR_DHT_INDEX | libjpeg::JERR_NO_HUFF_TABLE => {
            "a Huffman table is wrong or missing"
        }
        libjpeg::JERR_DQT_INDEX | libjpeg::JERR_NO_QUANT_TABLE => "a quantisation table is wrong or missing",
        libjpeg::JERR_BAD_LENGTH => "a segment has the wrong length",
        libjpeg::JERR_BAD_SAMPLING | libjpeg::JERR_BAD_MCU_SIZE => "its sampling factors are too large",
        libjpeg::JERR_SOF_DUPLICATE => "it has two frame headers",
        libjpeg::JERR_SOI_DUPLICATE
        | libjpeg::JERR_SOS_NO_SOF
        | libjpeg::JERR_SOF_NO_SOS
        | libjpeg::JERR_EOI_EXPECTED
        | libjpeg::JERR_UNKNOWN_MARKER => "a segment is where it does not belong",
        libjpeg::JERR_OUT_OF_MEMORY | libjpeg::JERR_NO_BACKING_STORE => {
            "it asks for more memory than its headers explain"
        }
        _ => return Format::Jpeg.corrupt(format!("libjpeg's message {code}")),
    };
    Format::Jpeg.corrupt(reason)
}

/// Has libjpeg unwind with an [`ImagingError`], and print nothing.
pub(super) fn manager() -> jpeg_error_mgr {
    jpeg_error_mgr {
        error_exit: Some(unwind),
        emit_message: Some(weigh),
        output_message: Some(ignore),
        // Only the standard manager's functions call it or look at the tables.
        format_message: None,
        reset_error_mgr: Some(ignore),
        msg_code: 0,
        msg_parm: libjpeg::msg_parm_union::default(),
        trace_level: 0,
        num_warnings: 0,
        jpeg_message_table: ptr::null(),
        last_jpeg_message: 0,
        addon_message_table: ptr::null(),
        first_addon_message: 0,
        last_addon_message: 0,
    }
}

/// Warnings about what does not touch the pixels; for all but the last, Pillow and every browser show the image.
fn is_harmless(code: c_int) -> bool {
    matches!(
        code,
        // Bytes between segments, or behind a scan's last block.
        libjpeg::JWRN_EXTRANEOUS_DATA
            // A colour transform that does not exist; it is taken for the usual one.
            | libjpeg::JWRN_ADOBE_XFORM
            // A newer version of JFIF.
            | libjpeg::JWRN_JFIF_MAJOR
            // A sequential scan with a progressive one's parameters, which are not used.
            | libjpeg::JWRN_NOT_SEQUENTIAL
            // The end of the file before the marker for it. The scans are known to be all there, and if a bit of the
            // last one is missing, `JWRN_HIT_MARKER` follows.
            | libjpeg::JWRN_JPEG_EOF
    )
}

extern "C-unwind" fn ignore(_: &mut jpeg_common_struct) {}

extern "C-unwind" fn weigh(shared: &mut jpeg_common_struct, level: c_int) {
    // Zero and more are traces.
    if level < 0 && !is_harmless(message(shared)) {
        unwind(shared);
    }
}

#[cold]
extern "C-unwind" fn unwind(shared: &mut jpeg_common_struct) {
    // Not `panic!`: the hook would print it, and a stranger's file is no bug of ours.
    resume_unwind(Box::new(error(message(shared))));
}

/// The number of the message that libjpeg is calling about.
#[allow(unsafe_code)]
fn message(shared: &jpeg_common_struct) -> c_int {
    // SAFETY: libjpeg passes the structure that it works on. `Decompressor::open` has pointed `err` at the manager, which
    // lives and lies where it did for as long as libjpeg is called, and nothing writes to it meanwhile: libjpeg has
    // written the number before the call, and waits.
    unsafe { shared.err.as_ref() }.map_or(0, |manager| manager.msg_code)
}
