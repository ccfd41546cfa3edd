"use strict";
{
  const form = document.querySelector(".filter");
  const rows = [...document.querySelectorAll("section > table:not(.numbers) tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const apply = () => {
    const severities = new Set([...form.querySelectorAll("input:checked")].map((box) => box.value));
    const words = form.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !(severities.has(row.className) && words.every((word) => texts[at].includes(word)));
      shown += row.hidden ? 0 : 1;
    });
    form.querySelector("output").textContent = `${shown} of ${rows.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
