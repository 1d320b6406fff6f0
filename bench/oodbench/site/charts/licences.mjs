// Writes the licences of all that the bundle may hold beside it.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const parts = Object.entries(lock.packages)
  .filter(([path, one]) => path && !one.dev)
  .map(([path, one]) => {
    const file = readdirSync(path).find((name) => /^licen[cs]e/i.test(name));
    return `${path.replace("node_modules/", "")} ${one.version}\n\n${file ? readFileSync(`${path}/${file}`, "utf8").trim() : one.license}\n`;
  });
writeFileSync("../assets/plot.LICENSES.txt", parts.join(`\n${"-".repeat(80)}\n\n`));
