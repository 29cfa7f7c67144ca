"""The naive page: asks for the whole list each 2 s and writes the table anew.

It shows what the real one shows of a row, and is told nothing. Browsers are fast at this while
nothing is selected, focused or scrolled; the point is what it costs each 2 s, and how old it is.
"""

from typing import Final

PATH: Final = "/naive"
"""Where a browser finds it, beside the API, so that its cookie is sent."""

PAGE: Final = """<!doctype html>
<meta charset="utf-8">
<title>naive</title>
<style>
  body { font: 14px system-ui, sans-serif } table { border-collapse: collapse }
  td, th { padding: 2px 8px; border-bottom: 1px solid #ccc; text-align: left }
  .strip { display: inline-flex; gap: 1px; height: 20px; align-items: end }
  .strip i { width: 6px; background: #48c; display: inline-block }
  .chip { border: 1px solid #999; border-radius: 8px; padding: 0 6px }
</style>
<p id="sum"></p><table><tbody id="rows"></tbody></table>
<script>
const escape = (text) =>
  String(text ?? "unknown").replace(/[&<>"]/g, (c) => `&#${c.charCodeAt()};`);
const percent = (share) => share == null ? "unknown" : `${(100 * share).toFixed(1)} %`;
const color = (busy) => `hsl(${210 - (busy ?? 0)} 70% 50%)`;
const strip = (row) => (row.pulse.gpu ?? []).map(([busy, used]) =>
  `<i style="height:${used ?? 100}%;background:${color(busy)}"></i>`).join("");
const busy = (row) => {
  const told = row.pulse.gpu ?? [];
  const mean = told.reduce((sum, [one]) => sum + (one ?? 0), 0) / (told.length || 1);
  return `${told.filter(([one]) => one >= 5).length}/${told.length} busy, ${mean.toFixed(0)} %`;
};
const chip = (model) => `<span class="chip">${escape(model)}</span>`;
const line = (row) => `<tr data-node="${escape(row.id)}"><td>${escape(row.state)}
  ${escape(row.reason ?? "")}</td><td>${escape(row.profile.name)}
  <small>${escape(row.profile.address)}</small></td>
  <td>${(row.profile.gpus ?? []).map((gpu) => `${gpu.count} x ${escape(gpu.model)}`).join()}</td>
  <td><span class="strip">${strip(row)}</span> <span class="busy">${busy(row)}</span></td>
  <td>${((row.profile.vramBytes ?? 0) / 2 ** 30).toFixed(0)} GiB</td>
  <td>${percent(row.pulse.cpu)}</td><td>${percent(row.pulse.memory)}</td>
  <td>${percent(row.pulse.disk)}</td>
  <td>${(row.profile.models ?? []).map(chip).join("")}</td>
  <td>${row.lastHeartbeat
    ? `${((Date.now() - Date.parse(row.lastHeartbeat)) / 1000).toFixed(0)} s ago` : "never"}</td>
  <td>${escape(row.profile.agent)}</td></tr>`;
async function again() {
  const answer = await fetch("/api/fabric/nodes?limit=5000", { cache: "no-store" });
  const rows = await answer.json();
  const count = {};
  for (const row of rows) count[row.state] = (count[row.state] ?? 0) + 1;
  document.getElementById("sum").textContent = JSON.stringify(count);
  document.getElementById("rows").innerHTML = rows.map(line).join("");
}
again();
setInterval(again, 2000);
</script>
"""
"""The whole page."""
