"use strict";
(function () {
  function value(row, column) {
    var cell = row.cells[column];
    var text = cell.dataset.value;
    if (text === undefined) { text = cell.querySelector(".absent") ? "" : cell.textContent; }
    return text.trim();
  }
  function compare(a, b, sign) {
    if (a === "" || b === "") { return (a === "") - (b === ""); }
    var x = Number(a), y = Number(b);
    var order = isNaN(x) || isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
    return sign * order;
  }
  function sort(head) {
    var row = head.parentNode, body = row.parentNode.parentNode.tBodies[0];
    var column = head.cellIndex;
    var sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
    if (column === 0) { sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1; }
    Array.prototype.forEach.call(row.cells, function (cell) { cell.setAttribute("aria-sort", "none"); });
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    var rows = Array.prototype.slice.call(body.rows);
    rows.sort(function (a, b) { return compare(value(a, column), value(b, column), sign); });
    rows.forEach(function (one) { body.appendChild(one); });
  }
  // A task at a time; without scripts all of them are shown.
  var choose = document.querySelector(".choose");
  function show(id) {
    document.querySelectorAll(".task").forEach(function (task) { task.hidden = task.id !== id; });
  }
  if (choose) {
    var list = choose.querySelector("select");
    choose.hidden = list.options.length < 2;
    list.addEventListener("change", function () { show(list.value); });
    show(list.value);
  }
  // A link into a closed section opens it.
  function open() {
    var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) { return; }
    for (var one = target; one; one = one.parentElement) {
      if (one.tagName === "DETAILS") { one.open = true; }
    }
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", open);
  open();
  document.querySelectorAll("th button").forEach(function (button) {
    button.addEventListener("click", function () { sort(button.closest("th")); });
  });
})();
