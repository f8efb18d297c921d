// What all pages share: requests with the CSRF token, times in the reader's zone, copying, confirmation.

import { TEXTS } from "./texts.js";

const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** Sends a request to the console with the session's CSRF token. An ended session leads to the login. */
export async function request(path, options = {}) {
  const headers = { ...options.headers, "X-CSRF-Token": csrf };
  const response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  if (response.status === 401) {
    location.assign("/console/login");
  }
  return response;
}

/** Shows each `<time datetime>` in the reader's zone, with UTC in the tooltip. */
export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const time = new Date(element.dateTime);
    if (!Number.isNaN(time.getTime()) && !element.title) {
      element.title = `${element.dateTime} (UTC)`;
      element.textContent = time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    }
  }
}

/** Copies the text of `#id` when its button with `data-copy="id"` is pressed. */
export function enableCopying(root = document) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const label = button.dataset.label ?? button.textContent;
      button.dataset.label = label;
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = TEXTS.copied;
      } catch {
        // Without HTTPS there is no clipboard: select the text instead.
        getSelection().selectAllChildren(source);
        button.textContent = TEXTS.selected;
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.confirm)) {
      event.preventDefault();
    }
  });
}
showTimes();
enableCopying();
