/** CSV as Desk writes it: RFC 4180, CRLF, UTF-8 with BOM (spreadsheets take the file for Latin-1 otherwise). */

export const csvMediaType = 'text/csv';
export const byteOrderMark = '\ufeff';

/**
 * Spreadsheets run cells that begin like a formula. An apostrophe in front keeps them text (OWASP, "CSV Injection").
 * Full-width forms of the signs count as well; blanks in front do not protect.
 */
function defuse(cell: string): string {
  return /^[\s\u0000]*[=+\-@\t\r＝＋－＠]/u.test(cell) ? `'${cell}` : cell;
}

/** One record with its line end. Numbers are ours and stay as they are. */
export function formatCsvRow(cells: readonly (string | number | null)[]): string {
  const texts = cells.map((cell) => {
    if (cell === null) return '';
    if (typeof cell === 'number') return String(cell);
    const safe = defuse(cell);
    return /[",;\r\n\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  });
  return `${texts.join(',')}\r\n`;
}
