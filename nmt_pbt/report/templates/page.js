"use strict";
// Sorting and filtering of the tables. The page is complete without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const text = row.cells[column].dataset.sort;
    const number = text === "inf" ? Infinity : Number(text);
    return text === "nan" ? null : text !== "" && !Number.isNaN(number) ? number : text;
  };
  headings.forEach((heading, column) => {
    if ([...body.rows].every((row) => row.cells[column].classList.contains("number"))) heading.classList.add("number");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "descending" ? 1 : -1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
      const rows = [...body.rows].sort((first, second) => {
        const [a, b] = [key(first, column), key(second, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        if (typeof a === typeof b) return down * (a < b ? -1 : a > b ? 1 : 0);
        return down * (typeof a === "number" ? -1 : 1);
      });
      body.append(...rows);
    });
  });
}
for (const table of document.querySelectorAll("table.filterable")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 9) continue;
  const bar = document.createElement("div");
  bar.className = "filters";
  const selects = [];
  for (const name of ["method", "seed"]) {
    const found = [...new Set(rows.map((row) => row.dataset[name]))];
    if (found.length < 2) continue;
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...found.map((value) => new Option(value, value)));
    const label = document.createElement("label");
    label.append(`${name} `, select);
    bar.append(label);
    selects.push([name, select]);
  }
  const show = () => {
    for (const row of rows) row.hidden = selects.some(([name, select]) => select.value && row.dataset[name] !== select.value);
  };
  selects.forEach(([, select]) => select.addEventListener("change", show));
  if (selects.length) table.parentElement.before(bar);
}
