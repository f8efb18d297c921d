//! `likeness embed` and `likeness verify --template`: the real binary with the real models on real images.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use likeness::embedding::{Embedding, EmbeddingBinding, FaceTemplate, TemplateError};
use likeness::{EngineError, EnrolOptions, VerifyOptions};
use likeness_testing::http::Json;
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

mod support;

use support::process::{Ended, Process, likeness};
use support::responses::{SAME_PERSON, assert_body};
use support::{engine, for_each, image};

const NO_FACE: &str = "awkward/Flag_of_the_Netherlands-16bit.png";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "a_template_decides_as_the_photo_that_it_was_made_of",
        decides_as_the_photo,
    );
    suite.with_shared_and_models("a_template_is_private_and_holds_what_is_documented", written);
    suite.with_shared_and_models("enrolment_says_what_is_found_about_the_photo", findings);
    suite.with_shared_and_models("a_template_that_cannot_be_used_is_refused_by_name", refused);
    suite.with_shared_and_models("the_library_enrols_and_verifies", library);
    suite.run()
}

/// Enrols an image of the shared test data.
fn embed(image: &Path, out: &Path) -> Result<Ended, Failed> {
    Process::run(likeness().arg("embed").arg(image).arg("--out").arg(out))
}

fn enrolled(image: &Path, folder: &Path) -> Result<PathBuf, Failed> {
    let out = folder.join("reference.template");
    let ended = embed(image, &out)?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    Ok(out)
}

fn verify(selfie: &Path, template: &Path, arguments: &[&str]) -> Result<Ended, Failed> {
    let mut command = likeness();
    command.arg("verify").arg(selfie).arg("--template").arg(template);
    Process::run(command.args(arguments))
}

fn decides_as_the_photo(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let photo = shared.join("data").join(SAME_PERSON.1);
    let template = enrolled(&photo, folder.path())?;
    let selfies = [
        SAME_PERSON.0,
        "faces/img30.jpg",
        "groups/2008_001009.jpg",
        "liveness/nuaa/live/0004_01_00_02_459.jpg",
        NO_FACE,
    ];
    for_each(selfies.map(|name| (name, name)), |name| {
        let selfie = shared.join("data").join(name);
        let by_photo = Process::run(likeness().args(["verify", "--json"]).args([&selfie, &photo]))?;
        let by_template = verify(&selfie, &template, &["--json"])?;
        ensure!(by_photo.code == by_template.code, "{by_photo:?}\n{by_template:?}");
        let bodies = [&by_photo, &by_template].map(|ended| Json::parse(ended.stdout.as_bytes()));
        let [by_photo, by_template] = bodies;
        let (by_photo, by_template) = (by_photo?.at("response_data")?, by_template?.at("response_data")?);
        ensure_eq!(
            by_template.at("biometric.selfie")?,
            by_photo.at("biometric.selfie")?
        );
        // The numbers of a template are rounded to half precision.
        let confidence = |body: &Json| body.number("biometric.face_match_confidence");
        let difference = (confidence(&by_template)? - confidence(&by_photo)?).abs();
        ensure!(difference <= 0.002, "{by_template:?} instead of {by_photo:?}");
        let codes = |body: &Json| -> Result<Vec<String>, Failed> {
            let details = body.list("decision.details")?;
            details
                .iter()
                .map(|line| Ok(line.text("code")?.to_owned()))
                .collect()
        };
        // Nothing is found about a photo that is not there.
        let mut expected = codes(&by_photo)?;
        expected.retain(|code| !code.ends_with("_IN_IMAGE") && code != "SAME_IMAGE");
        ensure_eq!(codes(&by_template)?, expected);
        Ok(())
    })?;
    // What is printed for people has the same form as of two images.
    let ended = verify(
        &shared.join("data").join(SAME_PERSON.0),
        &template,
        &["--profile", "strict-v0"],
    )?;
    ensure!(
        ended.code == Some(0)
            && ended.stdout.starts_with("PASS  match 0.")
            && ended.stdout.contains("(normalised similarity 0.")
            && ended.stdout.ends_with(", profile strict-v0\n"),
        "{ended:?}"
    );
    let ended = verify(&shared.join("data").join(SAME_PERSON.0), &template, &["--json"])?;
    assert_body("verification_against_a_template", ended.stdout.as_bytes());
    Ok(())
}

fn written(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let image = shared.join("data").join(SAME_PERSON.0);
    let path = enrolled(&image, folder.path())?;
    let bytes = std::fs::read(&path)?;
    let template = FaceTemplate::parse(&bytes)?;
    let dimensions = template.embedding().values().len();
    ensure_eq!(bytes.len(), 112 + 2 * dimensions);
    ensure_eq!(&bytes[..12], b"LKFACETP\x01\0\0\0".as_slice());
    ensure_eq!(&bytes[76..80], &u32::try_from(dimensions)?.to_le_bytes());
    let engine = engine()?;
    ensure_eq!(Some(template.binding()), engine.embedding_binding());
    let mode = std::fs::metadata(&path)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "others can read it: {mode:o}");
    // The same image gives the same template, in place of the one before; nothing else is left in the folder.
    std::fs::write(&path, b"old")?;
    enrolled(&image, folder.path())?;
    ensure!(
        std::fs::read(&path)? == bytes,
        "another template of the same image"
    );
    ensure_eq!(std::fs::read_dir(folder.path())?.count(), 1);
    // Both built-in packs have this embedder.
    let ended = verify(&image, &path, &["--pack", "open-1"])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(())
}

