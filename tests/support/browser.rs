//! A browser without a screen, driven over WebDriver.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::wd::TimeoutConfiguration;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use likeness_testing::http::{Connection, TIMEOUT};
use likeness_testing::{Failed, Outcome, ensure, workspace};
use serde_json::{Value, json};

/// The programs and files that tests in a browser need; `make setup-browser` brings them.
#[derive(Clone)]
pub(crate) struct Programs {
    driver: PathBuf,
    browser: PathBuf,
    /// axe-core, which checks accessibility.
    axe: PathBuf,
}

/// What tests are skipped without.
const NEEDED: &str = "needs a browser (make setup-browser)";

impl Programs {
    /// Returns them, or the name of what is needed.
    pub(crate) fn find() -> Result<Self, &'static str> {
        let program = |name: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
            found.find(|file| file.is_file()).ok_or(NEEDED)
        };
        let axe = workspace().join(".setup/axe/axe.min.js");
        Ok(Self {
            driver: program("chromedriver")?,
            browser: program("chromium")?,
            axe: axe.is_file().then_some(axe).ok_or(NEEDED)?,
        })
    }
}

/// A process of chromedriver, which ends with this. So does its browser, which would outlive a driver that is only killed.
struct Driver {
    process: Child,
    address: String,
    session: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.end_session();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    /// Ends the browser. After a test that has ended it itself there is no such session.
    fn end_session(&self) -> Outcome {
        let (session, address) = (&self.session, &self.address);
        if session.is_empty() {
            return Ok(());
        }
        let mut connection = Connection::open(address.parse()?)?;
        connection.send(&format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        ))?;
        connection.admin_response().map(drop)
    }

    fn start(programs: &Programs) -> Result<Self, Failed> {
        let mut process = Command::new(&programs.driver)
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no standard output")?;
        let mut driver = Self {
            process,
            address: String::new(),
            session: String::new(),
        };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                driver.address = format!("127.0.0.1:{}", port.trim_end_matches('.'));
                return Ok(driver);
            }
        }
        Err("chromedriver did not start".into())
    }
}

/// A browser with one page.
pub(crate) struct Browser {
    pub(crate) client: Client,
    session: String,
    axe: String,
    /// Where screenshots go.
    out: PathBuf,
    driver: Driver,
}

/// Ways to look at a page: name, width in pixels, and colour scheme.
const LOOKS: [(&str, u32, &str); 4] = [
    ("light", 1280, "light"),
    ("dark", 1280, "dark"),
    ("narrow", 400, "light"),
    ("narrow-dark", 400, "dark"),
];

