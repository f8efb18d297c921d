//! Whole responses for images of every kind, as snapshots; and against the documented samples. For errors that need no
//! certain file see the contract.

use std::path::Path;

use likeness_testing::contract::{NOT_AN_IMAGE, corrupt, expect_unreadable};
use likeness_testing::http::{BRANCH_PROFILES, Form, Json, pretty};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

use crate::SERVER;
use crate::support::responses::{
    OPTIMAL, PERMISSIVE, SAME_PERSON, SAME_PERSON_BODY, STRICT, assert_bodies, assert_body,
    follows_from_its_numbers, numbers_are_written_as_documented,
};
use crate::support::server::BRANCH;
use crate::support::{captures, for_each, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models(
        "responses::have_the_structure_of_the_documented_samples",
        structure,
    );
    suite.with_shared_and_models("responses::verifications_of_every_kind", verifications);
    suite.with_shared_and_models("responses::all_faces_of_a_photo_and_the_best_match", multiface);
    suite.with_shared_and_models("responses::each_profile_has_its_thresholds", profiles);
    suite.with_shared_and_models("responses::liveness_of_every_kind", liveness);
    suite.with_shared_and_models("responses::both_versions_respond_alike", versions);
    suite.with_shared_and_models("responses::unsupported_and_corrupt_files", unreadable);
    suite.with_models("responses::information_names_pack_and_provider", information);
}

const LIVE: &str = "faces/img11.jpg";
const OTHER_PERSON: &str = "faces/img30.jpg";
const PRINT: &str = "liveness/nuaa/print/0001_00_00_01_0.jpg";
const NO_FACE: &str = "awkward/Flag_of_the_Netherlands-16bit.png";
/// Two faces, the second with more than a quarter of the first one's area. Below the least size of `/v0.1`.
const TWO_FACES: &str = "groups/2008_001009.jpg";
const CROWD: &str = "groups/selfie-many-people.jpg";
/// Two images of one person; the liveness of the first is near 0.50, between the thresholds of the profiles.
const UNSURE: (&str, &str) = (
    "liveness/nuaa/live/0004_01_00_02_459.jpg",
    "liveness/nuaa/live/0004_01_00_01_176.jpg",
);

const BIOMETRIC: &str = "/v0.2/biometric-verification";
const LIVENESS: &str = "/v0.2/liveness-verification";

fn pair(shared: &Path, (selfie, photo): (&str, &str)) -> Result<Form, Failed> {
    Ok(Form::pair(&image(shared, selfie)?, &image(shared, photo)?))
}

fn selfie(shared: &Path, name: &str) -> Result<Form, Failed> {
    Ok(Form::new().file("selfie", &image(shared, name)?))
}

/// The samples of the documentation beside its restatement.
fn structure(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    // A print that is compared with another person fails both checks, as in the sample.
    for (path, form, sample) in [
        (
            "/v0.1/biometric-verification",
            pair(shared, (PRINT, LIVE))?,
            "sample-biometric-verification.json",
        ),
        (
            "/v0.1/liveness-verification",
            selfie(shared, PRINT)?,
            "sample-liveness-verification.json",
        ),
    ] {
        let response = server.post(path, &form)?;
        let sample = std::fs::read(shared.join("api").join(sample))?;
        ensure_eq!(kinds(&response.body)?, kinds(&sample)?);
        for body in [&response.body, &sample] {
            let body = Json::parse(body)?;
            let details = body.list("response_data.decision.details").unwrap_or_default();
            for line in details {
                let text = line.text("description")?;
                ensure!(
                    captures("*threshold failed: * < * (actual) < *", text).is_some(),
                    "{text}"
                );
            }
        }
    }
    Ok(())
}

/// Returns the lines of a body with the kind of each value in its place, and codes as they are.
fn kinds(body: &[u8]) -> Result<Vec<String>, Failed> {
    let kind = |line: &str| {
        let Some((key, value)) = line.split_once("\": ") else {
            return line.to_owned();
        };
        let value = value.trim_end_matches(',');
        let kind = match key.trim().trim_start_matches('"') {
            "code" => value,
            // Either kind, as the number is whole or not: the sample has both.
            "confidence" if value.parse::<f64>().is_ok() => "number",
            _ if value.starts_with('"') => "text",
            _ if value.starts_with(['[', '{']) => value,
            _ if value.parse::<i64>().is_ok() => "integer",
            _ if value.parse::<f64>().is_ok() => "decimal",
            _ => value,
        };
        format!("{key}: {kind}")
    };
    Ok(pretty(body)?.lines().map(kind).collect())
}

