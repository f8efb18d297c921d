//! What cannot be judged is not judged silently: selfies that hold too little or have no colour, the same image twice, and photos
//! that a face fills.

use std::path::Path;
use std::process::ExitCode;

use jpeg_encoder::{ColorType, Encoder};
use likeness::{EmbedOptions, Engine, LivenessOptions, VerifyOptions};
use likeness_engine::detection::BoundingBox;
use likeness_engine::imaging::{Image, ImageLimits, PixelRect, crop_resize_bilinear, decode, shrink_area};
use likeness_testing::http::{Form, Json};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

mod support;

use support::process::{Process, likeness as command};
use support::server::{APP, Server};
use support::{decoded as read, engine, for_each, image as file};

/// Two portraits of one person, both live.
const SELFIE: &str = "faces/img2.jpg";
const PHOTO: &str = "faces/img11.jpg";

/// Live portraits whose liveness fails where they are cut to the face.
const PORTRAITS: [&str; 3] = ["faces/img2.jpg", "faces/img11.jpg", "faces/img17.jpg"];

/// Live portraits whose liveness fails without their colour.
const GREY: [&str; 3] = ["faces/img2.jpg", "faces/img9.jpg", "faces/img17.jpg"];

/// Images of LFW in which nothing is found where they are cut to the middle half of the face.
const FILLED: [&str; 3] = [
    "Sylvester_Stallone_0006.jpg",
    "Liu_Xiaoqing_0001.jpg",
    "Darrell_Porter_0001.jpg",
];

const BIOMETRIC: &str = "/v0.2/biometric-verification";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "a_selfie_cut_to_its_face_is_a_review_that_says_why",
        tight_selfies,
    );
    suite.with_shared_and_models("a_grey_copy_has_the_reason_beside_its_liveness", grey_selfies);
    suite.with_shared_and_models("copies_of_a_photo_are_the_same_image", copies);
    suite.with_shared_and_models("other_photos_of_a_person_are_not_the_same_image", others);
    suite.with_shared_and_models("whole_portraits_and_webcam_frames_bring_none_of_this", whole);
    suite.with_shared_and_models("a_face_that_fills_the_photo_is_found", filled);
    suite.with_shared_and_models("where_there_is_no_face_a_border_makes_none", faceless);
    suite.with_shared_and_models("the_service_tells_it_and_a_profile_rejects_it", service);
    suite.with_shared_and_models("the_liveness_command_tells_it", command_line);
    suite.run()
}

fn jpeg(image: &Image, quality: u8) -> Result<Vec<u8>, Failed> {
    let (width, height) = (u16::try_from(image.width())?, u16::try_from(image.height())?);
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, quality).encode(image.as_rgb8(), width, height, ColorType::Rgb)?;
    Ok(bytes)
}

fn half(image: &Image) -> Image {
    shrink_area(image, image.width() / 2, image.height() / 2)
}

fn grey(image: &Image, tint: f32) -> Result<Image, Failed> {
    let (pixels, _) = image.as_rgb8().as_chunks::<3>();
    let pixels = pixels.iter().flat_map(|[red, green, blue]| {
        let grey = 0.3 * f32::from(*red) + 0.59 * f32::from(*green) + 0.11 * f32::from(*blue);
        [grey * (1.0 + tint), grey, grey * (1.0 - tint)].map(|value| value.round() as u8)
    });
    Ok(Image::from_rgb8(image.width(), image.height(), pixels.collect())?)
}

/// The primary face with so much around it, in units of its box, as far as the image holds it.
fn cut(engine: &Engine, image: &Image, margin: f32) -> Result<Image, Failed> {
    let found = engine.embed(image, &EmbedOptions::default())?;
    let BoundingBox { x, y, width, height } = found.first().ok_or("no face")?.face.bounding_box;
    let side = |start: f32, length: f32, limit: u32| {
        let within = |value: f32| value.round().clamp(0.0, limit as f32) as u32;
        let low = within(start - margin * length);
        (low, within(start + (1.0 + margin) * length) - low)
    };
    let ((left, width), (top, height)) = (side(x, width, image.width()), side(y, height, image.height()));
    let rect = PixelRect {
        left,
        top,
        width,
        height,
    };
    Ok(crop_resize_bilinear(image, rect, width, height))
}

/// The codes of a verification, with their verdicts.
fn codes(engine: &Engine, selfie: &Image, photo: &Image) -> Result<Vec<String>, Failed> {
    let answer = engine.verify(selfie, photo, &VerifyOptions::default())?;
    let lines = answer.decision.details.iter();
    Ok(lines
        .map(|line| format!("{} {}", line.code, line.verdict))
        .collect())
}

fn has(codes: &[String], code: &str) -> bool {
    codes.iter().any(|found| found == code)
}

