const [tab, lineFeed, space, quote, open, close, comma, backslash, letterN] = [...'\t\n "(),\\N'].map((each) =>
  each.charCodeAt(0),
) as [number, number, number, number, number, number, number, number, number];
/** What COPY writes for these as a letter behind a backslash (PostgreSQL manual, COPY, "Text Format"). */
const escapes = new Map([...'bfnrtv'].map((letter, index) => [letter.charCodeAt(0), [8, 12, 10, 13, 9, 11][index]!]));

/** Bytes at which record_out puts a value in quotes. */
const isSpecial = (byte: number): boolean =>
  byte === quote ||
  byte === backslash ||
  byte === open ||
  byte === close ||
  byte === comma ||
  byte === space ||
  (byte >= 9 && byte <= 13);

/**
 * From a row of `COPY … TO STDOUT` the text that `row::text` gives (PostgreSQL's rowtypes.c, record_out), so that a hash says the same, whichever way a row was
 * read. Returns a buffer that is written over by the next call.
 */
export function createRecordText(): (row: Buffer, columns: number) => Uint8Array {
  let value = Buffer.allocUnsafe(4_096);
  let text = Buffer.allocUnsafe(8_192);
  return (row, columns) => {
    // Each byte is at most two, and each value has at most a comma and two quotes more.
    const needed = 2 * row.length + 3 * columns + 2;
    if (text.length < needed) text = Buffer.allocUnsafe(2 * needed);
    if (value.length < row.length) value = Buffer.allocUnsafe(2 * row.length);
    let at = 0;
    let length = 0;
    text[length++] = open;
    for (let column = 0; column < columns; column++) {
      if (column > 0) text[length++] = comma;
      let size = 0;
      let isQuoted = false;
      let isNull = false;
      for (; row[at] !== tab && row[at] !== lineFeed; at++) {
        let byte = row[at]!;
        if (byte === backslash) {
          const next = row[++at]!;
          if (next === letterN) isNull = true;
          byte = escapes.get(next) ?? next;
        }
        if (!isQuoted && isSpecial(byte)) isQuoted = true;
        value[size++] = byte;
      }
      at++;
      if (isNull) continue;
      if (!isQuoted && size > 0) {
        for (let index = 0; index < size; index++) text[length++] = value[index]!;
        continue;
      }
      text[length++] = quote;
      for (let index = 0; index < size; index++) {
        const byte = value[index]!;
        if (byte === quote || byte === backslash) text[length++] = byte;
        text[length++] = byte;
      }
      text[length++] = quote;
    }
    text[length++] = close;
    return text.subarray(0, length);
  };
}
