//! Files that are refused: those of the shared test data. For all other errors see the contract.

use std::path::Path;

use likeness_testing::contract::{NOT_AN_IMAGE, corrupt, expect_unreadable};
use likeness_testing::{Outcome, Suite};

use crate::SERVER;
use crate::support::{for_each, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("errors::unsupported_and_corrupt_files", unreadable);
}

fn unreadable(shared: &Path) -> Outcome {
    let unsupported = |format: &str| {
        format!(
            "The {format} file in `{{}}` is not supported (*). Save it as an ordinary JPEG or PNG and send that."
        )
    };
    let (format, damage) = ((415, "UNSUPPORTED_IMAGE_FORMAT"), (422, "CORRUPT_IMAGE"));
    let cases = [
        ("awkward-faces/text.jpg", format, NOT_AN_IMAGE.to_owned()),
        ("awkward/phone.heic", format, unsupported("HEIC")),
        ("awkward/pitm.avif", format, unsupported("AVIF")),
        ("awkward/relax.jp2", format, unsupported("JPEG 2000")),
        ("awkward-faces/truncated_half.jpg", damage, corrupt("JPEG")),
        ("awkward/truncated.jpg", damage, corrupt("JPEG")),
        (
            "awkward/65536-uint32-limit.png",
            (422, "IMAGE_TOO_LARGE"),
            "The picture in `{}` is 65536x65536 pixels; each side may have at most 10000, and the whole at most 64000000."
                .to_owned(),
        ),
    ];
    for_each(
        cases.map(|case| (case.0, case)),
        |(name, (status, code), message)| {
            expect_unreadable(SERVER.get()?, &image(shared, name)?, status, code, &message)
        },
    )
}
