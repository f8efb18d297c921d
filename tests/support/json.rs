//! JSON with what serde_json's own values do not show: the order of keys, keys that are there twice, and whether a
//! number is written with a decimal point.

use std::fmt;

use likeness_testing::{Failed, Outcome};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::captures;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Decimal(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
                i64::try_from(value).map(Json::Integer).map_err(E::custom)
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Integer(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Decimal(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Json::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries: Vec<(String, Json)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    if entries.iter().any(|(seen, _)| *seen == key) {
                        return Err(A::Error::custom(format!("the key {key} is there twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Json::Object(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl Json {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Failed> {
        serde_json::from_slice(text)
            .map_err(|error| format!("{error} in {:?}", String::from_utf8_lossy(text)).into())
    }

    /// The value at a path such as `response_data.decision.details.0.code`.
    pub(crate) fn at(&self, path: &str) -> Result<&Self, Failed> {
        path.split('.').try_fold(self, |value, step| {
            let found = match value {
                Self::Object(entries) => entries
                    .iter()
                    .find(|(key, _)| key == step)
                    .map(|(_, value)| value),
                Self::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            found.ok_or_else(|| format!("there is no {step} of {path} in {value:?}").into())
        })
    }

    pub(crate) fn text(&self, path: &str) -> Result<&str, Failed> {
        match self.at(path)? {
            Self::Text(text) => Ok(text),
            other => Err(format!("{path} is no text but {other:?}").into()),
        }
    }

    pub(crate) fn number(&self, path: &str) -> Result<f64, Failed> {
        match self.at(path)? {
            Self::Decimal(number) => Ok(*number),
            Self::Integer(number) => Ok(i32::try_from(*number).map(f64::from)?),
            other => Err(format!("{path} is no number but {other:?}").into()),
        }
    }

    pub(crate) fn list(&self, path: &str) -> Result<&[Self], Failed> {
        match self.at(path)? {
            Self::List(items) => Ok(items),
            other => Err(format!("{path} is no list but {other:?}").into()),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(self, Self::Object(entries) if entries.iter().any(|(found, _)| found == key))
    }

    /// The same without the order of keys, where nobody documents one.
    pub(crate) fn sorted(self) -> Self {
        match self {
            Self::Object(mut entries) => {
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key, value.sorted()))
                        .collect(),
                )
            }
            Self::List(items) => Self::List(items.into_iter().map(Self::sorted).collect()),
            other => other,
        }
    }

    /// The body without what differs from request to request.
    pub(crate) fn without_meta(mut self) -> Self {
        if let Self::Object(entries) = &mut self {
            entries
                .retain(|(key, _)| !["api_req_uid", "requested_at", "processed_at"].contains(&key.as_str()));
        }
        self
    }

    /// Compares with an expected value; the two have the same keys in the same order, lists of the same length and
    /// the same kinds of numbers.
    ///
    /// In the expected one a text `<id>` stands for a UUID of version 4, `<time>` for a time as the API writes it, and
    /// `*` within a text for some characters. Integers and `0.0` are exact; what a model measures is compared with the
    /// differences that processors and decoders make, see [`tolerance`]; and a list of faces is compared face by face.
    pub(crate) fn expect(&self, expected: &Self) -> Outcome {
        compare("", self, expected)
    }
}

/// How far a measured number may be off: not so far that another picture or another face could give it.
fn tolerance(key: &str) -> f64 {
    match key {
        "face_match_confidence" => 0.05,
        "faces_liveness" | "confidence" => 0.1,
        _ => 0.0,
    }
}

fn compare(path: &str, actual: &Json, expected: &Json) -> Outcome {
    let differs = || Err(format!("{path} is {actual:?} instead of {expected:?}").into());
    let key = path.rsplit('.').next().unwrap_or_default();
    match (actual, expected) {
        (Json::Object(found), Json::Object(wanted)) => {
            let keys = |entries: &[(String, Json)]| {
                entries
                    .iter()
                    .map(|(key, _)| key.clone())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            if keys(found) != keys(wanted) {
                return Err(
                    format!("{path} has the keys {} instead of {}", keys(found), keys(wanted)).into(),
                );
            }
            for ((key, value), (_, wanted)) in found.iter().zip(wanted) {
                compare(&format!("{path}.{key}"), value, wanted)?;
            }
            Ok(())
        }
        (Json::List(found), Json::List(wanted)) => {
            if found.len() != wanted.len() {
                return differs();
            }
            if key == "faces_predicted" {
                return compare_faces(path, found, wanted);
            }
            for (index, (item, wanted)) in found.iter().zip(wanted).enumerate() {
                compare(&format!("{path}.{index}"), item, wanted)?;
            }
            Ok(())
        }
        (Json::Text(found), Json::Text(wanted)) => {
            let right = match wanted.as_str() {
                "<id>" => is_uuid_v4(found),
                "<time>" => is_time(found),
                _ if wanted.contains('*') => captures(wanted, found).is_some(),
                _ => found == wanted,
            };
            if right { Ok(()) } else { differs() }
        }
        (Json::Decimal(found), Json::Decimal(wanted)) if *wanted != 0.0 => {
            if (found - wanted).abs() <= tolerance(key) {
                Ok(())
            } else {
                differs()
            }
        }
        _ if actual == expected => Ok(()),
        _ => differs(),
    }
}

/// Whether the same faces were found, largest first. Which of two faces of nearly one size comes first is left to the
/// detector, except that the first one is the one that is judged.
fn compare_faces(path: &str, found: &[Json], wanted: &[Json]) -> Outcome {
    let areas: Vec<f64> = found
        .iter()
        .map(|face| Ok(face.number("delta.x")? * face.number("delta.y")?))
        .collect::<Result<_, Failed>>()?;
    // Written boxes are rounded, which can turn a tie.
    if !areas.is_sorted_by(|a, b| *a >= *b - 0.5) {
        return Err(format!("{path} is not in the order of size: {areas:?}").into());
    }
    for (index, wanted) in wanted.iter().enumerate() {
        let mut best = (0.0, None);
        for (place, face) in found.iter().enumerate() {
            let overlap = overlap(face, wanted)?;
            if overlap > best.0 {
                best = (overlap, Some((place, face)));
            }
        }
        match best {
            (overlap, Some((place, face))) if overlap >= 0.7 && (index > 0 || place == 0) => {
                // With the expected box in place of the found one, all else is compared as usual.
                let Json::Object(entries) = face else {
                    return Err(format!("{path}: a face is no object: {face:?}").into());
                };
                let with_box = |(key, value): &(String, Json)| {
                    let is_box = key == "delta" || key == "top_left";
                    let value = if is_box { wanted.at(key)? } else { value };
                    Ok((key.clone(), value.clone()))
                };
                let entries = entries.iter().map(with_box).collect::<Result<_, Failed>>()?;
                compare(&format!("{path}.{place}"), &Json::Object(entries), wanted)?;
            }
            (overlap, _) => {
                return Err(
                    format!("{path}: {wanted:?} has no face at its place (overlap {overlap})").into(),
                );
            }
        }
    }
    Ok(())
}

/// Intersection over union of the boxes of two faces.
fn overlap(a: &Json, b: &Json) -> Result<f64, Failed> {
    let bounds = |face: &Json| -> Result<[f64; 4], Failed> {
        let (x, y) = (face.number("top_left.x")?, face.number("top_left.y")?);
        Ok([x, y, x + face.number("delta.x")?, y + face.number("delta.y")?])
    };
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let (a, b) = (bounds(a)?, bounds(b)?);
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    Ok(shared / (area(a) + area(b) - shared))
}

/// Whether a text is a UUID of version 4 and variant 1, hyphenated and in lower case.
pub(crate) fn is_uuid_v4(text: &str) -> bool {
    let fits = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => b"89ab".contains(&byte),
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// Whether a text is `YYYY-MM-DD HH:MM:SS`, of this century, in the ranges that the fields have.
pub(crate) fn is_time(text: &str) -> bool {
    let shape = text.len() == 19
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let field = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    let within =
        |from, to, range: std::ops::RangeInclusive<u32>| field(from, to).is_some_and(|n| range.contains(&n));
    shape
        && within(0, 4, 2024..=2099)
        && within(5, 7, 1..=12)
        && within(8, 10, 1..=31)
        && within(11, 13, 0..=23)
        && within(14, 16, 0..=59)
        && within(17, 19, 0..=59)
}