fn verifications(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let cases = [
        ("two persons", (SAME_PERSON.0, OTHER_PERSON)),
        ("a print of another person", (PRINT, LIVE)),
        ("no face in the selfie", (NO_FACE, LIVE)),
        ("no face in the photo", (LIVE, NO_FACE)),
        ("no face in either", (NO_FACE, NO_FACE)),
        ("several faces in both", (TWO_FACES, TWO_FACES)),
        (
            "several faces in the photo, the largest of which is another person's",
            (LIVE, CROWD),
        ),
    ];
    let response = server.post(BIOMETRIC, &pair(shared, SAME_PERSON)?)?;
    assert_body(SAME_PERSON_BODY, &response.body);
    follows_from_its_numbers(&response.json()?, OPTIMAL)?;
    let mut bodies = Vec::new();
    for_each(cases.map(|case| (case.0, case)), |(name, images)| {
        let response = server.post(BIOMETRIC, &pair(shared, images)?)?;
        response.expect(200)?;
        bodies.push((name.to_owned(), response.body.clone()));
        follows_from_its_numbers(&response.json()?, OPTIMAL)
    })?;
    assert_bodies("verifications", &bodies)
}

/// The match is that of the second face; of the largest alone it is 0.05, as the snapshot of [`verifications`] shows.
fn multiface(shared: &Path) -> Outcome {
    let form = pair(shared, (LIVE, CROWD))?.text("image_multiface", "true");
    let response = SERVER.get()?.post(BIOMETRIC, &form)?;
    assert_body("verification_with_image_multiface", &response.body);
    let faces = response
        .json()?
        .list("response_data.biometric.image.faces_predicted")?;
    let area = |face: &Json| -> Result<f64, Failed> { Ok(face.number("delta.x")? * face.number("delta.y")?) };
    let areas = faces.iter().map(area).collect::<Result<Vec<_>, _>>()?;
    ensure!(
        areas.is_sorted_by(|a, b| a >= b),
        "not in the order of size: {areas:?}"
    );
    follows_from_its_numbers(&response.json()?, OPTIMAL)
}

fn profiles(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let unsure = pair(shared, UNSURE)?;
    let with = |profile: Option<&str>| {
        profile.map_or_else(|| unsure.clone(), |name| unsure.clone().text("profile", name))
    };
    let mut bodies = Vec::new();
    for (profile, thresholds) in [
        (None, OPTIMAL),
        (Some("permissive-v0"), PERMISSIVE),
        (Some("optimal-v0"), OPTIMAL),
        (Some("strict-v0"), STRICT),
    ] {
        let response = server.post(BIOMETRIC, &with(profile))?;
        response.expect(200)?;
        bodies.push((profile.unwrap_or("none").to_owned(), response.body.clone()));
        follows_from_its_numbers(&response.json()?, thresholds)?;
    }
    assert_bodies("verifications_by_profile", &bodies)?;
    // An app's own default holds where the request names no profile, and where it names one that the app may use.
    for (profile, thresholds) in [(None, STRICT), (Some(BRANCH_PROFILES.1), OPTIMAL)] {
        let response = server.send(&with(profile).request(BIOMETRIC, &BRANCH.headers()))?;
        response.expect(200)?;
        follows_from_its_numbers(&response.json()?, thresholds)?;
    }
    Ok(())
}

fn liveness(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let cases = [
        ("live", LIVE, None),
        ("not live", PRINT, None),
        ("no face", NO_FACE, None),
        ("below the usual threshold", UNSURE.0, None),
        ("a threshold below the score", UNSURE.0, Some("0.3")),
        ("a threshold above the score", UNSURE.0, Some("0.6")),
        ("the lowest threshold", PRINT, Some("0")),
        ("the highest threshold", UNSURE.0, Some("1.0")),
        (
            "a threshold with an exponent, and space around it",
            UNSURE.0,
            Some(" 3e-1 "),
        ),
        ("no face is never live", NO_FACE, Some("0")),
    ];
    let mut bodies = Vec::new();
    for (name, file, threshold) in cases {
        let mut form = selfie(shared, file)?;
        if let Some(threshold) = threshold {
            form = form.text("threshold", threshold);
        }
        let response = server.post(LIVENESS, &form)?;
        response.expect(200)?;
        numbers_are_written_as_documented("", &*response.json()?)?;
        bodies.push((name.to_owned(), response.body));
    }
    assert_bodies("liveness", &bodies)
}

fn versions(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    for (endpoint, form) in [
        ("biometric-verification", pair(shared, SAME_PERSON)?),
        ("liveness-verification", selfie(shared, LIVE)?),
    ] {
        let first = server.post(&format!("/v0.1/{endpoint}"), &form)?.content()?;
        let second = server.post(&format!("/v0.2/{endpoint}"), &form)?.content()?;
        ensure_eq!(first, second, "{endpoint}");
    }
    Ok(())
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

fn information() -> Outcome {
    let info = SERVER.get()?.get("/info")?.json()?;
    for (key, expected) in [
        ("cohort", "228 centroids (*)"),
        ("liveness_calibration", "five-models (2026-11-30, *)"),
        ("match_calibration", "lfw-dev (2026-11-30, *)"),
        ("pack", "open-2"),
        ("pack_version", "*"),
        ("provider", "cpu"),
    ] {
        let found = info.text(key)?;
        ensure!(captures(expected, found).is_some(), "{key} is {found:?}");
    }
    Ok(())
}
