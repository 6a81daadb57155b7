"use strict";
document.documentElement.classList.add("has-script");

// Tables: a click on a header sorts, numbers from the largest first, texts from A; what has no value comes last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(table, headers, column));
  });
}

function sort(table, headers, column) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const numeric = rows.some((row) => row.cells[column].dataset.sort !== undefined);
  const before = headers[column].getAttribute("aria-sort");
  const falls = before ? before === "ascending" : numeric;
  const key = (row) => {
    const cell = row.cells[column];
    return numeric ? parseFloat(cell.dataset.sort ?? "NaN") : cell.textContent.trim().toLowerCase();
  };
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0) * (falls ? -1 : 1);
  const missing = (value) => Number.isNaN(value) || value === "–";
  rows.sort((first, second) => {
    const [a, b] = [key(first), key(second)];
    return missing(a) || missing(b) ? missing(a) - missing(b) : compare(a, b);
  });
  body.append(...rows);
  for (const header of headers) header.removeAttribute("aria-sort");
  headers[column].setAttribute("aria-sort", falls ? "descending" : "ascending");
}

// The search field above a table hides the rows whose first cell does not hold its text.
for (const field of document.querySelectorAll("input[data-filters]")) {
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of document.getElementById(field.dataset.filters).tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    }
  });
}

// On paper nothing can be opened; what is there once a model stays as it is.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([data-model])")) details.open = true;
});