fn tight_selfies(shared: &Path) -> Outcome {
    let engine = engine()?;
    let photo = read(shared, PHOTO)?;
    for_each(PORTRAITS.map(|name| (name, name)), |name| {
        let whole = read(shared, name)?;
        for (margin, expected) in [(0.0, true), (0.1, true), (0.4, false)] {
            let found = codes(&engine, &cut(&engine, &whole, margin)?, &photo)?;
            let reason = has(&found, "NO_SURROUNDINGS_IN_SELFIE review");
            ensure!(reason == expected, "margin {margin}: {found:?}");
            let failed = found
                .iter()
                .any(|code| code.starts_with("FAILED_SELFIE_LIVENESS"));
            ensure!(
                !failed || reason,
                "margin {margin}: liveness fails without a reason: {found:?}"
            );
        }
        Ok(())
    })
}

fn grey_selfies(shared: &Path) -> Outcome {
    let engine = engine()?;
    let photo = read(shared, PHOTO)?;
    for_each(GREY.map(|name| (name, name)), |name| {
        let selfie = read(shared, name)?;
        for tint in [0.0, 0.05] {
            let found = codes(&engine, &grey(&selfie, tint)?, &photo)?;
            let failed = found
                .iter()
                .any(|line| line.starts_with("FAILED_SELFIE_LIVENESS"));
            ensure!(failed, "tint {tint}: {found:?}");
            ensure!(has(&found, "GREY_SELFIE warning"), "tint {tint}: {found:?}");
        }
        let dim = selfie.as_rgb8().iter().map(|value| value / 5).collect();
        let dim = Image::from_rgb8(selfie.width(), selfie.height(), dim)?;
        let found = codes(&engine, &dim, &photo)?;
        ensure!(!has(&found, "GREY_SELFIE warning"), "in dim light: {found:?}");
        Ok(())
    })
}

fn copies(shared: &Path) -> Outcome {
    let engine = engine()?;
    for_each(PORTRAITS.map(|name| (name, name)), |name| {
        let original = read(shared, name)?;
        let copies = [
            ("compressed", jpeg(&original, 30)?),
            ("scaled", jpeg(&half(&original), 80)?),
            ("cropped", jpeg(&cut(&engine, &original, 0.5)?, 90)?),
            ("all of it", jpeg(&half(&cut(&engine, &original, 0.2)?), 50)?),
        ];
        for (how, copy) in copies {
            let copy = decode(&copy, &ImageLimits::default())?;
            for (selfie, photo) in [(&original, &copy), (&copy, &original)] {
                let found = codes(&engine, selfie, photo)?;
                ensure!(has(&found, "SAME_IMAGE warning"), "{how}: {found:?}");
            }
        }
        Ok(())
    })
}

fn others(shared: &Path) -> Outcome {
    let engine = engine()?;
    let list = String::from_utf8(file(shared, "faces/pairs.csv")?)?;
    let pairs = list
        .lines()
        .filter_map(|line| line.strip_suffix(",1")?.split_once(','));
    let mut compared = 0;
    for (left, right) in pairs {
        let selfie = read(shared, &format!("faces/{left}"))?;
        let photo = read(shared, &format!("faces/{right}"))?;
        let answer = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
        ensure!(!answer.same_image, "{left} and {right}");
        compared += 1;
    }
    ensure!(compared > 20, "{compared} pairs");
    Ok(())
}

fn whole(shared: &Path) -> Outcome {
    let engine = engine()?;
    let mut checked = 0;
    for folder in ["faces", "liveness/nuaa/live"] {
        for entry in std::fs::read_dir(shared.join("data").join(folder))? {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "jpg") {
                continue;
            }
            let check = engine.liveness(&std::fs::read(&path)?, &LivenessOptions::default())?;
            let found = check.findings.iter().map(|line| line.code.as_str());
            let found: Vec<_> = found
                .filter(|code| ["NO_SURROUNDINGS_IN_SELFIE", "GREY_SELFIE"].contains(code))
                .collect();
            ensure!(found.is_empty(), "{}: {found:?}", path.display());
            checked += 1;
        }
    }
    ensure!(checked > 200, "{checked} images");
    Ok(())
}

fn filled(shared: &Path) -> Outcome {
    let engine = engine()?;
    for_each(FILLED.map(|name| (name, name)), |name| {
        let person = name.rsplit_once("_0").map_or(name, |(person, _)| person);
        let whole = read(shared, &format!("lfw-dev/images/{person}/{name}"))?;
        let tight = cut(&engine, &whole, -0.25)?;
        let answer = engine.verify(&whole, &tight, &VerifyOptions::default())?;
        ensure!(answer.face_match.is_some(), "no face: {:?}", answer.decision);
        ensure_eq!(
            (answer.photo.size.width, answer.photo.size.height),
            (tight.width(), tight.height())
        );
        let face = answer.photo.faces.first().ok_or("no face")?.bounding_box;
        let covered = face.area() / (tight.width() * tight.height()) as f32;
        ensure!((0.9..=1.0).contains(&covered), "{face:?} covers {covered}");
        // A selfie is told that it shows no face.
        let as_selfie = engine.verify(&tight, &whole, &VerifyOptions::default())?;
        ensure!(as_selfie.selfie.faces.is_empty(), "{:?}", as_selfie.selfie);
        Ok(())
    })
}

