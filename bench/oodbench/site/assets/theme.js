// Runs before the page is drawn: says that scripts work, and keeps the reader's choice of light or dark.
"use strict";
document.documentElement.classList.add("js");
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("oodbench-theme"); } catch { return null; } };
  const set = (theme) => { if (theme) root.dataset.theme = theme; };
  set(kept());
  addEventListener("DOMContentLoaded", () => document.getElementById("theme").addEventListener("click", () => {
    const dark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    set(dark ? "light" : "dark");
    try { localStorage.setItem("oodbench-theme", root.dataset.theme); } catch { /* a page on a disk may keep nothing */ }
  }));
})();
