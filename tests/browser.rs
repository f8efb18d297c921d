//! The console in a browser: each page is opened and used, without an error of the console, a request to another host, a
//! violation of the Content-Security-Policy or a serious one of accessibility. Screenshots go into `.out/console`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use likeness_testing::http::Form;
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, has_models, shared};
use tokio::runtime;

use browser::{Browser, Programs};
use support::console::{TOKEN, address, serve};
use support::server::Server;

#[path = "support/browser.rs"]
mod browser;
mod support;

type Test = fn(&Programs, &Path) -> Outcome;

/// Two images of one person, and one of another, below `shared/data`.
const SELFIE: &str = "faces/img2.jpg";
const PHOTO: &str = "faces/img11.jpg";
const OTHER: &str = "faces/img3.jpg";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let needed = || {
        let data = shared()
            .filter(|_| has_models())
            .ok_or("needs ../shared and models")?;
        Ok((Programs::find()?, data.join("data")))
    };
    let tests: [(&str, Test); 6] = [
        ("two_images_are_tried", try_page),
        ("the_camera_takes_the_selfie", camera),
        ("an_app_is_created_and_used", apps),
        ("the_system_page_reloads_and_checks", system),
        ("recorded_verifications_are_found_and_recounted", records),
        ("login_and_logout_by_keyboard", login),
    ];
    for (name, test) in tests {
        suite.with(name, needed(), move |(programs, data)| test(&programs, &data));
    }
    suite.run()
}

/// Runs a test with a server and a browser that has logged in.
fn run<F: Future<Output = Outcome>>(
    programs: &Programs,
    camera: Option<&Path>,
    test: impl FnOnce(Arc<Server>, String, Page) -> F,
) -> Outcome {
    // It ends after the browser.
    let server = Arc::new(serve(|_| {})?);
    let base = format!("http://{}/console", address(&server)?);
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let browser = Browser::start(programs, camera).await?;
            test(Arc::clone(&server), base, Page(browser)).await
        })
}

/// The browser and what tests do in it.
struct Page(Browser);

impl Page {
    async fn log_in(&self, base: &str) -> Outcome {
        self.0.client.goto(base).await?;
        self.0.type_into("#token", TOKEN).await?;
        self.0.click("form.login button").await?;
        self.0.find("#try").await.map(drop)
    }

    async fn choose(&self, field: &str, file: &Path) -> Outcome {
        let file = file.to_str().ok_or("not UTF-8")?;
        self.0.type_into(&format!("input[name={field}]"), file).await?;
        self.0.find(&format!("#{field}-drop.filled")).await.map(drop)
    }

    async fn end(self) -> Outcome {
        self.0.end().await
    }
}

fn try_page(programs: &Programs, data: &Path) -> Outcome {
    run(programs, None, |server, base, page| async move {
        page.log_in(&base).await?;
        page.0.look("try-empty", &[]).await?;
        // Without images each field says what it needs.
        page.0.click("#verify").await?;
        ensure_eq!(page.0.shown("#selfie-error").await?, "Choose a selfie first.");
        ensure_eq!(page.0.shown("#image-error").await?, "Choose a photo first.");

        page.choose("selfie", &data.join(SELFIE)).await?;
        page.choose("image", &data.join(PHOTO)).await?;
        page.0.click("#verify").await?;
        let outcome = page.0.shown("#outcome").await?;
        ensure!(outcome.starts_with("Passed"), "{outcome}");
        let score: f64 = page.0.shown("#match-score").await?.parse()?;
        ensure!(score > 0.56, "match confidence {score}");
        page.0.look("try-pass", &[]).await?;
        // The exact JSON, and the request in other languages.
        let json = page.0.shown("#text-json").await?;
        ensure!(json.contains("\"face_match_confidence\""), "{json}");
        page.0.click("#tab-python").await?;
        let python = page.0.shown("#text-python").await?;
        let url = format!("http://{}/v0.2/biometric-verification", server.address);
        ensure!(python.contains(&url) && python.contains("img2.jpg"), "{python}");
        page.0.find("#tab-python").await?.send_keys("\u{e014}").await?;
        let javascript = page.0.shown("#text-javascript").await?;
        ensure!(javascript.contains("openAsBlob"), "{javascript}");

        // An impostor.
        page.choose("image", &data.join(OTHER)).await?;
        page.0.click("#verify").await?;
        ensure_eq!(page.0.shown("#outcome").await?, "Rejected");
        let lines = page.0.shown(".lines").await?;
        ensure!(
            lines.contains("FAILED_FACE_MATCH") && lines.contains("Compare the two faces"),
            "{lines}"
        );
        page.0.look("try-reject", &[]).await?;

        // A file that is no image.
        let folder = tempfile::tempdir()?;
        let wrong = folder.path().join("notes.txt");
        std::fs::write(&wrong, "no image")?;
        page.0.click("#clear").await?;
        page.choose("selfie", &data.join(SELFIE)).await?;
        page.0
            .type_into("input[name=image]", wrong.to_str().ok_or("not UTF-8")?)
            .await?;
        page.0.click("#verify").await?;
        let failed = ["415 (Unsupported Media Type)"];
        let error = "document.getElementById('image-error').textContent.includes('UNSUPPORTED_IMAGE_FORMAT')";
        page.0.until(error).await?;
        page.0.look("try-wrong-file", &failed).await?;
        page.end().await
    })
}

