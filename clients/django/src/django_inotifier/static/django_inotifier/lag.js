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
      // Where nothing is to be done, nobody needs to run.
      const missing = !lag.runs && lag.behind + lag.pending > 0;
      if (missing) text += "; inotifier_consume does not run";
      if (!lag.ready) text += "; the daemon still looks at what is there";
      if (missing || !lag.ready) place.classList.add("inotifier-failed");
    }
  } catch (error) {
    text = `how far behind the daemon is cannot be told: ${error.message}`;
  }
  place.textContent = text;
});
