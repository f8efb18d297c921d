// Try: chooses two images, sends them, and shows what is behind the decision. Images stay in this page and the request.

import { enableCopying } from "./console.js";
import { TEXTS } from "./texts.js";

const form = document.getElementById("try");
const csrf = document.querySelector('meta[name="csrf"]').content;
const result = document.getElementById("result");
const camera = document.getElementById("camera");
const verify = document.getElementById("verify");
const status = document.getElementById("status");
const upload = document.getElementById("upload");
const FIELDS = ["selfie", "image"];
const CROP = 112;
/** The longer side of a preview in pixels. */
const PREVIEW = 1600;

/** The chosen images by field: `{ file, bitmap }`; `bitmap` is null where the browser cannot show the format. */
const chosen = {};
let stream = null;

// Small helpers

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      made.setAttribute(key, value);
    }
  }
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function fixed(number, digits = 4) {
  return number.toFixed(digits);
}

// Errors beside their fields

function showError(field, message) {
  const place = document.getElementById(`${field}-error`);
  place.textContent = message;
  const input = form.elements[field === "form" ? "selfie" : field];
  if (field !== "form" && input) {
    input.setAttribute("aria-invalid", String(message !== ""));
  }
}

function clearErrors() {
  for (const field of [...FIELDS, "profile", "form"]) {
    showError(field, "");
  }
}

/** Shows an error of the API beside the field that its message names. */
function showApiError(error) {
  const field = ["selfie", "image", "profile"].find((name) => error.message.includes(`\`${name}\``));
  showError(field ?? "form", `${error.message} (${error.code})`);
  if (FIELDS.includes(field)) {
    form.elements[field].focus();
  }
}

// Images

async function choose(field, file) {
  showError(field, "");
  result.hidden = true;
  // The file is sent from now on, even before the browser has read it.
  const own = { file, bitmap: null };
  chosen[field]?.bitmap?.close();
  chosen[field] = own;
  draw(field, null);
  try {
    own.bitmap = await createImageBitmap(file);
  } catch {
    // The field says so below, unless another image was chosen meanwhile.
  }
  if (chosen[field] !== own) {
    own.bitmap?.close();
    return;
  }
  if (!own.bitmap) {
    showError(field, TEXTS.notShown);
  }
  draw(field, null);
}