impl Browser {
    /// Starts a browser whose camera plays this JPEG.
    pub(crate) async fn start(programs: &Programs, camera: Option<&Path>) -> Result<Self, Failed> {
        let mut driver = Driver::start(programs)?;
        let mut arguments = vec![
            "--headless=new".to_owned(),
            // In containers there is neither a sandbox nor much shared memory.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--lang=en-GB".to_owned(),
            "--window-size=1280,900".to_owned(),
            "--disable-background-networking".to_owned(),
            "--force-prefers-reduced-motion".to_owned(),
            "--use-fake-ui-for-media-stream".to_owned(),
            "--use-fake-device-for-media-stream".to_owned(),
        ];
        if let Some(camera) = camera {
            arguments.push(format!("--use-file-for-fake-video-capture={}", camera.display()));
        }
        let capabilities = json!({
            "goog:chromeOptions": { "binary": programs.browser, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{}", driver.address))
            .await?;
        let timeouts = TimeoutConfiguration::new(Some(TIMEOUT), Some(TIMEOUT), None);
        client.update_timeouts(timeouts).await?;
        let session = client.session_id().await?.ok_or("no session")?;
        driver.session.clone_from(&session);
        let out = workspace().join(".out/console");
        std::fs::create_dir_all(&out)?;
        Ok(Self {
            client,
            session,
            axe: std::fs::read_to_string(&programs.axe)?,
            out,
            driver,
        })
    }

    /// Sends a command that is chromedriver's own.
    fn command(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        let body = body.to_string();
        let (session, address) = (&self.session, &self.driver.address);
        let head = format!(
            "POST /session/{session}/{path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut connection = Connection::open(address.parse()?)?;
        connection.send(&format!("{head}{body}"))?;
        let response = connection.admin_response()?;
        response.expect(200)?;
        Ok(response.json()?["value"].clone())
    }

    /// Sends a command of the Chrome DevTools Protocol.
    fn devtools(&self, command: &str, parameters: &Value) -> Result<Value, Failed> {
        self.command(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    /// Waits for an element.
    pub(crate) async fn find(&self, selector: &str) -> Result<Element, Failed> {
        let found = self
            .client
            .wait()
            .at_most(TIMEOUT)
            .for_element(Locator::Css(selector))
            .await;
        found.map_err(|error| format!("no {selector}: {error}").into())
    }

    /// Waits in the page until an expression is true, and returns its value.
    pub(crate) async fn until(&self, expression: &str) -> Result<Value, Failed> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const end = performance.now() + {}; \
             const look = () => {{ const found = {expression}; \
             if (found || performance.now() > end) {{ done(found); }} else {{ setTimeout(look, 10); }} }}; look();",
            TIMEOUT.as_millis() / 4
        );
        let begun = std::time::Instant::now();
        loop {
            // A page that is left meanwhile takes the script with it.
            if let Ok(found) = self.client.execute_async(&script, Vec::new()).await
                && found != json!(false)
                && found != json!("")
                && !found.is_null()
            {
                return Ok(found);
            }
            ensure!(begun.elapsed() < TIMEOUT, "it never holds that {expression}");
        }
    }

    /// Waits until an element is shown, and returns its text.
    pub(crate) async fn shown(&self, selector: &str) -> Result<String, Failed> {
        let expression = format!(
            "((found) => found && found.checkVisibility() && found.innerText.trim())(document.querySelector({}))",
            json!(selector)
        );
        let text = self.until(&expression).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) async fn click(&self, selector: &str) -> Outcome {
        Ok(self.find(selector).await?.click().await?)
    }

    pub(crate) async fn type_into(&self, selector: &str, text: &str) -> Outcome {
        Ok(self.find(selector).await?.send_keys(text).await?)
    }

    /// Checks the page: nothing was logged, nothing came from elsewhere, and axe-core finds no serious violation. `expected` are
    /// parts of messages that belong to the test.
    pub(crate) async fn check(&self, expected: &[&str]) -> Outcome {
        let logged = self.command("se/log", &json!({ "type": "browser" }))?;
        for entry in logged.as_array().into_iter().flatten() {
            let message = entry["message"].as_str().unwrap_or_default();
            ensure!(
                expected.iter().any(|part| message.contains(part)),
                "the browser logged {entry}"
            );
        }
        let foreign = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
                       .filter((name) => !name.startsWith(location.origin + '/') && !name.startsWith('blob:'));";
        let foreign = self.client.execute(foreign, Vec::new()).await?;
        ensure!(foreign == json!([]), "requests to other hosts: {foreign}");
        let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;";
        let wide = self.client.execute(wide, Vec::new()).await?;
        ensure!(wide == json!(0), "the page is {wide} pixels too wide");
        self.client.execute(&self.axe, Vec::new()).await?;
        let run = "const done = arguments[arguments.length - 1]; \
                   axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations \
                   .filter(({ impact }) => impact === 'serious' || impact === 'critical') \
                   .map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => html.slice(0, 200) + failureSummary)])));";
        let violations = self.client.execute_async(run, Vec::new()).await?;
        ensure!(violations == json!([]), "accessibility: {violations:#}");
        Ok(())
    }

    /// Checks the page, and writes `.out/console/NAME-LOOK.png` for each of [`LOOKS`], each whole page.
    pub(crate) async fn look(&self, name: &str, expected: &[&str]) -> Outcome {
        for (look, width, scheme) in LOOKS {
            self.devtools(
                "Emulation.setEmulatedMedia",
                &json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
            )?;
            self.devtools(
                "Emulation.setDeviceMetricsOverride",
                &json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
            )?;
            self.check(expected)
                .await
                .map_err(|failure| format!("{name}, {look}: {}", failure.message().unwrap_or_default()))?;
            let shot = self.devtools(
                "Page.captureScreenshot",
                &json!({ "format": "png", "captureBeyondViewport": true }),
            )?;
            let encoded = shot["data"].as_str().ok_or("no screenshot")?;
            std::fs::write(
                self.out.join(format!("{name}-{look}.png")),
                decode_base64(encoded)?,
            )?;
        }
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [] }))?;
        self.devtools("Emulation.clearDeviceMetricsOverride", &json!({}))?;
        Ok(())
    }

    /// Ends the session, so that the browser ends before its driver.
    pub(crate) async fn end(self) -> Outcome {
        Ok(self.client.close().await?)
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>, Failed> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = DIGITS
            .iter()
            .position(|found| *found == digit)
            .ok_or("no base64")?;
        bits = bits << 6 | u32::try_from(value)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff)?);
        }
    }
    Ok(bytes)
}
