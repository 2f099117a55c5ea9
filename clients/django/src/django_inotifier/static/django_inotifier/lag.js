// Asks how far behind the daemon is, once the page is there.
"use strict";

document.addEventListener("DOMContentLoaded", async () => {
  const line = document.getElementById("inotifier-lag");
  if (line === null) return;
  const place = line.querySelector(".daemon");
  let text = "";
  try {
    const reply = await fetch(line.dataset.url, { credentials: "same-origin" });
    const lag = await reply.json();
    if (lag.error) {
      place.classList.add("inotifier-failed");
      text = lag.error;
    } else {
      text = `${lag.behind} events to fetch from the daemon`;
      if (!lag.owned) text += "; inotifier_consume does not run";
      if (!lag.ready) text += "; the daemon still looks at what is there";
      if (!lag.owned || !lag.ready) place.classList.add("inotifier-failed");
    }
  } catch (error) {
    text = `how far behind the daemon is cannot be told: ${error.message}`;
  }
  place.textContent = text;
});
