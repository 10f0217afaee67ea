// Rows as a CSV file, quoted as RFC 4180 says.

function quotedCell(value) {
  if (value === null || value === undefined) return "";
  const text = value === Infinity ? "inf" : value === -Infinity ? "-inf" : String(value);
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csv(table, rows, names) {
  const columns = names.map((name) => table.column(name));
  const lines = [names.map(quotedCell).join(",")];
  for (const row of rows) lines.push(columns.map((column) => quotedCell(column.value(row))).join(","));
  return lines.join("\n") + "\n";
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
