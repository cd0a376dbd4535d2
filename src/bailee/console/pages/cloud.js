"use strict";

// The live page of a cloud session: adds to its list what happens, as it happens. The list is a
// log that is read aloud; nothing moves that a person has scrolled to.
(() => {
  const log = document.getElementById("log");
  const state = document.getElementById("state");
  if (!log || !window.EventSource) return;
  const source = new EventSource(`${log.dataset.events}?after=${log.dataset.after}`);

  source.onopen = () => {
    document.getElementById("still")?.remove();
  };

  function element(name, text, more) {
    return Object.assign(document.createElement(name), { textContent: text }, more);
  }

  source.onmessage = (event) => {
    const one = JSON.parse(event.data);
    const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 40;
    const item = element("li", "", { className: one.kind });
    item.append(element("span", one.who, { className: "who" }), " ");
    item.append(element("time", one.at.slice(11, 19), { dateTime: one.at }));
    item.append(element("div", one.text));
    log.firstElementChild.append(item);
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  source.addEventListener("state", (event) => {
    state.textContent = JSON.parse(event.data);
  });
  source.addEventListener("end", () => {
    source.close();
    location.reload(); // what is shown of a session that has ended is another page
  });
  source.onerror = () => {
    state.textContent = source.readyState === EventSource.CLOSED ? log.dataset.broken : state.textContent;
  };
  log.scrollTop = log.scrollHeight;
})();
