//! How images are taken shows in the decision: good portraits bring no finding, and each way to spoil one brings its
//! own and no other.

use std::path::Path;
use std::process::ExitCode;

use image::{ImageFormat, RgbImage, imageops};
use likeness::decision::{Code, Finding, Profile, QualityChecks, Verdict};
use likeness::{EmbedOptions, Engine, LivenessOptions, Verification, VerifyOptions};
use likeness_engine::detection::{BoundingBox, Point};
use likeness_engine::imaging::{Affine, Image, PixelRect, crop_resize_bilinear, shrink_area, warp_affine};
use likeness_testing::{Failed, Outcome, Suite, ensure};

mod support;

use likeness_testing::http::{Form, Json};
use support::process::{Process, likeness as command};
use support::server::{APP, Server};
use support::{decoded as read, engine, for_each, image as picture};

/// Portraits of one large face each, of seven people.
const PORTRAITS: [&str; 8] = [
    "img2.jpg",
    "img3.jpg",
    "img9.jpg",
    "img11.jpg",
    "img17.jpg",
    "img38.jpg",
    "img43.jpg",
    "img54.jpg",
];

/// Of people with dark skin in fair light: the darkest faces of LFW's development view that are not in the shade.
const DARK_SKIN: [&str; 6] = [
    "Keith_Brown/Keith_Brown_0001.jpg",
    "Derrick_Rodgers/Derrick_Rodgers_0001.jpg",
    "Milt_Palacio/Milt_Palacio_0001.jpg",
    "Kobe_Bryant/Kobe_Bryant_0003.jpg",
    "Michael_Jordan/Michael_Jordan_0003.jpg",
    "Antwun_Echols/Antwun_Echols_0001.jpg",
];

/// Of people who look to the side, by eye: to the left and to the right of the image.
const TURNED: [(&str, f64); 4] = [
    ("Franz_Muentefering/Franz_Muentefering_0003.jpg", -1.0),
    ("Laura_Bush/Laura_Bush_0011.jpg", -1.0),
    ("Gary_Bald/Gary_Bald_0001.jpg", 1.0),
    ("Colleen_OClair/Colleen_OClair_0001.jpg", 1.0),
];

/// Pixels between the eyes of the portraits before they are spoilt, at most: that keeps spoiling them quick.
const EYES: f64 = 120.0;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("good_portraits_bring_no_finding", good_portraits);
    suite.with_shared_and_models("dark_skin_in_fair_light_is_not_underexposed", dark_skin);
    suite.with_shared_and_models(
        "each_way_to_spoil_a_portrait_brings_its_own_finding",
        spoilt_portraits,
    );
    suite.with_shared_and_models("who_looks_to_the_side_is_turned_away", turned);
    suite.with_shared_and_models(
        "the_face_that_was_compared_is_the_one_that_is_measured",
        matched_face,
    );
    suite.with_shared_and_models("the_liveness_call_reports_the_same_numbers", liveness);
    suite.with_shared_and_models("the_command_line_tells_it", command_line);
    suite.with_shared_and_models("a_profile_of_the_service_makes_it_a_review_or_nothing", service);
    suite.run()
}

/// What a verification says of how the images were taken; what it says of the faces is not of interest here.
fn findings(verification: &Verification) -> Vec<&'static str> {
    let codes = verification.decision.details.iter().map(|line| line.code);
    codes.filter(is_finding).map(Code::as_str).collect()
}

/// Whether a code is about how an image was taken: those stand after all others, but for that of the same image twice, which is
/// what is verified here.
fn is_finding(code: &Code) -> bool {
    let place = |code: &Code| Code::ALL.iter().position(|other| other == code);
    place(code) > place(&Code::MultipleFacesInImage) && *code != Code::SameImage
}

