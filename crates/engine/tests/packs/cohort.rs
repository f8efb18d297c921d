//! The cohort that similarities are normalised by: the pack's own, that of a calibration file, a file, or none.

use std::path::Path;

use likeness_engine::embedding::{Cohort, Embedding, EmbeddingBinding};
use likeness_engine::packs::{Manifest, Store};
use likeness_engine::{
    BuildError, CalibrationInfo, CohortChoice, EmbedOptions, Engine, EngineBuilder, VerifyOptions, check,
};
use likeness_testing::{Failed, Outcome, Suite, TestPack, ensure};

use crate::{CALIBRATION, builder, image, near, runtime, sound};

pub(crate) fn add_to(suite: &mut Suite) {
    suite.with_models("similarities_are_normalised_by_the_packs_cohort", packs_own);
    suite.with_models("without_a_cohort_the_points_for_the_cosine_count", none);
    suite.with_models(
        "a_pack_for_normalised_similarities_only_needs_its_cohort",
        normalised_only,
    );
    suite.with_models("a_calibration_file_brings_its_cohort", of_a_calibration_file);
    suite.with_models("a_cohort_file_must_be_that_of_the_calibration", of_a_file);
    suite.with_models("a_cohort_of_another_embedder_or_alignment_is_refused", of_another);
    suite.with_models("a_cohort_file_that_cannot_be_used_is_named", damaged);
    suite.with_models("raw_scores_and_uncalibrated_packs_take_any_cohort_file", raw);
    suite.with_models("the_fingerprint_follows_the_cohort", fingerprint);
}

/// 64 centroids on a half circle around the axis of the first dimension.
fn cohort_of(manifest: &Manifest, k: usize) -> Result<Vec<u8>, Failed> {
    let centroid = |index: u8| {
        let angle = f32::from(index) * std::f32::consts::PI / 63.0;
        Embedding::new(vec![angle.sin(), angle.cos(), 0.1])
    };
    let centroids: Vec<Embedding> = (0..64).map(centroid).collect::<Result<_, _>>()?;
    Ok(Cohort::encode(&EmbeddingBinding::of(manifest), k, &centroids)?)
}

/// The digest of a sound cohort.
fn sha256(bytes: &[u8]) -> String {
    let cohort = Cohort::parse(bytes);
    cohort.map_or_else(|error| error.to_string(), |cohort| cohort.sha256().to_owned())
}

fn manifest(pack: &TestPack) -> Result<Manifest, Failed> {
    Ok(Manifest::parse(&pack.manifest())?)
}

/// The tables of a match calibration named `normalised`, measured with this cohort.
fn normalised(table: &str, cohort: &str) -> String {
    format!(
        r#"
        [{table}]
        people = 3
        genuine_comparisons = 4
        impostor_comparisons = 5
        measured = {{ from = -0.1, to = 0.4 }}
        provenance = {{ name = "normalised", method = "by hand", data = "none", date = "2026-11-25" }}
        cohort = {cohort}
        points = [
            {{ similarity = -0.1, confidence = 0.4, false_match_rate = 1e-3 }},
            {{ similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 }},
        ]
        "#
    )
}

fn reference(sha256: &str) -> String {
    format!("{{ file = \"cohort.bin\", sha256 = \"{sha256}\" }}")
}

/// A pack with a cohort, and the bytes of that.
fn with_cohort(pack: TestPack) -> Result<(TestPack, Vec<u8>), Failed> {
    let cohort = cohort_of(&manifest(&pack)?, 8)?;
    let pack = pack.with(&normalised(
        "calibration.normalised",
        &reference(&sha256(&cohort)),
    ));
    Ok((pack, cohort))
}

/// A builder for a pack with a cohort and with points for the cosine as well.
fn own() -> Result<(tempfile::TempDir, EngineBuilder, Vec<u8>), Failed> {
    let (pack, cohort) = with_cohort(sound("own").with(CALIBRATION))?;
    let (folder, builder) = builder(&pack)?;
    std::fs::write(folder.path().join("cohort.bin"), &cohort)?;
    Ok((folder, builder, cohort))
}

/// Writes a calibration file for the pack in the folder, measured with a cohort.
fn calibration_file(folder: &Path, name: &str, cohort: Option<&str>) -> Result<std::path::PathBuf, Failed> {
    let manifest = Store::at(folder).manifest(&format!("{}/", folder.display()))?;
    let table = match cohort {
        Some(cohort) => normalised("calibration.match", cohort),
        None => CALIBRATION.to_owned(),
    };
    let path = folder.join(name);
    let head = format!(
        "format = 1\npack = \"{}\"\npack_version = \"{}\"\npack_digest = \"{}\"\n",
        manifest.name, manifest.version, manifest.digest
    );
    std::fs::write(&path, head + &table)?;
    Ok(path)
}