/// Returns a file that a fake camera plays: a baseline JPEG under another name. It has few pixels, since it is decoded for
/// each frame.
fn film(data: &Path, folder: &Path) -> Result<PathBuf, Failed> {
    let film = folder.join("camera.mjpeg");
    let frame = image::open(data.join(SELFIE))?.resize(960, 720, image::imageops::FilterType::Triangle);
    let frame = frame.resize_exact(
        frame.width() & !1,
        frame.height() & !1,
        image::imageops::FilterType::Triangle,
    );
    frame
        .to_rgb8()
        .save_with_format(&film, image::ImageFormat::Jpeg)?;
    Ok(film)
}

fn camera(programs: &Programs, data: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let film = film(data, folder.path())?;
    let photo = data.join(PHOTO);
    run(programs, Some(&film), |_server, base, page| async move {
        page.log_in(&base).await?;
        page.0.click("#camera").await?;
        let begun = "document.querySelector('#selfie-drop video') ? 'video' : document.getElementById('selfie-error').textContent";
        ensure_eq!(page.0.until(begun).await?, "video");
        page.0
            .until("document.getElementById('camera').textContent === 'Take the selfie'")
            .await?;
        page.0.click("#camera").await?;
        page.0.find("#selfie-drop canvas:not([hidden])").await?;
        page.choose("image", &photo).await?;
        page.0.click("#verify").await?;
        page.0.shown("#outcome").await?;
        let score: f64 = page.0.shown("#match-score").await?.parse()?;
        ensure!(score > 0.56, "match confidence {score}");
        page.0.look("try-camera", &[]).await?;
        page.end().await
    })
}

fn apps(programs: &Programs, _: &Path) -> Outcome {
    run(programs, None, |server, base, page| async move {
        page.log_in(&base).await?;
        page.0.client.goto(&format!("{base}/apps")).await?;
        page.0.look("apps", &[]).await?;
        page.0.click("details summary").await?;
        page.0.type_into("#id", "shop").await?;
        page.0.type_into("#daily_quota", "many").await?;
        page.0.click("form[action$=create] button").await?;
        ensure_eq!(page.0.shown("#daily_quota-error").await?, "Must be a number.");
        page.0.look("apps-error", &["422 (Unprocessable"]).await?;
        page.0.find("#daily_quota").await?.clear().await?;
        page.0.type_into("#daily_quota", "1000").await?;
        page.0.click("form[action$=create] button").await?;
        let key = page.0.shown("#app-key").await?;
        page.0.look("apps-key", &[]).await?;
        // The key works.
        let headers = format!("app_id: shop\r\napp_key: {key}\r\n");
        let request = Form::new().request("/v0.2/liveness-verification", &headers);
        server.send(&request)?.expect_code(400, "MISSING_FIELD")?;
        page.0.click("a.button").await?;
        page.0.find("#grace").await?;
        page.0.look("apps-one", &[]).await?;
        page.0.click("form[action$=rotate] button").await?;
        let rotated = page.0.shown("#app-key").await?;
        ensure!(rotated != key, "the key is the same");
        page.0.click("a.button").await?;
        page.0.click("form[action$=state] button").await?;
        page.0.client.accept_alert().await?;
        ensure!(
            page.0.shown(".notice").await?.starts_with("App disabled"),
            "no notice"
        );
        server.send(&request)?.expect_code(403, "APP_DISABLED")?;
        page.end().await
    })
}

fn system(programs: &Programs, _: &Path) -> Outcome {
    run(programs, None, |_server, base, page| async move {
        page.log_in(&base).await?;
        page.0.client.goto(&format!("{base}/system")).await?;
        page.0.look("system", &[]).await?;
        page.0.click("form[action$=reload] button").await?;
        ensure!(
            page.0.shown(".notice").await?.contains("not changed"),
            "no notice"
        );
        page.0.click("form[action$=checks] button").await?;
        let checks = page.0.shown("#checks").await?;
        ensure!(checks.contains("self-test"), "{checks}");
        page.0.look("system-checks", &[]).await?;
        page.end().await
    })
}

