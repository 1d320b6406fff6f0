// Search in the list of methods.
"use strict";
(() => {
  const q = document.getElementById("q");
  const rows = [...document.querySelectorAll("#methods tbody tr")];
  const show = () => {
    const words = q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      count += !row.hidden;
    }
    document.getElementById("count").textContent = `${count} of ${rows.length}`;
    history.replaceState(null, "", q.value ? `#${new URLSearchParams({ q: q.value })}` : "#");
  };
  const read = () => { q.value = new URLSearchParams(location.hash.slice(1)).get("q") || ""; show(); };
  q.addEventListener("input", show);
  addEventListener("hashchange", read);
  read();
})();