/** Draws a chosen image, with its faces once they are known. */
function draw(field, report) {
  const zone = document.getElementById(`${field}-drop`);
  const canvas = zone.querySelector("canvas");
  const { bitmap, file } = chosen[field] ?? {};
  const size = bitmap ?? report;
  const hint = zone.querySelector(".hint .help");
  hint.dataset.text ??= hint.textContent;
  hint.textContent = file ? file.name : hint.dataset.text;
  zone.classList.toggle("filled", Boolean(size));
  canvas.hidden = !size;
  if (!size) {
    return;
  }
  const scale = Math.min(1, PREVIEW / Math.max(size.width, size.height));
  canvas.width = Math.max(1, Math.round(size.width * scale));
  canvas.height = Math.max(1, Math.round(size.height * scale));
  const context = canvas.getContext("2d");
  if (bitmap) {
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
  if (report) {
    drawFaces(context, report, canvas.width / report.width, canvas);
  }
}

function drawFaces(context, report, scale, canvas) {
  // Lines look the same at any size of the image on the screen.
  const unit = Math.max(canvas.width / 340, canvas.height / 255, 1);
  for (const face of report.faces) {
    const [x, y, width, height] = face.box.map((value) => value * scale);
    const colour = face.used ? "#35d07f" : "#ffd23f";
    for (const [stroke, line] of [["rgba(0,0,0,0.55)", 4], [colour, 2]]) {
      context.strokeStyle = stroke;
      context.lineWidth = line * unit;
      context.strokeRect(x, y, width, height);
    }
    for (const [px, py] of face.landmarks) {
      context.beginPath();
      context.arc(px * scale, py * scale, 2.4 * unit, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = unit;
      context.strokeStyle = "rgba(0,0,0,0.6)";
      context.stroke();
    }
    context.font = `600 ${11 * unit}px system-ui, sans-serif`;
    const label = face.score.toFixed(2);
    const labelWidth = context.measureText(label).width + 8 * unit;
    const top = y >= 18 * unit ? y - 17 * unit : y + 2 * unit;
    const left = Math.min(Math.max(x, 0), Math.max(canvas.width - labelWidth, 0));
    context.fillStyle = "rgba(0,0,0,0.7)";
    context.fillRect(left, top, labelWidth, 15 * unit);
    context.fillStyle = "#ffffff";
    context.textBaseline = "middle";
    context.fillText(label, left + 4 * unit, top + 8 * unit);
  }
}

for (const field of FIELDS) {
  const input = form.elements[field];
  const zone = document.getElementById(`${field}-drop`);
  input.addEventListener("change", () => {
    if (input.files[0]) {
      stopCamera(field);
      choose(field, input.files[0]);
    }
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) {
      stopCamera(field);
      choose(field, file);
    }
  });
}
// A file that misses the zones does not replace the page.
for (const type of ["dragover", "drop"]) {
  document.addEventListener(type, (event) => event.preventDefault());
}

// Camera

function stopCamera(field = "selfie") {
  if (field !== "selfie") {
    return;
  }
  starts += 1;
  camera.disabled = false;
  if (!stream) {
    return;
  }
  for (const track of stream.getTracks()) {
    track.stop();
  }
  stream = null;
  document.querySelector("#selfie-drop video")?.remove();
  camera.textContent = TEXTS.useCamera;
}

// Counts the starts and stops, so that a start that has been overtaken ends by itself.
let starts = 0;

async function startCamera() {
  showError("selfie", "");
  if (!navigator.mediaDevices?.getUserMedia) {
    showError("selfie", TEXTS.cameraInsecure);
    return;
  }
  status.textContent = TEXTS.cameraStarting;
  const own = ++starts;
  camera.disabled = true;
  try {
    const video = { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } };
    const begun = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    if (own !== starts) {
      for (const track of begun.getTracks()) {
        track.stop();
      }
      return;
    }
    stream = begun;
  } catch (error) {
    if (own !== starts) {
      return;
    }
    camera.disabled = false;
    const refused = error.name === "NotAllowedError";
    showError("selfie", refused ? TEXTS.cameraRefused : TEXTS.cameraFailed + error.message);
    status.textContent = "";
    return;
  }
  const view = element("video", { playsinline: "", muted: "", class: "mirrored" });
  view.muted = true;
  view.srcObject = stream;
  const zone = document.getElementById("selfie-drop");
  zone.append(view);
  zone.classList.add("filled");
  await view.play();
  if (own !== starts) {
    return;
  }
  status.textContent = "";
  camera.disabled = false;
  camera.textContent = TEXTS.takeSelfie;
}

