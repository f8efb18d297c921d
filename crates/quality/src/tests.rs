use likeness_face::{BoundingBox, Landmarks, Point};
use proptest::prelude::*;

use super::*;

/// A face as the default detector draws one that looks at the camera: its middle at a point, so many pixels between
/// the eyes.
fn face(x: f32, y: f32, eyes: f32) -> Face {
    let at = |across: f32, down: f32| Point {
        x: x + across * eyes,
        y: y + down * eyes,
    };
    Face {
        bounding_box: BoundingBox {
            x: x - 1.07 * eyes,
            y: y - 1.45 * eyes,
            width: 2.14 * eyes,
            height: 2.9 * eyes,
        },
        score: 0.9,
        landmarks: [
            at(-0.5, -0.33),
            at(0.5, -0.33),
            at(0.0, 0.26),
            at(-0.4375, 0.69),
            at(0.4375, 0.69),
        ],
    }
}

/// Grey levels by place.
fn image(width: u32, height: u32, level: impl Fn(f64, f64) -> f64) -> Image {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let value = level(f64::from(x), f64::from(y)).round().clamp(0.0, 255.0) as u8;
            pixels.extend([value; 3]);
        }
    }
    Image::from_rgb8(width, height, pixels).unwrap()
}

fn plain(level: u8) -> Image {
    image(400, 500, |_, _| f64::from(level))
}

fn measured(image: &Image, face: &Face) -> FaceQuality {
    FaceQuality::measure(image, face).unwrap()
}

