//! The HTTP contract in process, with models that are made up; and what depends on the configuration.

mod support;

use likeness_server::{AppConfig, Config, Server};
use likeness_testing::contract::{CASES, Service};
use likeness_testing::for_each;
use likeness_testing::http::{APP, BRANCH, BRANCH_FLOOR, BRANCH_PROFILES, DISABLED};
use support::form::{self, png};
use support::{Models, TestServer};

const BIOMETRIC: &str = "/v0.2/biometric-verification";

fn server() -> TestServer {
    TestServer::start(&Models::new(1), |_| {})
}

#[test]
fn the_contract_holds() {
    let server = TestServer::start(&Models::new(2), |config| {
        let mut disabled = AppConfig::new(DISABLED.id, DISABLED.key);
        disabled.disabled = true;
        let mut branch = AppConfig::new(BRANCH.id, BRANCH.key);
        branch.default_profile = Some(BRANCH_PROFILES.0.to_owned());
        branch.profiles = Some(vec![BRANCH_PROFILES.1.to_owned()]);
        branch.liveness_threshold_floor = BRANCH_FLOOR;
        config.apps = vec![AppConfig::new(APP.id, APP.key), disabled, branch];
        config.request_limits.deadline = support::TIMEOUT;
        config.connections.linger = support::TIMEOUT;
    });
    let service = Service {
        address: server.address,
    };
    for_each(CASES, |case| case(&service)).unwrap();
}

#[test]
fn the_default_liveness_threshold_is_the_review_threshold_of_the_apps_profile() {
    for (profile, liveness, response_code) in [
        (None, 0.5999, 2),
        (None, 0.6, 0),
        (Some("strict-v0"), 0.7999, 2),
        (Some("strict-v0"), 0.8, 0),
    ] {
        let server = TestServer::start(&Models::new(1).with_liveness(liveness), |config| {
            config.apps[0].default_profile = profile.map(str::to_owned);
        });
        let response = server.post("/v0.2/liveness-verification", &form::pair());
        assert_eq!(response.json()["response_code"], response_code, "{liveness}");
    }
}

#[test]
fn the_response_code_and_the_findings_follow_the_result_and_the_settings() {
    const LIVENESS: &str = "/v0.2/liveness-verification";
    let findings = |response: &support::Response| response.header("x-likeness-findings").map(str::to_owned);
    // The selfie has no colour, and the photo is the same: both are warnings.
    for (liveness, biometric, check, reason) in [
        (0.75, 0, 0, ""),
        (0.5, 1, 2, "FAILED_SELFIE_LIVENESS,"),
        (0.1, 1, 2, "FAILED_SELFIE_LIVENESS,"),
    ] {
        for (shows, numbers) in [(true, [0, 1, 2]), (false, [7, 400, 65_535])] {
            let server = TestServer::start(&Models::new(1).with_liveness(liveness), |config| {
                config.api.findings_header = shows;
                let codes = &mut config.api.response_codes;
                [codes.pass, codes.findings, codes.not_live] = numbers;
            });
            for (path, code, warnings) in [
                (BIOMETRIC, biometric, "GREY_SELFIE,SAME_IMAGE"),
                (LIVENESS, check, "GREY_SELFIE"),
            ] {
                let response = server.post(path, &form::pair());
                assert_eq!(
                    response.json()["response_code"],
                    numbers[code],
                    "{path} {liveness}"
                );
                let found = shows.then(|| format!("{reason}{warnings}"));
                assert_eq!(findings(&response), found, "{path} {liveness}");
            }
        }
    }
    // Without a face there is no other reason.
    let server = server();
    let response = server.post(LIVENESS, &form::selfie(support::models::EMPTY, 500));
    assert_eq!(response.json()["response_code"], 2);
    assert_eq!(findings(&response).as_deref(), Some("NO_FACE_IN_SELFIE"));
}

#[test]
fn images_keep_to_the_configured_limits_of_their_version() {
    let server = TestServer::start(&Models::new(1), |config| {
        config.request_limits.v0_2.selfie.max_side = 800;
        config.request_limits.v0_1.image.min_side = 100;
        config.image_limits.max_side = 2_000;
    });
    for (path, selfie, image, status, code, says) in [
        (
            "/v0.1/biometric-verification",
            (480, 480),
            (100, 100),
            200,
            "none",
            "none",
        ),
        (
            "/v0.1/biometric-verification",
            (479, 900),
            (480, 480),
            422,
            "IMAGE_TOO_SMALL",
            "`selfie` is 479x900 pixels; each side must have at least 480",
        ),
        (
            "/v0.1/biometric-verification",
            (480, 480),
            (99, 480),
            422,
            "IMAGE_TOO_SMALL",
            "`image` is 99x480",
        ),
        (BIOMETRIC, (300, 300), (300, 300), 200, "none", "none"),
        (
            BIOMETRIC,
            (801, 300),
            (300, 300),
            422,
            "IMAGE_TOO_LARGE",
            "`selfie` is 801x300 pixels; each side may have at most 800",
        ),
        (
            BIOMETRIC,
            (300, 300),
            (299, 300),
            422,
            "IMAGE_TOO_SMALL",
            "`image`",
        ),
        (
            BIOMETRIC,
            (300, 300),
            (300, 2_001),
            422,
            "IMAGE_TOO_LARGE",
            "image",
        ),
    ] {
        let form = form::selfie(selfie.0, selfie.1).file("image", &png(image.0, image.1));
        let response = server.post(path, &form).expect(status, code);
        assert!(response.message().contains(says), "{}", response.message());
    }
}

#[test]
fn start_errors_name_their_cause() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = |config: Config| {
        let apps = config.apps().unwrap();
        let engine = Models::new(1).engine(config.image_limits.into());
        runtime
            .block_on(Server::bind(config, apps, engine))
            .unwrap_err()
            .to_string()
    };
    let nowhere = "postgres://likeness:s3cret@127.0.0.1:1/likeness";
    let mut config = support::config();
    config.database.url = Some(nowhere.into());
    config.database.start = std::time::Duration::ZERO;
    let said = error(config);
    assert!(
        said.contains("postgres://likeness@127.0.0.1:1/likeness") && !said.contains("s3cret"),
        "{said}"
    );
    let taken = server();
    let mut config = support::config();
    config.listen = taken.address;
    assert!(error(config).contains(&format!("cannot listen on {}", taken.address)));
}
