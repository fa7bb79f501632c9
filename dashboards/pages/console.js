"use strict";
// What only the browser can know: that the connection to the console is lost and for how long, and whether the tab is
// seen. Everything else is drawn by the console.
(() => {
  const banner = () => document.querySelector("#popup span");
  let lostAt = 0;
  const inWords = (seconds) =>
    seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const say = () => {
    if (!lostAt) return;
    const since = new Date(lostAt).toLocaleTimeString();
    const age = inWords(Math.round((Date.now() - lostAt) / 1000));
    banner().textContent = `The console cannot be reached. What you see is of ${since}, ${age} ago.`;
    document.getElementById("popup").setAttribute("role", "alert");
  };
  // A login that has ended looks like a lost connection to the socket; only a request tells.
  const askWhetherLoggedIn = async () => {
    if (!lostAt) return;
    try {
      const answer = await fetch(window.location.href, { method: "HEAD", cache: "no-store" });
      if (answer.status === 401) {
        window.location.assign("/login?next=" + encodeURIComponent(window.location.pathname + window.location.search));
      }
    } catch {
      // The console is not there: the banner says so, and the next try is soon.
    }
  };
  const lost = () => { lostAt = lostAt || Date.now(); document.body.classList.add("connection-lost"); say(); };
  const back = () => { lostAt = 0; document.body.classList.remove("connection-lost"); };
  const attach = () => {
    if (!window.socket || !window.did_handshake) return setTimeout(attach, 50);
    window.socket.on("disconnect", lost);
    window.socket.on("connect", back);
    setInterval(say, 1000);
    setInterval(askWhetherLoggedIn, 3000);
    const tell = () => emitEvent("slatecastVisibility", document.hidden);
    document.addEventListener("visibilitychange", tell);
    if (document.hidden) tell();
  };
  attach();
})();

// Adds points to the lines of a chart; the browser keeps what it has, half as dense when it becomes too much.
window.slatecastAppend = (id, lines) => {
  const mostPoints = 4000;
  const chart = getElement(id)?.chart;
  if (!chart) return setTimeout(() => window.slatecastAppend(id, lines), 50);
  const kept = (chart.slatecastLines ??= lines.map(() => []));
  lines.forEach((points, index) => {
    kept[index].push(...points);
    if (kept[index].length > mostPoints) kept[index] = kept[index].filter((_, at) => at % 2 === 0);
  });
  chart.setOption({ series: kept.map((data) => ({ data })) });
};
