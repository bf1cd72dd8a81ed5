// The requests of the buttons: acknowledge, silence, end a silence.
"use strict";

const REQUESTS = {
  acknowledge: (place) => ["POST", "/api/acknowledgements", { rule: place.rule, peer: place.peer }],
  silence: (place, button) => [
    "POST",
    "/api/silences",
    { rule: place.rule, peer: place.peer, lasts: button.parentElement.querySelector("select").value },
  ],
  end: (place) => ["DELETE", `/api/silences/${place.silence}`, {}],
};

async function act(button) {
  const [method, path, content] = REQUESTS[button.dataset.act](button.closest(".acts").dataset, button);
  const error = at("said");
  setText(error, "");
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(content),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
  } catch (problem) {
    setText(error, error.dataset.failed.replace("{}", problem.message));
  } finally {
    button.removeAttribute("aria-busy");
    document.dispatchEvent(new Event("acted"));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (button && !button.hasAttribute("aria-busy")) act(button);
});
