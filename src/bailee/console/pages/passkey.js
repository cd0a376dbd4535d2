"use strict";

// Passkeys: the one thing on these pages that a browser can't do without a script. A form with
// `data-passkey` (`get` or `create`) is shown where it works, and sent with what the
// authenticator answered.
(() => {
  const able =
    window.isSecureContext &&
    window.PublicKeyCredential &&
    PublicKeyCredential.parseCreationOptionsFromJSON &&
    PublicKeyCredential.parseRequestOptionsFromJSON &&
    !/^[\d.]+$|:/.test(location.hostname.replace(/^\[|\]$/g, "")); // an address is no name

  async function send(form, address, more) {
    const body = new URLSearchParams(new FormData(form));
    for (const [name, value] of Object.entries(more)) body.set(name, value);
    const answer = await fetch(address, { method: "POST", body, credentials: "same-origin" });
    const json = (answer.headers.get("content-type") || "").includes("application/json");
    const value = json ? await answer.json() : {};
    if (!answer.ok) throw Object.assign(new Error("refused"), { said: value.said });
    return value;
  }

  async function ask(kind, options) {
    if (kind === "create") {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
      return navigator.credentials.create({ publicKey });
    }
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return navigator.credentials.get({ publicKey });
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!able) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const status = form.querySelector("[role=status]");
      status.textContent = "";
      try {
        const begun = await send(form, form.dataset.begin, {});
        const credential = await ask(form.dataset.passkey, begun.options);
        const done = await send(form, form.action, {
          token: begun.token,
          credential: JSON.stringify(credential.toJSON()),
        });
        location.assign(done.to);
      } catch (error) {
        status.textContent = error.said || form.dataset.failed;
      }
    });
  }
})();