fn records(programs: &Programs, data: &Path) -> Outcome {
    let read = |name: &str| std::fs::read(data.join(name));
    let (selfie, photo, other) = (read(SELFIE)?, read(PHOTO)?, read(OTHER)?);
    run(programs, None, |server, base, page| async move {
        page.log_in(&base).await?;
        page.0.client.goto(&format!("{base}/verifications")).await?;
        let empty = page.0.shown(".empty").await?;
        ensure!(
            empty.contains("No verification has been recorded yet."),
            "{empty}"
        );
        page.0.look("verifications-empty", &[]).await?;
        for (selfie, photo) in [
            (&selfie, &photo),
            (&selfie, &other),
            (&other, &photo),
            (&photo, &selfie),
        ] {
            server
                .post("/v0.2/biometric-verification", &Form::pair(selfie, photo))?
                .expect(200)?;
        }
        server
            .post("/v0.2/biometric-verification", &Form::pair(b"no image", b"none"))?
            .expect(415)?;
        let loaded = "document.querySelectorAll('tbody tr').length === 5 || (location.reload(), false)";
        page.0.until(loaded).await?;
        page.0.look("verifications", &[]).await?;

        // A filter, then one record.
        page.0
            .client
            .goto(&format!("{base}/verifications?code=FAILED_FACE_MATCH"))
            .await?;
        page.0
            .until("document.querySelectorAll('tbody tr').length === 2")
            .await?;
        page.0.click("tbody a").await?;
        let chain = page.0.shown("main").await?;
        ensure!(
            chain.contains("The hash is that of the record.") && chain.contains("FAILED_FACE_MATCH"),
            "{chain}"
        );
        page.0.look("record", &[]).await?;
        page.0
            .client
            .goto(&format!("{base}/verifications?since=yesterday"))
            .await?;
        ensure!(
            page.0.shown("#since-error").await?.contains("2026-11-25"),
            "no error"
        );

        page.0
            .client
            .goto(&format!("{base}/verifications/distributions"))
            .await?;
        page.0.find("svg.histogram").await?;
        page.0.look("distributions", &[]).await?;

        // A slider recounts without a page being loaded.
        page.0.client.goto(&format!("{base}/what-if")).await?;
        ensure_eq!(page.0.shown("#chosen-total").await?, "4");
        ensure_eq!(page.0.shown("#chosen-reject").await?, "2");
        page.0.look("what-if", &[]).await?;
        let slide = "const slider = document.querySelector('#face_match_reject + input[type=range]'); slider.value = 0; \
                     slider.dispatchEvent(new Event('input'));";
        page.0.client.execute(slide, Vec::new()).await?;
        page.0
            .until("document.getElementById('chosen-reject').textContent === '0'")
            .await?;
        ensure_eq!(page.0.shown("#recorded-reject").await?, "2");
        let toml = page.0.shown("#profile-toml").await?;
        ensure!(toml.contains("reject_below = 0.0"), "{toml}");
        page.0.look("what-if-recounted", &[]).await?;
        page.end().await
    })
}

fn login(programs: &Programs, _: &Path) -> Outcome {
    run(programs, None, |_server, base, page| async move {
        page.0.client.goto(&base).await?;
        page.0.find("#token").await?;
        page.0.look("login", &[]).await?;
        // The field has the focus, and Enter sends.
        let focused = page.0.client.active_element().await?;
        focused.send_keys("wrong\u{e007}").await?;
        ensure!(
            page.0.shown("#token-error").await?.contains("not the token"),
            "no error"
        );
        page.0.look("login-error", &["401 (Unauthorized)"]).await?;
        page.0
            .client
            .active_element()
            .await?
            .send_keys(&format!("{TOKEN}\u{e007}"))
            .await?;
        page.0.find("#try").await?;
        // The first tab stop skips the navigation, and each one is visible.
        let body = page.0.find("body").await?;
        body.send_keys("\u{e004}").await?;
        let skip = page.0.client.active_element().await?.text().await?;
        ensure_eq!(skip, "Skip to content");
        page.0.click(".bar form button").await?;
        page.0.find("#token").await?;
        page.0.client.goto(&format!("{base}/try")).await?;
        page.0.find("#token").await?;
        page.0.check(&["401 (Unauthorized)"]).await?;
        page.end().await
    })
}