fn faceless(shared: &Path) -> Outcome {
    let engine = engine()?;
    let embed = |image: &Image| engine.embed(image, &EmbedOptions::default());
    // The detector takes dogs for faces, as it does without a border.
    let dogs = read(shared, "groups/dogs.jpg")?;
    let (width, height) = (dogs.width(), dogs.height());
    ensure_eq!(embed(&dogs)?.len(), 1);
    // Its lower corners, and what has no face at all.
    let corner = |left| {
        let rect = PixelRect {
            left,
            top: height * 3 / 4,
            width: width / 4,
            height: height / 4,
        };
        crop_resize_bilinear(&dogs, rect, rect.width, rect.height)
    };
    let flag = read(shared, "awkward/Flag_of_the_Netherlands-16bit.png")?;
    for image in [
        &corner(0),
        &corner(width * 3 / 4),
        &flag,
        &read(shared, "awkward/with-alpha.png")?,
    ] {
        ensure!(embed(image)?.is_empty(), "a face in {image:?}");
    }
    Ok(())
}

/// The lines of a response, code and decision.
fn lines(body: &Json) -> Result<Vec<String>, Failed> {
    let details = body.list("response_data.decision.details")?;
    let line = |line: &Json| Ok(format!("{} {}", line.text("code")?, line.text("decision")?));
    details.iter().map(line).collect()
}

fn service(shared: &Path) -> Outcome {
    let engine = engine()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("likeness.toml");
    std::fs::write(
        &config,
        r#"
            [[profiles]]
            name = "wary"
            face_match = { reject_below = 0.0, review_below = 0.0 }
            liveness = { reject_below = 0.0, review_below = 0.0 }

            [profiles.quality]
            same_image = { verdict = "reject" }
            grey_selfie = { verdict = "review" }
            no_surroundings = { verdict = "off" }

            [request_limits]
            deadline_seconds = 60
        "#,
    )?;
    let server = Server::start_command(
        command()
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--config"])
            .arg(&config)
            .env("LIKENESS_APPS", format!("{}:{}", APP.id, APP.key)),
    )?;
    let original = read(shared, SELFIE)?;
    let tight = jpeg(&cut(&engine, &original, 0.0)?, 95)?;
    let grey = jpeg(&grey(&original, 0.0)?, 95)?;
    let (selfie, photo) = (file(shared, SELFIE)?, file(shared, PHOTO)?);
    let copy = jpeg(&half(&original), 80)?;
    let cases = [
        (
            "optimal-v0",
            &tight,
            &photo,
            "NO_SURROUNDINGS_IN_SELFIE review",
            true,
        ),
        ("wary", &tight, &photo, "NO_SURROUNDINGS_IN_SELFIE review", false),
        ("optimal-v0", &grey, &photo, "GREY_SELFIE warning", true),
        ("wary", &grey, &photo, "GREY_SELFIE review", true),
        ("optimal-v0", &selfie, &selfie, "SAME_IMAGE warning", true),
        ("wary", &selfie, &selfie, "SAME_IMAGE reject", true),
        ("wary", &selfie, &copy, "SAME_IMAGE reject", true),
        ("wary", &selfie, &photo, "SAME_IMAGE reject", false),
    ];
    for (profile, selfie, photo, expected, is_there) in cases {
        let form = Form::pair(selfie, photo).text("profile", profile);
        let response = server.post(BIOMETRIC, &form)?;
        response.expect(200)?;
        let found = lines(&response.json()?)?;
        ensure!(
            has(&found, expected) == is_there,
            "{profile}, {expected}: {found:?}"
        );
        let code = expected.split(' ').next().unwrap_or_default();
        let others = found.iter().any(|line| line.starts_with(code));
        ensure!(others == is_there, "{profile}, {code}: {found:?}");
    }
    Ok(())
}

fn command_line(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let selfie = folder.path().join("selfie.jpg");
    std::fs::write(&selfie, jpeg(&grey(&read(shared, SELFIE)?, 0.0)?, 95)?)?;
    let ended = Process::run(command().arg("liveness").arg(&selfie))?;
    ensure_eq!(ended.code, Some(4));
    ensure!(
        ended.stdout.starts_with("NOT LIVE")
            && ended
                .stdout
                .contains("  warning GREY_SELFIE: The selfie image has no colour\n"),
        "{ended:?}"
    );
    Ok(())
}
