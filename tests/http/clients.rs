//! The requests of the documentation's examples, byte for byte as the clients send them.

use std::path::Path;

use likeness_testing::http::{Form, Json, Response};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

use crate::SERVER;
use crate::support::server::{APP, Server};
use crate::support::{for_each, image};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("clients::requests_of_the_documented_clients", documented_clients);
    suite.with_shared_and_models("clients::booleans_come_in_every_spelling", booleans);
}

/// A portrait, and a crowd in which the same person is not the largest face: so `image_multiface` turns a reject into a
/// pass, and a request in which it was lost is seen.
const PORTRAIT: &str = "faces/img11.jpg";
const CROWD: &str = "groups/selfie-many-people.jpg";

struct Images {
    selfie: Vec<u8>,
    image: Vec<u8>,
    /// The responses without and with `image_multiface`.
    usual: [Json; 2],
}

impl Images {
    fn read(shared: &Path) -> Result<Self, Failed> {
        let (selfie, image) = (image(shared, PORTRAIT)?, image(shared, CROWD)?);
        let usual = |multiface: &str| {
            let form = Form::pair(&selfie, &image).text("image_multiface", multiface);
            SERVER
                .get()?
                .post("/v0.1/biometric-verification", &form)?
                .content()
        };
        let usual = [usual("false")?, usual("true")?];
        let [faces, all_faces] = [count_faces(&usual[0])?, count_faces(&usual[1])?];
        ensure!(
            faces == 1 && all_faces > 1,
            "{faces} faces, and of all {all_faces}"
        );
        Ok(Self { selfie, image, usual })
    }

    fn form(&self) -> Form {
        Form::pair(&self.selfie, &self.image)
    }

    /// Checks that a response is the one to these images, to the last digit.
    fn expect(&self, response: &Response, multiface: bool) -> Outcome {
        ensure_eq!(response.content()?, self.usual[usize::from(multiface)]);
        Ok(())
    }
}

/// Returns how many faces of the photo a response lists.
fn count_faces(content: &Json) -> Result<usize, Failed> {
    Ok(content
        .list("response_data.biometric.image.faces_predicted")?
        .len())
}

/// What a client sent to a socket that recorded it. The credentials, the host, the length, the path and what is in the
/// two files are put in; every other byte is the client's.
struct Recorded {
    path: &'static str,
    /// Lines end with a line feed here, and with CR LF on the wire. `{|}` is where one chunk of a chunked body ends.
    request: &'static str,
    multiface: bool,
}