/// The embeddings of two faces.
fn embeddings(engine: &Engine) -> Result<[Embedding; 2], Failed> {
    let embedding = |colour| -> Result<Embedding, Failed> {
        let image = image(320, 320, colour, (128, 128))?;
        let face = engine.embed(&image, &EmbedOptions::default())?.into_iter().next();
        Ok(face.ok_or("no face")?.embedding)
    };
    Ok([embedding([0, 200, 0])?, embedding([0, 0, 200])?])
}

fn calibration_name(engine: &Engine) -> &str {
    match &engine.info().match_calibration {
        CalibrationInfo::Measured(name) => name.split(' ').next().unwrap_or_default(),
        _ => "",
    }
}

/// The cohort that the engine uses, by its digest.
fn used(engine: &Engine) -> Option<&str> {
    engine.info().cohort.as_ref().map(|cohort| cohort.sha256.as_str())
}

fn refused(builder: EngineBuilder) -> Result<String, Failed> {
    match builder.build() {
        Ok(engine) => Err(format!("it was built: {:?}", engine.info()).into()),
        Err(error @ BuildError::Setting(_)) => Ok(error.to_string()),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

fn packs_own() -> Outcome {
    let (folder, builder, bytes) = own()?;
    let engine = builder.build()?;
    ensure!(
        used(&engine) == Some(sha256(&bytes).as_str()),
        "{:?}",
        engine.info()
    );
    ensure!(calibration_name(&engine) == "normalised", "{:?}", engine.info());
    let pack = Store::at(folder.path()).load(&format!("{}/", folder.path().display()))?;
    let report = check(&runtime()?, &pack);
    let text = report.to_string();
    ensure!(
        report.is_well()
            && text.contains("match calibration: normalised (")
            && text.contains("\ncohort: 64 centroids ("),
        "{text}"
    );
    let label = format!("64 centroids ({:.8})", sha256(&bytes));
    ensure!(engine.labels().cohort == label, "{:?}", engine.labels());
    // A calibration that is measured with this engine refers to the cohort by its digest alone: it is the pack's.
    let reference = engine.cohort_reference().ok_or("no reference")?;
    ensure!(
        reference.file.is_none() && reference.sha256 == sha256(&bytes),
        "{reference:?}"
    );

    let cohort = Cohort::parse(&bytes)?;
    let [green, blue] = embeddings(&engine)?;
    let similarity = engine.similarity(&green, &blue)?;
    let expected = green.similarity(&blue)? - (cohort.level(&green)? + cohort.level(&blue)?) / 2.0;
    ensure!(
        near(similarity.cosine.into(), green.similarity(&blue)?.into())
            && near(similarity.value().into(), expected.into())
            && !near(similarity.value().into(), similarity.cosine.into()),
        "{similarity:?} instead of {expected}"
    );
    // The confidence is that of the normalised similarity, in a comparison as in a verification.
    let compared = engine.compare(&green, &blue)?;
    ensure!(
        compared.similarity == similarity && compared.confidence == engine.confidence(similarity.value())?,
        "{compared:?}"
    );
    let images = [[0, 200, 0], [0, 0, 200]].map(|colour| image(320, 320, colour, (128, 128)));
    let [selfie, photo] = images;
    let verified = engine.verify(&selfie?, &photo?, &VerifyOptions::default())?;
    ensure!(
        verified.similarity == Some(similarity) && verified.face_match == Some(compared.confidence),
        "{verified:?}"
    );
    let short = Embedding::new(vec![1.0, 0.0])?;
    let error = engine
        .similarity(&short, &short)
        .err()
        .ok_or("other embeddings were compared")?;
    ensure!(error.to_string().contains('2'), "{error}");
    Ok(())
}

fn none() -> Outcome {
    let (_folder, builder, _) = own()?;
    let engine = builder.cohort(CohortChoice::None).build()?;
    ensure!(
        used(&engine).is_none() && engine.cohort_reference().is_none() && calibration_name(&engine) == "test",
        "{:?}",
        engine.info()
    );
    ensure!(
        engine.labels().cohort == "none: similarities are cosines",
        "{:?}",
        engine.labels()
    );
    let [green, blue] = embeddings(&engine)?;
    let similarity = engine.similarity(&green, &blue)?;
    ensure!(
        similarity.normalised.is_none() && similarity.value() == green.similarity(&blue)?,
        "{similarity:?}"
    );
    Ok(())
}

fn normalised_only() -> Outcome {
    let (pack, cohort) = with_cohort(sound("own"))?;
    let (folder, builder) = builder(&pack)?;
    std::fs::write(folder.path().join("cohort.bin"), &cohort)?;
    builder.clone().build()?;
    let error = builder
        .cohort(CohortChoice::None)
        .build()
        .err()
        .ok_or("it was built")?;
    ensure!(matches!(error, BuildError::Uncalibrated { .. }), "{error:?}");
    Ok(())
}

fn of_a_calibration_file() -> Outcome {
    let (folder, builder, own) = own()?;
    let home = folder.path();
    let other = cohort_of(&Store::at(home).manifest(&format!("{}/", home.display()))?, 4)?;
    let digest = sha256(&other);

    // Measured with cosines: the pack's cohort does not apply.
    let cosines = calibration_file(home, "cosines.toml", None)?;
    let engine = builder.clone().calibration_file(&cosines).build()?;
    ensure!(
        used(&engine).is_none() && calibration_name(&engine) == "test",
        "{:?}",
        engine.info()
    );
    // Measured with the pack's own, which needs no file beside the calibration.
    let with_own = format!("{{ sha256 = \"{}\" }}", sha256(&own));
    let with_own = calibration_file(home, "own.toml", Some(&with_own))?;
    let engine = builder.clone().calibration_file(&with_own).build()?;
    ensure!(
        used(&engine) == Some(sha256(&own).as_str()),
        "{:?}",
        engine.info()
    );

    // Measured with another one, beside it.
    let beside = format!("{{ file = \"other.bin\", sha256 = \"{digest}\" }}");
    let beside = calibration_file(home, "beside.toml", Some(&beside))?;
    let with_beside = builder.clone().calibration_file(&beside);
    let error = refused(with_beside.clone())?;
    ensure!(
        error.starts_with(&format!("cohort {}: ", home.join("other.bin").display())),
        "{error}"
    );
    std::fs::write(home.join("other.bin"), &own)?;
    let error = refused(with_beside.clone())?;
    ensure!(
        error.contains("was measured with another one")
            && error.contains(&digest)
            && error.contains(&sha256(&own)),
        "{error}"
    );
    std::fs::write(home.join("other.bin"), &other)?;
    let engine = with_beside.clone().build()?;
    ensure!(used(&engine) == Some(digest.as_str()), "{:?}", engine.info());
    // It may lie elsewhere as well, if it is named.
    std::fs::rename(home.join("other.bin"), home.join("elsewhere.bin"))?;
    let elsewhere = CohortChoice::File(home.join("elsewhere.bin"));
    let engine = with_beside.clone().cohort(elsewhere).build()?;
    ensure!(used(&engine) == Some(digest.as_str()), "{:?}", engine.info());
    let reference = engine.cohort_reference().ok_or("no reference")?;
    ensure!(
        reference.file.as_deref() == Some("elsewhere.bin"),
        "{reference:?}"
    );

    let error = refused(with_beside.cohort(CohortChoice::None))?;
    ensure!(
        error.contains("it was measured with a cohort, but none is to be used: calibrate again"),
        "{error}"
    );
    // Without a file's name only the pack's own can be found.
    let nameless = calibration_file(
        home,
        "nameless.toml",
        Some(&format!("{{ sha256 = \"{digest}\" }}")),
    )?;
    let error = refused(builder.calibration_file(&nameless))?;
    ensure!(
        error.contains("it was measured with a cohort that is not the pack's, and names no file"),
        "{error}"
    );
    Ok(())
}

fn of_a_file() -> Outcome {
    let (folder, builder, own) = own()?;
    let home = folder.path();
    let file = home.join("file.bin");
    let with_file = builder.clone().cohort(CohortChoice::File(file.clone()));
    // The pack's own, under another name.
    std::fs::write(&file, &own)?;
    let engine = with_file.clone().build()?;
    ensure!(
        used(&engine) == Some(sha256(&own).as_str()) && calibration_name(&engine) == "normalised",
        "{:?}",
        engine.info()
    );
    // Another one: the pack's points are not about it.
    let other = cohort_of(&Store::at(home).manifest(&format!("{}/", home.display()))?, 4)?;
    std::fs::write(&file, &other)?;
    let error = refused(with_file.clone())?;
    ensure!(
        error.contains(
            "the match calibration was measured with another cohort: run `likeness calibrate match`"
        ),
        "{error}"
    );
    let cosines = calibration_file(home, "cosines.toml", None)?;
    let error = refused(with_file.calibration_file(&cosines))?;
    ensure!(
        error.contains("the match calibration was measured without a cohort"),
        "{error}"
    );
    Ok(())
}

fn of_another() -> Outcome {
    let other_pixels = sound("other")
        .manifest()
        .replace("std = [127.5, 127.5, 127.5]", "std = [128.0, 128.0, 128.0]");
    let other_crop = sound("other").manifest().replace(
        "template = \"arcface\"",
        "template = [[0.3, 0.5], [0.7, 0.5], [0.5, 0.7], [0.4, 0.8], [0.6, 0.8]]",
    );
    for (text, expected) in [
        (
            other_pixels,
            "was made with another embedder: make one with `likeness calibrate cohort`",
        ),
        (
            other_crop,
            "was made with another alignment: make one with `likeness calibrate cohort`",
        ),
    ] {
        let cohort = cohort_of(&Manifest::parse(&text)?, 8)?;
        let pack = sound("own").with(&normalised(
            "calibration.normalised",
            &reference(&sha256(&cohort)),
        ));
        let (folder, builder) = builder(&pack)?;
        std::fs::write(folder.path().join("cohort.bin"), &cohort)?;
        let error = refused(builder)?;
        ensure!(
            error.starts_with("cohort of the pack: the cohort was") && error.contains(expected),
            "{error}"
        );
        // The check says the same.
        let pack = Store::at(folder.path()).load(&format!("{}/", folder.path().display()))?;
        let report = check(&runtime()?, &pack);
        ensure!(
            !report.is_well() && report.faults().collect::<Vec<_>>() == [error],
            "{report}"
        );
    }
    Ok(())
}

fn damaged() -> Outcome {
    let (folder, builder, own) = own()?;
    let file = folder.path().join("file.bin");
    let with_file = builder.raw_scores(true).cohort(CohortChoice::File(file.clone()));
    for (bytes, expected) in [
        (&b"no cohort"[..], "it does not begin with LKCOHORT"),
        (&own[..own.len() - 1], "bytes of centroids expected"),
        (&own[..20], "it ends early"),
    ] {
        std::fs::write(&file, bytes)?;
        let error = refused(with_file.clone())?;
        ensure!(
            error.starts_with(&format!("cohort {}: ", file.display())) && error.contains(expected),
            "{error}"
        );
    }
    std::fs::remove_file(&file)?;
    let error = refused(with_file.clone())?;
    ensure!(
        error.starts_with(&format!("cohort {}: ", file.display())),
        "{error}"
    );
    // Nothing that might never end, such as a pipe, is opened.
    std::fs::create_dir(&file)?;
    let error = refused(with_file)?;
    ensure!(
        error == format!("cohort {}: it is not a file", file.display()),
        "{error}"
    );
    Ok(())
}

fn raw() -> Outcome {
    let plain = sound("own");
    let cohort = cohort_of(&manifest(&plain)?, 8)?;
    let (folder, builder) = builder(&plain)?;
    let file = folder.path().join("mine.bin");
    std::fs::write(&file, &cohort)?;
    let with_file = builder.cohort(CohortChoice::File(file));
    for engine in [
        with_file.clone().raw_scores(true).build()?,
        with_file.uncalibrated(true).build()?,
    ] {
        ensure!(
            used(&engine) == Some(sha256(&cohort).as_str()) && !engine.is_calibrated(),
            "{:?}",
            engine.info()
        );
        let [green, blue] = embeddings(&engine)?;
        ensure!(
            engine.similarity(&green, &blue)?.normalised.is_some(),
            "no normalised similarity"
        );
    }
    Ok(())
}

fn fingerprint() -> Outcome {
    let (folder, builder, own) = own()?;
    let file = folder.path().join("file.bin");
    std::fs::write(&file, &own)?;
    let calibrated = builder.fingerprint()?;
    let none = builder.clone().cohort(CohortChoice::None).fingerprint()?;
    ensure!(none == format!("{calibrated}, no cohort"), "{none}");
    let of_file = builder
        .clone()
        .cohort(CohortChoice::File(file.clone()))
        .fingerprint()?;
    ensure!(
        of_file == format!("{calibrated}, cohort {}", sha256(&own)),
        "{of_file}"
    );
    Ok(())
}
