// What if: a slider beside each threshold. The service counts; this page only shows its counts.

import { request } from "./console.js";
import { TEXTS } from "./texts.js";

const form = document.getElementById("what-if");
const status = document.getElementById("status");
const number = new Intl.NumberFormat("en");
const share = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
let asked = 0;
let timer;

/** Adds a slider that moves with the number. */
function addSlider(input) {
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = "0";
  slider.max = "1";
  slider.step = "0.01";
  slider.value = input.value;
  slider.setAttribute("aria-label", input.labels[0].textContent);
  slider.addEventListener("input", () => {
    input.value = slider.value;
    countSoon();
  });
  input.addEventListener("input", () => {
    slider.value = input.value;
    countSoon();
  });
  input.after(slider);
}

function countSoon() {
  clearTimeout(timer);
  timer = setTimeout(count, 150);
}

function showError(field, text) {
  for (const element of form.querySelectorAll(".threshold .error")) {
    const input = element.parentElement.querySelector("input[name]");
    const isThis = input.name === field;
    element.textContent = isThis ? text : "";
    if (isThis) {
      input.setAttribute("aria-invalid", "true");
    } else {
      input.removeAttribute("aria-invalid");
    }
  }
  status.textContent = form.elements[field]?.closest(".threshold") ? "" : text;
}

/** Has the service count, and shows the latest result only. */
async function count() {
  const query = new URLSearchParams(new FormData(form));
  const own = ++asked;
  let counts;
  try {
    const response = await request(`${form.dataset.counts}?${query}`);
    counts = await response.json();
    if (own !== asked) {
      return;
    }
    showError(response.ok ? "" : counts.field, response.ok ? "" : counts.error);
    if (!response.ok) {
      return;
    }
  } catch (error) {
    if (own === asked) {
      showError("", TEXTS.failed);
    }
    return;
  }
  const total = (parts) => parts.pass + parts.warning + parts.review + parts.reject;
  for (const column of ["recorded", "now", "chosen"]) {
    const parts = { ...counts[column], total: total(counts[column]) };
    for (const [row, value] of Object.entries(parts)) {
      const cell = document.getElementById(`${column}-${row}`);
      if (cell) {
        cell.textContent = number.format(value * Math.max(1, counts.one_in));
        document.getElementById(`${column}-${row}-share`).textContent = parts.total ? share.format(value / parts.total) : "";
      }
    }
  }
  document.getElementById("profile-toml").textContent = counts.toml;
  history.replaceState(null, "", `${location.pathname}?${query}`);
}

for (const input of form.querySelectorAll(".threshold input")) {
  addSlider(input);
}
// Other records: the page is loaded anew, with these thresholds.
for (const field of [form.since, form.until, form.app]) {
  field.addEventListener("change", () => form.requestSubmit());
}
// Other thresholds, and other records: the page is loaded anew.
form.profile.addEventListener("change", () => {
  const query = new URLSearchParams({ profile: form.profile.value, since: form.since.value, until: form.until.value });
  query.set("app", form.app.value);
  location.assign(`${location.pathname}?${query}`);
});