fn near(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

/// A head of the model's proportions, turned, in parallel projection.
fn turned(yaw: f64, pitch: f64, roll: f64, size: f64) -> Landmarks {
    let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
    // x to the right, y down, z to the camera; half inter-eye distances from between the eyes.
    [
        [-1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 2.04 * 0.58, 26.0 / 31.5],
        [-0.875, 2.04, 0.0],
        [0.875, 2.04, 0.0],
    ]
    .map(|[x, y, z]: [f64; 3]| {
        let (y, z) = (
            y * pitch.cos() + z * pitch.sin(),
            z * pitch.cos() - y * pitch.sin(),
        );
        let x = x * yaw.cos() + z * yaw.sin();
        Point {
            x: (200.0 + size * (x * roll.cos() - y * roll.sin())) as f32,
            y: (200.0 + size * (x * roll.sin() + y * roll.cos())) as f32,
        }
    })
}

#[test]
fn signs_are_as_documented() {
    let straight = Pose::of(&turned(0.0, 0.0, 0.0, 50.0));
    for angle in [straight.yaw, straight.pitch, straight.roll] {
        assert!(near(angle, 0.0, 1e-3), "{straight:?}");
    }
    let mut right = turned(0.0, 0.0, 0.0, 50.0);
    right[2].x += 10.0;
    assert!(Pose::of(&right).yaw > 5.0, "the nose points to the right");
    let mut down = turned(0.0, 0.0, 0.0, 50.0);
    down[2].y += 10.0;
    assert!(Pose::of(&down).pitch > 5.0, "the nose points down");
    // Clockwise on the screen: the mouth goes to the left of the eyes.
    let mut clockwise = turned(0.0, 0.0, 0.0, 50.0);
    clockwise[3].x -= 30.0;
    clockwise[4].x -= 30.0;
    assert!(Pose::of(&clockwise).roll > 5.0);
}

#[test]
fn a_turned_head_is_not_a_smaller_one() {
    let image = plain(128);
    let mut head = face(200.0, 250.0, 60.0);
    for yaw in [0.0, 20.0, -45.0, 59.0, 75.0, -89.0] {
        head.landmarks = turned(yaw, 0.0, 0.0, 30.0);
        let distance = measured(&image, &head).inter_eye_distance;
        assert!(near(distance, 60.0, 0.1), "{distance} at {yaw}");
    }
}

/// Something with detail at all scales: bars of 2, 3, 5 ... pixels on the face.
fn bars(contrast: f64) -> impl Fn(f64, f64) -> f64 {
    move |x, y| {
        let waves = [3.0, 5.0, 9.0, 14.0, 23.0].map(|length: f64| {
            (x * std::f64::consts::TAU / length).sin()
                * (y * std::f64::consts::TAU / (length * 1.3)).sin()
                * length.sqrt()
        });
        128.0 + contrast * waves.iter().sum::<f64>()
    }
}

#[test]
fn sharpness_does_not_depend_on_contrast_or_brightness() {
    let head = face(200.0, 250.0, 48.0);
    let strong = measured(&image(400, 500, bars(8.0)), &head).sharpness;
    let weak = measured(&image(400, 500, bars(3.0)), &head).sharpness;
    let dark = measured(&image(400, 500, |x, y| bars(3.0)(x, y) - 80.0), &head).sharpness;
    assert!(near(strong, weak, 0.1 * strong), "{strong} {weak}");
    assert!(near(dark, weak, 1e-9), "{dark} {weak}");
}

#[test]
fn sharpness_does_not_depend_on_resolution() {
    let small = measured(&image(400, 500, bars(8.0)), &face(200.0, 250.0, 50.0)).sharpness;
    // The same surface from nearer: every 6 pixels are one of the other.
    let large = image(2_400, 3_000, |x, y| {
        bars(8.0)((x / 6.0).floor(), (y / 6.0).floor())
    });
    let large = measured(&large, &face(1_200.0, 1_500.0, 300.0)).sharpness;
    assert!(near(small, large, 0.1 * small), "{small} {large}");
}

#[test]
fn what_was_enlarged_is_not_sharp() {
    let head = face(200.0, 250.0, 50.0);
    let sharp = image(400, 500, bars(8.0));
    let coarse = likeness_imaging::shrink_area(&sharp, 80, 100);
    let whole = likeness_imaging::PixelRect::of(&coarse);
    let enlarged = likeness_imaging::crop_resize_bilinear(&coarse, whole, 400, 500);
    let (sharp, enlarged) = (
        measured(&sharp, &head).sharpness,
        measured(&enlarged, &head).sharpness,
    );
    assert!(enlarged < 0.7 * sharp, "{enlarged} {sharp}");
}

#[test]
fn noise_is_no_sharpness() {
    let head = face(200.0, 250.0, 50.0);
    // Only details of 20 pixels and more.
    let soft = |x: f64, y: f64| 128.0 + 40.0 * (x / 4.0).sin() * (y / 5.0).sin();
    // Triangular noise of about 4 grey levels from a hash of the place.
    let noise = |x: f64, y: f64| {
        let hash = |seed: f64| {
            ((x * 12.9898 + y * 78.233 + seed).sin() * 43_758.547)
                .fract()
                .abs()
        };
        10.0 * (hash(1.0) - hash(2.0))
    };
    let clean = measured(&image(400, 500, soft), &head).sharpness;
    let noisy = measured(&image(400, 500, |x, y| soft(x, y) + noise(x, y)), &head).sharpness;
    let sharp = measured(&image(400, 500, bars(8.0)), &head).sharpness;
    assert!(noisy < clean + 0.25 * (sharp - clean), "{clean} {noisy} {sharp}");
}

#[test]
fn exposure_worked_by_hand() {
    let head = face(200.0, 250.0, 50.0);
    let flat = measured(&plain(51), &head);
    assert_eq!((flat.brightness, flat.overexposed_share), (0.2, 0.0));
    assert_eq!(flat.sharpness, 0.0);
    let white = measured(&plain(255), &head);
    assert_eq!((white.brightness, white.overexposed_share), (1.0, 1.0));
    assert_eq!(measured(&plain(246), &head).overexposed_share, 0.0);
    // Half of the face in glaring light.
    let half = image(400, 500, |x, _| if x < 200.0 { 250.0 } else { 100.0 });
    let half = measured(&half, &head);
    assert!(near(half.overexposed_share, 0.5, 0.02), "{half:?}");
    // One in ten pixels of a dark face shines: it is in good light.
    let shining = image(400, 500, |x, _| if x % 10.0 < 1.0 { 204.0 } else { 30.0 });
    assert!(near(measured(&shining, &head).brightness, 0.8, 0.01));
}

#[test]
fn framing_worked_by_hand() {
    let image = plain(128);
    let middle = measured(&image, &face(200.0, 250.0, 50.0));
    assert_eq!(middle.visible_share, 1.0);
    assert!(near(middle.off_centre, 0.0, 1e-6));
    // Half of the way to the right border, a quarter up.
    let off = measured(&image, &face(300.0, 187.5, 40.0));
    assert!(near(off.off_centre, 0.5, 1e-6));
    assert_eq!(off.visible_share, 1.0);
    // The middle of the face on the border.
    let half = measured(&image, &face(0.0, 250.0, 60.0));
    assert!(near(half.visible_share, 0.5, 0.01), "{half:?}");
    assert!(near(half.off_centre, 1.0, 1e-6));
    // The same where the detector drew its box around what it saw: the landmarks know better.
    let mut tight = face(0.0, 250.0, 60.0);
    tight.bounding_box = tight.bounding_box.clipped(400, 500);
    assert!(near(measured(&image, &tight).visible_share, 0.5, 0.01));
    // And outside of the image there is nothing to see.
    let outside = measured(&image, &face(-500.0, 250.0, 60.0));
    assert_eq!((outside.visible_share, outside.brightness), (0.0, 0.0));
}

#[test]
fn surroundings_worked_by_hand() {
    let box_of = |x: f32, y: f32, width: f32, height: f32| Face {
        bounding_box: BoundingBox { x, y, width, height },
        ..face(100.0, 100.0, 40.0)
    };
    let of = |width, height, face: &Face| measured(&image(width, height, |_, _| 127.0), face).surroundings;
    // A tenth of the face on every side, wherever the face is.
    assert!(near(of(120, 180, &box_of(10.0, 15.0, 100.0, 150.0)), 0.1, 1e-6));
    assert!(near(of(120, 180, &box_of(0.0, 0.0, 100.0, 150.0)), 0.1, 1e-6));
    // As high as the face, twice as wide: no crop is wider than it is high. The root of 150 / 100 is 1.2247.
    assert!(near(
        of(200, 150, &box_of(50.0, 0.0, 100.0, 150.0)),
        0.112_372,
        1e-6
    ));
    // As wide as the face: nothing beside it is gained in height.
    assert_eq!(of(100, 400, &box_of(0.0, 100.0, 100.0, 150.0)), 0.0);
    // Beyond the image.
    assert_eq!(of(100, 100, &box_of(-20.0, -20.0, 140.0, 140.0)), 0.0);
}

#[test]
fn colour_is_what_no_tint_explains() {
    let face = face(200.0, 250.0, 60.0);
    let coloured = |of: &dyn Fn(f64, f64) -> [f64; 3]| {
        let places = (0..400 * 500).map(|index| (f64::from(index % 400), f64::from(index / 400)));
        let pixels = places.flat_map(|(x, y)| of(x, y).map(|value| value.round() as u8));
        measured(&Image::from_rgb8(400, 500, pixels.collect()).unwrap(), &face).colour
    };
    let grey = |x: f64, y: f64| 120.0 + 50.0 * (x / 23.0).sin() * (y / 31.0).cos();
    assert_eq!(coloured(&|x, y| [grey(x, y); 3]), 0.0);
    // Sepia: the same at every brightness, but for rounding.
    assert!(coloured(&|x, y| [grey(x, y) * 1.1, grey(x, y), grey(x, y) * 0.8]) < 0.01);
    // Red and blue stripes of half the light.
    let stripes = |light: f64| {
        coloured(&|x, y| {
            let red = (x / 17.0).sin() * 30.0 * light;
            [
                grey(x, y) * light + red,
                grey(x, y) * light,
                grey(x, y) * light - red,
            ]
        })
    };
    assert!(stripes(1.0) > 0.1);
    assert!(
        near(stripes(1.0), stripes(0.3), 0.01),
        "the brightness does not matter"
    );
    assert_eq!(coloured(&|_, _| [0.0; 3]), 0.0);
}

#[test]
fn what_is_no_number_is_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut broken = face(200.0, 250.0, 50.0);
        broken.landmarks[3].y = bad;
        assert_eq!(
            FaceQuality::measure(&plain(0), &broken),
            Err(QualityError::NotFinite)
        );
    }
}

fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(f32::from_bits),
        -300.0f32..300.0,
        Just(0.0),
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE),
    ]
}

proptest! {
    #[test]
    fn a_turn_within_60_degrees_is_found_again(
        yaw in -60.0f64..60.0, pitch in -45.0f64..45.0, roll in -170.0f64..170.0, size in 8.0f64..150.0,
    ) {
        // Yaw and pitch together shear the vertical of the face, which the roll is read from; so one at a time.
        for (yaw, pitch) in [(yaw, 0.0), (0.0, pitch)] {
            let found = Pose::of(&turned(yaw, pitch, roll, size));
            prop_assert!(near(found.yaw, yaw, 0.1), "{found:?}");
            prop_assert!(near(found.pitch, pitch, 0.1), "{found:?}");
            prop_assert!(near(found.roll, roll, 0.1), "{found:?}");
        }
    }

    #[test]
    fn whatever_the_face_the_numbers_are_finite_and_in_range(
        box_ in prop::array::uniform4(any_number()),
        points in prop::array::uniform5(prop::array::uniform2(any_number())),
        (width, height) in (1u32..60, 1u32..60),
        level in any::<u8>(),
    ) {
        let [x, y, w, h] = box_;
        let face = Face {
            bounding_box: BoundingBox { x, y, width: w, height: h },
            score: 0.5,
            landmarks: points.map(|[x, y]| Point { x, y }),
        };
        let image = image(width, height, |x, y| f64::from(level) + 40.0 * (x * y).sin());
        match FaceQuality::measure(&image, &face) {
            Err(QualityError::NotFinite) => prop_assert!(!face.is_finite()),
            Ok(quality) => {
                let Pose { yaw, pitch, roll } = quality.pose;
                for angle in [yaw, pitch, roll] {
                    prop_assert!((-180.0..=180.0).contains(&angle), "{quality:?}");
                }
                for share in [quality.brightness, quality.overexposed_share, quality.visible_share] {
                    prop_assert!((0.0..=1.0).contains(&share), "{quality:?}");
                }
                for number in [quality.inter_eye_distance, quality.sharpness, quality.off_centre] {
                    prop_assert!(number.is_finite() && number >= 0.0, "{quality:?}");
                }
            }
        }
    }

    #[test]
    fn a_face_anywhere_is_measured(
        (x, y) in (-200.0f32..600.0, -200.0f32..700.0), eyes in 0.5f32..400.0,
    ) {
        let quality = measured(&plain(100), &face(x, y, eyes));
        prop_assert!((0.0..=1.0).contains(&quality.visible_share));
        prop_assert!(near(quality.inter_eye_distance, f64::from(eyes), 0.01 * f64::from(eyes)));
        prop_assert!(quality.brightness == 0.0 || near(quality.brightness, 100.0 / 255.0, 1e-9));
    }
}