fn good_portraits(shared: &Path) -> Outcome {
    let engine = engine()?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(shared.join("data/faces"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // The largest face of the one group is cut by the border, and is found to be so elsewhere.
        if name.ends_with(".jpg") && name != "selfie-many-people.jpg" {
            names.push(name);
        }
    }
    names.sort();
    ensure!(names.len() >= 50, "{} portraits", names.len());
    for_each(names.iter().map(|name| (name, name)), |name| {
        let portrait = read(shared, &format!("faces/{name}"))?;
        let answer = engine.verify(&portrait, &portrait, &VerifyOptions::default())?;
        ensure!(findings(&answer).is_empty(), "{:?}", answer.decision.details);
        let quality = answer.selfie.quality.ok_or("not measured")?;
        ensure!(
            answer.photo.quality == Some(quality),
            "{quality:?} and {:?} of the same image",
            answer.photo.quality
        );
        Ok(())
    })
}

fn dark_skin(shared: &Path) -> Outcome {
    let engine = engine()?;
    for_each(DARK_SKIN.map(|name| (name, name)), |name| {
        let portrait = read(shared, &format!("lfw-dev/images/{name}"))?;
        let answer = engine.verify(&portrait, &portrait, &VerifyOptions::default())?;
        ensure!(
            !findings(&answer).iter().any(|code| code.contains("EXPOSED")),
            "{:?}",
            answer.decision.details
        );
        Ok(())
    })
}

/// A portrait whose eyes are at most [`EYES`] apart, and where its face is.
struct Portrait {
    image: Image,
    /// Pixels between the eyes.
    eyes: f64,
    face: BoundingBox,
}

impl Portrait {
    fn of(engine: &Engine, image: &Image) -> Result<Self, Failed> {
        let faces = engine.embed(image, &EmbedOptions::default())?;
        let face = faces.first().ok_or("no face")?.face;
        let [Point { x, y }, left_eye, ..] = face.landmarks;
        let eyes = f64::from(left_eye.x - x).hypot(f64::from(left_eye.y - y));
        let ratio = (EYES / eyes).min(1.0);
        let scaled = |value: f32| value * ratio as f32;
        Ok(Self {
            image: shrunk(image, ratio),
            eyes: eyes * ratio,
            face: BoundingBox {
                x: scaled(face.bounding_box.x),
                y: scaled(face.bounding_box.y),
                width: scaled(face.bounding_box.width),
                height: scaled(face.bounding_box.height),
            },
        })
    }
}

fn shrunk(image: &Image, ratio: f64) -> Image {
    let length = |side: u32| (f64::from(side) * ratio) as u32;
    shrink_area(image, length(image.width()), length(image.height()))
}

/// Each value of each pixel made another.
fn mapped(image: &Image, change: impl Fn(f64) -> f64) -> Result<Image, Failed> {
    let pixels = image.as_rgb8().iter();
    let pixels = pixels.map(|&value| (change(f64::from(value) / 255.0) * 255.0).round() as u8);
    Ok(Image::from_rgb8(image.width(), image.height(), pixels.collect())?)
}

/// `times` as much light, as a sensor with a transfer curve of 2.2 would have recorded it.
fn lit(image: &Image, times: f64) -> Result<Image, Failed> {
    mapped(image, |value| (value.powf(2.2) * times).min(1.0).powf(1.0 / 2.2))
}

fn blurred(image: &Image, sigma: f64) -> Result<Image, Failed> {
    let (width, height) = (image.width(), image.height());
    let pixels = RgbImage::from_raw(width, height, image.as_rgb8().to_vec()).ok_or("no image")?;
    let blurred = imageops::blur(&pixels, sigma as f32);
    Ok(Image::from_rgb8(width, height, blurred.into_raw())?)
}

/// Made larger as programs do it, by a cubic filter.
fn enlarged(image: &Image, width: u32, height: u32) -> Result<Image, Failed> {
    let pixels = RgbImage::from_raw(image.width(), image.height(), image.as_rgb8().to_vec());
    let pixels = pixels.ok_or("no image")?;
    let large = imageops::resize(&pixels, width, height, imageops::FilterType::CatmullRom);
    Ok(Image::from_rgb8(width, height, large.into_raw())?)
}

/// A part of the image, as far as it reaches.
fn part(image: &Image, left: f32, top: f32, right: f32, bottom: f32) -> Image {
    let part = BoundingBox {
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
    }
    .clipped(image.width(), image.height());
    let (width, height) = (part.width as u32, part.height as u32);
    let rect = PixelRect {
        left: part.x as u32,
        top: part.y as u32,
        width,
        height,
    };
    crop_resize_bilinear(image, rect, width, height)
}

/// Turned clockwise about the middle of the face.
fn rotated(portrait: &Portrait, degrees: f64) -> Image {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let face = portrait.face;
    let (x, y) = (
        f64::from(face.x + face.width / 2.0),
        f64::from(face.y + face.height / 2.0),
    );
    let map = Affine::new(cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y);
    warp_affine(
        &portrait.image,
        &map,
        portrait.image.width(),
        portrait.image.height(),
    )
}

/// The head in the upper left corner of a grey image that is four times as wide and high.
fn cornered(portrait: &Portrait) -> Result<Image, Failed> {
    let face = portrait.face;
    let (margin_x, margin_y) = (0.25 * face.width, 0.25 * face.height);
    let head = part(
        &portrait.image,
        face.x - margin_x,
        face.y - margin_y,
        face.x + face.width + margin_x,
        face.y + face.height + margin_y,
    );
    let (width, height) = (4 * head.width() as usize, 4 * head.height() as usize);
    let mut pixels = vec![128; 3 * width * height];
    let rows = head.as_rgb8().chunks_exact(3 * head.width() as usize);
    for (row, source) in pixels.chunks_exact_mut(3 * width).zip(rows) {
        row[..source.len()].copy_from_slice(source);
    }
    Ok(Image::from_rgb8(width as u32, height as u32, pixels)?)
}

/// A portrait that was spoilt, and what is found then.
struct Spoilt {
    how: &'static str,
    image: Image,
    /// The code without the image.
    code: &'static str,
    /// What may be found as well: the detector guesses the landmarks that it does not see, and little is left around a face that is
    /// cut.
    perhaps: Option<[&'static str; 2]>,
}

fn spoilt(portrait: &Portrait) -> Result<Vec<Spoilt>, Failed> {
    let Portrait { image, eyes, face } = portrait;
    let (left, top, right, bottom) = (face.x, face.y, face.x + face.width, face.y + face.height);
    // What is left and right of a face, and above and below it, so that one that is cut is not far from the middle too.
    let (aside, away) = (0.8 * face.width, 0.8 * face.height);
    let cut = |cut: [f32; 4]| {
        let [from_left, from_top, from_right, from_bottom] = cut;
        part(
            image,
            left + from_left * face.width,
            top + from_top * face.height,
            right - from_right * face.width,
            bottom - from_bottom * face.height,
        )
    };
    let side = aside / face.width;
    let height = away / face.height;
    let copies = [
        ("24 px between the eyes", "SMALL_FACE", shrunk(image, 24.0 / eyes)),
        ("out of focus", "BLURRED_FACE", blurred(image, 0.05 * eyes)?),
        (
            "enlarged",
            "BLURRED_FACE",
            enlarged(&shrunk(image, 10.0 / eyes), image.width(), image.height())?,
        ),
        (
            "a 25th of the light",
            "UNDEREXPOSED_FACE",
            lit(image, 1.0 / 25.0)?,
        ),
        ("ten times the light", "OVEREXPOSED_FACE", lit(image, 10.0)?),
        (
            "cut from the left",
            "CUT_FACE",
            cut([0.3, -height, -side, -height]),
        ),
        (
            "cut from the right",
            "CUT_FACE",
            cut([-side, -height, 0.3, -height]),
        ),
        ("cut from above", "CUT_FACE", cut([-side, 0.3, -side, -height])),
        ("cut from below", "CUT_FACE", cut([-side, -height, -side, 0.25])),
        ("turned clockwise", "TURNED_FACE", rotated(portrait, 35.0)),
        (
            "turned counter-clockwise",
            "TURNED_FACE",
            rotated(portrait, -35.0),
        ),
        ("in the corner", "OFF_CENTRE_FACE", cornered(portrait)?),
    ];
    Ok(copies
        .into_iter()
        .map(|(how, code, image)| Spoilt {
            how,
            image,
            code,
            // A mouth or an eye that is not there is put where there is room for it.
            perhaps: (code == "CUT_FACE").then_some(["TURNED_FACE", "NO_SURROUNDINGS"]),
        })
        .collect())
}

fn spoilt_portraits(shared: &Path) -> Outcome {
    let engine = engine()?;
    let verified = |image: &Image| engine.verify(image, image, &VerifyOptions::default());
    for_each(PORTRAITS.map(|name| (name, name)), |name| {
        let portrait = Portrait::of(&engine, &read(shared, &format!("faces/{name}"))?)?;
        let answer = verified(&portrait.image)?;
        ensure!(findings(&answer).is_empty(), "{:?}", answer.decision.details);
        let copies = spoilt(&portrait)?;
        for_each(copies.into_iter().map(|copy| (copy.how, copy)), |copy| {
            let answer = verified(&copy.image)?;
            let mut found = findings(&answer);
            let quality = answer.selfie.quality;
            found.retain(|code| {
                !copy
                    .perhaps
                    .iter()
                    .flatten()
                    .any(|perhaps| code.starts_with(perhaps))
            });
            let mut expected = vec![format!("{}_IN_SELFIE", copy.code)];
            if copy.code != "OFF_CENTRE_FACE" {
                expected.push(format!("{}_IN_IMAGE", copy.code));
            }
            ensure!(
                found == expected,
                "{found:?} instead of {expected:?}: {quality:?}"
            );
            for line in answer
                .decision
                .details
                .iter()
                .filter(|line| is_finding(&line.code))
            {
                let is_review = line.code == Code::NoSurroundingsInSelfie;
                ensure!((line.verdict == Verdict::Review) == is_review, "{line:?}");
            }
            Ok(())
        })
    })
}

fn turned(shared: &Path) -> Outcome {
    let engine = engine()?;
    for_each(TURNED.map(|(name, side)| (name, (name, side))), |(name, side)| {
        let portrait = read(shared, &format!("lfw-dev/images/{name}"))?;
        let answer = engine.verify(&portrait, &portrait, &VerifyOptions::default())?;
        ensure!(
            findings(&answer) == ["TURNED_FACE_IN_SELFIE", "TURNED_FACE_IN_IMAGE"],
            "{:?}: {:?}",
            findings(&answer),
            answer.selfie.quality
        );
        let yaw = answer.selfie.quality.ok_or("not measured")?.pose.yaw;
        ensure!(yaw * side > 0.0, "turned by {yaw}");
        Ok(())
    })
}

/// The largest face of the photo is cut; the one that is the selfie's is whole.
fn matched_face(shared: &Path) -> Outcome {
    let engine = engine()?;
    let selfie = read(shared, "faces/img11.jpg")?;
    let photo = read(shared, "groups/selfie-many-people.jpg")?;
    let verify = |multiface| {
        let options = VerifyOptions::default().with_photo_multiface(multiface);
        engine.verify(&selfie, &photo, &options)
    };
    let largest = verify(false)?;
    ensure!(
        findings(&largest) == ["CUT_FACE_IN_IMAGE"],
        "{:?}",
        largest.decision.details
    );
    let best = verify(true)?;
    ensure!(
        findings(&best).is_empty() && best.matched_face != Some(0),
        "{:?}",
        best.decision.details
    );
    ensure!(best.photo.quality != largest.photo.quality, "{best:?}");
    // Without a face there is nothing to measure.
    let flag = read(shared, "awkward/Flag_of_the_Netherlands-16bit.png")?;
    let nobody = engine.verify(&flag, &selfie, &VerifyOptions::default())?;
    ensure!(nobody.selfie.quality.is_none(), "{nobody:?}");
    ensure!(nobody.photo.quality.is_some(), "{nobody:?}");
    Ok(())
}

fn liveness(shared: &Path) -> Outcome {
    let engine = engine()?;
    let selfie = read(shared, "faces/img2.jpg")?;
    let check = engine.liveness(&selfie, &LivenessOptions::default())?;
    let verified = engine.verify(&selfie, &selfie, &VerifyOptions::default())?;
    ensure!(
        check.selfie.quality.is_some() && check.selfie.quality == verified.selfie.quality,
        "{:?} and {:?}",
        check.selfie.quality,
        verified.selfie.quality
    );
    Ok(())
}

fn png(image: &Image) -> Result<Vec<u8>, Failed> {
    let pixels = RgbImage::from_raw(image.width(), image.height(), image.as_rgb8().to_vec());
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.ok_or("no image")?.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// A selfie that is out of focus, as a file.
fn blurred_selfie(shared: &Path) -> Result<Vec<u8>, Failed> {
    let portrait = Portrait::of(&engine()?, &read(shared, "faces/img2.jpg")?)?;
    png(&blurred(&portrait.image, 0.05 * portrait.eyes)?)
}

/// Code, decision and text of the lines about quality in the body of an answer, and its three scores.
fn findings_of(body: &Json) -> Result<(Vec<[String; 3]>, [f64; 3]), Failed> {
    let decision = body.at("response_data.decision")?;
    let mut lines = Vec::new();
    for line in decision.list("details")? {
        if line.text("code")?.contains("_FACE_IN_") {
            lines.push([
                line.text("code")?.to_owned(),
                line.text("decision")?.to_owned(),
                line.text("description")?.to_owned(),
            ]);
        }
    }
    let score = |name| decision.number(name);
    let scores = [
        score("reject_score")?,
        score("review_score")?,
        score("warning_score")?,
    ];
    Ok((lines, scores))
}

const BLURRED: &str = "Face blurred in the selfie image: sharpness * (actual) < 0.5";

fn command_line(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let selfie = folder.path().join("selfie.png");
    std::fs::write(&selfie, blurred_selfie(shared)?)?;
    let ended = Process::run(
        command()
            .args(["verify", "--json"])
            .arg(&selfie)
            .arg(shared.join("data/faces/img11.jpg")),
    )?;
    let (lines, scores) = findings_of(&Json::parse(ended.stdout.as_bytes())?)?;
    let [[code, decision, text]] = lines.as_slice() else {
        return Err(format!("{ended:?}").into());
    };
    ensure!(
        code == "BLURRED_FACE_IN_SELFIE"
            && decision == "warning"
            && support::captures(BLURRED, text).is_some(),
        "{ended:?}"
    );
    let [_, _, warning] = scores;
    ensure!(warning == 1.0, "{ended:?}");
    Ok(())
}

fn service(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.toml");
    std::fs::write(
        &file,
        r#"
            [[profiles]]
            name = "sharp"
            face_match = { reject_below = 0.0, review_below = 0.0 }
            liveness = { reject_below = 0.0, review_below = 0.0 }
            quality = { blurred_face = { verdict = "review" } }

            [[profiles]]
            name = "soft"
            face_match = { reject_below = 0.0, review_below = 0.0 }
            liveness = { reject_below = 0.0, review_below = 0.0 }

            [profiles.quality.blurred_face]
            below = 0.01

            [request_limits]
            deadline_seconds = 60
        "#,
    )?;
    let server = Server::start_command(
        command()
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--config"])
            .arg(&file)
            .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key)),
    )?;
    let form = Form::pair(&blurred_selfie(shared)?, &picture(shared, "faces/img11.jpg")?);
    for (profile, expected, scores) in [
        ("sharp", Some("review"), [0.0, 1.0, 0.0]),
        ("soft", None, [0.0, 0.0, 0.0]),
    ] {
        let form = form.clone().text("profile", profile);
        let answer = server.post("/v0.2/biometric-verification", &form)?;
        let (lines, found) = findings_of(&answer.json()?)?;
        let decisions: Vec<_> = lines
            .iter()
            .map(|[code, decision, _]| (code.as_str(), decision.as_str()))
            .collect();
        let expected: Vec<_> = expected
            .map(|decision| ("BLURRED_FACE_IN_SELFIE", decision))
            .into_iter()
            .collect();
        ensure!(decisions == expected && found == scores, "{profile}: {answer:?}");
    }

    // A bound that cannot be is told by name before the service starts.
    std::fs::write(
        &file,
        r#"
            [[profiles]]
            name = "own"
            face_match = { reject_below = 0.0, review_below = 0.0 }
            liveness = { reject_below = 0.0, review_below = 0.0 }
            quality = { cut_face = { below = 90 } }
        "#,
    )?;
    let ended = Process::run(
        command()
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key)),
    )?;
    ensure!(
        ended.code != Some(0)
            && ended
                .stderr
                .contains("quality.cut_face.below is 90, but must be a number from 0 to 1"),
        "{ended:?}"
    );
    // And so it is where a program makes the profile.
    let mut checks = QualityChecks::off();
    checks.cut_face.below = 90.0;
    checks.cut_face.verdict = Finding::Review;
    ensure!(
        Profile::default().with_quality(checks).is_err(),
        "{checks:?} was taken"
    );
    Ok(())
}