const RECORDED: [(&str, Recorded); 10] = [
    (
        "curl -F selfie=@selfie.jpg -F image=@photo.jpg",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: curl/7.88.1
Accept: */*
app_id: {id}
app_key: {key}
Content-Length: {length}
Content-Type: multipart/form-data; boundary=------------------------8919a3d07c732c3e

--------------------------8919a3d07c732c3e
Content-Disposition: form-data; name="selfie"; filename="selfie.jpg"
Content-Type: image/jpeg

{selfie}
--------------------------8919a3d07c732c3e
Content-Disposition: form-data; name="image"; filename="photo.jpg"
Content-Type: image/jpeg

{image}
--------------------------8919a3d07c732c3e--
"#,
            multiface: false,
        },
    ),
    (
        "curl -F 'image=@photo.jpg;type=application/octet-stream' -F image_multiface=true",
        Recorded {
            path: "/v0.2/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: curl/7.88.1
Accept: */*
app_id: {id}
app_key: {key}
Content-Length: {length}
Content-Type: multipart/form-data; boundary=------------------------276db5edd7edb668

--------------------------276db5edd7edb668
Content-Disposition: form-data; name="selfie"; filename="selfie.jpg"
Content-Type: image/jpeg

{selfie}
--------------------------276db5edd7edb668
Content-Disposition: form-data; name="image"; filename="photo.jpg"
Content-Type: application/octet-stream

{image}
--------------------------276db5edd7edb668
Content-Disposition: form-data; name="image_multiface"

true
--------------------------276db5edd7edb668--
"#,
            multiface: true,
        },
    ),
    // curl asks for `100 Continue` by itself where the files have more than a megabyte.
    (
        "curl -H 'Expect: 100-continue' -F 'selfie=<selfie.jpg' -F 'image=@Zoë \"x\".jpg'",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: curl/7.88.1
Accept: */*
app_id: {id}
app_key: {key}
Expect: 100-continue
Content-Length: {length}
Content-Type: multipart/form-data; boundary=------------------------f585bbc1478f12b2

--------------------------f585bbc1478f12b2
Content-Disposition: form-data; name="selfie"
Content-Type: image/jpeg

{selfie}
--------------------------f585bbc1478f12b2
Content-Disposition: form-data; name="image"; filename="Zoë %22x%22.jpg"
Content-Type: image/jpeg

{image}
--------------------------f585bbc1478f12b2--
"#,
            multiface: false,
        },
    ),
    (
        "curl -H 'Transfer-Encoding: chunked' -F 'selfie=@-' -F image=@photo.jpg",
        Recorded {
            path: "/v0.2/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: curl/7.88.1
Accept: */*
app_id: {id}
app_key: {key}
Transfer-Encoding: chunked
Content-Type: multipart/form-data; boundary=------------------------5d4cb2ca630258df

--------------------------5d4cb2ca630258df
Content-Disposition: form-data; name="selfie"; filename="-"

{selfie}
--------------------------5d4cb2ca630258df
Content-Disposition: form-data; name="image"; filename="photo.jpg"
Content-Type: image/jpeg

{image}
--------------------------5d4cb2ca630258df--
"#,
            multiface: false,
        },
    ),
    (
        "requests, files=[('selfie', ('file', open(…), 'image/jpeg')), …], data={'image_multiface': 'true'}",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
app_id: {id}
app_key: {key}
Content-Length: {length}
Content-Type: multipart/form-data; boundary=481655fd6a616e29879f7164a50c76da

--481655fd6a616e29879f7164a50c76da
Content-Disposition: form-data; name="image_multiface"

true
--481655fd6a616e29879f7164a50c76da
Content-Disposition: form-data; name="selfie"; filename="file"
Content-Type: image/jpeg

{selfie}
--481655fd6a616e29879f7164a50c76da
Content-Disposition: form-data; name="image"; filename="file"
Content-Type: image/jpeg

{image}
--481655fd6a616e29879f7164a50c76da--
"#,
            multiface: true,
        },
    ),
    (
        "requests, application/octet-stream, ('Zoë.jpg', open(…)), image_multiface: True",
        Recorded {
            path: "/v0.2/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
app_id: {id}
app_key: {key}
Content-Length: {length}
Content-Type: multipart/form-data; boundary=63e5768187e1067f13924f61f80c8d00

--63e5768187e1067f13924f61f80c8d00
Content-Disposition: form-data; name="image_multiface"

True
--63e5768187e1067f13924f61f80c8d00
Content-Disposition: form-data; name="selfie"; filename="file"
Content-Type: application/octet-stream

{selfie}
--63e5768187e1067f13924f61f80c8d00
Content-Disposition: form-data; name="image"; filename="Zoë.jpg"

{image}
--63e5768187e1067f13924f61f80c8d00--
"#,
            multiface: true,
        },
    ),
    (
        "requests, {'selfie': open(…), 'image': (None, bytes)}",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
Host: {host}
User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
app_id: {id}
app_key: {key}
Content-Length: {length}
Content-Type: multipart/form-data; boundary=3bd2e4b8a6e9ac8c4f9c28414e8df9da

--3bd2e4b8a6e9ac8c4f9c28414e8df9da
Content-Disposition: form-data; name="selfie"; filename="selfie.jpg"

{selfie}
--3bd2e4b8a6e9ac8c4f9c28414e8df9da
Content-Disposition: form-data; name="image"

{image}
--3bd2e4b8a6e9ac8c4f9c28414e8df9da--
"#,
            multiface: false,
        },
    ),
    (
        "Node request, formData with streams, filename and contentType: null",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
app_id: {id}
app_key: {key}
host: {host}
content-type: multipart/form-data; boundary=--------------------------623147294377335510902660
content-length: {length}
Connection: keep-alive

----------------------------623147294377335510902660
Content-Disposition: form-data; name="selfie"; filename="selfie.jpg"
Content-Type: image/jpeg

{selfie}
----------------------------623147294377335510902660
Content-Disposition: form-data; name="image"; filename="photo.jpg"
Content-Type: image/jpeg

{image}
----------------------------623147294377335510902660
Content-Disposition: form-data; name="image_multiface"

false
----------------------------623147294377335510902660--
"#,
            multiface: false,
        },
    ),
    (
        "Node form-data piped into http.request, length unknown",
        Recorded {
            path: "/v0.2/biometric-verification",
            request: r#"POST {path} HTTP/1.1
content-type: multipart/form-data; boundary=--------------------------54148ebbc9c0b8fe01076295
app_id: {id}
app_key: {key}
Host: {host}
Connection: keep-alive
Transfer-Encoding: chunked

----------------------------54148ebbc9c0b8fe01076295
Content-Disposition: form-data; name="selfie"; filename="selfie.jpg"
Content-Type: image/jpeg

{|}{selfie}{|}
{|}----------------------------54148ebbc9c0b8fe01076295
Content-Disposition: form-data; name="image"; filename="photo.jpg"
Content-Type: image/jpeg

{|}{image}{|}
----------------------------54148ebbc9c0b8fe01076295--
"#,
            multiface: false,
        },
    ),
    (
        "Node fetch with FormData and Blob",
        Recorded {
            path: "/v0.1/biometric-verification",
            request: r#"POST {path} HTTP/1.1
host: {host}
connection: keep-alive
app_id: {id}
app_key: {key}
content-type: multipart/form-data; boundary=----formdata-undici-056042676310
accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: gzip, deflate
content-length: {length}

------formdata-undici-056042676310
Content-Disposition: form-data; name="selfie"; filename="zoë.jpg"
Content-Type: application/octet-stream

{selfie}
------formdata-undici-056042676310
Content-Disposition: form-data; name="image"; filename="blob"
Content-Type: image/jpeg

{image}
------formdata-undici-056042676310
Content-Disposition: form-data; name="image_multiface"

true
------formdata-undici-056042676310--
"#,
            multiface: true,
        },
    ),
];