fn findings(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let data = |name: &str| shared.join("data").join(name);
    let ended = embed(&data("faces/couple.jpg"), &out)?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure_eq!(
        ended.stdout,
        format!(
            "wrote {}\n  warning MULTIPLE_FACES_IN_IMAGE: Multiple faces detected in the photo image: 2\n",
            out.display()
        )
    );
    let out = folder.path().join("none");
    for (image, expected) in [
        (NO_FACE, "no face detected, no template written"),
        ("awkward-faces/text.jpg", "the file is not an image"),
        ("absent.jpg", "cannot read "),
    ] {
        let ended = embed(&data(image), &out)?;
        ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
        ensure!(ended.stderr.contains(expected), "{ended:?}");
    }
    let nowhere = folder.path().join("nowhere/out");
    let ended = embed(&data(SAME_PERSON.0), &nowhere)?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("no such folder"),
        "{ended:?}"
    );
    ensure!(!out.exists(), "a template of nothing");
    Ok(())
}

fn refused(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let selfie = shared.join("data").join(SAME_PERSON.0);
    let good = std::fs::read(enrolled(&selfie, folder.path())?)?;
    let (embedding, binding) = {
        let template = FaceTemplate::parse(&good)?;
        (template.embedding().clone(), *template.binding())
    };
    let made = |binding, embedding: &Embedding| -> Result<Vec<u8>, Failed> {
        Ok(FaceTemplate::new(binding, embedding)?.as_bytes().to_vec())
    };
    let other_embedder = EmbeddingBinding {
        embedder: [0xab; 32],
        ..binding
    };
    let other_alignment = EmbeddingBinding {
        alignment: [0xcd; 32],
        ..binding
    };
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    let path = folder.path().join("refused");
    let cases = [
        (
            "another embedder",
            made(other_embedder, &embedding)?,
            "made with another embedder (abababab, of no built-in pack), this engine has ",
        ),
        (
            "another alignment",
            made(other_alignment, &embedding)?,
            "made with another alignment (cdcdcdcd)",
        ),
        // With the right digests, which anyone can write.
        (
            "forged",
            made(binding, &Embedding::new(vec![1.0, 0.0, 0.0])?)?,
            "numbers cannot be compared",
        ),
        ("flipped", flipped, "its checksum is wrong: the file is damaged"),
        ("cut", good[..90].to_vec(), "bytes expected, 90 found"),
        (
            "an image",
            std::fs::read(&selfie)?,
            "it does not begin with LKFACETP",
        ),
        ("empty", Vec::new(), "it ends early"),
        ("endless", vec![0; 200_000], "it does not begin with LKFACETP"),
    ];
    for_each(cases.map(|case| (case.0, case)), |(_, bytes, expected)| {
        std::fs::write(&path, bytes)?;
        let ended = verify(&selfie, &path, &[])?;
        ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
        ensure!(ended.stderr.contains(expected), "{ended:?}");
        Ok(())
    })?;
    // What to do, and as a body.
    std::fs::write(&path, made(other_embedder, &embedding)?)?;
    let ended = verify(&selfie, &path, &[])?;
    ensure!(
        ended.stderr.contains("open-1") && ended.stderr.contains("enrol the photo again"),
        "{ended:?}"
    );
    let ended = verify(&selfie, &path, &["--json"])?;
    let body = Json::parse(ended.stdout.as_bytes())?;
    ensure_eq!(body.text("error.code")?, "INVALID_PARAMETER");
    // Usage.
    for arguments in [&["--multiface"][..], &["photo.jpg"]] {
        let ended = verify(&selfie, &path, arguments)?;
        ensure!(
            ended.code == Some(2) && ended.stderr.contains("cannot be used with"),
            "{ended:?}"
        );
    }
    Ok(())
}

fn library(shared: &Path) -> Outcome {
    let engine = engine()?;
    let photo = image(shared, SAME_PERSON.1)?;
    let enrolment = engine.enrol(&photo, &EnrolOptions::default())?;
    ensure!(enrolment.findings.is_empty(), "{enrolment:?}");
    ensure_eq!(enrolment.photo.faces.len(), 1);
    let template = enrolment.template.ok_or("no template")?;
    let selfie = image(shared, SAME_PERSON.0)?;
    let options = VerifyOptions::default();
    let against = engine.verify_against(&template, &selfie, &options)?;
    // The same before it is written and after it is read.
    let read = FaceTemplate::parse(template.as_bytes())?;
    let again = engine.verify_against(&read, &selfie, &options)?;
    ensure_eq!(again.similarity, against.similarity);
    let of_photo = engine.verify(&selfie, &photo, &options)?;
    let cosines = [of_photo.similarity, against.similarity].map(|it| it.map(|it| it.cosine));
    let [Some(of_photo), Some(of_template)] = cosines else {
        return Err("no similarity".into());
    };
    ensure!(
        (of_photo - of_template).abs() < 1e-3,
        "{of_photo} and {of_template}"
    );
    let multiface = options.clone().with_photo_multiface(true);
    let error = engine.verify_against(&template, &selfie, &multiface);
    ensure!(
        matches!(&error, Err(EngineError::Option(problem)) if problem.contains("photo_multiface")),
        "{error:?}"
    );
    let none = engine.enrol(&image(shared, NO_FACE)?, &EnrolOptions::default())?;
    ensure!(none.template.is_none(), "{none:?}");
    ensure_eq!(none.findings.len(), 1);
    let other = EmbeddingBinding {
        embedder: [0; 32],
        ..*template.binding()
    };
    let other = FaceTemplate::new(other, template.embedding())?;
    let error = engine.verify_against(&other, &selfie, &options);
    ensure!(
        matches!(
            error,
            Err(EngineError::Template(TemplateError::OtherEmbedder { .. }))
        ),
        "{error:?}"
    );
    Ok(())
}