/** The image is the camera's, not mirrored as the view is. */
async function takeSelfie() {
  const view = document.querySelector("#selfie-drop video");
  const canvas = element("canvas");
  canvas.width = view.videoWidth;
  canvas.height = view.videoHeight;
  canvas.getContext("2d").drawImage(view, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  stopCamera();
  if (!blob) {
    showError("selfie", TEXTS.cameraFailed + TEXTS.cameraNoImage);
    return;
  }
  form.elements.selfie.value = "";
  await choose("selfie", new File([blob], "selfie.jpg", { type: "image/jpeg" }));
}

camera.addEventListener("click", () => (stream ? takeSelfie() : startCamera()));

// The request

document.getElementById("clear").addEventListener("click", () => {
  stopCamera();
  clearErrors();
  form.reset();
  for (const field of FIELDS) {
    chosen[field]?.bitmap?.close();
    delete chosen[field];
    draw(field, null);
  }
  result.hidden = true;
  status.textContent = "";
  form.elements.selfie.focus();
});

/** Sends the form. `fetch` reports no progress of an upload, this does. */
function send(body) {
  return new Promise((done, failed) => {
    const sent = new XMLHttpRequest();
    sent.open("POST", "/console/try");
    sent.setRequestHeader("X-CSRF-Token", csrf);
    sent.upload.onprogress = (event) => {
      upload.value = event.lengthComputable ? event.loaded / event.total : 0;
    };
    sent.upload.onload = () => {
      upload.hidden = true;
      status.textContent = TEXTS.verifying;
    };
    sent.onload = () => done(sent);
    sent.onerror = () => failed(new Error(TEXTS.failed));
    sent.send(body);
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearErrors();
  const missing = FIELDS.filter((field) => !chosen[field]);
  for (const field of missing) {
    showError(field, field === "selfie" ? TEXTS.chooseSelfie : TEXTS.choosePhoto);
  }
  if (missing.length > 0) {
    form.elements[missing[0]].focus();
    return;
  }
  const body = new FormData();
  for (const field of FIELDS) {
    body.append(field, chosen[field].file, chosen[field].file.name);
  }
  body.append("profile", form.elements.profile.value);
  body.append("image_multiface", String(form.elements.image_multiface.checked));
  verify.disabled = true;
  upload.value = 0;
  upload.hidden = false;
  status.textContent = TEXTS.uploading;
  result.hidden = true;
  try {
    const response = await send(body);
    status.textContent = "";
    if (response.status === 401) {
      location.assign("/console/login");
    } else if (response.status === 200) {
      show(JSON.parse(response.responseText));
    } else {
      let error = null;
      try {
        error = JSON.parse(response.responseText).error;
      } catch {
        // Not the API's own: a refusal of the console.
      }
      showApiError(error ?? { message: TEXTS.refused, code: response.status });
    }
  } catch (error) {
    status.textContent = "";
    showError("form", error.message);
  } finally {
    verify.disabled = false;
    upload.hidden = true;
  }
});

// The result

function show(shown) {
  draw("selfie", shown.selfie);
  draw("image", shown.photo);
  const details = element("div", { class: "columns" }, faces(shown), timings(shown));
  result.replaceChildren(decision(shown), scores(shown), details, exchange(shown));
  result.className = "stack";
  result.hidden = false;
  enableCopying(result);
  const heading = result.querySelector("h2");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  result.scrollIntoView({ block: "start" });
}

function panel(title, ...children) {
  return element("section", { class: "panel" }, element("h2", {}, title), ...children);
}

function decision(shown) {
  const lines = element("ul", { class: "lines" });
  for (const { code, verdict, description } of shown.details) {
    const advice = TEXTS.advice[code] ?? TEXTS.advice[code.replace(/_IN_(SELFIE|IMAGE)$/, "")];
    lines.append(element("li", {},
      element("span", { class: `tag ${verdict}` }, TEXTS.verdicts[verdict]),
      element("div", { class: "stack" },
        element("div", {}, description, " ", element("code", { class: "help" }, code)),
        ...(advice ? [element("p", { class: "help" }, advice)] : []),
      ),
    ));
  }
  return panel(TEXTS.decision,
    element("div", { class: "verdict" },
      element("span", { class: `outcome ${shown.outcome}`, id: "outcome" }, TEXTS.outcomes[shown.outcome]),
      element("span", { class: "help" }, TEXTS.outcomeHelp[shown.outcome]),
    ),
    shown.details.length > 0 ? lines : element("p", { class: "help" }, TEXTS.noLines),
  );
}

function scores(shown) {
  const similarity = [];
  if (shown.cosine !== null) {
    similarity.push(`${TEXTS.cosine} ${fixed(shown.cosine)}`);
  }
  if (shown.normalised !== null) {
    similarity.push(`${TEXTS.normalised} ${fixed(shown.normalised)}`);
  }
  return panel(TEXTS.scores,
    element("div", { class: "columns" },
      score(TEXTS.matchConfidence, "match", shown.face_match, shown.profile.face_match),
      score(TEXTS.liveness, "live", shown.liveness, shown.profile.liveness),
    ),
    ...(similarity.length > 0 ? [element("p", { class: "help" }, `${TEXTS.similarity}: ${similarity.join(", ")}`)] : []),
    ...(shown.same_image ? [element("p", { class: "notice warn" }, TEXTS.sameImage)] : []),
  );
}

function zoneOf(value, { reject_below, review_below }) {
  return value < reject_below ? "reject" : value < review_below ? "review" : "pass";
}

function score(name, id, value, thresholds) {
  const head = element("div", { class: "row apart" }, element("h3", {}, name));
  if (value === null) {
    return element("div", { class: "score" }, head, element("p", { class: "help" }, TEXTS.notComputed));
  }
  const zone = zoneOf(value, thresholds);
  head.append(element("span", { class: "row" },
    element("span", { class: `tag ${zone}` }, TEXTS.zones[zone]),
    element("span", { class: "value", id: `${id}-score` }, fixed(value)),
  ));
  const legend = `${TEXTS.rejectBelow} ${thresholds.reject_below}, ${TEXTS.reviewBelow.toLowerCase()} ${thresholds.review_below}`;
  return element("div", { class: "score" }, head, bar(name, value, thresholds), element("p", { class: "help" }, legend));
}

/** A bar from 0 to 1 with the profile's zones and a mark at the score. */
function bar(name, value, { reject_below, review_below }) {
  const [width, top, height] = [400, 10, 16];
  const drawn = svg("svg", {
    class: "bar-svg", viewBox: `0 0 ${width} 46`, role: "img",
    "aria-label": `${name} ${fixed(value)}; ${TEXTS.rejectBelow} ${reject_below}, ${TEXTS.reviewBelow} ${review_below}`,
  });
  const zones = [["reject", 0, reject_below], ["review", reject_below, review_below], ["pass", review_below, 1]];
  for (const [zone, from, to] of zones) {
    if (to > from) {
      drawn.append(svg("rect", { class: `zone-${zone}`, x: from * width, y: top, width: (to - from) * width, height }));
    }
  }
  for (const at of [...new Set([reject_below, review_below])].filter((at) => at > 0 && at < 1)) {
    drawn.append(
      svg("line", { class: "edge", x1: at * width, x2: at * width, y1: top - 3, y2: top + height + 3 }),
      svg("text", { x: at * width, y: top + height + 16, "text-anchor": "middle" }, String(at)),
    );
  }
  for (const [at, anchor] of [[0, "start"], [1, "end"]]) {
    drawn.append(svg("text", { x: at * width, y: top + height + 16, "text-anchor": anchor }, String(at)));
  }
  const x = Math.min(Math.max(value, 0), 1) * width;
  drawn.append(svg("rect", { class: "mark", x: x - 2, y: top - 6, width: 4, height: height + 12, rx: 2 }));
  return drawn;
}

function faces(shown) {
  const crops = element("div", { class: "crops" });
  for (const [field, name, report] of [["selfie", TEXTS.selfie, shown.selfie], ["image", TEXTS.photo, shown.photo]]) {
    const facts = [report.faces_found === 0 ? TEXTS.foundNone : TEXTS.found(report.faces_found)];
    const used = report.faces.find((face) => face.used) ?? report.faces[0];
    if (used) {
      facts.push(`${TEXTS.detectorScore} ${used.score.toFixed(2)}`);
    }
    if (report.rotation !== 0) {
      facts.push(TEXTS.turned(report.rotation));
    }
    const figure = element("figure", {});
    const { bitmap } = chosen[field] ?? {};
    if (used?.align && bitmap) {
      figure.append(crop(bitmap, used.align, `${name}: ${TEXTS.face}`));
    }
    figure.append(element("figcaption", {}, element("strong", {}, name), element("br"), facts.join(", "), element("br"), `${report.width} × ${report.height} px`));
    crops.append(figure);
  }
  return panel(TEXTS.faces, element("p", { class: "help" }, TEXTS.facesHelp), crops);
}

/** The crop of a face, by the map of its alignment. */
function crop(bitmap, [a, b, c, d, e, f], label) {
  const canvas = element("canvas", { role: "img", "aria-label": label });
  const side = CROP * Math.min(2, Math.ceil(devicePixelRatio));
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.setTransform(a * side, d * side, b * side, e * side, c * side, f * side);
  context.drawImage(bitmap, 0, 0);
  return canvas;
}

function timings(shown) {
  const rows = element("tbody");
  const longest = Math.max(...shown.stages.map(([, ms]) => ms), 1);
  for (const [stage, ms] of shown.stages) {
    const name = TEXTS.stages[stage] ?? stage;
    const meter = element("progress", { class: "meter", max: longest, value: ms, "aria-label": `${name}: ${ms.toFixed(1)} ms` });
    rows.append(element("tr", {},
      element("th", { scope: "row" }, name), element("td", { class: "wide" }, meter),
      element("td", { class: "number" }, `${ms.toFixed(1)} ms`),
    ));
  }
  rows.append(element("tr", {},
    element("th", { scope: "row" }, TEXTS.total), element("td"),
    element("td", { class: "number" }, `${shown.total_ms.toFixed(1)} ms`),
  ));
  return panel(TEXTS.timings, element("p", { class: "help" }, TEXTS.timingsHelp), element("table", { class: "stages" }, rows));
}

// The exchange: the response and the request in three languages

function requests() {
  const stated = form.dataset.api;
  const url = new URL(stated);
  // A service that listens on all addresses is reached by the host of this page.
  if (["0.0.0.0", "[::]"].includes(url.hostname)) {
    url.hostname = location.hostname;
  }
  const api = `${url.href.replace(/\/$/, "")}/v0.2/biometric-verification`;
  const [selfie, image] = FIELDS.map((field) => chosen[field].file.name.replace(/[^\w. -]/g, "_"));
  const profile = form.elements.profile.value;
  const multiface = form.elements.image_multiface.checked;
  const curl = [
    `curl -sS ${api} \\`,
    "  -H 'app_id: APP_ID' -H 'app_key: APP_KEY' \\",
    `  -F 'selfie=@${selfie}' -F 'image=@${image}' \\`,
    ...(multiface ? ["  -F image_multiface=true \\"] : []),
    `  -F profile=${profile}`,
  ].join("\n");
  const python = [
    "import requests",
    "",
    `with open("${selfie}", "rb") as selfie, open("${image}", "rb") as image:`,
    "    response = requests.post(",
    `        "${api}",`,
    '        headers={"app_id": "APP_ID", "app_key": "APP_KEY"},',
    '        files={"selfie": selfie, "image": image},',
    `        data={"profile": "${profile}"${multiface ? ', "image_multiface": "true"' : ""}},`,
    "        timeout=30,",
    "    )",
    "response.raise_for_status()",
    "print(response.json())",
  ].join("\n");
  const javascript = [
    'import { openAsBlob } from "node:fs";',
    "",
    "const form = new FormData();",
    `form.append("selfie", await openAsBlob("${selfie}"), "${selfie}");`,
    `form.append("image", await openAsBlob("${image}"), "${image}");`,
    `form.append("profile", "${profile}");`,
    ...(multiface ? ['form.append("image_multiface", "true");'] : []),
    `const response = await fetch("${api}", {`,
    '  method: "POST",',
    '  headers: { "app-id": "APP_ID", "app-key": "APP_KEY" },',
    "  body: form,",
    "});",
    "if (!response.ok) throw new Error(await response.text());",
    "console.log(await response.json());",
  ].join("\n");
  return { curl, python, javascript };
}

function exchange(shown) {
  const texts = { json: shown.response, ...requests() };
  const tabs = element("div", { class: "tabs", role: "tablist", "aria-label": TEXTS.details });
  const panels = [];
  for (const [id, text] of Object.entries(texts)) {
    const isFirst = panels.length === 0;
    tabs.append(element("button", {
      type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`,
      "aria-selected": String(isFirst), tabindex: isFirst ? "0" : "-1",
    }, TEXTS.tabs[id]));
    const copied = element("div", { class: "with-copy", role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}` },
      element("pre", { id: `text-${id}`, tabindex: "0" }, text),
      element("button", { type: "button", "data-copy": `text-${id}` }, TEXTS.copy),
    );
    copied.hidden = !isFirst;
    panels.push(copied);
  }
  enableTabs(tabs, panels);
  return panel(TEXTS.details, tabs, ...panels, element("p", { class: "help" }, TEXTS.requestHelp));
}

/** Tabs as the ARIA Authoring Practices describe them: arrows move, and the tab of the focus is shown. */
function enableTabs(tabs, panels) {
  const buttons = [...tabs.children];
  const select = (index) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      panels[at].hidden = at !== index;
    });
  };
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => select(index));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        const next = (index + step + buttons.length) % buttons.length;
        select(next);
        buttons[next].focus();
      }
    });
  });
}