/// Node reads files in pieces of this length, and curl sends no longer ones.
const LONGEST_CHUNK: usize = 65_536;

impl Recorded {
    /// Head and body as they go over the wire.
    fn bytes(&self, server: &Server, images: &Images) -> Result<(Vec<u8>, Vec<u8>), Failed> {
        let (head, body) = self
            .request
            .split_once("\n\n")
            .ok_or("a request without a body")?;
        let pieces = body.split("{|}").map(|piece| fill(piece, images));
        let chunked = head.contains("chunked");
        let body = if chunked {
            let mut body = Vec::new();
            for piece in pieces {
                for chunk in piece.chunks(LONGEST_CHUNK) {
                    body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    body.extend_from_slice(chunk);
                    body.extend_from_slice(b"\r\n");
                }
            }
            body.extend_from_slice(b"0\r\n\r\n");
            body
        } else {
            pieces.collect::<Vec<_>>().concat()
        };
        let head = head
            .replace("{path}", self.path)
            .replace("{host}", &server.address.to_string())
            .replace("{id}", APP.id)
            .replace("{key}", APP.key)
            .replace("{length}", &body.len().to_string());
        Ok((format!("{head}\n\n").replace('\n', "\r\n").into_bytes(), body))
    }
}

/// Puts the files into a piece of a body.
fn fill(piece: &str, images: &Images) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = piece;
    loop {
        let next = [("{selfie}", &images.selfie), ("{image}", &images.image)]
            .into_iter()
            .filter_map(|(mark, file)| Some((rest.find(mark)?, mark, file)))
            .min_by_key(|(position, ..)| *position);
        let Some((position, mark, file)) = next else {
            bytes.extend_from_slice(rest.replace('\n', "\r\n").as_bytes());
            return bytes;
        };
        bytes.extend_from_slice(rest[..position].replace('\n', "\r\n").as_bytes());
        bytes.extend_from_slice(file);
        rest = &rest[position + mark.len()..];
    }
}

fn documented_clients(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let images = Images::read(shared)?;
    for_each(RECORDED, |recorded| {
        let (head, body) = recorded.bytes(server, &images)?;
        let mut connection = server.connect()?;
        connection.send(&head)?;
        if recorded.request.contains("Expect: 100-continue") {
            connection.wait_for_continue()?;
        }
        connection.send(&body)?;
        images.expect(&connection.response()?, recorded.multiface)
    })
}

fn booleans(shared: &Path) -> Outcome {
    let server = SERVER.get()?;
    let images = Images::read(shared)?;
    let cases = [
        ("true", true),
        ("True", true),
        ("TRUE", true),
        (" true ", true),
        ("1", true),
        ("yes", true),
        ("YES", true),
        ("false", false),
        ("False", false),
        ("FALSE", false),
        ("0", false),
        ("no", false),
        ("No", false),
    ];
    for_each(cases.map(|case| (case.0, case)), |(value, multiface)| {
        let before = Form::new().text("image_multiface", value);
        let before = before.file("selfie", &images.selfie).file("image", &images.image);
        for form in [before, images.form().text("image_multiface", value)] {
            let response = server.post("/v0.1/biometric-verification", &form)?;
            images.expect(&response, multiface)?;
        }
        Ok(())
    })?;
    let absent = server.post("/v0.1/biometric-verification", &images.form())?;
    images.expect(&absent, false)
}
